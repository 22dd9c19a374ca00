// A Tox messenger without a face: one Tox instance over TCP only, which lines on the standard input control. Each answer
// and each thing that happens is a line on the standard output. It accepts each friend request and each file.
//
//     messenger [--proxy http|socks5 PORT] [--load FILE]
//
//     relay UDP TCP KEY  connects to the node with this DHT key, which has these two ports of 127.0.0.1
//     friend ADDRESS     asks this Tox address for friendship
//     messages N         sends the numbers below N as messages, in order
//     note TEXT          sends this text as a message, which is not counted
//     file BYTES         sends a file of so many bytes, whose content is computed from the position
//     losses             prints how often the friend has gone offline
//     cpu                prints the CPU time of this process so far, in microseconds
//     save FILE          writes the state, for --load
//
// It knows one friend. The end of the input ends it. It uses only tox.h, and is linked twice: with the TCP client of
// toxcore, and with ours.

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <tox/tox.h>

// The largest piece of a file in one packet, and room for a line of input.
enum { CHUNK = 2048, LINE = 1024 };

typedef struct messenger {
    bool has_friend;
    uint32_t friend_number;
    unsigned long to_send, sent, confirmed, received; // messages
    uint32_t first_id;                                // of those that are sent now; later ones have larger ids
    uint64_t file_length, file_position;              // of the file that is received
    uint64_t sending_length;
    unsigned losses; // of the friend
} messenger;

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("error ", stdout);
    vprintf(format, arguments);
    puts("");
    va_end(arguments);
    exit(EXIT_FAILURE);
}

static void read_hex(const char *digits, uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (sscanf(digits + 2 * i, "%2hhx", &bytes[i]) != 1) {
            fail("not %zu bytes in hexadecimal: %s", length, digits);
        }
    }
}

// The byte of a file at a position. A piece that is missing, doubled or exchanged is noticed.
static uint8_t byte_at(uint64_t position) {
    return (uint8_t)(position * 2654435761u >> 13);
}

static void on_self(Tox *tox, Tox_Connection status, void *user_data) {
    (void)tox, (void)user_data;
    printf("self %s\n", status == TOX_CONNECTION_NONE ? "offline" : "online");
}

static void on_friend(Tox *tox, uint32_t friend_number, Tox_Connection status, void *user_data) {
    (void)tox, (void)friend_number;
    messenger *self = user_data;
    self->losses += status == TOX_CONNECTION_NONE;
    printf("friend %s\n", status == TOX_CONNECTION_NONE ? "offline" : "online");
}

static void on_request(Tox *tox, const uint8_t *key, const uint8_t *message, size_t length, void *user_data) {
    (void)message, (void)length;
    messenger *self = user_data;
    self->friend_number = tox_friend_add_norequest(tox, key, NULL);
    self->has_friend = true;
}

// Prints the number, and whether as many messages have passed both ways as this one was to send.
static void print_messages(const messenger *self, const char *what, unsigned long number) {
    printf("%s %lu\n", what, number);
    if (self->received == self->to_send && self->confirmed == self->to_send) {
        printf("exchanged %lu\n", self->to_send);
    }
}

static void on_message(Tox *tox, uint32_t friend_number, Tox_Message_Type type, const uint8_t *message, size_t length,
                       void *user_data) {
    (void)tox, (void)friend_number, (void)type;
    messenger *self = user_data;
    char text[32] = {0};
    memcpy(text, message, length < sizeof text ? length : sizeof text - 1);
    char *end;
    unsigned long number = strtoul(text, &end, 10);
    if (end == text) {
        printf("note %s\n", text);
        return;
    }
    if (number == 0) {
        self->received = 0;
    }
    if (number != self->received) {
        fail("message %lu instead of %lu", number, self->received);
    }
    self->received++;
    print_messages(self, "received", self->received);
}

static void on_receipt(Tox *tox, uint32_t friend_number, uint32_t id, void *user_data) {
    (void)tox, (void)friend_number;
    messenger *self = user_data;
    if (id >= self->first_id) {
        self->confirmed++;
        print_messages(self, "confirmed", self->confirmed);
    }
}

static void on_file(Tox *tox, uint32_t friend_number, uint32_t file, uint32_t kind, uint64_t length, const uint8_t *name,
                    size_t name_length, void *user_data) {
    (void)name, (void)name_length;
    messenger *self = user_data;
    if (kind == TOX_FILE_KIND_DATA) {
        self->file_length = length;
        self->file_position = 0;
        tox_file_control(tox, friend_number, file, TOX_FILE_CONTROL_RESUME, NULL);
    }
}

static void on_piece(Tox *tox, uint32_t friend_number, uint32_t file, uint64_t position, const uint8_t *data,
                     size_t length, void *user_data) {
    (void)tox, (void)friend_number, (void)file;
    messenger *self = user_data;
    if (length == 0) {
        if (self->file_position != self->file_length) {
            fail("the file ended after %llu bytes", (unsigned long long)self->file_position);
        }
        printf("file received %llu\n", (unsigned long long)self->file_length);
        return;
    }
    if (position != self->file_position) {
        fail("a piece at %llu", (unsigned long long)position);
    }
    for (size_t i = 0; i < length; i++) {
        if (data[i] != byte_at(position + i)) {
            fail("a wrong byte at %llu", (unsigned long long)(position + i));
        }
    }
    self->file_position += length;
}

static void on_piece_request(Tox *tox, uint32_t friend_number, uint32_t file, uint64_t position, size_t length,
                             void *user_data) {
    messenger *self = user_data;
    if (length == 0) {
        printf("file sent %llu\n", (unsigned long long)self->sending_length);
        return;
    }
    uint8_t piece[CHUNK];
    for (size_t i = 0; i < length; i++) {
        piece[i] = byte_at(position + i);
    }
    if (!tox_file_send_chunk(tox, friend_number, file, position, piece, length, NULL)) {
        fail("a piece at %llu was not accepted", (unsigned long long)position);
    }
}

static void on_control(Tox *tox, uint32_t friend_number, uint32_t file, Tox_File_Control control, void *user_data) {
    (void)tox, (void)friend_number, (void)file, (void)user_data;
    if (control == TOX_FILE_CONTROL_CANCEL) {
        fail("the file was cancelled");
    }
}

// Sends as many messages as toxcore takes.
static void send_messages(Tox *tox, messenger *self) {
    while (self->sent < self->to_send) {
        char text[32];
        int length = snprintf(text, sizeof text, "%lu", self->sent);
        Tox_Err_Friend_Send_Message error;
        uint32_t id = tox_friend_send_message(tox, self->friend_number, TOX_MESSAGE_TYPE_NORMAL, (uint8_t *)text,
                                              (size_t)length, &error);
        if (error != TOX_ERR_FRIEND_SEND_MESSAGE_OK) {
            return; // its queue is full, or the friend is offline: later
        }
        if (self->sent == 0) {
            self->first_id = id;
        }
        self->sent++;
    }
}

static void save(Tox *tox, const char *name) {
    size_t size = tox_get_savedata_size(tox);
    uint8_t *state = malloc(size);
    tox_get_savedata(tox, state);
    FILE *file = fopen(name, "wb");
    if (file == NULL || fwrite(state, 1, size, file) != size || fclose(file) != 0) {
        fail("%s: %s", name, strerror(errno));
    }
    free(state);
    puts("saved");
}

static long long microseconds(struct timeval time) {
    return time.tv_sec * 1000000LL + time.tv_usec;
}

static void command(Tox *tox, messenger *self, const char *line) {
    unsigned udp_port, tcp_port;
    unsigned long count;
    char text[LINE];
    if (sscanf(line, "relay %u %u %1000s", &udp_port, &tcp_port, text) == 3) {
        uint8_t key[TOX_PUBLIC_KEY_SIZE];
        read_hex(text, key, sizeof key);
        // By UDP, nodes reach each other: it ends the onion paths.
        if (!tox_bootstrap(tox, "127.0.0.1", (uint16_t)udp_port, key, NULL) ||
            !tox_add_tcp_relay(tox, "127.0.0.1", (uint16_t)tcp_port, key, NULL)) {
            fail("the relay was not accepted");
        }
    } else if (sscanf(line, "friend %1000s", text) == 1) {
        uint8_t address[TOX_ADDRESS_SIZE];
        read_hex(text, address, sizeof address);
        self->friend_number = tox_friend_add(tox, address, (const uint8_t *)"hello", 5, NULL);
        self->has_friend = true;
    } else if (sscanf(line, "messages %lu", &count) == 1) {
        self->to_send = count;
        self->sent = self->confirmed = 0;
    } else if (sscanf(line, "note %31s", text) == 1) {
        tox_friend_send_message(tox, self->friend_number, TOX_MESSAGE_TYPE_NORMAL, (uint8_t *)text, strlen(text), NULL);
    } else if (sscanf(line, "file %lu", &count) == 1) {
        self->sending_length = count;
        Tox_Err_File_Send error;
        tox_file_send(tox, self->friend_number, TOX_FILE_KIND_DATA, count, NULL, (const uint8_t *)"file", 4, &error);
        if (error != TOX_ERR_FILE_SEND_OK) {
            fail("the file was not accepted: %d", (int)error);
        }
    } else if (strcmp(line, "losses") == 0) {
        printf("losses %u\n", self->losses);
    } else if (strcmp(line, "cpu") == 0) {
        struct rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        printf("cpu %lld\n", microseconds(usage.ru_utime) + microseconds(usage.ru_stime));
    } else if (sscanf(line, "save %1000s", text) == 1) {
        save(tox, text);
    } else {
        fail("unknown command: %s", line);
    }
}

// Handles the lines that have arrived. Whether there may be more.
static bool read_commands(Tox *tox, messenger *self) {
    static char input[2 * LINE];
    static size_t length;
    ssize_t count = read(STDIN_FILENO, input + length, sizeof input - 1 - length);
    if (count <= 0) {
        return count < 0 && (errno == EAGAIN || errno == EINTR);
    }
    length += (size_t)count;
    input[length] = '\0';
    for (char *end; (end = strchr(input, '\n')) != NULL;) {
        *end = '\0';
        command(tox, self, input);
        length -= (size_t)(end + 1 - input);
        memmove(input, end + 1, length + 1);
    }
    return true;
}

static Tox *start(int count, char **arguments) {
    struct Tox_Options *options = tox_options_new(NULL);
    tox_options_set_udp_enabled(options, false);
    tox_options_set_local_discovery_enabled(options, false);
    uint8_t *state = NULL;
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--proxy") == 0 && i + 2 < count) {
            bool is_http = strcmp(arguments[i + 1], "http") == 0;
            tox_options_set_proxy_type(options, is_http ? TOX_PROXY_TYPE_HTTP : TOX_PROXY_TYPE_SOCKS5);
            tox_options_set_proxy_host(options, "127.0.0.1");
            tox_options_set_proxy_port(options, (uint16_t)atoi(arguments[i + 2]));
            i += 2;
        } else if (strcmp(arguments[i], "--load") == 0 && i + 1 < count) {
            FILE *file = fopen(arguments[++i], "rb");
            if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
                fail("%s: %s", arguments[i], strerror(errno));
            }
            size_t size = (size_t)ftell(file);
            rewind(file);
            state = malloc(size);
            if (fread(state, 1, size, file) != size) {
                fail("%s: too short", arguments[i]);
            }
            fclose(file);
            tox_options_set_savedata_type(options, TOX_SAVEDATA_TYPE_TOX_SAVE);
            tox_options_set_savedata_data(options, state, size);
        } else {
            fail("unknown argument: %s", arguments[i]);
        }
    }
    Tox_Err_New error;
    Tox *tox = tox_new(options, &error);
    if (tox == NULL) {
        fail("no Tox instance: %d", (int)error);
    }
    tox_options_free(options);
    free(state);
    return tox;
}

int main(int count, char **arguments) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    Tox *tox = start(count, arguments);
    messenger self = {.has_friend = tox_self_get_friend_list_size(tox) > 0};

    tox_callback_self_connection_status(tox, on_self);
    tox_callback_friend_connection_status(tox, on_friend);
    tox_callback_friend_request(tox, on_request);
    tox_callback_friend_message(tox, on_message);
    tox_callback_friend_read_receipt(tox, on_receipt);
    tox_callback_file_recv(tox, on_file);
    tox_callback_file_recv_chunk(tox, on_piece);
    tox_callback_file_chunk_request(tox, on_piece_request);
    tox_callback_file_recv_control(tox, on_control);

    uint8_t address[TOX_ADDRESS_SIZE];
    tox_self_get_address(tox, address);
    printf("address ");
    for (size_t i = 0; i < sizeof address; i++) {
        printf("%02X", address[i]);
    }
    puts("");

    fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    do {
        tox_iterate(tox, &self);
        if (self.has_friend) {
            send_messages(tox, &self);
        }
        poll(&input, 1, (int)tox_iteration_interval(tox));
    } while (read_commands(tox, &self));
    tox_kill(tox);
    puts("end");
    return EXIT_SUCCESS;
}
