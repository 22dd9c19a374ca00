// Checks and small helpers for the tests in C.
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tox_relay_client.h"

// Ends the program, with the place, if a condition is false.
#define CHECK(condition)                                                                    \
    do {                                                                                    \
        if (!(condition)) {                                                                 \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);       \
            exit(1);                                                                        \
        }                                                                                   \
    } while (0)

// Ends the program, with the place and what was returned, if a call returns another error than this one.
#define RETURNS(error, call)                                                                \
    do {                                                                                    \
        const trc_error check_got = (call);                                                 \
        if (check_got != (error)) {                                                         \
            fprintf(stderr, "%s:%d: %s returns %d (%s), not %s\n", __FILE__, __LINE__,      \
                    #call, (int)check_got, trc_error_text(check_got), #error);              \
            exit(1);                                                                        \
        }                                                                                   \
    } while (0)

#define OK(call) RETURNS(TRC_ERROR_NONE, call)

// Reads a key from an argument of the program.
static inline void read_key(const char *text, uint8_t key[TRC_KEY_SIZE]) {
    OK(trc_key_from_text(text, key));
}

// Settings with a new key.
static inline trc_config *new_config(void) {
    uint8_t secret_key[TRC_KEY_SIZE];
    trc_config *config = NULL;
    OK(trc_generate_secret_key(secret_key));
    OK(trc_config_new(secret_key, &config));
    CHECK(config != NULL);
    return config;
}

// A client with a new key.
static inline trc_client *new_client(void) {
    trc_config *config = new_config();
    trc_client *client = NULL;
    OK(trc_client_new(config, &client));
    trc_config_free(config);
    return client;
}

// A relay.
static inline trc_relay *new_relay(const char *address, const char *key_text) {
    uint8_t key[TRC_KEY_SIZE];
    trc_relay *relay = NULL;
    read_key(key_text, key);
    OK(trc_relay_new(address, key, &relay));
    return relay;
}

#endif
