// tox-relay-client: the TCP client of the Tox protocol, for thousands of relay connections on one thread.
//
// This file is generated: do not change it.
//
// The client in short (without the checks for errors):
//
//     trc_config *config;
//     trc_client *client;
//     trc_relay *relay;
//     uint64_t connection, route;
//     trc_event event;
//
//     trc_config_new(secret_key, &config);
//     trc_client_new(config, &client);
//     trc_relay_new("198.51.100.7:33445", relay_key, &relay);
//     trc_client_connect(client, relay, &connection);                 // returns at once
//     trc_client_open_route(client, connection, friend_key, 7, &route);  // is sent as early as possible
//     for (;;) {
//         trc_client_poll(client, 50);                                // the only call that waits
//         while (trc_client_next_event(client, &event)) {
//             switch (event.kind) {
//             case TRC_EVENT_KIND_ROUTE_ONLINE:
//                 trc_client_send_data(client, event.route, hello, sizeof(hello));
//                 break;
//             case TRC_EVENT_KIND_DATA:
//                 handle(event.token, event.data, event.length);      // event.token is 7
//                 break;
//             case TRC_EVENT_KIND_DISCONNECTED:
//                 puts(event.end->text);                              // exactly once
//                 return;
//             }
//         }
//     }
//
// A pool (trc_pool) has several relays for each friend: the next takes over when one is lost. The folder examples/c of
// the source has complete programs.
//
// What holds for all functions:
//
// - Pointers may be NULL only where it says so. Everywhere else NULL is an error, and nothing happens: functions return
//   TRC_ERROR_NULL; those that return no trc_error return 0, false or TRC_STAGE_NONE, ..._drained true, and
//   ..._descriptor -1. A pointer that is not NULL must point to what its type says.
// - Keys are 32 bytes: pointers to keys point to so many. Lengths are in bytes. Texts are UTF-8 and end with a zero.
// - The library keeps no pointer that it gets: keys, texts, settings and payloads are copied.
// - Functions with the name ..._new, and those that say so, make handles. They belong to the caller, who frees each once
//   with the function ..._free of its type, in any order. Handles are numbers in the form of pointers, and point to
//   nothing: one that was freed, one of another type, and one that never was a handle are an error (TRC_ERROR_HANDLE, or
//   the value that the function returns for NULL), and nothing happens.
// - Places for results (uint64_t *connection) are written only if the function returns TRC_OK, or if it says so. They
//   may be uninitialised before.
// - Ids (of connections, routes, peers and relays) are numbers. A stale one, or any other number, is an error, and never
//   means another connection or route. They belong to the client or pool that has made them: another one may have an id
//   with the same number. 0 is never the id of a route.
// - Threads: each handle may be used by any thread, but by one at a time: a call during another one with the same handle
//   returns TRC_ERROR_BUSY, and does nothing. Different handles are independent. A waker may be used by all threads at
//   any time. A handle that is freed while it is in use lives until that call returns.
// - Memory: if there is none left, the process is aborted.
// - Signals: not to be used in signal handlers. No function causes SIGPIPE. All functions may be called until the process
//   ends, also in functions of atexit and in destructors of a thread's values; trc_last_error has no details there.
// - A bug of the library (a panic in Rust) does not unwind into the program: the function returns TRC_ERROR_PANICKED, or
//   the value that it returns for NULL, and so do all later ones with this handle, which can only be freed.


#ifndef TOX_RELAY_CLIENT_H
#define TOX_RELAY_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// No error: what functions return that return a trc_error, if they have done what they were asked to do.
#define TRC_OK TRC_ERROR_NONE

// For a window: unconfirmed data have no bound.
#define TRC_NO_BOUND SIZE_MAX

// The length of keys in bytes.
#define TRC_KEY_SIZE 32

// The size of the texts in this library's structures, with the zero at their end. Longer ones are shortened.
#define TRC_TEXT_SIZE 384

// The size of an address as text, with the zero at its end: a host name of 255 bytes, a colon and a port.
#define TRC_ADDRESS_SIZE 264

// The size of a key as text, with the zero at its end: 64 hexadecimal digits.
#define TRC_KEY_TEXT_SIZE 65



// Why a function has not done what it was asked to do. The numbers never change; later versions add others.
enum trc_error
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // No error. `TRC_OK` is the same number.
    TRC_ERROR_NONE = 0,
    // A pointer is NULL that must not be.
    TRC_ERROR_NULL = 1,
    // A text is not UTF-8.
    TRC_ERROR_UTF8 = 2,
    // Another call with the same handle has not returned: by another thread, or this one is made by the log callback.
    TRC_ERROR_BUSY = 3,
    // A bug of this library ended an earlier call with this handle. The handle can only be freed.
    TRC_ERROR_PANICKED = 4,
    // Not on this operating system.
    TRC_ERROR_UNSUPPORTED = 5,
    // A number is not one of those that the function takes.
    TRC_ERROR_ARGUMENT = 6,
    // The operating system returned an error: `trc_last_error` has its number and its text.
    TRC_ERROR_IO = 7,
    // An error that has no number of its own yet: `trc_last_error` has its text.
    TRC_ERROR_OTHER = 8,
    // What is to be recalled is not what `trc_pool_remember` has returned.
    TRC_ERROR_JSON = 9,
    // No logger can be set: the program has another one already, in a part of it that is written in Rust.
    TRC_ERROR_LOGGER = 10,
    // A handle was freed, or is one of another type, or never was a handle of this library.
    TRC_ERROR_HANDLE = 11,
    // A send queue has at least 4,068 bytes.
    TRC_ERROR_SEND_QUEUE = 20,
    // A window has at least 16 KiB.
    TRC_ERROR_WINDOW = 21,
    // The connect timeout is zero.
    TRC_ERROR_CONNECT_TIMEOUT = 22,
    // The ping interval is zero.
    TRC_ERROR_PING_INTERVAL = 23,
    // The pong timeout is zero.
    TRC_ERROR_PONG_TIMEOUT = 24,
    // 76 hexadecimal digits are a Tox ID, which has a person's long-term key. Relays know DHT keys.
    TRC_ERROR_KEY_TOX_ID = 30,
    // A key does not have 64 hexadecimal digits.
    TRC_ERROR_KEY_LENGTH = 31,
    // A character of a key is not a hexadecimal digit.
    TRC_ERROR_KEY_DIGIT = 32,
    // The address has no host.
    TRC_ERROR_ADDRESS_NO_HOST = 40,
    // The address has no port.
    TRC_ERROR_ADDRESS_NO_PORT = 41,
    // The port is not a number from 1 to 65535.
    TRC_ERROR_ADDRESS_PORT = 42,
    // An IPv6 address has no brackets, as in `[2001:db8::7]:33445`.
    TRC_ERROR_ADDRESS_NO_BRACKETS = 43,
    // Not an IPv6 address in brackets and a port.
    TRC_ERROR_ADDRESS_IPV6 = 44,
    // The scope of an IPv6 address is not a number.
    TRC_ERROR_ADDRESS_SCOPE = 45,
    // The host ends in a number, and is not an IPv4 address.
    TRC_ERROR_ADDRESS_IPV4 = 46,
    // A host and a port are expected, and not a URL.
    TRC_ERROR_ADDRESS_URL = 47,
    // A character that a host name cannot have.
    TRC_ERROR_ADDRESS_CHARACTER = 48,
    // The host name has more than 255 bytes.
    TRC_ERROR_ADDRESS_LENGTH = 49,
    // A part of the host name is empty.
    TRC_ERROR_ADDRESS_EMPTY_LABEL = 50,
    // The URL of a proxy begins with socks5://, socks5h://, socks4://, socks4a:// or http://.
    TRC_ERROR_PROXY_SCHEME = 60,
    // The URL of a proxy has no IP address and port.
    TRC_ERROR_PROXY_ADDRESS = 61,
    // Something follows the port in the URL of a proxy.
    TRC_ERROR_PROXY_PATH = 62,
    // There is a `/`, `?` or `#` in the user name or password: write it percent-encoded.
    TRC_ERROR_PROXY_UNENCODED = 63,
    // The percent-encoding in the URL of a proxy is not valid.
    TRC_ERROR_PROXY_ENCODING = 64,
    // A user name, password or user id for a proxy is too long, or empty.
    TRC_ERROR_PROXY_LENGTH = 65,
    // A user name, password or user id has a character that the proxy's protocol cannot carry.
    TRC_ERROR_PROXY_CHARACTER = 66,
    // SOCKS4 has no password.
    TRC_ERROR_PROXY_NO_PASSWORD = 67,
    // This kind of proxy cannot connect to this kind of address.
    TRC_ERROR_BEYOND_PROXY = 80,
    // The address is a host name, and there is no proxy to resolve it. This library does not resolve names.
    TRC_ERROR_NAME_WITHOUT_PROXY = 81,
    // A relay has at most 16 addresses.
    TRC_ERROR_TOO_MANY_ADDRESSES = 82,
    // The client has as many connections as it can have.
    TRC_ERROR_TOO_MANY_CONNECTIONS = 83,
    // The relay's public key is of low order: no honest relay has such a key.
    TRC_ERROR_LOW_ORDER_KEY = 84,
    // No relay has this public key, which is not below 2^255 - 19.
    TRC_ERROR_NON_CANONICAL_KEY = 85,
    // The relay's public key is our own.
    TRC_ERROR_OWN_KEY = 86,
    // Another connection shares the same key with its relay: the two could be connected to each other.
    TRC_ERROR_SAME_SHARED_KEY = 87,
    // Another connection has the same identity and the same relay.
    TRC_ERROR_ALREADY_CONNECTED = 88,
    // The connection has ended, or there never was one with this id.
    TRC_ERROR_UNKNOWN_CONNECTION = 100,
    // The route was closed or refused, or there never was one with this id.
    TRC_ERROR_UNKNOWN_ROUTE = 101,
    // There is already a route to this peer.
    TRC_ERROR_ROUTE_EXISTS = 102,
    // All 240 routes of the connection are in use.
    TRC_ERROR_TOO_MANY_ROUTES = 103,
    // The send queue, or this route's share of it, is full. An event of the kind WRITABLE follows; in a pool
    // RELAY_WRITABLE for packets that are not for a peer.
    TRC_ERROR_WOULD_BLOCK = 110,
    // The data are too short or too long for this kind of packet.
    TRC_ERROR_LENGTH = 111,
    // The peer is offline on this route; or it is offline, and data for it go out of band, but these are longer than 1024
    // bytes.
    TRC_ERROR_ROUTE_OFFLINE = 112,
    // A peer has told us about this relay, and its address is not one of the Internet.
    TRC_ERROR_LOCAL_ADDRESS = 120,
    // The peer has added 24 relays, or the user and lists 4096.
    TRC_ERROR_TOO_MANY_RELAYS = 121,
    // The peer was removed, or there never was one with this id.
    TRC_ERROR_UNKNOWN_PEER = 122,
    // The relay was removed, or there never was one with this id.
    TRC_ERROR_UNKNOWN_RELAY = 123,
    // A peer is tied to at most 24 relays.
    TRC_ERROR_TOO_MANY_TIES = 124,
    // No relay of the peer is connected, or not this relay.
    TRC_ERROR_UNREACHABLE = 125,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum trc_error trc_error;
#else
typedef int32_t trc_error;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Who most probably caused the end of a connection, or an error.
enum trc_fault
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Not known.
    TRC_FAULT_UNKNOWN = 0,
    // The program or its settings: an address, a key, credentials.
    TRC_FAULT_CALLER = 1,
    // The network between the two, or the operating system.
    TRC_FAULT_NETWORK = 2,
    // The proxy.
    TRC_FAULT_PROXY = 3,
    // The relay, or another server that answers at its address.
    TRC_FAULT_RELAY = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum trc_fault trc_fault;
#else
typedef int32_t trc_fault;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Whether another try may help.
enum trc_retry
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Not known; or the caller has ended the connection.
    TRC_RETRY_UNKNOWN = 0,
    // Try again, after a pause that grows with each attempt from a second to some minutes. Only a connection that has
    // lasted for a while resets the pause.
    TRC_RETRY_SOON = 1,
    // Try again once an hour or less often.
    TRC_RETRY_SELDOM = 2,
    // Another try does not help until a person has changed something: show the error to the user.
    TRC_RETRY_ASK = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum trc_retry trc_retry;
#else
typedef int32_t trc_retry;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What has happened. The numbers never change; later versions add others, which a program ignores.
enum trc_event_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // An event that has no number of its own yet.
    TRC_EVENT_KIND_OTHER = 0,
    // The relay has proved in this connection that it holds its secret key.
    TRC_EVENT_KIND_CONNECTED = 1,
    // The connection has ended, for the reason in `end`; its id and those of its routes are stale. Reported exactly once
    // for each connection, and last.
    TRC_EVENT_KIND_DISCONNECTED = 2,
    // The relay has registered a route. The peer is offline until ROUTE_ONLINE follows.
    TRC_EVENT_KIND_ROUTE_OPENED = 3,
    // The relay has refused a route: it has no free ones, or the peer's key is our own. The route's id is stale.
    TRC_EVENT_KIND_ROUTE_REFUSED = 4,
    // The peer is connected to the relay and has a route to us: data can be sent on this route.
    TRC_EVENT_KIND_ROUTE_ONLINE = 5,
    // The peer has closed its route or its connection. Our route stays: ROUTE_ONLINE follows when the peer returns.
    // `unsent` bytes of accepted data were removed.
    TRC_EVENT_KIND_ROUTE_OFFLINE = 6,
    // A data packet from a peer: 0 to 2031 bytes. The relay can read, change and invent data, so peers must encrypt and
    // authenticate them end to end.
    TRC_EVENT_KIND_DATA = 7,
    // An out-of-band packet from a client of the same relay, with or without a route: 1 to 1024 bytes.
    TRC_EVENT_KIND_OOB = 8,
    // An answer to an onion request, unchecked: 1 to 2031 bytes.
    TRC_EVENT_KIND_ONION_RESPONSE = 9,
    // A packet that the relay forwarded to us, unchecked: 0 to 2031 bytes.
    TRC_EVENT_KIND_FORWARDING = 10,
    // After `TRC_ERROR_WOULD_BLOCK`, there is room again on at least one of the refused routes.
    TRC_EVENT_KIND_WRITABLE = 11,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum trc_event_kind trc_event_kind;
#else
typedef int32_t trc_event_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Why a connection has ended. The numbers never change; later versions add others.
enum trc_reason
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // It has not ended; or a reason that has no number of its own yet.
    TRC_REASON_OTHER = 0,
    // The caller has ended it; or the pool, since the relay was of no use.
    TRC_REASON_CLOSED_BY_CALLER = 1,
    // Nothing listens at the address of the relay, or of its proxy.
    TRC_REASON_REFUSED = 2,
    // The connect timeout has passed.
    TRC_REASON_TIMED_OUT = 3,
    // A ping was not answered in time.
    TRC_REASON_NO_PONG = 4,
    // The other side closed the connection.
    TRC_REASON_CLOSED = 5,
    // The network or the operating system ended it: a reset, an unreachable host. `code` is the system's number.
    TRC_REASON_TRANSPORT = 6,
    // 32 pongs are queued and the relay sent one more ping.
    TRC_REASON_PING_FLOOD = 7,
    // The proxy gave a reason that has no number of its own yet.
    TRC_REASON_PROXY_OTHER = 20,
    // The proxy requires a method of authentication that was not offered.
    TRC_REASON_PROXY_NO_ACCEPTABLE_METHOD = 21,
    // The proxy rejected the user name or the password.
    TRC_REASON_PROXY_CREDENTIALS = 22,
    // `code` is the SOCKS5 reply.
    TRC_REASON_PROXY_SOCKS5 = 23,
    // `code` is the SOCKS4 reply.
    TRC_REASON_PROXY_SOCKS4 = 24,
    // `code` is the HTTP status.
    TRC_REASON_PROXY_HTTP = 25,
    // HTTP status 407: it requires credentials, or other ones.
    TRC_REASON_PROXY_UNAUTHORIZED = 26,
    // It uses another protocol: `code` is the first byte of its answer.
    TRC_REASON_PROXY_PROTOCOL = 27,
    // Its answer is not valid.
    TRC_REASON_PROXY_MALFORMED = 28,
    // The server is not the relay, for a reason that has no number of its own yet.
    TRC_REASON_IMPOSTOR_OTHER = 40,
    // Its handshake response was not encrypted with the relay's key.
    TRC_REASON_IMPOSTOR_WRONG_KEY = 41,
    // Another kind of server answers: the text names it.
    TRC_REASON_IMPOSTOR_OTHER_SERVER = 42,
    // It sent our own bytes back.
    TRC_REASON_IMPOSTOR_REFLECTION = 43,
    // Its temporary key is of low order.
    TRC_REASON_IMPOSTOR_LOW_ORDER_KEY = 44,
    // Its temporary key is not below 2^255 - 19.
    TRC_REASON_IMPOSTOR_NON_CANONICAL_KEY = 45,
    // Its handshake response is a replay of an old one.
    TRC_REASON_IMPOSTOR_REPLAY = 46,
    // The relay broke the protocol in a way that has no number of its own yet.
    TRC_REASON_VIOLATION_OTHER = 60,
    // A packet of a length that is not valid: `code`.
    TRC_REASON_VIOLATION_PACKET_LENGTH = 61,
    // A packet cannot be decrypted.
    TRC_REASON_VIOLATION_FORGED = 62,
    // A packet of a kind that no relay sends: `code`.
    TRC_REASON_VIOLATION_KIND = 63,
    // A packet of the kind `code` with a length that is not valid for it.
    TRC_REASON_VIOLATION_LENGTH = 64,
    // A packet of the kind `code` with a route number below 16.
    TRC_REASON_VIOLATION_ROUTE_NUMBER = 65,
    // A ping or pong with the id 0.
    TRC_REASON_VIOLATION_PING_ID = 66,
    // A routing response for a peer without a pending request.
    TRC_REASON_VIOLATION_UNSOLICITED_RESPONSE = 67,
    // A routing response with a number that another route has: `code`.
    TRC_REASON_VIOLATION_ROUTE_NUMBER_IN_USE = 68,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum trc_reason trc_reason;
#else
typedef int32_t trc_reason;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How far a connection has progressed: a later stage is greater.
enum trc_stage
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // There is no connection with this id; or the caller has ended it, in whatever stage.
    TRC_STAGE_NONE = 0,
    // Connecting by TCP to the relay or to its proxy.
    TRC_STAGE_CONNECTING = 1,
    // The proxy is connected; it has not yet opened the tunnel to the relay.
    TRC_STAGE_TUNNELLING = 2,
    // There is a TCP connection or a tunnel to the relay; the handshake response has not arrived.
    TRC_STAGE_HANDSHAKING = 3,
    // The handshake response has arrived. It may be a replay of an old one until the first packet proves that it is
    // not.
    TRC_STAGE_CONFIRMING = 4,
    // The relay has proved that it holds its secret key.
    TRC_STAGE_CONNECTED = 5,
    // A stage that has no number of its own yet.
    TRC_STAGE_OTHER = 6,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum trc_stage trc_stage;
#else
typedef int32_t trc_stage;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What is at the other end of a connection.
enum trc_party
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Not known, or of no importance for the reason.
    TRC_PARTY_UNKNOWN = 0,
    // The relay itself, without a proxy.
    TRC_PARTY_RELAY = 1,
    // The proxy, before its tunnel is open.
    TRC_PARTY_PROXY = 2,
    // The relay or the proxy: through a tunnel, the client cannot distinguish them.
    TRC_PARTY_TUNNEL = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum trc_party trc_party;
#else
typedef int32_t trc_party;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// The probable cause of the end of a connection, if what was observed suggests one.
enum trc_hint
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // There is none.
    TRC_HINT_NONE = 0,
    // The relay may have another public key.
    TRC_HINT_OTHER_KEY = 1,
    // The proxy may not have reached the relay.
    TRC_HINT_NOT_REACHED = 2,
    // One of these two.
    TRC_HINT_NOT_REACHED_OR_OTHER_KEY = 3,
    // Only a part of the handshake response had arrived.
    TRC_HINT_INCOMPLETE = 4,
    // The relay may have stopped, or a newer connection with the same key has replaced this one.
    TRC_HINT_SAME_KEY = 5,
    // A hint that has no number of its own yet.
    TRC_HINT_OTHER = 6,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum trc_hint trc_hint;
#else
typedef int32_t trc_hint;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// The state of a route.
enum trc_route_state
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // A state that has no number of its own yet.
    TRC_ROUTE_STATE_OTHER = 0,
    // The route was opened, and the relay has not answered its request yet.
    TRC_ROUTE_STATE_REQUESTED = 1,
    // The relay has registered the route; the peer is not connected, or has no route to us.
    TRC_ROUTE_STATE_OFFLINE = 2,
    // The peer is connected and has a route to us: data can be sent.
    TRC_ROUTE_STATE_ONLINE = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum trc_route_state trc_route_state;
#else
typedef int32_t trc_route_state;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What has happened in a pool. The numbers never change; later versions add others, which a program ignores.
enum trc_pool_event_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // An event that has no number of its own yet.
    TRC_POOL_EVENT_KIND_OTHER = 0,
    // The peer can be reached through a relay: `relay` carries its data. Reported once for all of its relays.
    TRC_POOL_EVENT_KIND_PEER_ONLINE = 1,
    // The peer is on no relay of ours any more. What was sent shortly before may be lost.
    TRC_POOL_EVENT_KIND_PEER_OFFLINE = 2,
    // Another relay carries the data to the peer now: `relay`. If the last one has ended, is silent or loses data,
    // what was sent shortly before may be lost. What is sent from now on may overtake what was sent before.
    TRC_POOL_EVENT_KIND_PEER_MOVED = 3,
    // Data from a peer: 0 to 2031 bytes. Relays can read, change and invent data, so peers must encrypt and authenticate
    // them end to end.
    TRC_POOL_EVENT_KIND_DATA = 4,
    // A packet of 1 to 1024 bytes from a stranger, whose public key is `sender`: who has no route to us, and is not a peer
    // that is tied to this relay. An answer is sent by the same relay (`trc_pool_send_oob`).
    TRC_POOL_EVENT_KIND_OOB = 5,
    // After `trc_pool_send` has returned `TRC_ERROR_WOULD_BLOCK`, there may be room for data to this peer.
    TRC_POOL_EVENT_KIND_WRITABLE = 6,
    // A relay is connected, and has proved that it holds its key.
    TRC_POOL_EVENT_KIND_RELAY_UP = 7,
    // There is no connection to a relay any more. It may mean three things. If the reason in `end` is CLOSED_BY_CALLER,
    // nothing is wrong with the relay: the pool has ended its connection, or the attempt, since enough others are
    // connected, or to begin anew on another network; or the relay was removed, and its id is stale. Otherwise, if
    // `connected_since` in `status` is not 0, a connection was lost; if it is 0, an attempt to connect has failed. After
    // these two, the relay is tried again when it is needed, after a pause (`retry_in` in its status).
    TRC_POOL_EVENT_KIND_RELAY_DOWN = 8,
    // An answer to an onion request, unchecked: 1 to 2031 bytes.
    TRC_POOL_EVENT_KIND_ONION_RESPONSE = 9,
    // A packet that a relay forwarded to us, unchecked: 0 to 2031 bytes.
    TRC_POOL_EVENT_KIND_FORWARDING = 10,
    // The relay has refused a route to the peer, as it does when it has no room, or when the peer's key is our own. It is
    // asked again after a minute.
    TRC_POOL_EVENT_KIND_ROUTE_REFUSED = 11,
    // No attempt to connect to the relay could begin: it has only a host name, and there is no proxy to resolve it;
    // its key is our own; the system has no socket for it. `trc_pool_refusal` returns why. It is tried again after a
    // pause, which is an hour if a person must change something.
    TRC_POOL_EVENT_KIND_RELAY_REFUSED = 12,
    // Data that were accepted for the peer will never be sent by this relay: the peer has gone offline there, or was
    // untied, or sleeps. `length` is how many bytes: the plaintext of each packet and 2 bytes. `data` is NULL. (What a
    // relay has left unsent when it ended is in the status of RELAY_DOWN; for a peer that was removed, nothing is
    // reported.)
    TRC_POOL_EVENT_KIND_UNSENT = 13,
    // After a function that sends by this relay, or by any, has returned `TRC_ERROR_WOULD_BLOCK`, there may be room here.
    TRC_POOL_EVENT_KIND_RELAY_WRITABLE = 14,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum trc_pool_event_kind trc_pool_event_kind;
#else
typedef int32_t trc_pool_event_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Why another relay carries the data of a peer. The numbers never change.
enum trc_move_cause
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // None, or one that has no number of its own yet.
    TRC_MOVE_CAUSE_OTHER = 0,
    // The last one has ended, or the peer is not online there any more.
    TRC_MOVE_CAUSE_OFFLINE = 1,
    // Nothing was heard of the last one for five seconds after data were sent.
    TRC_MOVE_CAUSE_SILENT = 2,
    // The last one loses data: `trc_pool_report`.
    TRC_MOVE_CAUSE_LOSES = 3,
    // The last one can take no more.
    TRC_MOVE_CAUSE_FULL = 4,
    // The new one was faster by a third for a minute.
    TRC_MOVE_CAUSE_FASTER = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum trc_move_cause trc_move_cause;
#else
typedef int32_t trc_move_cause;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// Where a relay was learnt. Relays of the user's own are preferred to those of a list, and these to a peer's.
enum trc_origin
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // The user has named it.
    TRC_ORIGIN_USER = 1,
    // A list of public nodes.
    TRC_ORIGIN_LIST = 2,
    // A peer has told us about it. Its addresses must be global, or the peer would learn what can be reached from here.
    // A peer can add 24 relays, and 4 addresses of each.
    TRC_ORIGIN_PEER = 3,
    // A peer that was seen at an address of the local network has told us about it: it may be there, too.
    TRC_ORIGIN_LOCAL_PEER = 4,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum trc_origin trc_origin;
#else
typedef int32_t trc_origin;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How important a line of the log is. A larger number is more detailed.
enum trc_log_level
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // Nothing is logged.
    TRC_LOG_LEVEL_OFF = 0,
    // Not used by this library.
    TRC_LOG_LEVEL_ERROR = 1,
    // What should never happen; a relay of a pool that cannot be tried.
    TRC_LOG_LEVEL_WARN = 2,
    // Not used by this library.
    TRC_LOG_LEVEL_INFO = 3,
    // The start and the end of connections; socket options that cannot be set.
    TRC_LOG_LEVEL_DEBUG = 4,
    // The steps of connecting.
    TRC_LOG_LEVEL_TRACE = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum trc_log_level trc_log_level;
#else
typedef int32_t trc_log_level;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// How the destination of a forward request is reached.
enum trc_transport
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    // A node that listens on UDP.
    TRC_TRANSPORT_UDP = 1,
    // A node that is reached through TCP. The relay of toxcore 0.2.18 closes the connection of who asks for it.
    TRC_TRANSPORT_TCP = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum trc_transport trc_transport;
#else
typedef int32_t trc_transport;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A client of many relays.
//
// Only `trc_client_poll` waits, and no longer than its timeout; all other functions return at once. Packets are queued
// until the next poll or `trc_client_flush`, or until the queue is nearly full. A connection has at most 240 routes; a
// client has as many connections as the process may have descriptors.
typedef struct trc_client trc_client;

// The settings of a client or of a pool. The defaults are those of the protocol: most programs only give a key.
typedef struct trc_config trc_config;

// A pool: each peer is reached through several relays, and to the program it looks like one connection.
//
// Add relays, by the hundred if there are so many, and peers, and tie to each peer the relays on which it is thought to
// be: those that the peer has named. The pool keeps three of them connected for each peer, with routes open, sends data
// by the fastest, and moves to the next when that one ends or falls silent. It connects again by itself.
//
// Which relays are connected:
//
// - Three for each peer that is awake, or as many as are tied to it: the fewest relays that give every peer its three,
//   and of those the ones with the best score (`trc_relay_status`). A peer has at most six routes
//   (`trc_pool_set_relays_per_peer`). Three relays are connected even if there is no peer; `trc_pool_set_onion_relays`
//   asks for more. In all there are at most 128 (`trc_pool_set_max_connections`); a relay has at most 240 routes, and one
//   that is full is passed over.
// - If more relays are wanted than may be connected, each peer gets one before any gets its second.
// - A peer that stays offline on the relays that are connected for it is looked for on its others: at most four are tried
//   at a time, and then the pauses between rounds grow from a minute to four hours.
// - A relay without which nothing would be missing is disconnected after 10 s, or up to a minute later, when all is sent
//   that was queued there. A route that is online is given up only if the peer is online on three others.
// - A relay that fails is tried again when it is needed, after 1 s, and then pauses that are 1.6 times as long each,
//   up to 120 s, give or take a fifth; after an hour, if another try hardly helps (`trc_retry`). This is forgotten
//   when it was connected for a minute. If no relay at all is connected, it is our own network: then no relay is
//   blamed, not even for what failed in the 40 s before, and all are tried again as soon as one of them works.
//   Another address of a relay, another proxy and another network end the pauses.
// - At most 16 attempts begin at once, and one every two seconds in the long run.
// - A peer adds at most 24 relays, with 4 addresses each, and none in a local network (`trc_origin`); the user and lists
//   add 4096.
//
// One relay at a time carries the data to a peer, so their order is kept. It changes when the relay ends, is silent (5 s
// after data were sent, in which nothing was heard), is full, loses data according to `trc_pool_report`, or another one
// was faster by a third for a minute; PEER_MOVED reports it. Around a change, data may be lost, and data by the new relay
// may overtake those by the old. Nothing is sent twice, and no numbers are added to the packets.
//
// The pings of all relays leave together, so an idle pool wakes up its device for these and their pongs, and for what
// relays send.
typedef struct trc_pool trc_pool;

// A relay: its public key, its addresses, and settings for its connection alone.
typedef struct trc_relay trc_relay;

// Ends the wait of a poll. The only handle that several threads may use at the same time.
typedef struct trc_waker trc_waker;

// More about an error.
typedef struct trc_error_details {
    // Its number; 0 if there was no error.
    trc_error error;
    // For errors of connecting: who most probably caused it.
    trc_fault fault;
    // For errors of connecting: whether another try may help.
    trc_retry retry;
    // The number of the operating system's error (`errno`, or that of `GetLastError`); 0 if it has none.
    int32_t os_error;
    // An English text with all that is known, for people.
    char text[TRC_TEXT_SIZE];
} trc_error_details;

// The end of a connection, or of an attempt to reach a relay at one of its addresses.
typedef struct trc_end {
    // Why it ended.
    trc_reason reason;
    // The stage in which it ended.
    trc_stage stage;
    // Who was at the other end, in REFUSED, TIMED_OUT, CLOSED and TRANSPORT; otherwise UNKNOWN.
    trc_party party;
    // The probable cause, in TIMED_OUT, CLOSED and TRANSPORT.
    trc_hint hint;
    // Who most probably caused it.
    trc_fault fault;
    // Whether another try may help.
    trc_retry retry;
    // A number that belongs to the reason, described there; otherwise 0.
    int32_t code;
    // All of this as an English text, for people.
    char text[TRC_TEXT_SIZE];
} trc_end;

// Bytes and packets in both directions. Bytes include overhead, handshakes and the exchange with proxies.
typedef struct trc_traffic {
    // Bytes read.
    uint64_t bytes_in;
    // Bytes written.
    uint64_t bytes_out;
    // Packets that were decrypted.
    uint64_t packets_in;
    // Packets of which at least the first byte was written.
    uint64_t packets_out;
} trc_traffic;

// The status of a connection. Times are in microseconds; 0 means that it has not happened, or is not known.
typedef struct trc_connection_status {
    // The connection.
    uint64_t connection;
    // The token of its relay, or 0. (In a pool: the id of the relay.)
    uint64_t token;
    // How far it has progressed.
    trc_stage stage;
    // The relay's public key.
    uint8_t public_key[TRC_KEY_SIZE];
    // The public key of the identity that this connection uses.
    uint8_t identity[TRC_KEY_SIZE];
    // The relay's address. While several are tried: that of the attempt that has progressed furthest; if all have
    // failed, that of the attempt whose failure is the reason.
    char address[TRC_ADDRESS_SIZE];
    // The address of the proxy; empty without one.
    char proxy[TRC_ADDRESS_SIZE];
    // How many attempts have failed: `trc_client_failed_attempt` returns them.
    size_t failed_attempts;
    // The time since the connection was asked for.
    uint64_t age;
    // The time since the relay has proved that it holds its key.
    uint64_t connected_since;
    // The time since anything that the relay or its proxy has sent was handled.
    uint64_t last_heard;
    // The time from a ping to its pong: the last one.
    uint64_t round_trip;
    // The smallest one, which is nearest to the round trip of the network.
    uint64_t smallest_round_trip;
    // A moving average.
    uint64_t smoothed_round_trip;
    // How many pings were sent.
    uint32_t pings;
    // How many of them were answered.
    uint32_t pongs;
    // After which time there was a TCP connection to the relay or its proxy.
    uint64_t time_of_transport;
    // After which time there was a tunnel through the proxy; 0 without one.
    uint64_t time_of_tunnel;
    // After which time there was a handshake response.
    uint64_t time_of_handshake;
    // After which time the relay had proved that it holds its key.
    uint64_t time_of_connected;
    // Packets and bytes in both directions.
    struct trc_traffic traffic;
    // Bytes in the send queue. At the end of a connection: what was never sent.
    size_t queued;
    // Bytes that were sent and that the relay has not confirmed.
    size_t unconfirmed;
    // The most bytes that may be unconfirmed now; `TRC_NO_BOUND` without a bound.
    size_t window;
    // The number of routes that are open or requested, and of closed ones for which the relay was not notified yet.
    size_t routes;
} trc_connection_status;

// One thing that happened. Its ids may already be stale: later events of the same poll may report why.
//
// What its pointers point to is valid until the next poll of the client, or until the client is freed. The program may
// call all other functions meanwhile, and must not write there.
typedef struct trc_event {
    // What has happened.
    trc_event_kind kind;
    // The connection.
    uint64_t connection;
    // The route, in events of routes and data; otherwise 0, which is never the id of a route.
    uint64_t route;
    // The token of the route; in events without a route, that of the connection.
    uint64_t token;
    // The public key of the peer, in events of routes, data and out-of-band packets, according to the relay. Otherwise
    // zeros.
    uint8_t peer[TRC_KEY_SIZE];
    // The payload. NULL if the event has none; never NULL if it has one, even if that is empty.
    const uint8_t *data;
    // The length of the payload in bytes.
    size_t length;
    // In ROUTE_OFFLINE: how many bytes of accepted data were removed and never sent; usually 0.
    size_t unsent;
    // In DISCONNECTED: why the connection has ended. Otherwise NULL.
    const struct trc_end *end;
    // In DISCONNECTED: its final status. Otherwise NULL.
    const struct trc_connection_status *status;
} trc_event;

// The end of an attempt to reach a relay at one of its addresses.
typedef struct trc_failed_attempt {
    // The address that was tried.
    char address[TRC_ADDRESS_SIZE];
    // How the attempt ended.
    struct trc_end end;
} trc_failed_attempt;

// What all connections of a client have sent and received, those that have ended included, by kind of packet.
typedef struct trc_traffic_by_kind {
    // All bytes, those of handshakes and proxies included, and all packets.
    struct trc_traffic all;
    // Data packets on routes.
    struct trc_traffic data;
    // Out-of-band packets.
    struct trc_traffic oob;
    // Onion requests and responses.
    struct trc_traffic onion;
    // Forward requests, and what relays have forwarded to this client.
    struct trc_traffic forward;
    // Routing requests and responses.
    struct trc_traffic routing;
    // Connect and disconnect notifications.
    struct trc_traffic notifications;
    // Pings and pongs.
    struct trc_traffic pings;
} trc_traffic_by_kind;

// The status of a route.
typedef struct trc_route_status {
    // The route.
    uint64_t route;
    // Its connection.
    uint64_t connection;
    // The token that it was opened with.
    uint64_t token;
    // The public key of the peer at its other end.
    uint8_t peer[TRC_KEY_SIZE];
    // Its state.
    trc_route_state state;
} trc_route_status;

// One thing that happened in a pool. Its ids may already be stale.
//
// What its pointers point to is valid until the next poll of the pool, or until the pool is freed. The program may call
// all other functions meanwhile, and must not write there.
typedef struct trc_pool_event {
    // What has happened.
    trc_pool_event_kind kind;
    // The peer, in PEER_..., DATA, WRITABLE, ROUTE_REFUSED and UNSENT; otherwise 0. (0 may be the id of a peer: the kind
    // says whether it is.)
    uint64_t peer;
    // The relay, in all kinds but PEER_OFFLINE and WRITABLE, in which it is 0.
    uint64_t relay;
    // In PEER_MOVED: the relay that has carried the data; its id is stale if it was removed. Otherwise 0.
    uint64_t from;
    // In PEER_MOVED: why. Otherwise OTHER.
    trc_move_cause cause;
    // The token of the peer; in events without a peer, that of the relay. (The token in `status` is the relay's id.)
    uint64_t token;
    // In OOB: the public key of the sender, according to the relay. Otherwise zeros.
    uint8_t sender[TRC_KEY_SIZE];
    // The payload. NULL if the event has none; never NULL if it has one, even if that is empty.
    const uint8_t *data;
    // The length of the payload in bytes. In UNSENT: how many bytes were not sent.
    size_t length;
    // In RELAY_DOWN: why the connection has ended. Otherwise NULL.
    const struct trc_end *end;
    // In RELAY_DOWN: its final status; `queued` bytes were accepted and never sent. Otherwise NULL.
    const struct trc_connection_status *status;
} trc_pool_event;

// A peer of a pool.
typedef struct trc_peer_status {
    // Its id.
    uint64_t peer;
    // Its token.
    uint64_t token;
    // Its public key.
    uint8_t public_key[TRC_KEY_SIZE];
    // Whether it is to be reached through relays.
    bool is_awake;
    // Whether it is online on at least one relay: `trc_pool_is_online` costs less.
    bool is_online;
    // The relay that carries its data, if it is online; otherwise 0.
    uint64_t used;
    // On how many relays it is online: `trc_pool_online_relays` returns them.
    size_t online;
    // How many relays are tied to it: `trc_pool_tied_relays` returns them.
    size_t tied;
} trc_peer_status;

// A relay of a pool. `trc_pool_connection` returns the status of its connection.
typedef struct trc_relay_status {
    // Its id.
    uint64_t relay;
    // Its public key. (`trc_pool_relay_copy` returns its addresses.)
    uint8_t public_key[TRC_KEY_SIZE];
    // Where it was learnt.
    trc_origin origin;
    // The peer that has told us about it, with an origin that has one; otherwise 0.
    uint64_t origin_peer;
    // Whether it is connected.
    bool is_connected;
    // Whether data were sent, and it has not answered a ping for two seconds. Others are preferred.
    bool is_silent;
    // What it is worth, above 0 and at most 1. The relays with the highest scores are connected, as far as they serve as
    // many peers. It is the product of:
    //
    // - the origin: 1 for the user, 1/4 for a list, 1/16 for a peer;
    // - its speed: 1 / (1 + round trip / 200 ms), or 1/2 if that is not known;
    // - its reliability: 1 / (1 + `failures`);
    // - its constancy: 1/2, growing to 1 in an hour of `up_time`;
    // - data that were lost: 10^-6 / `lost`, if that is 2 or more;
    // - its silence: 10^-3, if `is_silent`.
    double score;
    // The smoothed round trip, now or when it was connected last, in microseconds; 0 if it is not known.
    uint64_t round_trip;
    // How long it was connected, all in all, with what was recalled, in microseconds.
    uint64_t up_time;
    // How often it has failed since it was last connected for a minute, without failures while no relay at all was
    // connected, or up to 40 s before: those are our own network's.
    uint32_t failures;
    // Its next attempt begins no sooner than this, in microseconds from now, because the last one failed; then, if it is
    // needed. 0 if it may be tried now, or is connected. Another address, another proxy and another network end the
    // pause, and so does the end of an outage of our own network.
    uint64_t retry_in;
    // How many peers lose data here, according to `trc_pool_report`.
    uint32_t lost;
    // Why no attempt to connect could begin the last time (RELAY_REFUSED): `trc_pool_refusal` returns more about it. 0
    // once one has begun.
    trc_error refused;
    // How many peers are tied to it.
    size_t tied;
} trc_relay_status;

// Gets one line of the log. `level` is a `trc_log_level`; `message` is a text that is valid during the call.
typedef void (*trc_log_callback)(void *user_data, int32_t level, const char *message);

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of this library as text, such as `0.1.0`. Never NULL; it is valid for ever.
const char *trc_version(void);

// A short English text for the number of an error, without a full stop. Any number is accepted. Never NULL; it is
// valid for ever.
const char *trc_error_text(int32_t error);

// Writes more about the last error that a function has returned to this thread into `*details`. (After a function has
// returned no error, the details are still those of the one before.) Functions that do not return a `trc_error` keep
// theirs here, too. Does nothing if `details` is NULL.
void trc_last_error(struct trc_error_details *details);

// One word for a `trc_stage`, as in statistics. Any number is accepted. Never NULL; it is valid for ever.
const char *trc_stage_text(int32_t stage);

// One word for a `trc_fault`: caller, network, proxy or relay. Any number is accepted. Never NULL; it is valid for
// ever.
const char *trc_fault_text(int32_t fault);

// One word for a `trc_retry`: soon, seldom or ask. Any number is accepted. Never NULL; it is valid for ever.
const char *trc_retry_text(int32_t retry);

// One word for a `trc_route_state`: requested, offline or online. Any number is accepted. Never NULL; it is valid for
// ever.
const char *trc_route_state_text(int32_t state);

// Writes a new secret key to `secret_key` (32 bytes), from the random source of the operating system. Keep it safe,
// and overwrite copies of it after their use.
trc_error trc_generate_secret_key(uint8_t *secret_key);

// Writes the public key of `secret_key` (32 bytes) to `public_key` (32 bytes).
trc_error trc_public_key(const uint8_t *secret_key, uint8_t *public_key);

// Reads a public key from 64 hexadecimal digits, and writes it to `key` (32 bytes). For secret keys it works as well,
// but leaves copies in memory.
//
// Errors: `TRC_ERROR_KEY_...`, `TRC_ERROR_UTF8`.
trc_error trc_key_from_text(const char *text,
                            uint8_t *key);

// Writes `key` (32 bytes) as 64 upper-case hexadecimal digits and a zero to `text`, which has room for
// `TRC_KEY_TEXT_SIZE` bytes.
trc_error trc_key_to_text(const uint8_t *key, char *text);

// Creates the default settings with this secret key (32 bytes, which are copied, and wiped with the settings). A relay
// keeps one connection per key: give each client and each pool a key of its own. Writes the settings to `*config`: free
// them with `trc_config_free`.
trc_error trc_config_new(const uint8_t *secret_key,
                         struct trc_config **config);

// Frees settings. Clients and pools that were created with them keep them. NULL is allowed.
void trc_config_free(struct trc_config *config);

// Reaches all relays through this proxy. `url` is one of these, with an IP address, and with credentials or without
// (percent-encoded): `socks5://user:password@127.0.0.1:9050`, `socks4://id@127.0.0.1:1080` (IPv4 only), `socks4a://`,
// `http://user:password@127.0.0.1:3128`. A connection through a proxy never falls back to a direct one. Proxies resolve
// the host names of relays, except SOCKS4.
//
// Errors: `TRC_ERROR_PROXY_...`.
trc_error trc_config_set_proxy(struct trc_config *config,
                               const char *url);

// How long connecting, the exchange with a proxy and the handshake may take together, in milliseconds. Default: 10 s. With
// a longer timeout, a relay that is gone occupies a socket for longer.
//
// Errors: `TRC_ERROR_CONNECT_TIMEOUT` if it is 0.
trc_error trc_config_set_connect_timeout(struct trc_config *config,
                                         uint64_t milliseconds);

// The time from one ping to the next, in milliseconds. Default: 30 s, as the specification says.
//
// Errors: `TRC_ERROR_PING_INTERVAL` if it is 0.
trc_error trc_config_set_ping_interval(struct trc_config *config, uint64_t milliseconds);

// How long a relay may take to answer a ping, in milliseconds. Default: 10 s, as the specification says.
//
// Errors: `TRC_ERROR_PONG_TIMEOUT` if it is 0.
trc_error trc_config_set_pong_timeout(struct trc_config *config, uint64_t milliseconds);

// Bytes of data, OOB, onion and forward packets that may be queued for each connection. Default: 131,072; at least
// 4,068. A route that sends alone uses at most half of it. A larger queue takes more memory for each relay that reads
// slowly, and delays what is sent last.
//
// Errors: `TRC_ERROR_SEND_QUEUE` if it is too small.
trc_error trc_config_set_send_queue(struct trc_config *config,
                                    size_t bytes);

// The most bytes of data that may be sent to a relay before it confirms them. Default: 16 MiB; at least 16 KiB;
// `TRC_NO_BOUND` for no bound: then `tox-bootstrapd` usually resets whoever has more than 64 KiB to send at once. Further
// data wait in the send queue, as if the socket was full. This is only the bound: the window is what the relay reads in
// half a second, at most 47,000 bytes, and more only if the relay reads at once.
//
// Errors: `TRC_ERROR_WINDOW` if it is too small.
trc_error trc_config_set_window(struct trc_config *config,
                                size_t bytes);

// The most events of one poll. Default: 256; smaller values than 2 are raised to 2, larger ones than 1,048,576 lowered
// to that. A larger number means fewer polls under load, and up to 2031 bytes of memory for each event.
trc_error trc_config_set_events(struct trc_config *config,
                                size_t events);

// Describes the relay at this address with this public key (32 bytes). The address is an IP address and a port
// (`198.51.100.7:33445`, `[2001:db8::7]:33445`) or, if there is a proxy that resolves it, a host name and a port. Writes
// the relay to `*relay`: free it with `trc_relay_free`.
//
// Errors: `TRC_ERROR_ADDRESS_...`.
trc_error trc_relay_new(const char *address,
                        const uint8_t *public_key,
                        struct trc_relay **relay);

// Frees a relay. Connections to it are not affected: clients and pools copy it. NULL is allowed.
void trc_relay_free(struct trc_relay *relay);

// Adds another address of the same relay: another port, or IPv6 in addition to IPv4; at most 16 in all. They are tried
// 250 ms apart, IPv4 and IPv6 in turns, and the first that completes the handshake is used. One that is there already
// is not added again.
//
// Errors: `TRC_ERROR_ADDRESS_...`, `TRC_ERROR_TOO_MANY_ADDRESSES`.
trc_error trc_relay_add_address(struct trc_relay *relay,
                                const char *address);

// A number of the caller's for this connection, which comes back in its events and its status, so that the program
// needs no map from connections to its own objects. Default: 0.
trc_error trc_relay_set_token(struct trc_relay *relay,
                              uint64_t token);

// Connects with this secret key (32 bytes, which are copied, and wiped with the relay) instead of the client's own.
trc_error trc_relay_set_identity(struct trc_relay *relay,
                                 const uint8_t *secret_key);

// Reaches this relay through this proxy instead of the client's: see `trc_config_set_proxy`.
//
// Errors: `TRC_ERROR_PROXY_...`.
trc_error trc_relay_set_proxy(struct trc_relay *relay, const char *url);

// Reaches this relay without a proxy, even if the client has one.
trc_error trc_relay_set_direct(struct trc_relay *relay);

// How long connecting, the exchange with a proxy and the handshake may take together, for each address, in
// milliseconds. Default: as the client's settings say. An onion service may need a minute.
//
// Errors: `TRC_ERROR_CONNECT_TIMEOUT` if it is 0.
trc_error trc_relay_set_connect_timeout(struct trc_relay *relay, uint64_t milliseconds);

// Connects from this local IP address, for example that of one network interface: `192.0.2.10:0`, where port 0 is any
// port. Default: the operating system chooses.
//
// Errors: `TRC_ERROR_ARGUMENT` if it is not an IP address and a port.
trc_error trc_relay_set_local_address(struct trc_relay *relay,
                                      const char *address);

// Writes the relay's public key to `public_key` (32 bytes).
trc_error trc_relay_public_key(const struct trc_relay *relay, uint8_t *public_key);

// How many addresses the relay has; 0 if `relay` is NULL.
size_t trc_relay_addresses(const struct trc_relay *relay);

// Writes the address with this index, from 0, as text to `address`, which has room for `TRC_ADDRESS_SIZE` bytes.
//
// Errors: `TRC_ERROR_ARGUMENT` if there are not so many.
trc_error trc_relay_address(const struct trc_relay *relay,
                            size_t index,
                            char *address);

// Creates a client with these settings, which are copied. Writes it to `*client`: free it with `trc_client_free`.
//
// A client belongs to the process that created it: after a fork, only one of the two may use it, and the other must not
// even free it.
//
// Errors: `TRC_ERROR_IO`.
trc_error trc_client_new(const struct trc_config *config,
                         struct trc_client **client);

// Ends all connections, after what the sockets take at once, and frees the client. NULL is allowed.
void trc_client_free(struct trc_client *client);

// Writes the client's public key to `public_key` (32 bytes).
trc_error trc_client_public_key(const struct trc_client *client, uint8_t *public_key);

// Reads, writes, connects, and handles deadlines. Waits until there is an event, a waker is used, or the timeout has
// passed: so many milliseconds; 0 does not wait; a negative number waits without a limit. A signal ends the wait
// without an event and without an error, and it may return earlier for other reasons. Then call
// `trc_client_next_event` until it returns false: events that were not returned are lost at the next poll.
//
// A program that calls this late loses nothing: what has arrived is read before timeouts are checked, and time in which a
// connection had unread input is not counted against its relay, up to ten times the timeout.
//
// Errors: `TRC_ERROR_IO`, which is not expected. A connection that fails is no error of this function: DISCONNECTED
// reports it.
trc_error trc_client_poll(struct trc_client *client,
                          int timeout_ms);

// Writes the next event of the last poll to `*event`, and returns true; false if there is none (or a pointer is NULL).
// Events are in the order in which they happened.
bool trc_client_next_event(struct trc_client *client,
                           struct trc_event *event);

// Writes what is queued, as far as the sockets accept it without waiting. Each poll does it, too.
trc_error trc_client_flush(struct trc_client *client);

// How long a main loop may sleep before it polls again, in milliseconds, if no descriptor becomes readable meanwhile;
// -1 if there is no deadline. A toxcore-style loop polls with a timeout of 0, and sleeps so long, or for its own
// interval if that is shorter. 0 if `client` is NULL.
int trc_client_next_timeout(const struct trc_client *client);

// A descriptor for poll(2), epoll, GLib or libuv: when it is readable, or `trc_client_next_timeout` has passed, poll
// with a timeout of 0. It belongs to the client: do not read it or close it. -1 on systems other than Unix, and if
// `client` is NULL.
int trc_client_descriptor(const struct trc_client *client);

// Creates a handle with which another thread can end the wait of a poll, and writes it to `*waker`: free it with
// `trc_waker_free`, before or after the client.
trc_error trc_client_waker(const struct trc_client *client,
                           struct trc_waker **waker);

// Starts to connect to a relay, which is copied, and writes the id of the connection to `*connection`. CONNECTED or
// DISCONNECTED reports the result within the connect timeout (for each address) plus the pong timeout. Exactly one event
// of the kind DISCONNECTED follows for each connection. The library does not reconnect: call this again after that event,
// after a pause that grows with each attempt; `event.end->retry` says whether that may help.
//
// Routes may be opened and packets sent without a route at once.
//
// Errors: `TRC_ERROR_ALREADY_CONNECTED` and `TRC_ERROR_SAME_SHARED_KEY` (then `*connection` is the other connection),
// `TRC_ERROR_BEYOND_PROXY`, `TRC_ERROR_NAME_WITHOUT_PROXY`, `TRC_ERROR_TOO_MANY_CONNECTIONS`,
// `TRC_ERROR_LOW_ORDER_KEY`, `TRC_ERROR_NON_CANONICAL_KEY`, `TRC_ERROR_OWN_KEY`, `TRC_ERROR_IO`.
trc_error trc_client_connect(struct trc_client *client,
                             const struct trc_relay *relay,
                             uint64_t *connection);

// The same with a stream socket of the caller's, on Unix: connected or connecting, to the relay's first address or, if
// it has a proxy, to that. The descriptor is duplicated, so close it afterwards: the connection cannot end while a copy
// of it is open. The library makes it non-blocking.
//
// Only the first address of the relay is used, for the request to a proxy and in the status, and its local address is
// ignored. If there is a proxy, so is its address: the socket may lead to one that has none, for example through a Unix
// socket.
//
// Errors: those of `trc_client_connect`; `TRC_ERROR_IO` if it is not an open stream socket; `TRC_ERROR_UNSUPPORTED` on
// other systems.
trc_error trc_client_connect_with(struct trc_client *client,
                                  const struct trc_relay *relay,
                                  int socket,
                                  uint64_t *connection);

// Ends a connection; DISCONNECTED follows in the next poll that has room for it. Queued packets are sent first, and then a
// disconnect notification for each route: as far as the socket accepts them without waiting, and data as far as the
// window has room. They may still be lost. `event.status->queued` is how many bytes were never sent.
//
// Errors: `TRC_ERROR_UNKNOWN_CONNECTION` if it has ended already.
trc_error trc_client_disconnect(struct trc_client *client,
                                uint64_t connection);

// Ends all connections. Returns how many these were.
size_t trc_client_disconnect_all(struct trc_client *client);

// Sends a ping now, for example to measure the round trip, or to find out soon whether a connection is alive: it ends
// with NO_PONG if the relay does not answer within the pong timeout. The next ping follows one ping interval later. Does
// nothing if the relay has not answered the last ping yet, and while the connection is being opened: then the first ping
// is sent without this call.
//
// Errors: `TRC_ERROR_UNKNOWN_CONNECTION`.
trc_error trc_client_ping(struct trc_client *client,
                          uint64_t connection);

// Call this when the network has changed: another Wi-Fi, a telephone that wakes up, a VPN that is turned on or off. Each
// connection sends a ping, and ends with NO_PONG if it is not answered within 5 s, or the pong timeout if that is shorter.
// Otherwise it takes up to the ping interval and the pong timeout together to find a dead connection, 40 s by default, in
// which sending still succeeds. If the network changes again meanwhile, the time begins anew, but a relay that answers no
// ping has at most the pong timeout and 5 s together.
//
// While a connection is opened, the attempts that have begun have at most 5 s, but a proxy that was already asked for a
// tunnel has its full time.
trc_error trc_client_network_changed(struct trc_client *client);

// Writes the status of a connection to `*status`; until the next poll also the final one of a connection whose end the
// last poll has reported.
//
// Errors: `TRC_ERROR_UNKNOWN_CONNECTION`.
trc_error trc_client_connection(const struct trc_client *client,
                                uint64_t connection,
                                struct trc_connection_status *status);

// Writes one of the attempts that have failed, in this order from 0, to `*attempt`: for the same connections as
// `trc_client_connection`, whose status has their number.
//
// Errors: `TRC_ERROR_UNKNOWN_CONNECTION`; `TRC_ERROR_ARGUMENT` if there are not so many.
trc_error trc_client_failed_attempt(const struct trc_client *client,
                                    uint64_t connection,
                                    size_t index,
                                    struct trc_failed_attempt *attempt);

// The stage of a connection; `TRC_STAGE_NONE` after it has ended. Cheaper than the whole status.
trc_stage trc_client_stage(const struct trc_client *client, uint64_t connection);

// Bytes in the send queue of a connection; 0 after it has ended.
size_t trc_client_queued(const struct trc_client *client, uint64_t connection);

// Whether everything that was accepted for this connection was written to its socket; also true after it has ended.
bool trc_client_has_drained(const struct trc_client *client,
                            uint64_t connection);

// Whether all connections have drained.
bool trc_client_all_drained(const struct trc_client *client);

// Writes the ids of all connections that have not ended, in no particular order, to the array `connections`, as many as
// it has room for (`capacity`), and returns how many there are. `connections` may be NULL if `capacity` is 0.
size_t trc_client_connections(const struct trc_client *client,
                              uint64_t *connections,
                              size_t capacity);

// Writes what all connections have sent and received to `*traffic`.
trc_error trc_client_traffic(const struct trc_client *client, struct trc_traffic_by_kind *traffic);

// Opens a route to a peer (a public key of 32 bytes), and writes its id to `*route`. `token` comes back in the events
// of the route. ROUTE_OPENED or ROUTE_REFUSED follows after CONNECTED, and ROUTE_ONLINE when the peer has a route to us as
// well: then data can be sent.
//
// Legal as soon as `trc_client_connect` has returned: then the request leaves right after the first ping, which saves a
// round trip. It is encrypted for the relay alone.
//
// Errors: `TRC_ERROR_ROUTE_EXISTS` (then `*route` is the existing one), `TRC_ERROR_UNKNOWN_CONNECTION`,
// `TRC_ERROR_TOO_MANY_ROUTES`.
trc_error trc_client_open_route(struct trc_client *client,
                                uint64_t connection,
                                const uint8_t *peer,
                                uint64_t token,
                                uint64_t *route);

// Closes a route, online or not. Its id is stale from now on, and no event about it follows. Queued data are sent first
// as far as the socket accepts them without waiting; how many bytes were removed, usually 0, is written to `*unsent`.
// (`unsent` may be NULL.) Then the relay is notified.
//
// Errors: `TRC_ERROR_UNKNOWN_ROUTE`.
trc_error trc_client_close_route(struct trc_client *client,
                                 uint64_t route,
                                 size_t *unsent);

// Writes the status of a route to `*status`.
//
// Errors: `TRC_ERROR_UNKNOWN_ROUTE`.
trc_error trc_client_route(const struct trc_client *client, uint64_t route, struct trc_route_status *status);

// Writes the id of the route to this peer (a public key of 32 bytes) to `*route`.
//
// Errors: `TRC_ERROR_UNKNOWN_ROUTE` if there is none, or the connection has ended.
trc_error trc_client_find_route(const struct trc_client *client,
                                uint64_t connection,
                                const uint8_t *peer,
                                uint64_t *route);

// Writes the ids of all routes of a connection to the array `routes`, as many as it has room for (`capacity`), and
// returns how many there are. `routes` may be NULL if `capacity` is 0.
size_t trc_client_routes(const struct trc_client *client,
                         uint64_t connection,
                         uint64_t *routes,
                         size_t capacity);

// Sends 1 to 2031 bytes to the peer of an online route. (Tox itself sends at most 1400.) The data are copied. Packets on
// one route are sent in order, and so are packets without a route. The routes of a connection take turns.
//
// Errors: `TRC_ERROR_WOULD_BLOCK`, `TRC_ERROR_LENGTH`, `TRC_ERROR_UNKNOWN_ROUTE`, `TRC_ERROR_ROUTE_OFFLINE`. Then nothing
// was queued. All of these are normal while events are handled.
trc_error trc_client_send_data(struct trc_client *client,
                               uint64_t route,
                               const uint8_t *data,
                               size_t length);

// Sends 1 to 1024 bytes out of band to the client with the public key `peer` (32 bytes), with or without a route. The
// relay does not report whether they arrived. What is sent before CONNECTED is queued, and leaves right after the first
// ping and the routing requests.
//
// Errors: `TRC_ERROR_WOULD_BLOCK`, `TRC_ERROR_LENGTH`, `TRC_ERROR_UNKNOWN_CONNECTION`. Then nothing was queued.
trc_error trc_client_send_oob(struct trc_client *client,
                              uint64_t connection,
                              const uint8_t *peer,
                              const uint8_t *data,
                              size_t length);

// Sends to a peer as the specification prescribes: like `trc_client_send_data` if there is a route to it that is
// online, otherwise like `trc_client_send_oob`.
//
// Errors: those of the function that is used: more than 1024 bytes are `TRC_ERROR_LENGTH` while the peer is not online.
trc_error trc_client_send_to(struct trc_client *client,
                             uint64_t connection,
                             const uint8_t *peer,
                             const uint8_t *data,
                             size_t length);

// Sends an onion request: a nonce (24 bytes) and onion data, together 178 to 1359 bytes, which are not checked.
//
// Errors: those of `trc_client_send_oob`.
trc_error trc_client_send_onion_request(struct trc_client *client,
                                        uint64_t connection,
                                        const uint8_t *request,
                                        size_t length);

// Asks the relay to forward 1 to 1792 bytes to another node: `transport` is a `trc_transport`, `address` an IP address
// and a port, such as `192.0.2.7:33445`. A relay older than toxcore 0.2.18, or one without the DHT, closes the
// connection when it receives this.
//
// Errors: those of `trc_client_send_oob`; `TRC_ERROR_ARGUMENT` if it is not a destination.
trc_error trc_client_send_forward_request(struct trc_client *client,
                                          uint64_t connection,
                                          int32_t transport,
                                          const char *address,
                                          const uint8_t *data,
                                          size_t length);

// Changes the ping interval, for all connections: see `trc_config_set_ping_interval`. It counts from the last ping: one
// that is overdue now is sent in the next poll. A longer one saves power, but it takes longer to find that a connection
// is dead.
//
// Errors: `TRC_ERROR_PING_INTERVAL` if it is 0. Then nothing has changed.
trc_error trc_client_set_ping_interval(struct trc_client *client,
                                       uint64_t milliseconds);

// Changes the pong timeout, for all connections, from their next ping on: see `trc_config_set_pong_timeout`. A ping that
// is not answered yet keeps its time.
//
// Errors: `TRC_ERROR_PONG_TIMEOUT` if it is 0. Then nothing has changed.
trc_error trc_client_set_pong_timeout(struct trc_client *client,
                                      uint64_t milliseconds);

// Changes the connect timeout, for attempts that begin from now on: see `trc_config_set_connect_timeout`. Those that have
// begun keep their time.
//
// Errors: `TRC_ERROR_CONNECT_TIMEOUT` if it is 0. Then nothing has changed.
trc_error trc_client_set_connect_timeout(struct trc_client *client,
                                         uint64_t milliseconds);

// Changes the bound of the window, for all connections: see `trc_config_set_window`.
//
// Errors: `TRC_ERROR_WINDOW` if it is too small. Then nothing has changed.
trc_error trc_client_set_window(struct trc_client *client, size_t bytes);

// Changes the proxy, for what connects from now on: see `trc_config_set_proxy`. `url` may be NULL, for direct connections.
// Existing connections stay as they are, also those that are being opened: disconnect those that must not continue.
//
// Errors: `TRC_ERROR_PROXY_...`. Then nothing has changed.
trc_error trc_client_set_proxy(struct trc_client *client,
                               const char *url);

// Creates a pool with these settings, which are copied. Writes it to `*pool`: free it with `trc_pool_free`. What
// `trc_client_new` says about forks holds for pools, too.
//
// Errors: `TRC_ERROR_IO`.
trc_error trc_pool_new(const struct trc_config *config,
                       struct trc_pool **pool);

// Ends all connections, after what the sockets take at once, and frees the pool. NULL is allowed. `trc_pool_close` returns
// how much was not sent.
void trc_pool_free(struct trc_pool *pool);

// Ends all connections, after what the sockets take at once, and frees the pool, as `trc_pool_free` does. Writes how many
// bytes of data were accepted and not sent to `*unsent`. (`unsent` may be NULL.)
//
// Errors: `TRC_ERROR_BUSY`. Then the pool is not freed.
trc_error trc_pool_close(struct trc_pool *pool,
                         size_t *unsent);

// Writes the pool's public key, under which it is known to relays, to `public_key` (32 bytes).
trc_error trc_pool_public_key(const struct trc_pool *pool, uint8_t *public_key);

// Reads, writes, connects, and handles deadlines: until there is an event, a waker is used, or the timeout has passed. See
// `trc_client_poll`. Then call `trc_pool_next_event` until it returns false.
//
// Errors: `TRC_ERROR_IO`, which is not expected.
trc_error trc_pool_poll(struct trc_pool *pool,
                        int timeout_ms);

// Writes the next event of the last poll to `*event`, and returns true; false if there is none (or a pointer is NULL).
// Events are in the order in which they happened.
bool trc_pool_next_event(struct trc_pool *pool,
                         struct trc_pool_event *event);

// Writes what is queued, as far as the sockets accept it without waiting. Each poll does it, too.
trc_error trc_pool_flush(struct trc_pool *pool);

// How long a main loop may sleep before it polls again, in milliseconds; -1 if there is no deadline: see
// `trc_client_next_timeout`. 0 if `pool` is NULL.
int trc_pool_next_timeout(const struct trc_pool *pool);

// A descriptor for poll(2), epoll, GLib or libuv: see `trc_client_descriptor`. -1 on systems other than Unix, and if
// `pool` is NULL.
int trc_pool_descriptor(const struct trc_pool *pool);

// Creates a handle with which another thread can end the wait of a poll, and writes it to `*waker`: free it with
// `trc_waker_free`, before or after the pool.
trc_error trc_pool_waker(const struct trc_pool *pool,
                         struct trc_waker **waker);

// Whether everything that was accepted was written to the sockets.
bool trc_pool_all_drained(const struct trc_pool *pool);

// Writes what all connections have sent and received to `*traffic`.
trc_error trc_pool_traffic(const struct trc_pool *pool, struct trc_traffic_by_kind *traffic);

// Writes the status of the connection to a relay to `*status`; until the next poll also the final one of a connection
// whose end the last poll has reported. Its token is the relay's id.
//
// Errors: `TRC_ERROR_UNKNOWN_RELAY`; `TRC_ERROR_UNREACHABLE` if there is no connection to it.
trc_error trc_pool_connection(const struct trc_pool *pool,
                              uint64_t relay,
                              struct trc_connection_status *status);

// Writes one of the attempts that have failed, in this order from 0, to `*attempt`: for the same connections as
// `trc_pool_connection`, whose status has their number.
//
// Errors: those of `trc_pool_connection`; `TRC_ERROR_ARGUMENT` if there are not so many.
trc_error trc_pool_failed_attempt(const struct trc_pool *pool,
                                  uint64_t relay,
                                  size_t index,
                                  struct trc_failed_attempt *attempt);

// Sends 1 to 2031 bytes to a peer, by the relay that carries its data; if that one is full, by another. While the peer is
// offline, 1 to 1024 bytes go out of band by one of its relays, another one each time, since the peer may be there. The
// data are copied, and leave with the next poll or `trc_pool_flush`. Writes the relay's id to `*relay`, for
// `trc_pool_report`. (`relay` may be NULL.)
//
// Who sends until TRC_ERROR_WOULD_BLOCK fills one relay after the other, so data of one overtake those of another:
// packets of a bulk transfer need numbers. Who waits until the peer has confirmed what it has got keeps to one relay, and
// its data stay in order. Nothing bounds what waits for a peer that does not read: relays discard it.
//
// After TRC_ERROR_WOULD_BLOCK, WRITABLE follows when one of the peer's relays has room, or others are there.
//
// Errors: `TRC_ERROR_WOULD_BLOCK`, `TRC_ERROR_UNREACHABLE`, `TRC_ERROR_LENGTH`, `TRC_ERROR_UNKNOWN_PEER`;
// `TRC_ERROR_ROUTE_OFFLINE` if the peer is offline, and the data are too long to go out of band. Then nothing was queued.
trc_error trc_pool_send(struct trc_pool *pool,
                        uint64_t peer,
                        const uint8_t *data,
                        size_t length,
                        uint64_t *relay);

// Sends 1 to 1024 bytes to someone on this relay, by public key (32 bytes), who need not be a peer: for example an answer
// to an event of the kind OOB.
//
// Errors: `TRC_ERROR_WOULD_BLOCK` (RELAY_WRITABLE or RELAY_DOWN follows), `TRC_ERROR_UNREACHABLE`, `TRC_ERROR_LENGTH`,
// `TRC_ERROR_UNKNOWN_RELAY`. Then nothing was queued.
trc_error trc_pool_send_oob(struct trc_pool *pool,
                            uint64_t relay,
                            const uint8_t *receiver,
                            const uint8_t *data,
                            size_t length);

// Sends an onion request (178 to 1359 bytes: see `trc_client_send_onion_request`) by any of the connected relays that have
// room, each with the same chance; by a silent one only if there is no other. Writes the relay's id to `*relay`. (`relay`
// may be NULL.)
//
// Errors: `TRC_ERROR_WOULD_BLOCK` if all are full (RELAY_WRITABLE or RELAY_DOWN follows for each),
// `TRC_ERROR_UNREACHABLE`, `TRC_ERROR_LENGTH`. Then nothing was queued.
trc_error trc_pool_send_onion_request(struct trc_pool *pool,
                                      const uint8_t *request,
                                      size_t length,
                                      uint64_t *relay);

// Sends an onion request by this relay.
//
// Errors: those of `trc_pool_send_onion_request`; `TRC_ERROR_UNKNOWN_RELAY`.
trc_error trc_pool_send_onion_request_by(struct trc_pool *pool,
                                         uint64_t relay,
                                         const uint8_t *request,
                                         size_t length);

// Sends a forward request (1 to 1792 bytes: see `trc_client_send_forward_request`) by any of the connected relays that
// have room, each with the same chance; by a silent one only if there is no other. Writes the relay's id to `*relay`.
// (`relay` may be NULL.)
//
// Errors: those of `trc_pool_send_onion_request`; `TRC_ERROR_ARGUMENT` if it is not a destination.
trc_error trc_pool_send_forward_request(struct trc_pool *pool,
                                        int32_t transport,
                                        const char *address,
                                        const uint8_t *data,
                                        size_t length,
                                        uint64_t *relay);

// Sends a forward request by this relay.
//
// Errors: those of `trc_pool_send_forward_request`; `TRC_ERROR_UNKNOWN_RELAY`.
trc_error trc_pool_send_forward_request_by(struct trc_pool *pool,
                                           uint64_t relay,
                                           int32_t transport,
                                           const char *address,
                                           const uint8_t *data,
                                           size_t length);

// Adds a relay, which is copied, or finds the one with this key, and writes its id to `*id`. It is connected when it
// is of use. Its token (`trc_relay_set_token`) comes back in its events. `origin` is a `trc_origin`; `peer` is who has
// told us about it, and is not used with the other origins.
//
// If the relay is known, the user's last description of it counts, with the addresses of the others; lists and peers add
// addresses to what others like them have told, up to 16, of which each peer adds 4 at most, until it is removed; what
// peers have told counts no more when the user or a list names it. If it has failed, another address ends its pause.
//
// Errors: `TRC_ERROR_LOCAL_ADDRESS`, `TRC_ERROR_TOO_MANY_RELAYS`, `TRC_ERROR_UNKNOWN_PEER`; `TRC_ERROR_ARGUMENT` if it is
// not an origin.
trc_error trc_pool_add_relay(struct trc_pool *pool,
                             const struct trc_relay *relay,
                             int32_t origin,
                             uint64_t peer,
                             uint64_t *id);

// Removes a relay and ends its connection.
//
// Errors: `TRC_ERROR_UNKNOWN_RELAY`.
trc_error trc_pool_remove_relay(struct trc_pool *pool, uint64_t relay);

// Adds a peer by its public key (32 bytes), or finds the one with this key, and writes its id to `*id`. `token` comes
// back in all events of this peer; one that is there already has it from now on. The peer is awake.
//
// Our own key is accepted, too, but relays open no route from a client to itself: ROUTE_REFUSED follows for each relay
// that is tied to this peer.
trc_error trc_pool_add_peer(struct trc_pool *pool,
                            const uint8_t *public_key,
                            uint64_t token,
                            uint64_t *id);

// Removes a peer, closes its routes, and forgets the relays that only it has told us about.
//
// Errors: `TRC_ERROR_UNKNOWN_PEER`.
trc_error trc_pool_remove_peer(struct trc_pool *pool, uint64_t peer);

// The peer is thought to be on this relay: the pool may reach it there. If they are tied already, it is a hint: between
// the rounds in which the peer is looked for, this relay is tried at the next common ping.
//
// A peer with our own key is tied, too; then the relay refuses the route (ROUTE_REFUSED).
//
// Errors: `TRC_ERROR_UNKNOWN_PEER`, `TRC_ERROR_UNKNOWN_RELAY`, `TRC_ERROR_TOO_MANY_TIES`.
trc_error trc_pool_tie(struct trc_pool *pool,
                       uint64_t peer,
                       uint64_t relay);

// The peer is not on this relay any more: closes the route to it there. That the peer has told us about this relay counts
// no more: if nobody else has, and no other peer is tied to it, it is removed.
//
// Errors: `TRC_ERROR_UNKNOWN_PEER`; `TRC_ERROR_UNKNOWN_RELAY` if they were not tied.
trc_error trc_pool_untie(struct trc_pool *pool,
                         uint64_t peer,
                         uint64_t relay);

// Whether a peer is to be reached through relays. One that is reached directly may sleep: ten seconds later its routes
// are closed, so that it goes offline here, and relays that only sleeping peers use are disconnected. Once it is awake,
// its routes are requested as if its relays had just been tied. Data that are sent to one that sleeps without routes go
// out of band.
//
// Errors: `TRC_ERROR_UNKNOWN_PEER`.
trc_error trc_pool_set_awake(struct trc_pool *pool,
                             uint64_t peer,
                             bool is_awake);

// Whether data arrived that this relay carried to a peer, or are missing, as those know who read the data: a relay that
// says that a peer is online and drops its data cannot be found out by the pool. One that loses the data of a peer is
// used for it only if there is no other; once two peers have reported it, for all. A packet that was delivered makes up
// for one that was lost; half of the losses are forgotten after ten minutes, and all at the end of the program.
//
// Errors: `TRC_ERROR_UNKNOWN_PEER`; `TRC_ERROR_ROUTE_OFFLINE` if the peer is not online on this relay now: then nobody has
// said that the data would arrive, and nothing is counted.
trc_error trc_pool_report(struct trc_pool *pool,
                          uint64_t peer,
                          uint64_t relay,
                          bool was_delivered);

// Writes the id of the peer with this public key (32 bytes) to `*id`.
//
// Errors: `TRC_ERROR_UNKNOWN_PEER`.
trc_error trc_pool_find_peer(const struct trc_pool *pool, const uint8_t *public_key, uint64_t *id);

// Writes the id of the relay with this public key (32 bytes) to `*id`.
//
// Errors: `TRC_ERROR_UNKNOWN_RELAY`.
trc_error trc_pool_find_relay(const struct trc_pool *pool, const uint8_t *public_key, uint64_t *id);

// Writes the ids of all peers, in no particular order, to the array `peers`, as many as it has room for (`capacity`), and
// returns how many there are. `peers` may be NULL if `capacity` is 0.
size_t trc_pool_peers(const struct trc_pool *pool,
                      uint64_t *peers,
                      size_t capacity);

// Writes the ids of all relays, connected or not, in no particular order, to the array `relays`: see `trc_pool_peers`.
size_t trc_pool_relays(const struct trc_pool *pool,
                       uint64_t *relays,
                       size_t capacity);

// Writes what is worth remembering for the next start to `*text`: the relays with what is known of them, and to which
// peers they are tied. It is JSON, ends with a zero, and has no secrets, but says who the friends are. Store it as it is,
// and free it with `trc_text_free`. Relays that have an identity or a proxy of their own are left out.
trc_error trc_pool_remember(const struct trc_pool *pool,
                            char **text);

// Adds the relays that were remembered, and ties them to the peers. Relays that are known get only the addresses of
// before, and what was known of their speed and failures. No peers are added: add them before. `text` has `length` bytes,
// and need not end with a zero. It may come from a file that others can write: the bounds of `trc_pool_add_relay` and
// `trc_pool_tie` hold.
//
// Writes how many relays were not added to `*refused`. (`refused` may be NULL.) A relay of a peer that is not there is one,
// unless another peer was tied to it who is. `trc_pool_recall_error` returns which they are, and why.
//
// Errors: `TRC_ERROR_JSON` if it is not what `trc_pool_remember` has written. Then nothing is added.
trc_error trc_pool_recall(struct trc_pool *pool,
                          const char *text,
                          size_t length,
                          size_t *refused);

// Writes the public key of one of the relays that the last successful `trc_pool_recall` has not added, from index 0, to
// `public_key` (32 bytes), and why it was not added to `*details`: for example `TRC_ERROR_UNKNOWN_PEER` if the peer that
// has told us about it is not there. Valid until the next poll.
//
// Errors: `TRC_ERROR_ARGUMENT` if there are not so many.
trc_error trc_pool_recall_error(const struct trc_pool *pool,
                                size_t index,
                                uint8_t *public_key,
                                struct trc_error_details *details);

// Frees a text that a function of this library has written to a `char **`. NULL is allowed.
void trc_text_free(char *text);

// How many relays are connected for each awake peer at least, if as many are tied to it: 3 by default; numbers beyond 1
// to 6 become 1 or 6. (It has routes on up to six of its relays that are connected anyway.) Each of two peers chooses
// by itself: with four relays in common, at least two are the same. Two peers who are both tied to more than five relays,
// and cannot tell each other which they use, meet at once only if each has more than half of them; otherwise once one of
// them has tried the other's.
trc_error trc_pool_set_relays_per_peer(struct trc_pool *pool,
                                       size_t count);

// How many relays are kept connected for onion packets; three are connected in any case.
trc_error trc_pool_set_onion_relays(struct trc_pool *pool, size_t count);

// The most connections that there are at a time: 128 by default; 0 becomes 1. If there are more, the relays that carry no
// data are disconnected first. If more are wanted, each peer gets one relay before any gets its second: for a peer that
// has none, one is disconnected without which all others still have one. While an offline peer is looked for, a relay
// that carries no data may give up its place; the last one that is connected and answers does so only if there is but one
// place. With one place, a relay that has failed eight times takes turns with others: while another one works, it is
// tried every ten minutes at most.
trc_error trc_pool_set_max_connections(struct trc_pool *pool,
                                       size_t count);

// Call this when the network has changed (see `trc_client_network_changed`): relays must answer within seconds, and those
// that have failed are tried at once. Attempts that are under way begin anew, and up to 16 may begin at once; but if this
// was called in the last 32 s, attempts go on, and no more than otherwise may begin.
trc_error trc_pool_network_changed(struct trc_pool *pool);

// Changes the ping interval, for all connections: see `trc_config_set_ping_interval`. The pings of all relays leave
// together, a thirtieth of the interval early, so that they wake up the device only once. Offline peers are looked for,
// and speeds are compared, at the same times: a longer interval saves power, but it delays that, and it takes longer to
// find that a connection is dead.
//
// Errors: `TRC_ERROR_PING_INTERVAL` if it is 0. Then nothing has changed.
trc_error trc_pool_set_ping_interval(struct trc_pool *pool,
                                     uint64_t milliseconds);

// Changes the pong timeout, for all connections, from their next ping on: see `trc_config_set_pong_timeout`. A ping that
// is not answered yet keeps its time.
//
// Errors: `TRC_ERROR_PONG_TIMEOUT` if it is 0. Then nothing has changed.
trc_error trc_pool_set_pong_timeout(struct trc_pool *pool,
                                    uint64_t milliseconds);

// Changes the connect timeout, for attempts that begin from now on: see `trc_config_set_connect_timeout`. Those that have
// begun keep their time.
//
// Errors: `TRC_ERROR_CONNECT_TIMEOUT` if it is 0. Then nothing has changed.
trc_error trc_pool_set_connect_timeout(struct trc_pool *pool,
                                       uint64_t milliseconds);

// Changes the bound of the window, for all connections: see `trc_config_set_window`. It bounds what each relay has not
// read, and not what the peers have not.
//
// Errors: `TRC_ERROR_WINDOW` if it is too small. Then nothing has changed.
trc_error trc_pool_set_window(struct trc_pool *pool,
                              size_t bytes);

// Changes the proxy, for what connects from now on: see `trc_config_set_proxy`. `url` may be NULL, for direct connections.
// Existing connections stay as they are, also those that are being opened. Relays that have failed are tried at once, if
// they use this proxy: it may resolve their names, or let through what the last one has refused.
//
// Errors: `TRC_ERROR_PROXY_...`. Then nothing has changed.
trc_error trc_pool_set_proxy(struct trc_pool *pool,
                             const char *url);

// Writes what is known about a peer to `*status`.
//
// Errors: `TRC_ERROR_UNKNOWN_PEER`.
trc_error trc_pool_peer(const struct trc_pool *pool, uint64_t peer, struct trc_peer_status *status);

// Whether a peer is online on a relay that is connected, and so its data are sent on a route; false if there is no such
// peer. It costs less than `trc_pool_peer`.
bool trc_pool_is_online(const struct trc_pool *pool,
                        uint64_t peer);

// Writes the ids of the relays on which a peer is online to the array `relays`, as many as it has room for (`capacity`),
// and returns how many there are; 0 if there is no such peer. `relays` may be NULL if `capacity` is 0.
size_t trc_pool_online_relays(const struct trc_pool *pool,
                              uint64_t peer,
                              uint64_t *relays,
                              size_t capacity);

// The same for the relays that are tied to a peer.
size_t trc_pool_tied_relays(const struct trc_pool *pool, uint64_t peer, uint64_t *relays, size_t capacity);

// Writes what is known about a relay to `*status`.
//
// Errors: `TRC_ERROR_UNKNOWN_RELAY`.
trc_error trc_pool_relay(const struct trc_pool *pool, uint64_t relay, struct trc_relay_status *status);

// Writes why no attempt to connect to a relay could begin the last time to `*details`; without an error once one has
// begun.
//
// Errors: `TRC_ERROR_UNKNOWN_RELAY`.
trc_error trc_pool_refusal(const struct trc_pool *pool,
                           uint64_t relay,
                           struct trc_error_details *details);

// Copies a relay, with its addresses, and writes the copy to `*copy`: free it with `trc_relay_free`.
//
// Errors: `TRC_ERROR_UNKNOWN_RELAY`.
trc_error trc_pool_relay_copy(const struct trc_pool *pool, uint64_t relay, struct trc_relay **copy);

// Copies up to `capacity` relays to tell a peer about, with nothing but their addresses and keys, and writes the copies
// to the array `copies`: free each with `trc_relay_free`. They are some of those that are connected, others each time.
// Those that have an identity or a proxy of their own are not for others to know. Returns how many these are; 0 if no
// other one is connected. `copies` may be NULL if `capacity` is 0.
//
// Addresses of the local network are told, too: who receives one from elsewhere may try the sender's address instead.
size_t trc_pool_relays_to_share(struct trc_pool *pool,
                                struct trc_relay **copies,
                                size_t capacity);

// A short English text for a `trc_reason`, without a full stop: the text in `trc_end` says more. Any number is
// accepted. Never NULL; it is valid for ever.
const char *trc_reason_text(int32_t reason);

// Makes the current poll return, or the next one if none is waiting. Several calls before that have the effect of one.
// May be called by any thread at any time, also after the client or the pool was freed: then it has no effect.
trc_error trc_waker_wake(const struct trc_waker *waker);

// Frees a waker. NULL is allowed.
void trc_waker_free(struct trc_waker *waker);

// Calls `callback` with `user_data` for each line up to this level (a `trc_log_level`), of all clients and pools of
// the process, in the thread that has called a function of this library. It replaces the callback before; NULL ends
// it. `user_data` may be NULL; otherwise what it points to must live until no thread can be in the callback. Lines
// have addresses and public keys of relays; never secret keys, or the content of packets.
//
// The callback may call any function of this library, but those with the handle that is in use return
// `TRC_ERROR_BUSY`. It must return: not throw an exception of C++, and not `longjmp`. Another thread may still be in the
// old callback when this function returns.
//
// Errors: `TRC_ERROR_ARGUMENT` if it is not a level; `TRC_ERROR_LOGGER`.
trc_error trc_set_log_callback(trc_log_callback callback,
                               int32_t level,
                               void *user_data);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TOX_RELAY_CLIENT_H */
