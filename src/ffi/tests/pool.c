// Two pools with two relays. Arguments: address and key of each relay, an address at which nothing listens, and "reflects"
// if the relays send onion and forward requests back.
#include "check.h"

static trc_pool *alice, *bob;
static bool reflects;
static trc_relay *relays[2];
static uint64_t at_alice[2], at_bob[2], friend_of_alice, friend_of_bob;
static uint8_t alice_key[TRC_KEY_SIZE], bob_key[TRC_KEY_SIZE];

// The last event of each kind that was not waited for yet, and its payload.
static struct {
    bool is_new[2][16];
    trc_pool_event event[2][16];
    uint8_t data[2][16][2048];
    trc_reason reason;
} seen;

static void poll_one(trc_pool *pool, int timeout) {
    const int who = pool == bob;
    trc_pool_event event;
    OK(trc_pool_poll(pool, timeout));
    while (trc_pool_next_event(pool, &event)) {
        CHECK(event.kind > 0 && event.kind < 16);
        if (event.data != NULL) {
            CHECK(event.length <= 2048);
            memcpy(seen.data[who][event.kind], event.data, event.length);
            event.data = seen.data[who][event.kind];
        }
        CHECK((event.kind == TRC_POOL_EVENT_KIND_RELAY_DOWN) == (event.end != NULL));
        if (event.end != NULL) {
            CHECK(event.end->text[0] != 0 && event.status->address[0] != 0);
            seen.reason = event.end->reason;
        }
        seen.event[who][event.kind] = event;
        seen.is_new[who][event.kind] = true;
    }
}

// Polls both pools until this one has reported this kind of event, for at most 30 s.
static trc_pool_event wait_for(trc_pool *pool, trc_pool_event_kind kind) {
    const int who = pool == bob;
    int round;
    for (round = 0; round < 6000 && !seen.is_new[who][kind]; round++) {
        poll_one(pool == alice ? bob : alice, 0);
        poll_one(pool, 5);
    }
    if (!seen.is_new[who][kind]) {
        fprintf(stderr, "there is no event of the kind %d\n", (int)kind);
        exit(1);
    }
    seen.is_new[who][kind] = false;
    return seen.event[who][kind];
}

static trc_pool *new_pool(uint8_t *public_key) {
    trc_pool *pool = NULL;
    trc_config *config = new_config();
    OK(trc_pool_new(config, &pool));
    trc_config_free(config);
    OK(trc_pool_public_key(pool, public_key));
    CHECK(trc_pool_descriptor(pool) >= 0);
    return pool;
}

static void members(void) {
    uint8_t key[TRC_KEY_SIZE];
    uint64_t ids[3] = {0, 0, 0}, id = 0;
    trc_relay *relay;
    size_t i;
    for (i = 0; i < 2; i++) {
        OK(trc_pool_add_relay(alice, relays[i], TRC_ORIGIN_USER, 0, &at_alice[i]));
        OK(trc_pool_add_relay(bob, relays[i], TRC_ORIGIN_LIST, 0, &at_bob[i]));
        OK(trc_relay_public_key(relays[i], key));
        OK(trc_pool_find_relay(alice, key, &id));
        CHECK(id == at_alice[i]);
    }
    RETURNS(TRC_ERROR_UNKNOWN_PEER, trc_pool_find_peer(alice, bob_key, &id));
    RETURNS(TRC_ERROR_UNKNOWN_RELAY, trc_pool_find_relay(alice, bob_key, &id));
    OK(trc_pool_add_peer(alice, bob_key, 17, &friend_of_alice));
    OK(trc_pool_add_peer(bob, alice_key, 27, &friend_of_bob));
    OK(trc_pool_find_peer(alice, bob_key, &id));
    CHECK(id == friend_of_alice);
    // From a peer elsewhere, an address of this machine is refused; it does not count if the user has named the relay.
    OK(trc_relay_new("127.0.0.1:443", bob_key, &relay));
    RETURNS(TRC_ERROR_LOCAL_ADDRESS, trc_pool_add_relay(alice, relay, TRC_ORIGIN_PEER, friend_of_alice, &id));
    trc_relay_free(relay);
    OK(trc_pool_add_relay(alice, relays[0], TRC_ORIGIN_PEER, friend_of_alice, &id));
    CHECK(id == at_alice[0]);
    RETURNS(TRC_ERROR_UNKNOWN_PEER, trc_pool_add_relay(alice, relays[0], TRC_ORIGIN_LOCAL_PEER, UINT64_MAX, &id));
    RETURNS(TRC_ERROR_ARGUMENT, trc_pool_add_relay(alice, relays[0], 0, 0, &id));
    RETURNS(TRC_ERROR_ARGUMENT, trc_pool_add_relay(alice, relays[0], 5, 0, &id));
    RETURNS(TRC_ERROR_NULL, trc_pool_add_relay(alice, NULL, TRC_ORIGIN_USER, 0, &id));
    CHECK(trc_pool_relays(alice, ids, 3) == 2 && trc_pool_relays(alice, NULL, 0) == 2);
    CHECK(trc_pool_peers(alice, ids, 3) == 1 && ids[0] == friend_of_alice);
    for (i = 0; i < 2; i++) {
        OK(trc_pool_tie(alice, friend_of_alice, at_alice[i]));
        OK(trc_pool_tie(bob, friend_of_bob, at_bob[i]));
    }
    RETURNS(TRC_ERROR_UNKNOWN_PEER, trc_pool_tie(alice, UINT64_MAX, at_alice[0]));
    RETURNS(TRC_ERROR_UNKNOWN_RELAY, trc_pool_tie(alice, friend_of_alice, UINT64_MAX));
}

static void too_many(void) {
    uint8_t key[TRC_KEY_SIZE];
    trc_pool *pool = new_pool(key);
    trc_relay *relay;
    uint64_t peer, id;
    char address[64];
    int i;
    OK(trc_pool_add_peer(pool, bob_key, 0, &peer));
    for (i = 0; i < 25; i++) {
        OK(trc_generate_secret_key(key));
        OK(trc_public_key(key, key));
        sprintf(address, "8.8.8.%d:443", i + 1);
        OK(trc_relay_new(address, key, &relay));
        RETURNS(i < 24 ? TRC_ERROR_NONE : TRC_ERROR_TOO_MANY_RELAYS,
                trc_pool_add_relay(pool, relay, TRC_ORIGIN_PEER, peer, &id));
        if (i == 24) {
            OK(trc_pool_add_relay(pool, relay, TRC_ORIGIN_USER, 0, &id));
        }
        RETURNS(i < 24 ? TRC_ERROR_NONE : TRC_ERROR_TOO_MANY_TIES, trc_pool_tie(pool, peer, id));
        trc_relay_free(relay);
    }
    trc_pool_free(pool);
}

static void statuses(void) {
    trc_peer_status peer;
    trc_relay_status relay;
    trc_connection_status connection;
    trc_traffic_by_kind traffic;
    trc_relay *copy = NULL, *copies[3] = {NULL, NULL, NULL};
    char address[2][TRC_ADDRESS_SIZE];
    uint64_t ids[3];
    size_t count;
    OK(trc_pool_peer(alice, friend_of_alice, &peer));
    CHECK(peer.peer == friend_of_alice && peer.token == 17 && peer.is_awake && peer.is_online);
    CHECK(trc_pool_is_online(alice, friend_of_alice) && !trc_pool_is_online(alice, UINT64_MAX));
    CHECK(memcmp(peer.public_key, bob_key, 32) == 0 && peer.tied == 2 && peer.online >= 1);
    CHECK(peer.used == at_alice[0] || peer.used == at_alice[1]);
    CHECK(trc_pool_online_relays(alice, friend_of_alice, ids, 3) == peer.online);
    CHECK(trc_pool_tied_relays(alice, friend_of_alice, ids, 3) == 2);
    CHECK(trc_pool_tied_relays(alice, UINT64_MAX, ids, 3) == 0);
    OK(trc_pool_relay(alice, peer.used, &relay));
    CHECK(relay.relay == peer.used && relay.is_connected && !relay.is_silent && relay.origin == TRC_ORIGIN_USER);
    CHECK(relay.score > 0 && relay.score <= 1 && relay.tied == 1 && relay.failures == 0 && relay.lost == 0);
    CHECK(relay.retry_in == 0);
    OK(trc_pool_connection(alice, peer.used, &connection));
    CHECK(connection.stage == TRC_STAGE_CONNECTED && connection.token == peer.used);
    OK(trc_pool_relay_copy(alice, at_alice[1], &copy));
    OK(trc_relay_address(copy, 0, address[0]));
    OK(trc_relay_address(relays[1], 0, address[1]));
    CHECK(strcmp(address[0], address[1]) == 0);
    trc_relay_free(copy);
    CHECK(trc_pool_relays_to_share(alice, NULL, 1) == 0 && trc_pool_relays_to_share(alice, NULL, 0) == 0);
    count = trc_pool_relays_to_share(alice, copies, 3);
    CHECK(count >= 1 && count <= 2 && copies[count] == NULL);
    while (count > 0) {
        trc_relay_free(copies[--count]);
    }
    OK(trc_pool_traffic(alice, &traffic));
    CHECK(traffic.data.packets_out >= 1 && traffic.all.bytes_in > 0);
}

static void memory(void) {
    uint8_t key[TRC_KEY_SIZE];
    trc_pool *pool = new_pool(key);
    trc_peer_status status;
    trc_error_details details;
    uint64_t peer;
    size_t refused = 9;
    char *text = NULL;
    OK(trc_pool_remember(alice, &text));
    CHECK(text != NULL && text[0] == '{');
    OK(trc_pool_add_peer(pool, bob_key, 0, &peer));
    OK(trc_pool_recall(pool, text, strlen(text), &refused));
    OK(trc_pool_peer(pool, peer, &status));
    CHECK(refused == 0 && status.tied == 2 && trc_pool_relays(pool, NULL, 0) == 2);
    RETURNS(TRC_ERROR_JSON, trc_pool_recall(pool, text, strlen(text) - 1, NULL));
    trc_last_error(&details);
    CHECK(details.error == TRC_ERROR_JSON && details.text[0] != 0);
    RETURNS(TRC_ERROR_NULL, trc_pool_recall(pool, NULL, 1, NULL));
    RETURNS(TRC_ERROR_JSON, trc_pool_recall(pool, NULL, 0, NULL));
    trc_text_free(text);
    trc_text_free(NULL);
    trc_pool_free(pool);
}

// A relay that a peer has named, in a pool that does not know the peer.
static void not_recalled(void) {
    uint8_t key[TRC_KEY_SIZE] = {9}, refused_key[TRC_KEY_SIZE];
    trc_pool *pools[2];
    trc_relay *relay = NULL;
    trc_error_details details;
    uint64_t peer, id;
    size_t refused = 0;
    char *text = NULL;
    pools[0] = new_pool(refused_key);
    pools[1] = new_pool(refused_key);
    OK(trc_relay_new("8.8.8.8:443", key, &relay));
    OK(trc_pool_add_peer(pools[0], bob_key, 0, &peer));
    OK(trc_pool_add_relay(pools[0], relay, TRC_ORIGIN_PEER, peer, &id));
    OK(trc_pool_remember(pools[0], &text));
    RETURNS(TRC_ERROR_ARGUMENT, trc_pool_recall_error(pools[1], 0, refused_key, &details));
    OK(trc_pool_recall(pools[1], text, strlen(text), &refused));
    CHECK(refused == 1 && trc_pool_relays(pools[1], NULL, 0) == 0);
    OK(trc_pool_recall_error(pools[1], 0, refused_key, &details));
    CHECK(memcmp(refused_key, key, sizeof(key)) == 0 && details.error == TRC_ERROR_UNKNOWN_PEER);
    CHECK(strstr(details.text, "peer") != NULL);
    RETURNS(TRC_ERROR_NULL, trc_pool_recall_error(pools[1], 0, NULL, &details));
    RETURNS(TRC_ERROR_NULL, trc_pool_recall_error(pools[1], 0, refused_key, NULL));
    RETURNS(TRC_ERROR_NULL, trc_pool_recall_error(NULL, 0, refused_key, &details));
    RETURNS(TRC_ERROR_ARGUMENT, trc_pool_recall_error(pools[1], 1, refused_key, &details));
    RETURNS(TRC_ERROR_ARGUMENT, trc_pool_recall_error(pools[1], SIZE_MAX, refused_key, &details));
    // Another recall, of nothing.
    OK(trc_pool_recall(pools[1], "{\"relays\":[],\"peers\":[]}", 24, &refused));
    CHECK(refused == 0);
    RETURNS(TRC_ERROR_ARGUMENT, trc_pool_recall_error(pools[1], 0, refused_key, &details));
    // A poll forgets them.
    OK(trc_pool_recall(pools[1], text, strlen(text), NULL));
    OK(trc_pool_recall_error(pools[1], 0, refused_key, &details));
    OK(trc_pool_poll(pools[1], 0));
    RETURNS(TRC_ERROR_ARGUMENT, trc_pool_recall_error(pools[1], 0, refused_key, &details));
    trc_text_free(text);
    trc_relay_free(relay);
    trc_pool_free(pools[0]);
    trc_pool_free(pools[1]);
}

static void sending(void) {
    static uint8_t data[2048];
    trc_pool_event event;
    uint64_t by = 0;
    int sent;
    uint64_t carrier;
    OK(trc_pool_send(alice, friend_of_alice, data, 2031, &carrier));
    event = wait_for(bob, TRC_POOL_EVENT_KIND_DATA);
    CHECK(event.length == 2031 && event.peer == friend_of_bob && event.token == 27 && event.end == NULL);
    RETURNS(TRC_ERROR_LENGTH, trc_pool_send(alice, friend_of_alice, data, 2032, NULL));
    RETURNS(TRC_ERROR_LENGTH, trc_pool_send(alice, friend_of_alice, NULL, 0, NULL));
    RETURNS(TRC_ERROR_NULL, trc_pool_send(alice, friend_of_alice, NULL, 1, NULL));
    RETURNS(TRC_ERROR_UNKNOWN_PEER, trc_pool_send(alice, UINT64_MAX, data, 1, NULL));
    OK(trc_pool_send_onion_request(alice, data, 178, &by));
    CHECK(by == at_alice[0] || by == at_alice[1]);
    OK(trc_pool_send_onion_request(alice, data, 178, NULL));
    RETURNS(TRC_ERROR_LENGTH, trc_pool_send_onion_request(alice, data, 177, &by));
    if (reflects) {
        event = wait_for(alice, TRC_POOL_EVENT_KIND_ONION_RESPONSE); // without the nonce
        CHECK(event.relay == at_alice[0] || event.relay == at_alice[1]);
        CHECK(event.token == (event.relay == at_alice[0] ? 100 : 101));
        CHECK(event.length == 178 - 24 && event.peer == 0);
    }
    OK(trc_pool_send_onion_request_by(alice, by, data, 178));
    RETURNS(TRC_ERROR_UNKNOWN_RELAY, trc_pool_send_onion_request_by(alice, UINT64_MAX, data, 178));
    OK(trc_pool_send_forward_request(alice, TRC_TRANSPORT_UDP, "127.0.0.1:9", data, 1, &by));
    if (reflects) {
        event = wait_for(alice, TRC_POOL_EVENT_KIND_FORWARDING);
        CHECK(event.relay == by && event.length == 1 && event.data[0] == 0);
    }
    OK(trc_pool_send_forward_request_by(alice, by, TRC_TRANSPORT_UDP, "127.0.0.1:9", data, 1));
    RETURNS(TRC_ERROR_ARGUMENT, trc_pool_send_forward_request(alice, 9, "127.0.0.1:9", data, 1, &by));
    RETURNS(TRC_ERROR_UNKNOWN_RELAY,
            trc_pool_send_forward_request_by(alice, UINT64_MAX, TRC_TRANSPORT_UDP, "127.0.0.1:9", data, 1));
    RETURNS(TRC_ERROR_UNKNOWN_RELAY, trc_pool_send_oob(alice, UINT64_MAX, bob_key, data, 1));
    RETURNS(TRC_ERROR_LENGTH, trc_pool_send_oob(alice, by, bob_key, data, 1025));
    OK(trc_pool_report(alice, friend_of_alice, carrier, true));
    RETURNS(TRC_ERROR_ROUTE_OFFLINE, trc_pool_report(alice, friend_of_alice, UINT64_MAX, true));
    // More out of band than the queue of one relay has room for.
    while (trc_pool_send_oob(alice, by, bob_key, data, 1024) == TRC_OK) {
    }
    RETURNS(TRC_ERROR_WOULD_BLOCK, trc_pool_send_oob(alice, by, bob_key, data, 1024));
    event = wait_for(alice, TRC_POOL_EVENT_KIND_RELAY_WRITABLE);
    CHECK(event.relay == by && event.token == (by == at_alice[0] ? 100 : 101) && event.peer == 0);
    // More than the queues of both relays have room for.
    OK(trc_pool_set_window(alice, 16 * 1024));
    for (sent = 0; trc_pool_send(alice, friend_of_alice, data, 2000, NULL) == TRC_OK; sent++) {
        CHECK(sent < 100000);
    }
    RETURNS(TRC_ERROR_WOULD_BLOCK, trc_pool_send(alice, friend_of_alice, data, 2000, NULL));
    CHECK(!trc_pool_all_drained(alice));
    event = wait_for(alice, TRC_POOL_EVENT_KIND_WRITABLE);
    CHECK(event.peer == friend_of_alice && event.token == 17);
    while (!trc_pool_all_drained(alice)) {
        poll_one(alice, 5);
        poll_one(bob, 0);
    }
}

// A packet from someone who is not a peer, and the answer to it.
static void strangers(void) {
    uint8_t key[TRC_KEY_SIZE];
    trc_client *stranger = new_client();
    trc_pool_event event;
    trc_event answer;
    uint64_t connection;
    bool has_answer = false;
    OK(trc_client_public_key(stranger, key));
    OK(trc_client_connect(stranger, relays[0], &connection));
    OK(trc_client_send_oob(stranger, connection, alice_key, (const uint8_t *)"who?", 4));
    while (!seen.is_new[0][TRC_POOL_EVENT_KIND_OOB]) {
        OK(trc_client_poll(stranger, 5));
        poll_one(alice, 5);
    }
    event = wait_for(alice, TRC_POOL_EVENT_KIND_OOB);
    CHECK(event.relay == at_alice[0] && event.length == 4 && memcmp(event.sender, key, 32) == 0);
    OK(trc_pool_send_oob(alice, event.relay, event.sender, (const uint8_t *)"me", 2));
    OK(trc_pool_flush(alice));
    while (!has_answer) {
        OK(trc_client_poll(stranger, 1000));
        while (trc_client_next_event(stranger, &answer)) {
            has_answer = has_answer || (answer.kind == TRC_EVENT_KIND_OOB && answer.length == 2);
        }
    }
    trc_client_free(stranger);
}

// A relay that cannot be tried, one that is not there, and a route that is refused: our own key is no peer's.
static void refusals(const char *dead_address) {
    uint8_t key[TRC_KEY_SIZE];
    trc_relay *relay = NULL;
    trc_relay_status status;
    trc_connection_status connection;
    trc_failed_attempt attempt;
    trc_error_details details;
    trc_pool_event event;
    uint64_t named, dead, myself;
    OK(trc_generate_secret_key(key));
    OK(trc_public_key(key, key));
    OK(trc_relay_new("relay.example:33445", key, &relay));
    OK(trc_relay_set_token(relay, 105));
    OK(trc_pool_add_relay(alice, relay, TRC_ORIGIN_USER, 0, &named));
    trc_relay_free(relay);
    OK(trc_generate_secret_key(key));
    OK(trc_public_key(key, key));
    OK(trc_relay_new(dead_address, key, &relay));
    OK(trc_relay_set_token(relay, 106));
    OK(trc_pool_add_relay(alice, relay, TRC_ORIGIN_USER, 0, &dead));
    trc_relay_free(relay);
    RETURNS(TRC_ERROR_UNREACHABLE, trc_pool_connection(alice, dead, &connection));
    OK(trc_pool_add_peer(alice, alice_key, 37, &myself));
    OK(trc_pool_tie(alice, myself, at_alice[0]));
    OK(trc_pool_tie(alice, myself, named));
    OK(trc_pool_tie(alice, myself, dead));

    event = wait_for(alice, TRC_POOL_EVENT_KIND_RELAY_DOWN);
    CHECK(event.relay == dead && event.token == 106 && event.peer == 0 && event.data == NULL);
    CHECK(seen.reason == TRC_REASON_REFUSED);
    OK(trc_pool_connection(alice, dead, &connection));
    CHECK(connection.failed_attempts == 1 && strcmp(connection.address, dead_address) == 0);
    OK(trc_pool_failed_attempt(alice, dead, 0, &attempt));
    CHECK(attempt.end.reason == TRC_REASON_REFUSED && strcmp(attempt.address, dead_address) == 0);
    RETURNS(TRC_ERROR_ARGUMENT, trc_pool_failed_attempt(alice, dead, 1, &attempt));
    RETURNS(TRC_ERROR_UNKNOWN_RELAY, trc_pool_failed_attempt(alice, UINT64_MAX, 0, &attempt));
    poll_one(alice, 0);
    RETURNS(TRC_ERROR_UNREACHABLE, trc_pool_connection(alice, dead, &connection));

    event = wait_for(alice, TRC_POOL_EVENT_KIND_RELAY_REFUSED);
    CHECK(event.relay == named && event.token == 105 && event.end == NULL && event.status == NULL);
    OK(trc_pool_relay(alice, named, &status));
    CHECK(status.refused == TRC_ERROR_NAME_WITHOUT_PROXY && !status.is_connected);
    CHECK(status.retry_in / 1000000 >= 2000 && status.retry_in / 1000000 <= 4320); // about an hour
    OK(trc_pool_refusal(alice, named, &details));
    CHECK(details.error == status.refused && strstr(details.text, "relay.example") != NULL);
    CHECK(details.fault == TRC_FAULT_CALLER && details.retry == TRC_RETRY_ASK);
    OK(trc_pool_refusal(alice, at_alice[0], &details));
    CHECK(details.error == TRC_ERROR_NONE);
    RETURNS(TRC_ERROR_UNKNOWN_RELAY, trc_pool_refusal(alice, UINT64_MAX, &details));

    event = wait_for(alice, TRC_POOL_EVENT_KIND_ROUTE_REFUSED);
    CHECK(event.peer == myself && event.token == 37 && event.relay == at_alice[0]);
    OK(trc_pool_remove_peer(alice, myself));
    OK(trc_pool_remove_relay(alice, named));
    OK(trc_pool_remove_relay(alice, dead));
}

static void settings(void) {
    OK(trc_pool_set_ping_interval(alice, 30000));
    RETURNS(TRC_ERROR_PING_INTERVAL, trc_pool_set_ping_interval(alice, 0));
    OK(trc_pool_set_pong_timeout(alice, 10000));
    RETURNS(TRC_ERROR_PONG_TIMEOUT, trc_pool_set_pong_timeout(alice, 0));
    OK(trc_pool_set_connect_timeout(alice, 10000));
    RETURNS(TRC_ERROR_CONNECT_TIMEOUT, trc_pool_set_connect_timeout(alice, 0));
    RETURNS(TRC_ERROR_WINDOW, trc_pool_set_window(alice, 1));
    OK(trc_pool_set_proxy(alice, NULL));
    RETURNS(TRC_ERROR_PROXY_SCHEME, trc_pool_set_proxy(alice, "gopher://127.0.0.1:1"));
    OK(trc_pool_set_relays_per_peer(alice, SIZE_MAX));
    OK(trc_pool_set_relays_per_peer(alice, 0));
    OK(trc_pool_set_relays_per_peer(alice, 3));
    OK(trc_pool_set_onion_relays(alice, SIZE_MAX));
    OK(trc_pool_set_onion_relays(alice, 2));
    OK(trc_pool_set_max_connections(alice, SIZE_MAX));
    OK(trc_pool_set_max_connections(alice, 10));
    OK(trc_pool_network_changed(alice));
    OK(trc_pool_set_awake(alice, friend_of_alice, true));
    RETURNS(TRC_ERROR_UNKNOWN_PEER, trc_pool_set_awake(alice, UINT64_MAX, true));
    RETURNS(TRC_ERROR_UNKNOWN_PEER, trc_pool_report(alice, UINT64_MAX, UINT64_MAX, true));
    CHECK(trc_pool_next_timeout(alice) >= 0);
}

static void removing(void) {
    static const uint8_t data[2000] = {0};
    trc_pool_event event;
    trc_peer_status peer;
    trc_relay_status relay;
    trc_connection_status connection;
    trc_relay *copy = NULL;
    uint64_t used;
    OK(trc_pool_peer(alice, friend_of_alice, &peer));
    used = peer.used;
    seen.is_new[0][TRC_POOL_EVENT_KIND_PEER_MOVED] = false; // full queues may have moved the friend
    seen.is_new[0][TRC_POOL_EVENT_KIND_RELAY_DOWN] = false;
    OK(trc_pool_remove_relay(alice, used));
    RETURNS(TRC_ERROR_UNKNOWN_RELAY, trc_pool_remove_relay(alice, used));
    event = wait_for(alice, TRC_POOL_EVENT_KIND_RELAY_DOWN);
    CHECK(event.relay == used && seen.reason == TRC_REASON_CLOSED_BY_CALLER);
    event = wait_for(alice, TRC_POOL_EVENT_KIND_PEER_MOVED);
    CHECK(event.peer == friend_of_alice && event.token == 17 && event.cause == TRC_MOVE_CAUSE_OFFLINE);
    CHECK(event.from == used && event.relay == at_alice[used == at_alice[0] ? 1 : 0]);
    OK(trc_pool_peer(alice, friend_of_alice, &peer));
    CHECK(peer.used != used && peer.tied == 1);
    RETURNS(TRC_ERROR_UNKNOWN_RELAY, trc_pool_relay(alice, used, &relay));
    RETURNS(TRC_ERROR_UNKNOWN_RELAY, trc_pool_relay_copy(alice, used, &copy));
    poll_one(alice, 0); // until then, its final status was there
    RETURNS(TRC_ERROR_UNKNOWN_RELAY, trc_pool_connection(alice, used, &connection));
    RETURNS(TRC_ERROR_UNKNOWN_RELAY, trc_pool_untie(alice, friend_of_alice, used));
    RETURNS(TRC_ERROR_UNKNOWN_PEER, trc_pool_untie(alice, UINT64_MAX, used));
    used = at_alice[used == at_alice[0] ? 1 : 0];
    while (trc_pool_send(alice, friend_of_alice, data, sizeof(data), NULL) == TRC_OK) {
    }
    OK(trc_pool_untie(alice, friend_of_alice, used));
    event = wait_for(alice, TRC_POOL_EVENT_KIND_UNSENT);
    CHECK(event.peer == friend_of_alice && event.token == 17 && event.relay == used);
    CHECK(event.length >= sizeof(data) && event.data == NULL);
    event = wait_for(alice, TRC_POOL_EVENT_KIND_PEER_OFFLINE);
    CHECK(event.peer == friend_of_alice && event.token == 17 && !trc_pool_is_online(alice, friend_of_alice));
    RETURNS(TRC_ERROR_UNREACHABLE, trc_pool_send(alice, friend_of_alice, (const uint8_t *)"x", 1, NULL));
    OK(trc_pool_remove_peer(alice, friend_of_alice));
    RETURNS(TRC_ERROR_UNKNOWN_PEER, trc_pool_remove_peer(alice, friend_of_alice));
    RETURNS(TRC_ERROR_UNKNOWN_PEER, trc_pool_peer(alice, friend_of_alice, &peer));
}

static void null_pools(void) {
    uint8_t key[TRC_KEY_SIZE] = {9};
    uint64_t id;
    trc_pool *pool = NULL;
    trc_waker *waker = NULL;
    trc_pool_event event;
    char *text;
    RETURNS(TRC_ERROR_NULL, trc_pool_new(NULL, &pool));
    trc_pool_free(NULL);
    RETURNS(TRC_ERROR_NULL, trc_pool_public_key(NULL, key));
    RETURNS(TRC_ERROR_NULL, trc_pool_poll(NULL, 0));
    CHECK(!trc_pool_next_event(NULL, &event) && !trc_pool_next_event(alice, NULL));
    RETURNS(TRC_ERROR_NULL, trc_pool_flush(NULL));
    CHECK(trc_pool_next_timeout(NULL) == 0 && trc_pool_descriptor(NULL) == -1 && trc_pool_all_drained(NULL));
    RETURNS(TRC_ERROR_NULL, trc_pool_waker(NULL, &waker));
    OK(trc_pool_waker(alice, &waker));
    OK(trc_waker_wake(waker));
    trc_waker_free(waker);
    RETURNS(TRC_ERROR_NULL, trc_pool_traffic(alice, NULL));
    RETURNS(TRC_ERROR_NULL, trc_pool_connection(alice, 0, NULL));
    RETURNS(TRC_ERROR_NULL, trc_pool_failed_attempt(alice, 0, 0, NULL));
    RETURNS(TRC_ERROR_NULL, trc_pool_refusal(alice, 0, NULL));
    RETURNS(TRC_ERROR_NULL, trc_pool_peer(alice, 0, NULL));
    RETURNS(TRC_ERROR_NULL, trc_pool_relay(alice, 0, NULL));
    RETURNS(TRC_ERROR_NULL, trc_pool_relay_copy(alice, 0, NULL));
    RETURNS(TRC_ERROR_NULL, trc_pool_remember(alice, NULL));
    RETURNS(TRC_ERROR_NULL, trc_pool_remember(NULL, &text));
    RETURNS(TRC_ERROR_NULL, trc_pool_recall(NULL, "{}", 2, NULL));
    RETURNS(TRC_ERROR_NULL, trc_pool_add_relay(NULL, relays[0], TRC_ORIGIN_USER, 0, &id));
    RETURNS(TRC_ERROR_NULL, trc_pool_add_relay(alice, relays[0], TRC_ORIGIN_USER, 0, NULL));
    RETURNS(TRC_ERROR_NULL, trc_pool_add_peer(alice, NULL, 0, &id));
    RETURNS(TRC_ERROR_NULL, trc_pool_add_peer(alice, key, 0, NULL));
    RETURNS(TRC_ERROR_NULL, trc_pool_find_peer(alice, NULL, &id));
    RETURNS(TRC_ERROR_NULL, trc_pool_find_relay(alice, NULL, &id));
    RETURNS(TRC_ERROR_NULL, trc_pool_send(NULL, 0, key, 1, NULL));
    RETURNS(TRC_ERROR_NULL, trc_pool_send_oob(alice, 0, NULL, key, 1));
    CHECK(trc_pool_peers(NULL, &id, 1) == 0 && trc_pool_relays(NULL, &id, 1) == 0);
    CHECK(trc_pool_relays_to_share(NULL, NULL, 0) == 0 && !trc_pool_is_online(NULL, 0));
    RETURNS(TRC_ERROR_NULL, trc_pool_set_max_connections(NULL, 1));
    RETURNS(TRC_ERROR_NULL, trc_pool_network_changed(NULL));
}

int main(int count, char **arguments) {
    trc_pool_event event;
    size_t i, unsent = 0;
    CHECK(count == 7);
    reflects = strcmp(arguments[6], "reflects") == 0;
    alice = new_pool(alice_key);
    bob = new_pool(bob_key);
    for (i = 0; i < 2; i++) {
        relays[i] = new_relay(arguments[1 + 2 * i], arguments[2 + 2 * i]);
        OK(trc_relay_set_token(relays[i], 100 + i));
    }
    members();
    too_many();
    event = wait_for(alice, TRC_POOL_EVENT_KIND_RELAY_UP);
    CHECK(event.token == 100 || event.token == 101);
    event = wait_for(alice, TRC_POOL_EVENT_KIND_PEER_ONLINE);
    CHECK(event.peer == friend_of_alice && event.token == 17 && event.data == NULL);
    CHECK(event.relay == at_alice[0] || event.relay == at_alice[1]);
    event = wait_for(bob, TRC_POOL_EVENT_KIND_PEER_ONLINE);
    sending();
    statuses();
    memory();
    not_recalled();
    strangers();
    refusals(arguments[5]);
    settings();
    null_pools();
    removing();
    for (i = 0; i < 2; i++) {
        trc_relay_free(relays[i]);
    }
    while (trc_pool_send_oob(alice, at_alice[0], bob_key, alice_key, sizeof(alice_key)) == TRC_OK ||
           trc_pool_send_oob(alice, at_alice[1], bob_key, alice_key, sizeof(alice_key)) == TRC_OK) {
    }
    OK(trc_pool_close(alice, &unsent));
    CHECK(unsent > 0);
    trc_pool_free(bob);
    return 0;
}
