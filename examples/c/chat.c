// A chat for two people on a relay, in a loop as those of toxcore: iterate, then sleep for the interval that the library
// returns, or for the program's own if that is shorter.
//
//     chat RELAY_ADDRESS RELAY_KEY [PEER_KEY]
//
// It prints its own public key, which the other person needs, and sends each line that is typed. "/peer KEY" sets the
// peer. The end of the input ends the program. It connects again after pauses that grow.

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tox_relay_client.h>

// The longest sleep, so that typed lines are noticed soon.
#define OWN_INTERVAL_MS 20

#define LONGEST_PAUSE_S 30

typedef struct chat {
    trc_client *client;
    trc_relay *relay;
    bool has_peer, is_open, is_online;
    uint8_t peer[TRC_KEY_SIZE];
    uint64_t connection, route;
    time_t connect_at; // when to connect, while there is no connection
    unsigned pause;    // after the next failure, in seconds
} chat;

// Prints why a call has failed.
static void print_error(const char *what) {
    trc_error_details details;
    trc_last_error(&details);
    fprintf(stderr, "* %s: %s\n", what, details.text);
}

static void sleep_ms(int milliseconds) {
    struct timespec time;
    time.tv_sec = milliseconds / 1000;
    time.tv_nsec = (long)(milliseconds % 1000) * 1000000;
    nanosleep(&time, NULL);
}

static void open_route(chat *chat) {
    if (chat->has_peer && chat->is_open &&
        trc_client_open_route(chat->client, chat->connection, chat->peer, 0, &chat->route) != TRC_OK) {
        print_error("no route");
    }
}

static void connect_relay(chat *chat) {
    if (trc_client_connect(chat->client, chat->relay, &chat->connection) != TRC_OK) {
        print_error("not connected");
        exit(1);
    }
    chat->is_open = true;
    open_route(chat); // legal at once: it is sent as early as possible
}

static void handle_event(chat *chat, const trc_event *event) {
    switch (event->kind) {
    case TRC_EVENT_KIND_CONNECTED:
        printf("* The relay is connected\n");
        chat->pause = 1;
        break;
    case TRC_EVENT_KIND_DISCONNECTED:
        printf("* The connection has ended: %s; next try in %u s\n", event->end->text, chat->pause);
        chat->is_open = chat->is_online = false;
        chat->connect_at = time(NULL) + (time_t)chat->pause;
        chat->pause = chat->pause * 2 < LONGEST_PAUSE_S ? chat->pause * 2 : LONGEST_PAUSE_S;
        break;
    case TRC_EVENT_KIND_ROUTE_ONLINE:
        printf("* The peer is online\n");
        chat->is_online = true;
        break;
    case TRC_EVENT_KIND_ROUTE_OFFLINE:
        printf("* The peer is offline\n");
        chat->is_online = false;
        break;
    case TRC_EVENT_KIND_DATA:
        // The relay can invent data: a real program encrypts and authenticates them end to end.
        printf("%.*s\n", (int)event->length, (const char *)event->data);
        break;
    default: // later versions have more kinds
        break;
    }
}

static void handle_line(chat *chat, char *line) {
    if (strncmp(line, "/peer ", 6) == 0) {
        if (trc_key_from_text(line + 6, chat->peer) != TRC_OK) {
            print_error("not a key");
            return;
        }
        if (chat->has_peer && chat->is_open) {
            trc_client_close_route(chat->client, chat->route, NULL);
        }
        chat->has_peer = true;
        chat->is_online = false;
        open_route(chat);
    } else if (!chat->is_online) {
        printf("* Not sent: the peer is not online\n");
    } else if (trc_client_send_data(chat->client, chat->route, (const uint8_t *)line, strlen(line)) != TRC_OK) {
        print_error("not sent");
    }
}

// Reads what was typed, without waiting. Returns false at the end of the input.
static bool read_lines(chat *chat) {
    static char buffer[1400];
    static size_t length = 0;
    for (;;) {
        char letter;
        ssize_t count = read(STDIN_FILENO, &letter, 1);
        if (count <= 0) {
            return count < 0; // nothing there yet
        }
        if (letter != '\n' && length < sizeof(buffer) - 1) {
            buffer[length++] = letter;
        } else if (letter == '\n') {
            buffer[length] = '\0';
            if (length > 0) {
                handle_line(chat, buffer);
            }
            length = 0;
        }
    }
}

static void iterate(chat *chat) {
    trc_event event;
    if (!chat->is_open && time(NULL) >= chat->connect_at) {
        connect_relay(chat);
    }
    if (trc_client_poll(chat->client, 0) != TRC_OK) {
        print_error("poll");
        exit(1);
    }
    while (trc_client_next_event(chat->client, &event)) {
        handle_event(chat, &event);
    }
    fflush(stdout);
}

int main(int count, char **arguments) {
    chat chat;
    uint8_t secret_key[TRC_KEY_SIZE], key[TRC_KEY_SIZE];
    char text[TRC_KEY_TEXT_SIZE];
    trc_config *config = NULL;

    memset(&chat, 0, sizeof(chat));
    chat.pause = 1;
    if (count != 3 && count != 4) {
        fprintf(stderr, "usage: chat RELAY_ADDRESS RELAY_KEY [PEER_KEY]\n");
        return 2;
    }
    if (trc_key_from_text(arguments[2], key) != TRC_OK ||
        trc_relay_new(arguments[1], key, &chat.relay) != TRC_OK ||
        (count == 4 && trc_key_from_text(arguments[3], chat.peer) != TRC_OK) ||
        trc_generate_secret_key(secret_key) != TRC_OK || trc_config_new(secret_key, &config) != TRC_OK ||
        trc_client_new(config, &chat.client) != TRC_OK || trc_client_public_key(chat.client, key) != TRC_OK ||
        trc_key_to_text(key, text) != TRC_OK) {
        print_error("not started");
        return 2;
    }
    memset(secret_key, 0, sizeof(secret_key)); // a real program keeps it in a file
    trc_config_free(config);
    chat.has_peer = count == 4;
    printf("* Your public key is %s\n", text);
    fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);

    while (read_lines(&chat)) {
        int interval;
        iterate(&chat);
        interval = trc_client_next_timeout(chat.client);
        sleep_ms(interval < 0 || interval > OWN_INTERVAL_MS ? OWN_INTERVAL_MS : interval);
    }
    trc_client_free(chat.client); // what was accepted is sent first, as far as the socket takes it
    trc_relay_free(chat.relay);
    return 0;
}
