// A client that reaches a relay through a proxy. Arguments: address and key of the relay, the URL of the proxy, the proxy's
// address, and a URL with a wrong password.
#include "check.h"

// Connects, and returns what happened first.
static trc_event first_event(trc_client *client, const trc_relay *relay) {
    uint64_t connection;
    trc_event event;
    OK(trc_client_connect(client, relay, &connection));
    do {
        OK(trc_client_poll(client, -1));
    } while (!trc_client_next_event(client, &event));
    CHECK(event.connection == connection);
    return event;
}

int main(int count, char **arguments) {
    trc_config *config = new_config();
    trc_client *client = NULL;
    trc_relay *relay;
    trc_connection_status status;
    trc_event event;

    CHECK(count == 6);
    OK(trc_config_set_proxy(config, arguments[3]));
    OK(trc_client_new(config, &client));
    trc_config_free(config);
    relay = new_relay(arguments[1], arguments[2]);
    event = first_event(client, relay);
    CHECK(event.kind == TRC_EVENT_KIND_CONNECTED);
    OK(trc_client_connection(client, event.connection, &status));
    CHECK(strcmp(status.proxy, arguments[4]) == 0 && strcmp(status.address, arguments[1]) == 0);
    CHECK(status.time_of_transport <= status.time_of_tunnel && status.time_of_tunnel <= status.time_of_handshake);
    CHECK(status.time_of_tunnel > 0);
    CHECK(trc_client_disconnect_all(client) == 1);
    OK(trc_client_poll(client, 0));

    OK(trc_relay_set_proxy(relay, arguments[5]));
    event = first_event(client, relay);
    CHECK(event.kind == TRC_EVENT_KIND_DISCONNECTED && event.end->reason == TRC_REASON_PROXY_CREDENTIALS);
    CHECK(event.end->stage == TRC_STAGE_TUNNELLING && event.end->party == TRC_PARTY_UNKNOWN);
    CHECK(event.end->fault == TRC_FAULT_CALLER && event.end->retry == TRC_RETRY_ASK);
    trc_relay_free(relay);
    trc_client_free(client);
    return 0;
}
