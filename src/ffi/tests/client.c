// Two clients on a relay. Arguments: address and key of a relay, an address at which nothing listens, and "reflects" if the
// relay sends onion and forward requests back.
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <unistd.h>

static trc_client *alice, *bob;
static bool reflects;
static uint8_t alice_key[TRC_KEY_SIZE], bob_key[TRC_KEY_SIZE];

// The last event of each kind that was not waited for yet, and its payload.
static struct {
    bool is_new[2][16];
    trc_event event[2][16];
    uint8_t data[2][16][2048];
} seen;

static void poll_one(trc_client *client, int timeout) {
    const int who = client == bob;
    trc_event event;
    OK(trc_client_poll(client, timeout));
    while (trc_client_next_event(client, &event)) {
        CHECK(event.kind > 0 && event.kind < 16 && event.kind != TRC_EVENT_KIND_DISCONNECTED);
        if (event.data != NULL) {
            CHECK(event.length <= 2048);
            memcpy(seen.data[who][event.kind], event.data, event.length);
            event.data = seen.data[who][event.kind];
        }
        seen.event[who][event.kind] = event;
        seen.is_new[who][event.kind] = true;
    }
    CHECK(!trc_client_next_event(client, &event));
}

// Polls both clients until this one has reported this kind of event, for at most 20 s.
static trc_event wait_for(trc_client *client, trc_event_kind kind) {
    const int who = client == bob;
    int round;
    for (round = 0; round < 4000 && !seen.is_new[who][kind]; round++) {
        poll_one(client == alice ? bob : alice, 0);
        poll_one(client, 5);
    }
    if (!seen.is_new[who][kind]) {
        fprintf(stderr, "there is no event of the kind %d\n", (int)kind);
        exit(1);
    }
    seen.is_new[who][kind] = false;
    return seen.event[who][kind];
}

static void exchange(trc_client *from, uint64_t route, trc_client *to, uint64_t token, const char *text) {
    trc_event event;
    OK(trc_client_send_data(from, route, (const uint8_t *)text, strlen(text)));
    OK(trc_client_flush(from));
    event = wait_for(to, TRC_EVENT_KIND_DATA);
    CHECK(event.length == strlen(text) && memcmp(event.data, text, event.length) == 0);
    CHECK(event.token == token && event.end == NULL && event.status == NULL);
}

static void statuses(uint64_t connection, uint64_t route, const uint8_t *relay_key, const char *address) {
    trc_connection_status status;
    trc_route_status of_route;
    trc_traffic_by_kind traffic;
    trc_failed_attempt attempt;
    uint64_t ids[2] = {0, 0}, found = 0;

    OK(trc_client_connection(alice, connection, &status));
    CHECK(status.connection == connection && status.token == 7 && status.stage == TRC_STAGE_CONNECTED);
    CHECK(memcmp(status.public_key, relay_key, 32) == 0 && memcmp(status.identity, alice_key, 32) == 0);
    CHECK(strcmp(status.address, address) == 0 && status.proxy[0] == 0 && status.failed_attempts == 0);
    CHECK(status.age >= status.connected_since && status.connected_since > 0 && status.last_heard > 0);
    CHECK(status.pings >= status.pongs && status.pongs >= 1 && status.smallest_round_trip > 0);
    CHECK(status.round_trip > 0 && status.smoothed_round_trip > 0);
    CHECK(status.time_of_tunnel == 0 && status.time_of_transport <= status.time_of_handshake);
    CHECK(status.time_of_handshake <= status.time_of_connected && status.time_of_transport > 0);
    CHECK(status.traffic.bytes_in > 0 && status.traffic.packets_out > 0 && status.routes == 1);
    CHECK(status.window >= 16384 && status.queued == 0);
    RETURNS(TRC_ERROR_ARGUMENT, trc_client_failed_attempt(alice, connection, 0, &attempt));

    OK(trc_client_route(alice, route, &of_route));
    CHECK(of_route.route == route && of_route.connection == connection && of_route.token == 17);
    CHECK(of_route.state == TRC_ROUTE_STATE_ONLINE && memcmp(of_route.peer, bob_key, 32) == 0);
    OK(trc_client_find_route(alice, connection, bob_key, &found));
    CHECK(found == route);
    RETURNS(TRC_ERROR_UNKNOWN_ROUTE, trc_client_find_route(alice, connection, alice_key, &found));

    CHECK(trc_client_connections(alice, ids, 2) == 1 && ids[0] == connection && ids[1] == 0);
    CHECK(trc_client_connections(alice, NULL, 0) == 1);
    ids[0] = 0;
    CHECK(trc_client_routes(alice, connection, ids, 0) == 1 && ids[0] == 0);
    CHECK(trc_client_routes(alice, connection, ids, 2) == 1 && ids[0] == route);

    OK(trc_client_traffic(alice, &traffic));
    CHECK(traffic.data.packets_out == 1 && traffic.data.packets_in == 1 && traffic.oob.packets_in == 1);
    CHECK(traffic.routing.packets_out == 1 && traffic.notifications.packets_in >= 1);
    CHECK(traffic.pings.packets_out >= 1 && traffic.onion.packets_out == 0 && traffic.forward.bytes_in == 0);
    CHECK(traffic.all.bytes_out == status.traffic.bytes_out);
}

static void settings(void) {
    OK(trc_client_set_ping_interval(alice, 60000));
    RETURNS(TRC_ERROR_PING_INTERVAL, trc_client_set_ping_interval(alice, 0));
    OK(trc_client_set_pong_timeout(alice, 20000));
    RETURNS(TRC_ERROR_PONG_TIMEOUT, trc_client_set_pong_timeout(alice, 0));
    OK(trc_client_set_connect_timeout(alice, 20000));
    RETURNS(TRC_ERROR_CONNECT_TIMEOUT, trc_client_set_connect_timeout(alice, 0));
    OK(trc_client_set_window(alice, 32 * 1024));
    OK(trc_client_set_window(alice, TRC_NO_BOUND));
    RETURNS(TRC_ERROR_WINDOW, trc_client_set_window(alice, 16 * 1024 - 1));
    OK(trc_client_set_proxy(alice, "socks5://127.0.0.1:9050"));
    RETURNS(TRC_ERROR_PROXY_SCHEME, trc_client_set_proxy(alice, "ftp://127.0.0.1:9050"));
    OK(trc_client_set_proxy(alice, NULL));
}

// What is sent, with each error.
static void sending(uint64_t connection, uint64_t route, uint64_t bobs_route) {
    static uint8_t data[4096];
    trc_error_details details;
    trc_event event;
    size_t unsent = 99;
    int sent;

    OK(trc_client_send_to(alice, connection, bob_key, data, 2031));
    event = wait_for(bob, TRC_EVENT_KIND_DATA);
    CHECK(event.length == 2031);
    RETURNS(TRC_ERROR_LENGTH, trc_client_send_data(alice, route, data, 2032));
    trc_last_error(&details);
    CHECK(details.error == TRC_ERROR_LENGTH && strstr(details.text, "2032") != NULL);
    RETURNS(TRC_ERROR_LENGTH, trc_client_send_data(alice, route, data, 0));
    RETURNS(TRC_ERROR_LENGTH, trc_client_send_data(alice, route, NULL, 0));
    RETURNS(TRC_ERROR_NULL, trc_client_send_data(alice, route, NULL, 1));
    RETURNS(TRC_ERROR_LENGTH, trc_client_send_data(alice, route, data, SIZE_MAX));
    RETURNS(TRC_ERROR_LENGTH, trc_client_send_oob(alice, connection, bob_key, data, 1025));
    RETURNS(TRC_ERROR_LENGTH, trc_client_send_onion_request(alice, connection, data, 177));
    RETURNS(TRC_ERROR_LENGTH, trc_client_send_onion_request(alice, connection, data, 1360));
    OK(trc_client_send_onion_request(alice, connection, data, 178));
    OK(trc_client_send_forward_request(alice, connection, TRC_TRANSPORT_UDP, "127.0.0.1:9", data, 1792));
    if (reflects) {
        event = wait_for(alice, TRC_EVENT_KIND_ONION_RESPONSE); // without the nonce
        CHECK(event.connection == connection && event.token == 7 && event.length == 178 - 24 && event.route == 0);
        event = wait_for(alice, TRC_EVENT_KIND_FORWARDING);
        CHECK(event.connection == connection && event.token == 7 && event.length == 1792);
    }
    RETURNS(TRC_ERROR_LENGTH, trc_client_send_forward_request(alice, connection, TRC_TRANSPORT_TCP,
                                                              "[2001:db8::7]:33445", data, 1793));
    RETURNS(TRC_ERROR_ARGUMENT, trc_client_send_forward_request(alice, connection, 0, "192.0.2.7:1", data, 1));
    RETURNS(TRC_ERROR_ARGUMENT, trc_client_send_forward_request(alice, connection, 1, "a.example:1", data, 1));

    // More than the queue has room for: no poll reads what confirms the data that were sent.
    OK(trc_client_set_window(alice, 16 * 1024));
    for (sent = 0; sent < 100000; sent++) {
        trc_error error = trc_client_send_data(alice, route, data, 2000);
        if (error != TRC_OK) {
            CHECK(error == TRC_ERROR_WOULD_BLOCK);
            break;
        }
    }
    CHECK(sent > 10 && sent < 100000);
    CHECK(trc_client_queued(alice, connection) > 10000 && !trc_client_has_drained(alice, connection));
    CHECK(!trc_client_all_drained(alice));
    event = wait_for(alice, TRC_EVENT_KIND_WRITABLE);
    CHECK(event.connection == connection && event.route == 0 && event.token == 7);
    while (!trc_client_all_drained(alice)) {
        poll_one(alice, 10);
        poll_one(bob, 0);
    }
    CHECK(trc_client_queued(alice, connection) == 0 && trc_client_has_drained(alice, connection));

    // Bob closes his route.
    OK(trc_client_close_route(bob, bobs_route, &unsent));
    CHECK(unsent == 0);
    RETURNS(TRC_ERROR_UNKNOWN_ROUTE, trc_client_close_route(bob, bobs_route, NULL));
    event = wait_for(alice, TRC_EVENT_KIND_ROUTE_OFFLINE);
    CHECK(event.route == route && event.unsent == 0);
    RETURNS(TRC_ERROR_ROUTE_OFFLINE, trc_client_send_data(alice, route, data, 1));
    RETURNS(TRC_ERROR_LENGTH, trc_client_send_to(alice, connection, bob_key, data, 1025));
    OK(trc_client_send_to(alice, connection, bob_key, data, 1024));
    event = wait_for(bob, TRC_EVENT_KIND_OOB);
    CHECK(event.length == 1024 && event.route == 0 && memcmp(event.peer, alice_key, 32) == 0);
    OK(trc_client_close_route(alice, route, NULL));
    RETURNS(TRC_ERROR_UNKNOWN_ROUTE, trc_client_send_data(alice, route, data, 1));
}

static void *wake(void *waker) {
    usleep(50000);
    OK(trc_waker_wake((trc_waker *)waker));
    return NULL;
}

static void wakers(void) {
    trc_waker *waker = NULL;
    trc_client *client = new_client();
    trc_event event;
    pthread_t thread;
    OK(trc_client_waker(client, &waker));
    CHECK(trc_client_next_timeout(client) == -1);
    CHECK(pthread_create(&thread, NULL, wake, waker) == 0);
    OK(trc_client_poll(client, -1)); // ends only by the waker
    CHECK(!trc_client_next_event(client, &event));
    CHECK(pthread_join(thread, NULL) == 0);
    trc_client_free(client);
    OK(trc_waker_wake(waker));
    trc_waker_free(waker);
}

// The end of a connection, in all that is reported about it.
static void ends(const char *dead_address, const char *relay_key) {
    trc_client *client = new_client();
    trc_relay *relay = new_relay(dead_address, relay_key);
    trc_connection_status status;
    trc_failed_attempt attempt;
    trc_event event;
    uint64_t connection;
    OK(trc_relay_add_address(relay, "127.0.0.1:1"));
    OK(trc_relay_set_token(relay, 3));
    OK(trc_client_connect(client, relay, &connection));
    do {
        OK(trc_client_poll(client, -1));
    } while (!trc_client_next_event(client, &event));
    CHECK(event.kind == TRC_EVENT_KIND_DISCONNECTED && event.connection == connection && event.token == 3);
    CHECK(event.end->reason == TRC_REASON_REFUSED && event.end->stage == TRC_STAGE_CONNECTING);
    CHECK(event.end->party == TRC_PARTY_RELAY && event.end->hint == TRC_HINT_NONE);
    CHECK(event.end->fault == TRC_FAULT_RELAY && event.end->retry == TRC_RETRY_SOON && event.end->code == 0);
    CHECK(strstr(event.end->text, "refused") != NULL);
    CHECK(event.status->connection == connection && event.status->failed_attempts == 2);
    CHECK(event.status->connected_since == 0 && event.status->stage == TRC_STAGE_CONNECTING);
    OK(trc_client_connection(client, connection, &status));
    CHECK(status.failed_attempts == 2 && status.token == 3);
    OK(trc_client_failed_attempt(client, connection, 1, &attempt));
    CHECK(attempt.end.reason == TRC_REASON_REFUSED);
    RETURNS(TRC_ERROR_ARGUMENT, trc_client_failed_attempt(client, connection, 2, &attempt));
    CHECK(trc_client_stage(client, connection) == TRC_STAGE_NONE);
    OK(trc_client_poll(client, 0));
    RETURNS(TRC_ERROR_UNKNOWN_CONNECTION, trc_client_connection(client, connection, &status));

    // Through a proxy that is not there.
    OK(trc_relay_set_proxy(relay, "socks5://user:pass%20word@127.0.0.1:1"));
    OK(trc_client_connect(client, relay, &connection));
    do {
        OK(trc_client_poll(client, -1));
    } while (!trc_client_next_event(client, &event));
    CHECK(event.end->reason == TRC_REASON_REFUSED && event.end->party == TRC_PARTY_PROXY);
    CHECK(event.end->fault == TRC_FAULT_PROXY && strcmp(event.status->proxy, "127.0.0.1:1") == 0);

    // By the caller.
    OK(trc_relay_set_direct(relay));
    OK(trc_client_connect(client, relay, &connection));
    OK(trc_client_disconnect(client, connection));
    RETURNS(TRC_ERROR_UNKNOWN_CONNECTION, trc_client_disconnect(client, connection));
    OK(trc_client_poll(client, 0));
    CHECK(trc_client_next_event(client, &event) && event.end->reason == TRC_REASON_CLOSED_BY_CALLER);
    CHECK(event.end->retry == TRC_RETRY_UNKNOWN && event.end->stage == TRC_STAGE_NONE);
    trc_relay_free(relay);
    trc_client_free(client);
}

static void own_socket(const char *address, const char *key) {
    struct sockaddr_in at;
    trc_client *client = new_client();
    trc_relay *relay = new_relay(address, key);
    trc_event event;
    trc_error_details details;
    uint8_t stranger[TRC_KEY_SIZE] = {9};
    uint64_t connection = 0;
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    memset(&at, 0, sizeof(at));
    at.sin_family = AF_INET;
    at.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(connect(descriptor, (struct sockaddr *)&at, sizeof(at)) == 0);
    OK(trc_client_connect_with(client, relay, descriptor, &connection));
    do {
        OK(trc_client_poll(client, 1000));
    } while (!trc_client_next_event(client, &event));
    CHECK(event.kind == TRC_EVENT_KIND_CONNECTED && event.connection == connection);
    // Writing to a socket that takes no more does not kill the program.
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    CHECK(shutdown(descriptor, SHUT_WR) == 0 && close(descriptor) == 0);
    OK(trc_client_ping(client, connection));
    OK(trc_client_send_oob(client, connection, stranger, stranger, sizeof(stranger)));
    OK(trc_client_flush(client));
    CHECK(trc_client_disconnect_all(client) == 1);
    RETURNS(TRC_ERROR_IO, trc_client_connect_with(client, relay, descriptor, &connection));
    trc_last_error(&details);
    CHECK(details.os_error != 0 && details.text[0] != 0);
    RETURNS(TRC_ERROR_IO, trc_client_connect_with(client, relay, -1, &connection));
    // A file, a socket for datagrams, and the client's own descriptor are not stream sockets.
    RETURNS(TRC_ERROR_IO, trc_client_connect_with(client, relay, fileno(tmpfile()), &connection));
    descriptor = socket(AF_INET, SOCK_DGRAM, 0);
    RETURNS(TRC_ERROR_IO, trc_client_connect_with(client, relay, descriptor, &connection));
    CHECK(close(descriptor) == 0);
    RETURNS(TRC_ERROR_IO, trc_client_connect_with(client, relay, trc_client_descriptor(client), &connection));
    trc_relay_free(relay);
    trc_client_free(client);
}

static trc_client *last;
static uint64_t last_connection;

// Ends what is connected when what the library keeps for the thread is gone already.
static void clean_up(void) {
    if (trc_client_disconnect(last, last_connection) != TRC_OK) {
        fputs("not disconnected at the end\n", stderr);
        _exit(1);
    }
    trc_client_free(last);
}

static void freed_at_exit(const char *address, const char *key) {
    trc_relay *relay = new_relay(address, key);
    trc_event event;
    last = new_client();
    OK(trc_client_connect(last, relay, &last_connection));
    trc_relay_free(relay);
    do {
        OK(trc_client_poll(last, 1000));
    } while (!trc_client_next_event(last, &event));
    CHECK(event.kind == TRC_EVENT_KIND_CONNECTED && atexit(clean_up) == 0);
}

int main(int count, char **arguments) {
    trc_relay *relay;
    trc_event event;
    uint8_t relay_key[TRC_KEY_SIZE];
    uint64_t at_alice = 0, at_bob = 0, route = 0, bobs_route = 0, other = 0;

    CHECK(count == 5);
    reflects = strcmp(arguments[4], "reflects") == 0;
    read_key(arguments[2], relay_key);
    alice = new_client();
    bob = new_client();
    OK(trc_client_public_key(alice, alice_key));
    OK(trc_client_public_key(bob, bob_key));
    CHECK(trc_client_descriptor(alice) >= 0);

    relay = new_relay(arguments[1], arguments[2]);
    OK(trc_relay_set_token(relay, 7));
    OK(trc_client_connect(alice, relay, &at_alice));
    RETURNS(TRC_ERROR_ALREADY_CONNECTED, trc_client_connect(alice, relay, &other));
    CHECK(other == at_alice && trc_client_next_timeout(alice) > 0);
    CHECK(trc_client_stage(alice, at_alice) == TRC_STAGE_CONNECTING);
    OK(trc_client_open_route(alice, at_alice, bob_key, 17, &route));
    RETURNS(TRC_ERROR_ROUTE_EXISTS, trc_client_open_route(alice, at_alice, bob_key, 18, &other));
    CHECK(other == route);
    OK(trc_client_connect(bob, relay, &at_bob));
    event = wait_for(alice, TRC_EVENT_KIND_CONNECTED);
    CHECK(event.connection == at_alice && event.token == 7 && event.route == 0 && event.data == NULL);
    event = wait_for(alice, TRC_EVENT_KIND_ROUTE_OPENED);
    CHECK(event.route == route && event.token == 17 && memcmp(event.peer, bob_key, 32) == 0);
    OK(trc_client_open_route(bob, at_bob, bob_key, 0, &other));
    event = wait_for(bob, TRC_EVENT_KIND_ROUTE_REFUSED);
    CHECK(event.route == other);
    OK(trc_client_open_route(bob, at_bob, alice_key, 27, &bobs_route));
    event = wait_for(alice, TRC_EVENT_KIND_ROUTE_ONLINE);
    CHECK(event.route == route);
    exchange(alice, route, bob, 27, "hello");
    exchange(bob, bobs_route, alice, 17, "hello, Alice");
    OK(trc_client_send_oob(bob, at_bob, alice_key, (const uint8_t *)"psst", 4));
    event = wait_for(alice, TRC_EVENT_KIND_OOB);
    CHECK(event.length == 4 && event.token == 7 && memcmp(event.peer, bob_key, 32) == 0);
    OK(trc_client_ping(alice, at_alice));
    OK(trc_client_network_changed(alice));
    for (;;) {
        trc_connection_status status;
        poll_one(alice, 10);
        OK(trc_client_connection(alice, at_alice, &status));
        if (status.pongs >= 2) {
            break;
        }
    }
    statuses(at_alice, route, relay_key, arguments[1]);
    settings();
    sending(at_alice, route, bobs_route);
    trc_relay_free(relay);
    trc_client_free(alice);
    trc_client_free(bob);

    wakers();
    ends(arguments[3], arguments[2]);
    own_socket(arguments[1], arguments[2]);
    freed_at_exit(arguments[1], arguments[2]);
    return 0;
}
