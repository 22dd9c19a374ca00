// Functions without a relay: NULL, numbers that are no ids, texts that are wrong; each error has a text.
#include "check.h"

static void keys(void) {
    uint8_t secret[TRC_KEY_SIZE], key[TRC_KEY_SIZE], again[TRC_KEY_SIZE];
    char text[TRC_KEY_TEXT_SIZE];
    OK(trc_generate_secret_key(secret));
    OK(trc_public_key(secret, key));
    OK(trc_key_to_text(key, text));
    CHECK(strlen(text) == 64);
    OK(trc_key_from_text(text, again));
    CHECK(memcmp(key, again, sizeof(key)) == 0);
    RETURNS(TRC_ERROR_KEY_LENGTH, trc_key_from_text("12AB", key));
    text[3] = 'x';
    RETURNS(TRC_ERROR_KEY_DIGIT, trc_key_from_text(text, key));
    RETURNS(TRC_ERROR_KEY_TOX_ID,
            trc_key_from_text("76518406F6A9F2217E8DC487CC783C25CC16A15EB36FF32E335A235342C48A39218F515C39A6", key));
    RETURNS(TRC_ERROR_UTF8, trc_key_from_text("\xff", key));
    RETURNS(TRC_ERROR_NULL, trc_key_from_text(NULL, key));
    OK(trc_key_to_text(secret, text));
    RETURNS(TRC_ERROR_NULL, trc_key_from_text(text, NULL));
    RETURNS(TRC_ERROR_NULL, trc_key_to_text(NULL, text));
    RETURNS(TRC_ERROR_NULL, trc_key_to_text(key, NULL));
    RETURNS(TRC_ERROR_NULL, trc_generate_secret_key(NULL));
    RETURNS(TRC_ERROR_NULL, trc_public_key(NULL, key));
    RETURNS(TRC_ERROR_NULL, trc_public_key(secret, NULL));
}

static void configs(void) {
    trc_config *config = new_config(), *none = NULL;
    uint8_t secret[TRC_KEY_SIZE] = {1};
    char url[400] = "socks5://";
    RETURNS(TRC_ERROR_NULL, trc_config_new(NULL, &none));
    RETURNS(TRC_ERROR_NULL, trc_config_new(secret, NULL));
    CHECK(none == NULL);
    RETURNS(TRC_ERROR_CONNECT_TIMEOUT, trc_config_set_connect_timeout(config, 0));
    RETURNS(TRC_ERROR_PING_INTERVAL, trc_config_set_ping_interval(config, 0));
    RETURNS(TRC_ERROR_PONG_TIMEOUT, trc_config_set_pong_timeout(config, 0));
    RETURNS(TRC_ERROR_SEND_QUEUE, trc_config_set_send_queue(config, 4067));
    RETURNS(TRC_ERROR_WINDOW, trc_config_set_window(config, 16383));
    OK(trc_config_set_connect_timeout(config, 1));
    OK(trc_config_set_ping_interval(config, UINT64_MAX));
    OK(trc_config_set_pong_timeout(config, 1));
    OK(trc_config_set_send_queue(config, 4068));
    OK(trc_config_set_window(config, TRC_NO_BOUND));
    OK(trc_config_set_events(config, 0));
    OK(trc_config_set_proxy(config, "http://alice:secret@[::1]:3128"));
    RETURNS(TRC_ERROR_PROXY_SCHEME, trc_config_set_proxy(config, "127.0.0.1:9050"));
    RETURNS(TRC_ERROR_PROXY_ADDRESS, trc_config_set_proxy(config, "socks5://localhost:9050"));
    RETURNS(TRC_ERROR_PROXY_PATH, trc_config_set_proxy(config, "http://127.0.0.1:9050/path"));
    RETURNS(TRC_ERROR_PROXY_UNENCODED, trc_config_set_proxy(config, "http://a:b/c@127.0.0.1:9050"));
    RETURNS(TRC_ERROR_PROXY_ENCODING, trc_config_set_proxy(config, "http://a:%zz@127.0.0.1:9050"));
    RETURNS(TRC_ERROR_PROXY_CHARACTER, trc_config_set_proxy(config, "http://a:%01@127.0.0.1:9050"));
    RETURNS(TRC_ERROR_PROXY_NO_PASSWORD, trc_config_set_proxy(config, "socks4://a:b@127.0.0.1:9050"));
    memset(url + 9, 'x', 256);
    strcpy(url + 9 + 256, "@127.0.0.1:9050");
    RETURNS(TRC_ERROR_PROXY_LENGTH, trc_config_set_proxy(config, url));
    RETURNS(TRC_ERROR_NULL, trc_config_set_proxy(config, NULL));
    RETURNS(TRC_ERROR_NULL, trc_config_set_proxy(NULL, "http://127.0.0.1:3128"));
    RETURNS(TRC_ERROR_NULL, trc_config_set_connect_timeout(NULL, 1));
    RETURNS(TRC_ERROR_NULL, trc_config_set_ping_interval(NULL, 1));
    RETURNS(TRC_ERROR_NULL, trc_config_set_pong_timeout(NULL, 1));
    RETURNS(TRC_ERROR_NULL, trc_config_set_send_queue(NULL, 4068));
    RETURNS(TRC_ERROR_NULL, trc_config_set_window(NULL, TRC_NO_BOUND));
    RETURNS(TRC_ERROR_NULL, trc_config_set_events(NULL, 1));
    trc_config_free(config);
    trc_config_free(NULL);
}

static void relays(void) {
    static const struct {
        const char *address;
        trc_error error;
    } wrong[] = {
        {"", TRC_ERROR_ADDRESS_NO_HOST},
        {"198.51.100.7", TRC_ERROR_ADDRESS_NO_PORT},
        {"198.51.100.7:0", TRC_ERROR_ADDRESS_PORT},
        {"2001:db8::7:33445", TRC_ERROR_ADDRESS_NO_BRACKETS},
        {"[2001:db8]:33445", TRC_ERROR_ADDRESS_IPV6},
        {"[fe80::7%eth0]:33445", TRC_ERROR_ADDRESS_SCOPE},
        {"256.1.1.1:33445", TRC_ERROR_ADDRESS_IPV4},
        {"http://198.51.100.7:33445", TRC_ERROR_ADDRESS_URL},
        {"a b:33445", TRC_ERROR_ADDRESS_CHARACTER},
        {"a..b:33445", TRC_ERROR_ADDRESS_EMPTY_LABEL},
        {"\xff:1", TRC_ERROR_UTF8},
        {NULL, TRC_ERROR_NULL},
    };
    uint8_t key[TRC_KEY_SIZE] = {9}, read[TRC_KEY_SIZE];
    char text[TRC_ADDRESS_SIZE], name[300];
    trc_relay *relay = NULL;
    size_t i;
    for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        RETURNS(wrong[i].error, trc_relay_new(wrong[i].address, key, &relay));
    }
    memset(name, 'a', 256);
    strcpy(name + 256, ":1");
    RETURNS(TRC_ERROR_ADDRESS_LENGTH, trc_relay_new(name, key, &relay));
    RETURNS(TRC_ERROR_NULL, trc_relay_new("198.51.100.7:33445", NULL, &relay));
    RETURNS(TRC_ERROR_NULL, trc_relay_new("198.51.100.7:33445", key, NULL));
    CHECK(relay == NULL);
    strcpy(name + 255, ":65535");
    OK(trc_relay_new(name, key, &relay));
    OK(trc_relay_add_address(relay, "[2001:db8::7]:443"));
    OK(trc_relay_add_address(relay, name));
    RETURNS(TRC_ERROR_ADDRESS_NO_PORT, trc_relay_add_address(relay, "198.51.100.7"));
    CHECK(trc_relay_addresses(relay) == 2 && trc_relay_addresses(NULL) == 0);
    OK(trc_relay_address(relay, 0, text));
    CHECK(strcmp(text, name) == 0);
    OK(trc_relay_address(relay, 1, text));
    CHECK(strcmp(text, "[2001:db8::7]:443") == 0);
    RETURNS(TRC_ERROR_ARGUMENT, trc_relay_address(relay, 2, text));
    RETURNS(TRC_ERROR_NULL, trc_relay_address(relay, 0, NULL));
    OK(trc_relay_public_key(relay, read));
    CHECK(memcmp(read, key, sizeof(key)) == 0);
    RETURNS(TRC_ERROR_NULL, trc_relay_public_key(relay, NULL));
    OK(trc_relay_set_identity(relay, key));
    RETURNS(TRC_ERROR_NULL, trc_relay_set_identity(relay, NULL));
    OK(trc_relay_set_connect_timeout(relay, 60000));
    RETURNS(TRC_ERROR_CONNECT_TIMEOUT, trc_relay_set_connect_timeout(relay, 0));
    OK(trc_relay_set_local_address(relay, "127.0.0.1:0"));
    RETURNS(TRC_ERROR_ARGUMENT, trc_relay_set_local_address(relay, "eth0"));
    RETURNS(TRC_ERROR_PROXY_SCHEME, trc_relay_set_proxy(relay, "x://127.0.0.1:1"));
    RETURNS(TRC_ERROR_NULL, trc_relay_set_direct(NULL));
    RETURNS(TRC_ERROR_NULL, trc_relay_set_token(NULL, 1));
    trc_relay_free(relay);
    trc_relay_free(NULL);
}

// What connect refuses.
static void connects(void) {
    trc_client *client = new_client();
    trc_relay *relay = NULL;
    trc_error_details details;
    uint8_t key[TRC_KEY_SIZE] = {0}, own[TRC_KEY_SIZE];
    char address[32];
    uint64_t connection = 5, route;
    int port, peer;
    OK(trc_relay_new("127.0.0.1:1", key, &relay));
    RETURNS(TRC_ERROR_LOW_ORDER_KEY, trc_client_connect(client, relay, &connection));
    trc_last_error(&details);
    CHECK(details.error == TRC_ERROR_LOW_ORDER_KEY && details.retry == TRC_RETRY_ASK);
    CHECK(details.fault == TRC_FAULT_CALLER && strstr(details.text, "low order") != NULL);
    trc_relay_free(relay);
    memset(key, 0xff, sizeof(key));
    OK(trc_relay_new("127.0.0.1:1", key, &relay));
    RETURNS(TRC_ERROR_NON_CANONICAL_KEY, trc_client_connect(client, relay, &connection));
    trc_relay_free(relay);
    OK(trc_client_public_key(client, own));
    OK(trc_relay_new("127.0.0.1:1", own, &relay));
    RETURNS(TRC_ERROR_OWN_KEY, trc_client_connect(client, relay, &connection));
    trc_relay_free(relay);
    OK(trc_generate_secret_key(key));
    OK(trc_public_key(key, key));
    OK(trc_relay_new("relay.example:33445", key, &relay));
    RETURNS(TRC_ERROR_NAME_WITHOUT_PROXY, trc_client_connect(client, relay, &connection));
    OK(trc_relay_set_proxy(relay, "socks4://127.0.0.1:1"));
    RETURNS(TRC_ERROR_BEYOND_PROXY, trc_client_connect(client, relay, &connection));
    for (port = 1; port <= 16; port++) {
        sprintf(address, "127.0.0.1:%d", port);
        RETURNS(port < 16 ? TRC_ERROR_NONE : TRC_ERROR_TOO_MANY_ADDRESSES, trc_relay_add_address(relay, address));
    }
    OK(trc_relay_add_address(relay, "127.0.0.1:1"));
    CHECK(trc_relay_addresses(relay) == 16);
    CHECK(connection == 5);
    trc_relay_free(relay);
    OK(trc_relay_new("127.0.0.1:1", key, &relay));
    OK(trc_client_connect(client, relay, &connection));
    for (peer = 0; peer <= 240; peer++) {
        memset(own, peer, sizeof(own));
        RETURNS(peer < 240 ? TRC_ERROR_NONE : TRC_ERROR_TOO_MANY_ROUTES,
                trc_client_open_route(client, connection, own, 0, &route));
    }
    RETURNS(TRC_ERROR_NULL, trc_client_connect(client, NULL, &connection));
    RETURNS(TRC_ERROR_NULL, trc_client_connect(client, relay, NULL));
    RETURNS(TRC_ERROR_NULL, trc_client_connect(NULL, relay, &connection));
    RETURNS(TRC_ERROR_NULL, trc_client_connect_with(client, relay, 0, NULL));
    RETURNS(TRC_ERROR_NULL, trc_client_connect_with(client, NULL, 0, &connection));
    trc_relay_free(relay);
    trc_client_free(client);
}

static void null_clients(void) {
    trc_client *client = NULL;
    trc_waker *waker = NULL;
    trc_connection_status status;
    trc_route_status route;
    trc_failed_attempt attempt;
    trc_traffic_by_kind traffic;
    trc_event event;
    uint8_t key[TRC_KEY_SIZE] = {9};
    uint64_t id;
    RETURNS(TRC_ERROR_NULL, trc_client_new(NULL, &client));
    trc_client_free(NULL);
    trc_waker_free(NULL);
    RETURNS(TRC_ERROR_NULL, trc_waker_wake(NULL));
    RETURNS(TRC_ERROR_NULL, trc_client_waker(NULL, &waker));
    RETURNS(TRC_ERROR_NULL, trc_client_public_key(NULL, key));
    RETURNS(TRC_ERROR_NULL, trc_client_poll(NULL, 0));
    CHECK(!trc_client_next_event(NULL, &event) && trc_client_descriptor(NULL) == -1);
    CHECK(trc_client_next_timeout(NULL) == 0 && trc_client_disconnect_all(NULL) == 0);
    RETURNS(TRC_ERROR_NULL, trc_client_flush(NULL));
    RETURNS(TRC_ERROR_NULL, trc_client_disconnect(NULL, 1));
    RETURNS(TRC_ERROR_NULL, trc_client_ping(NULL, 1));
    RETURNS(TRC_ERROR_NULL, trc_client_network_changed(NULL));
    RETURNS(TRC_ERROR_NULL, trc_client_connection(NULL, 1, &status));
    RETURNS(TRC_ERROR_NULL, trc_client_failed_attempt(NULL, 1, 0, &attempt));
    CHECK(trc_client_stage(NULL, 1) == TRC_STAGE_NONE && trc_client_queued(NULL, 1) == 0);
    CHECK(trc_client_has_drained(NULL, 1) && trc_client_all_drained(NULL));
    CHECK(trc_client_connections(NULL, &id, 1) == 0 && trc_client_routes(NULL, 1, &id, 1) == 0);
    RETURNS(TRC_ERROR_NULL, trc_client_traffic(NULL, &traffic));
    RETURNS(TRC_ERROR_NULL, trc_client_open_route(NULL, 1, key, 0, &id));
    RETURNS(TRC_ERROR_NULL, trc_client_close_route(NULL, 1, NULL));
    RETURNS(TRC_ERROR_NULL, trc_client_route(NULL, 1, &route));
    RETURNS(TRC_ERROR_NULL, trc_client_find_route(NULL, 1, key, &id));
    RETURNS(TRC_ERROR_NULL, trc_client_send_data(NULL, 1, key, 1));
    RETURNS(TRC_ERROR_NULL, trc_client_send_oob(NULL, 1, key, key, 1));
    RETURNS(TRC_ERROR_NULL, trc_client_send_to(NULL, 1, key, key, 1));
    RETURNS(TRC_ERROR_NULL, trc_client_send_onion_request(NULL, 1, key, 1));
    RETURNS(TRC_ERROR_NULL, trc_client_send_forward_request(NULL, 1, 1, "192.0.2.7:1", key, 1));
    RETURNS(TRC_ERROR_NULL, trc_client_set_ping_interval(NULL, 1));
    RETURNS(TRC_ERROR_NULL, trc_client_set_pong_timeout(NULL, 1));
    RETURNS(TRC_ERROR_NULL, trc_client_set_connect_timeout(NULL, 1));
    RETURNS(TRC_ERROR_NULL, trc_client_set_window(NULL, TRC_NO_BOUND));
    RETURNS(TRC_ERROR_NULL, trc_client_set_proxy(NULL, NULL));
}

// Ids that never were: any number.
static void stale_ids(void) {
    static const uint64_t ids[] = {0, 1, 255, UINT64_C(1) << 32, UINT64_MAX};
    trc_client *client = new_client();
    trc_connection_status status;
    trc_route_status route;
    trc_failed_attempt attempt;
    uint8_t key[TRC_KEY_SIZE] = {9}, request[178] = {0};
    uint64_t other;
    size_t i;
    for (i = 0; i < sizeof(ids) / sizeof(*ids); i++) {
        const uint64_t id = ids[i];
        RETURNS(TRC_ERROR_UNKNOWN_CONNECTION, trc_client_disconnect(client, id));
        RETURNS(TRC_ERROR_UNKNOWN_CONNECTION, trc_client_ping(client, id));
        RETURNS(TRC_ERROR_UNKNOWN_CONNECTION, trc_client_connection(client, id, &status));
        RETURNS(TRC_ERROR_UNKNOWN_CONNECTION, trc_client_failed_attempt(client, id, 0, &attempt));
        CHECK(trc_client_stage(client, id) == TRC_STAGE_NONE && trc_client_queued(client, id) == 0);
        CHECK(trc_client_has_drained(client, id) && trc_client_routes(client, id, &other, 1) == 0);
        RETURNS(TRC_ERROR_UNKNOWN_CONNECTION, trc_client_open_route(client, id, key, 0, &other));
        RETURNS(TRC_ERROR_UNKNOWN_ROUTE, trc_client_close_route(client, id, NULL));
        RETURNS(TRC_ERROR_UNKNOWN_ROUTE, trc_client_route(client, id, &route));
        RETURNS(TRC_ERROR_UNKNOWN_ROUTE, trc_client_find_route(client, id, key, &other));
        RETURNS(TRC_ERROR_UNKNOWN_ROUTE, trc_client_send_data(client, id, key, 1));
        RETURNS(TRC_ERROR_UNKNOWN_CONNECTION, trc_client_send_oob(client, id, key, key, 1));
        RETURNS(TRC_ERROR_UNKNOWN_CONNECTION, trc_client_send_to(client, id, key, key, 1));
        RETURNS(TRC_ERROR_UNKNOWN_CONNECTION, trc_client_send_onion_request(client, id, request, 178));
        RETURNS(TRC_ERROR_UNKNOWN_CONNECTION,
                trc_client_send_forward_request(client, id, 1, "192.0.2.7:1", key, 1));
    }
    CHECK(!trc_client_next_event(client, NULL));
    RETURNS(TRC_ERROR_NULL, trc_client_connection(client, 1, NULL));
    RETURNS(TRC_ERROR_NULL, trc_client_failed_attempt(client, 1, 0, NULL));
    RETURNS(TRC_ERROR_NULL, trc_client_traffic(client, NULL));
    RETURNS(TRC_ERROR_NULL, trc_client_waker(client, NULL));
    RETURNS(TRC_ERROR_NULL, trc_client_public_key(client, NULL));
    RETURNS(TRC_ERROR_NULL, trc_client_open_route(client, 1, NULL, 0, &other));
    RETURNS(TRC_ERROR_NULL, trc_client_open_route(client, 1, key, 0, NULL));
    RETURNS(TRC_ERROR_NULL, trc_client_route(client, 1, NULL));
    RETURNS(TRC_ERROR_NULL, trc_client_find_route(client, 1, NULL, &other));
    RETURNS(TRC_ERROR_NULL, trc_client_find_route(client, 1, key, NULL));
    RETURNS(TRC_ERROR_NULL, trc_client_send_oob(client, 1, NULL, key, 1));
    RETURNS(TRC_ERROR_NULL, trc_client_send_to(client, 1, NULL, key, 1));
    RETURNS(TRC_ERROR_NULL, trc_client_send_forward_request(client, 1, 1, NULL, key, 1));
    CHECK(trc_client_connections(client, NULL, 1) == 0);
    trc_client_free(client);
}

static int lines = 0;
static trc_client *in_use = NULL;

static void log_line(void *user_data, int32_t level, const char *message) {
    CHECK(user_data == &lines && level >= TRC_LOG_LEVEL_ERROR && level <= TRC_LOG_LEVEL_TRACE);
    CHECK(strlen(message) > 0);
    RETURNS(TRC_ERROR_BUSY, trc_client_poll(in_use, 0));
    lines++;
}

static void logging(void) {
    trc_relay *relay = NULL;
    uint8_t key[TRC_KEY_SIZE];
    uint64_t connection;
    OK(trc_generate_secret_key(key));
    OK(trc_public_key(key, key));
    OK(trc_relay_new("127.0.0.1:1", key, &relay));
    RETURNS(TRC_ERROR_ARGUMENT, trc_set_log_callback(log_line, 6, &lines));
    RETURNS(TRC_ERROR_ARGUMENT, trc_set_log_callback(log_line, -1, &lines));
    OK(trc_set_log_callback(log_line, TRC_LOG_LEVEL_TRACE, &lines));
    in_use = new_client();
    OK(trc_client_connect(in_use, relay, &connection));
    CHECK(lines > 0);
    OK(trc_set_log_callback(NULL, TRC_LOG_LEVEL_OFF, NULL));
    lines = 0;
    OK(trc_client_disconnect(in_use, connection));
    CHECK(lines == 0);
    trc_client_free(in_use);
    trc_relay_free(relay);
}

static void texts(void) {
    static const char *const names[] = {"none", "connecting", "tunnelling", "handshake", "confirming", "connected"};
    int number;
    CHECK(strcmp(trc_version(), VERSION) == 0);
    for (number = -2; number < 300; number++) {
        CHECK(trc_error_text(number) != NULL && trc_error_text(number)[0] != 0);
        CHECK(trc_reason_text(number) != NULL && trc_reason_text(number)[0] != 0);
        CHECK(strcmp(trc_stage_text(number), number >= 0 && number < 6 ? names[number] : "other") == 0);
        CHECK(trc_fault_text(number)[0] != 0 && trc_retry_text(number)[0] != 0);
        CHECK(trc_route_state_text(number)[0] != 0);
    }
    CHECK(strcmp(trc_fault_text(TRC_FAULT_PROXY), "proxy") == 0);
    CHECK(strcmp(trc_retry_text(TRC_RETRY_SELDOM), "seldom") == 0);
    CHECK(strcmp(trc_route_state_text(TRC_ROUTE_STATE_ONLINE), "online") == 0);
    CHECK(strstr(trc_error_text(TRC_ERROR_WOULD_BLOCK), "full") != NULL);
    trc_last_error(NULL);
}

int main(void) {
    trc_error_details details;
    trc_last_error(&details);
    CHECK(details.error == TRC_OK);
    texts();
    keys();
    configs();
    relays();
    connects();
    null_clients();
    stale_ids();
    logging();
    return 0;
}
