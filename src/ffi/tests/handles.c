// Handles that were freed, that are of another type, or that never were handles; handles that are freed while they are in
// use; threads that end.
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

// Any function with a handle that is not one of a client.
static void is_no_client(trc_client *client) {
    trc_connection_status status;
    trc_error_details details;
    trc_waker *waker = NULL;
    trc_event event;
    uint8_t key[TRC_KEY_SIZE] = {9};
    uint64_t ids[2];
    RETURNS(TRC_ERROR_HANDLE, trc_client_poll(client, -1));
    trc_last_error(&details);
    CHECK(details.error == TRC_ERROR_HANDLE && strstr(details.text, "freed") != NULL);
    CHECK(!trc_client_next_event(client, &event));
    CHECK(trc_client_next_timeout(client) == 0 && trc_client_descriptor(client) == -1);
    CHECK(trc_client_stage(client, 0) == TRC_STAGE_NONE && trc_client_queued(client, 0) == 0);
    CHECK(trc_client_has_drained(client, 0) && trc_client_all_drained(client));
    CHECK(trc_client_connections(client, ids, 2) == 0 && trc_client_routes(client, 0, ids, 2) == 0);
    CHECK(trc_client_disconnect_all(client) == 0);
    RETURNS(TRC_ERROR_HANDLE, trc_client_connection(client, 0, &status));
    RETURNS(TRC_ERROR_HANDLE, trc_client_send_data(client, 0, key, sizeof(key)));
    RETURNS(TRC_ERROR_HANDLE, trc_client_public_key(client, key));
    RETURNS(TRC_ERROR_HANDLE, trc_client_waker(client, &waker));
    CHECK(waker == NULL);
    trc_client_free(client);
    trc_last_error(&details);
    CHECK(details.error == TRC_ERROR_HANDLE);
}

static void is_no_pool(trc_pool *pool) {
    trc_pool_event event;
    size_t unsent = 7;
    char *text = NULL;
    uint64_t id;
    RETURNS(TRC_ERROR_HANDLE, trc_pool_poll(pool, -1));
    CHECK(!trc_pool_next_event(pool, &event) && trc_pool_next_timeout(pool) == 0);
    CHECK(trc_pool_descriptor(pool) == -1 && trc_pool_peers(pool, &id, 1) == 0);
    RETURNS(TRC_ERROR_HANDLE, trc_pool_remember(pool, &text));
    RETURNS(TRC_ERROR_HANDLE, trc_pool_close(pool, &unsent));
    CHECK(text == NULL && unsent == 7);
    trc_pool_free(pool);
}

static void is_no_relay(trc_relay *relay) {
    trc_client *client = new_client();
    uint64_t connection;
    char text[TRC_ADDRESS_SIZE];
    RETURNS(TRC_ERROR_HANDLE, trc_relay_set_token(relay, 1));
    RETURNS(TRC_ERROR_HANDLE, trc_relay_address(relay, 0, text));
    CHECK(trc_relay_addresses(relay) == 0);
    RETURNS(TRC_ERROR_HANDLE, trc_client_connect(client, relay, &connection));
    trc_relay_free(relay);
    trc_client_free(client);
}

static void is_no_config(trc_config *config) {
    trc_client *client = NULL;
    trc_pool *pool = NULL;
    RETURNS(TRC_ERROR_HANDLE, trc_config_set_window(config, TRC_NO_BOUND));
    RETURNS(TRC_ERROR_HANDLE, trc_client_new(config, &client));
    RETURNS(TRC_ERROR_HANDLE, trc_pool_new(config, &pool));
    CHECK(client == NULL && pool == NULL);
    trc_config_free(config);
}

static void is_no_waker(trc_waker *waker) {
    RETURNS(TRC_ERROR_HANDLE, trc_waker_wake(waker));
    trc_waker_free(waker);
}

static void is_no_handle(void *pointer) {
    is_no_client((trc_client *)pointer);
    is_no_pool((trc_pool *)pointer);
    is_no_relay((trc_relay *)pointer);
    is_no_config((trc_config *)pointer);
    is_no_waker((trc_waker *)pointer);
    trc_text_free((char *)pointer);
}

static trc_pool *new_pool(void) {
    trc_config *config = new_config();
    trc_pool *pool = NULL;
    OK(trc_pool_new(config, &pool));
    trc_config_free(config);
    return pool;
}

static void freed(void) {
    trc_client *client = new_client();
    trc_pool *pool = new_pool();
    trc_config *config = new_config();
    trc_relay *relay = NULL;
    trc_waker *waker = NULL;
    uint8_t key[TRC_KEY_SIZE] = {9};
    char *text = NULL;
    size_t unsent = 7;
    OK(trc_relay_new("127.0.0.1:1", key, &relay));
    OK(trc_client_waker(client, &waker));
    OK(trc_pool_remember(pool, &text));
    // Each is only what it is.
    is_no_client((trc_client *)pool);
    is_no_client((trc_client *)config);
    is_no_pool((trc_pool *)client);
    is_no_relay((trc_relay *)config);
    is_no_config((trc_config *)relay);
    is_no_waker((trc_waker *)client);
    trc_client_free(client);
    is_no_handle(client);
    OK(trc_pool_close(pool, &unsent));
    CHECK(unsent == 0);
    is_no_handle(pool);
    trc_config_free(config);
    is_no_handle(config);
    trc_relay_free(relay);
    is_no_handle(relay);
    OK(trc_waker_wake(waker));
    trc_waker_free(waker);
    is_no_handle(waker);
    text[0] = 0; // A program that writes there harms nobody.
    trc_text_free(text);
    trc_text_free(text);
    RETURNS(TRC_ERROR_NULL, trc_pool_close(NULL, &unsent));
    pool = new_pool();
    OK(trc_pool_close(pool, NULL));
}

static void foreign(void) {
    uint64_t number = 7;
    is_no_handle(&number);
    is_no_handle((void *)UINTPTR_MAX);
    is_no_handle((void *)(UINTPTR_MAX - 1));
}

// What a compiler puts into a packed structure is not aligned.
static void not_aligned(void) {
    static char place[sizeof(trc_error_details) + sizeof(trc_config *) + 2];
    trc_config *config;
    uint8_t secret[TRC_KEY_SIZE] = {1};
    OK(trc_config_new(secret, (trc_config **)(void *)(place + 1)));
    memcpy(&config, place + 1, sizeof(config));
    OK(trc_config_set_window(config, TRC_NO_BOUND));
    trc_config_free(config);
    trc_last_error((trc_error_details *)(void *)(place + 1));
}

static trc_client *in_use;
static int lines;

static void free_in_use(void *user_data, int32_t level, const char *message) {
    (void)level;
    CHECK(user_data == NULL && message[0] != 0);
    if (lines++ == 0) {
        RETURNS(TRC_ERROR_BUSY, trc_client_poll(in_use, 0));
        trc_client_free(in_use);
    }
    RETURNS(TRC_ERROR_HANDLE, trc_client_poll(in_use, 0));
}

static void freed_in_the_log_callback(void) {
    uint8_t key[TRC_KEY_SIZE];
    trc_relay *relay = NULL;
    uint64_t connection = 0;
    OK(trc_generate_secret_key(key));
    OK(trc_public_key(key, key));
    OK(trc_relay_new("127.0.0.1:1", key, &relay));
    in_use = new_client();
    OK(trc_set_log_callback(free_in_use, TRC_LOG_LEVEL_TRACE, NULL));
    OK(trc_client_connect(in_use, relay, &connection)); // comes to its end
    CHECK(lines > 0);
    OK(trc_set_log_callback(NULL, TRC_LOG_LEVEL_OFF, NULL));
    is_no_handle(in_use);
    trc_relay_free(relay);
}

static void *poll_for_ever(void *client) {
    OK(trc_client_poll((trc_client *)client, -1));
    return NULL;
}

// A thread waits in a poll, and another one frees the client.
static void freed_by_another_thread(void) {
    trc_client *client = new_client();
    trc_waker *waker = NULL;
    pthread_t thread;
    OK(trc_client_waker(client, &waker));
    CHECK(pthread_create(&thread, NULL, poll_for_ever, client) == 0);
    while (trc_client_flush(client) != TRC_ERROR_BUSY) {
        usleep(1000);
    }
    trc_client_free(client);
    OK(trc_waker_wake(waker));
    CHECK(pthread_join(thread, NULL) == 0);
    is_no_handle(client);
    trc_waker_free(waker);
}

static trc_client *shared;
static int busy, done;

static void *hammer(void *unused) {
    int i;
    for (i = 0; i < 20000; i++) {
        const trc_error error = trc_client_poll(shared, 0);
        CHECK(error == TRC_OK || error == TRC_ERROR_BUSY);
        if (error == TRC_OK) {
            __sync_fetch_and_add(&done, 1);
        } else {
            __sync_fetch_and_add(&busy, 1);
        }
    }
    return unused;
}

static void two_threads(void) {
    pthread_t threads[2];
    shared = new_client();
    CHECK(pthread_create(&threads[0], NULL, hammer, NULL) == 0);
    CHECK(pthread_create(&threads[1], NULL, hammer, NULL) == 0);
    CHECK(pthread_join(threads[0], NULL) == 0 && pthread_join(threads[1], NULL) == 0);
    CHECK(done > 0 && done + busy == 40000);
    trc_client_free(shared);
}

static pthread_key_t at_end;
static int ended;

// Runs after what the library keeps for this thread was dropped.
static void use_at_end(void *client) {
    trc_error_details details;
    RETURNS(TRC_ERROR_UNKNOWN_CONNECTION, trc_client_ping((trc_client *)client, 0));
    details.error = TRC_ERROR_BUSY;
    trc_last_error(&details);
    CHECK(details.error == TRC_ERROR_NONE);
    trc_client_free((trc_client *)client);
    ended++;
}

static void *end(void *client) {
    uint8_t key[TRC_KEY_SIZE];
    CHECK(pthread_setspecific(at_end, client) == 0);
    RETURNS(TRC_ERROR_KEY_LENGTH, trc_key_from_text("12AB", key)); // its details are kept for this thread
    return NULL;
}

static void used_at_the_end_of_a_thread(void) {
    pthread_t thread;
    CHECK(pthread_key_create(&at_end, use_at_end) == 0);
    CHECK(pthread_create(&thread, NULL, end, new_client()) == 0);
    CHECK(pthread_join(thread, NULL) == 0 && ended == 1);
}

int main(void) {
    freed();
    foreign();
    not_aligned();
    freed_in_the_log_callback();
    freed_by_another_thread();
    two_threads();
    used_at_the_end_of_a_thread();
    return 0;
}
