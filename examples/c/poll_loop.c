// A pool inside poll(2), beside another descriptor: here standard input.
//
//     poll_loop FRIEND_KEY RELAY_ADDRESS RELAY_KEY [RELAY_ADDRESS RELAY_KEY]...
//
// It prints its own public key, reaches a friend through one or more relays, and sends each line that is typed. Between
// two events the program sleeps. The end of the input ends it. A key of "-" is a friend that is not known yet: type the
// key as the first line.

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tox_relay_client.h>

static trc_pool *pool;
static uint64_t friend_id;
static bool has_friend = false;

// Ends the program if a call has failed.
static void check(trc_error error, const char *what) {
    if (error != TRC_OK) {
        trc_error_details details;
        trc_last_error(&details);
        fprintf(stderr, "%s: %s\n", what, details.text);
        exit(1);
    }
}

// Adds the friend, who is thought to be on all relays.
static void add_friend(const char *text) {
    uint8_t key[TRC_KEY_SIZE];
    uint64_t relays[64];
    size_t count, i;
    check(trc_key_from_text(text, key), text);
    check(trc_pool_add_peer(pool, key, 0, &friend_id), "friend");
    count = trc_pool_relays(pool, relays, 64);
    for (i = 0; i < count && i < 24; i++) {
        check(trc_pool_tie(pool, friend_id, relays[i]), "tie");
    }
    has_friend = true;
}

static void add_relay(const char *address, const char *key_text) {
    uint8_t key[TRC_KEY_SIZE];
    uint64_t id;
    trc_relay *relay = NULL;
    check(trc_key_from_text(key_text, key), key_text);
    check(trc_relay_new(address, key, &relay), address);
    check(trc_pool_add_relay(pool, relay, TRC_ORIGIN_USER, 0, &id), address);
    trc_relay_free(relay);
}

static void handle_event(const trc_pool_event *event) {
    switch (event->kind) {
    case TRC_POOL_EVENT_KIND_PEER_ONLINE:
        printf("* The friend is online\n");
        break;
    case TRC_POOL_EVENT_KIND_PEER_OFFLINE:
        printf("* The friend is offline\n");
        break;
    case TRC_POOL_EVENT_KIND_RELAY_UP:
        printf("* A relay is connected\n");
        break;
    case TRC_POOL_EVENT_KIND_RELAY_DOWN:
        if (event->end->reason != TRC_REASON_CLOSED_BY_CALLER) { // otherwise, enough others are connected
            printf("* %s: %s\n", event->status->address, event->end->text);
        }
        break;
    case TRC_POOL_EVENT_KIND_DATA:
        // Relays can invent data: a real program encrypts and authenticates them end to end.
        printf("%.*s\n", (int)event->length, (const char *)event->data);
        break;
    default: // later versions have more kinds
        break;
    }
}

// Sends what was typed. Returns false at the end of the input.
static bool send_line(void) {
    char line[1024];
    ssize_t length = read(STDIN_FILENO, line, sizeof(line) - 1);
    trc_error error;
    if (length <= 0) {
        return length < 0 && errno == EINTR;
    }
    if (line[length - 1] == '\n') {
        length--;
    }
    line[length] = '\0';
    if (!has_friend) {
        add_friend(line);
        return true;
    }
    error = trc_pool_send(pool, friend_id, (const uint8_t *)line, (size_t)length, NULL);
    if (error != TRC_OK) {
        printf("* Not sent: %s\n", trc_error_text(error));
    }
    return true;
}

int main(int count, char **arguments) {
    uint8_t secret_key[TRC_KEY_SIZE], key[TRC_KEY_SIZE];
    char text[TRC_KEY_TEXT_SIZE];
    trc_config *config = NULL;
    trc_pool_event event;
    bool is_open = true;
    int i;

    if (count < 4 || count % 2 != 0) {
        fprintf(stderr, "usage: poll_loop FRIEND_KEY RELAY_ADDRESS RELAY_KEY [RELAY_ADDRESS RELAY_KEY]...\n");
        return 2;
    }
    check(trc_generate_secret_key(secret_key), "key");
    check(trc_config_new(secret_key, &config), "settings");
    memset(secret_key, 0, sizeof(secret_key)); // a real program keeps it in a file
    check(trc_pool_new(config, &pool), "pool");
    trc_config_free(config);
    check(trc_pool_public_key(pool, key), "key");
    check(trc_key_to_text(key, text), "key");
    printf("* Your public key is %s\n", text);
    fflush(stdout);
    for (i = 2; i < count; i += 2) {
        add_relay(arguments[i], arguments[i + 1]);
    }
    if (strcmp(arguments[1], "-") != 0) {
        add_friend(arguments[1]);
    }

    while (is_open) {
        struct pollfd descriptors[2];
        descriptors[0].fd = trc_pool_descriptor(pool);
        descriptors[1].fd = STDIN_FILENO;
        descriptors[0].events = descriptors[1].events = POLLIN;
        descriptors[0].revents = descriptors[1].revents = 0;
        // What was accepted is written by the next poll of the pool, so that comes first.
        check(trc_pool_poll(pool, 0), "poll");
        while (trc_pool_next_event(pool, &event)) {
            handle_event(&event);
        }
        fflush(stdout);
        if (poll(descriptors, 2, trc_pool_next_timeout(pool)) < 0 && errno != EINTR) {
            perror("poll");
            return 1;
        }
        if (descriptors[1].revents != 0) {
            is_open = send_line();
        }
    }
    trc_pool_free(pool);
    return 0;
}
