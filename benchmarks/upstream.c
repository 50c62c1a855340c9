/* The upstream of the benchmarks: an MCP server of one thread that is never the bottleneck.
 *
 *   upstream PORT TOOLS     serves on 127.0.0.1:PORT and lists TOOLS tools, of which the first is `echo`
 *
 * A tools/call is answered with one JSON message; with an argument `events` of N, by an event stream of N notifications and
 * the result. subscriptions/listen opens a stream on which nothing comes after its acknowledgement. It reads requests of up
 * to 16 KiB with a Content-Length, and trusts that they are JSON: it serves a benchmark and nobody else.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ = 16384, BLOCK = 65536, EVENT = 512, READY = 256 };

typedef struct { const char *at; size_t length; } Text;

/* What is read of a message; `id` is as it was written, quotes and all. */
typedef struct { Text id, method, version, listen; long events; } Message;

typedef struct {
    int fd;
    size_t come;                  /* bytes of the next request that are there */
    char *out; size_t length, sent, capacity;
    long left, told;              /* events of a stream: yet to be made, and made */
    char id[128];                 /* of the call that the stream answers */
    char in[READ];
} Connection;

static char *tools;               /* the result of tools/list */
static size_t tools_length;
static int polled;

static const char *RESULT =
    "{\"content\":[{\"type\":\"text\",\"text\":\"pongpongpongpongpongpongpongpongpongpongpongpong\"}],"
    "\"isError\":false,\"resultType\":\"complete\"}";
static const char *DISCOVERED =
    "{\"supportedVersions\":[\"2026-07-28\"],\"capabilities\":{\"tools\":{}},\"ttlMs\":60000,\"cacheScope\":\"public\","
    "\"resultType\":\"complete\",\"serverInfo\":{\"name\":\"bench\",\"version\":\"1\"}}";
static const char *STREAM = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n";

static int is(Text text, const char *word) {
    return text.length == strlen(word) && !memcmp(text.at, word, text.length);
}

static void room(Connection *c, size_t more) {
    if (c->length + more <= c->capacity) return;
    c->capacity = c->length + more + BLOCK;
    c->out = realloc(c->out, c->capacity);
    if (!c->out) abort();
}

static void say(Connection *c, const char *form, ...) {
    va_list values;
    room(c, 1024);
    va_start(values, form);
    c->length += (size_t)vsnprintf(c->out + c->length, 1024, form, values);
    va_end(values);
}

static void say_bytes(Connection *c, const char *bytes, size_t length) {
    room(c, length);
    memcpy(c->out + c->length, bytes, length);
    c->length += length;
}

static void say_event(Connection *c, const char *form, ...) {
    char event[EVENT];
    va_list values;
    va_start(values, form);
    int length = vsnprintf(event, sizeof event, form, values);
    va_end(values);
    say(c, "%x\r\n", length + 8);
    say_bytes(c, "data: ", 6);
    say_bytes(c, event, (size_t)length);
    say_bytes(c, "\n\n\r\n", 4);
}

static void say_result(Connection *c, Text id, const char *result, size_t length) {
    static const char *OPEN = "{\"jsonrpc\":\"2.0\",\"id\":", *THEN = ",\"result\":";
    size_t whole = strlen(OPEN) + id.length + strlen(THEN) + length + 1;
    say(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s%.*s%s", whole, OPEN,
        (int)id.length, id.at, THEN);
    say_bytes(c, result, length);
    say_bytes(c, "}", 1);
}

static void say_status(Connection *c, const char *status) { say(c, "HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n", status); }

/* One walk over the text: members by their depth. Strings are jumped over, so what stands in them is never a member. */
static Message parse_message(const char *at, const char *end) {
    Message message = {{0}, {0}, {0}, {0}, 0};
    Text key = {0}, value;
    for (int depth = 0, named = 0; at < end; at++) {
        if (*at == '{' || *at == '[') depth++, named = 0;
        else if (*at == '}' || *at == ']') depth--, named = 0;
        else if (*at == ',') named = 0;
        else if (*at == ':') named = 1;
        else if (*at != ' ' && *at != '\n' && *at != '\r' && *at != '\t') {
            value.at = at;
            if (*at == '"') {
                for (at++; at < end && *at != '"'; at++) at += *at == '\\';
                at++;
            } else while (at < end && !strchr(",}] \r\n\t", *at)) at++;
            value.length = (size_t)(at - value.at);
            at--;
            if (!named) { key = (Text){value.at + 1, value.length > 1 ? value.length - 2 : 0}; continue; }
            if (depth == 1 && is(key, "id")) message.id = value;
            if (depth == 1 && is(key, "method")) message.method = (Text){value.at + 1, value.length - 2};
            if (depth == 2 && is(key, "protocolVersion")) message.version = value;
            if (depth == 3 && is(key, "events")) message.events = strtol(value.at, NULL, 10);
        }
    }
    return message;
}

static void answer(Connection *c, Message message) {
    if (!message.id.length || message.id.length >= sizeof c->id) say_status(c, "202 Accepted");
    else if (is(message.method, "tools/call") && message.events) {
        memcpy(c->id, message.id.at, message.id.length);
        c->id[message.id.length] = 0;
        c->left = message.events, c->told = 0;
        say_bytes(c, STREAM, strlen(STREAM));
    } else if (is(message.method, "tools/call")) say_result(c, message.id, RESULT, strlen(RESULT));
    else if (is(message.method, "tools/list")) say_result(c, message.id, tools, tools_length);
    else if (is(message.method, "server/discover")) say_result(c, message.id, DISCOVERED, strlen(DISCOVERED));
    else if (is(message.method, "ping")) say_result(c, message.id, "{}", 2);
    else if (is(message.method, "subscriptions/listen")) {
        say_bytes(c, STREAM, strlen(STREAM));
        say_event(c, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":{\"_meta\":"
                     "{\"io.modelcontextprotocol/subscriptionId\":%.*s},\"notifications\":{}}}",
                  (int)message.id.length, message.id.at);
    } else if (is(message.method, "initialize")) {
        char result[EVENT];
        int length = snprintf(result, sizeof result,
            "{\"protocolVersion\":%.*s,\"capabilities\":{\"tools\":{}},\"serverInfo\":{\"name\":\"bench\",\"version\":\"1\"}}",
            message.version.length ? (int)message.version.length : 12,
            message.version.length ? message.version.at : "\"2025-11-25\"");
        say_result(c, message.id, result, (size_t)length);
    } else {
        char error[EVENT];
        int length = snprintf(error, sizeof error,
            "{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\":{\"code\":-32601,\"message\":\"Method not found\"}}",
            strndupa(message.id.at, message.id.length));
        say(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", length, error);
    }
}

/* Events are made a block at a time, so that a slow reader holds one block and not the whole stream. */
static void make_events(Connection *c) {
    while (c->left && c->length < BLOCK - EVENT) {
        say_event(c, "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":1,"
                     "\"progress\":%ld}}", ++c->told);
        if (--c->left) continue;
        say_event(c, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":%s}", c->id, RESULT);
        say_bytes(c, "0\r\n\r\n", 5);
    }
}

/* Takes the next whole request; 0 if it has not come. */
static int take(Connection *c) {
    char *end = memmem(c->in, c->come, "\r\n\r\n", 4);
    if (!end) return 0;
    size_t head = (size_t)(end + 4 - c->in), body = 0;
    for (char *line = c->in; line < end; ) {
        char *next = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
        if (next - line > 15 && !strncasecmp(line, "content-length:", 15)) body = strtoul(line + 15, NULL, 10);
        line = next + 2;
    }
    if (c->come < head + body) return 0;
    if (strncmp(c->in, "POST ", 5)) say_status(c, "405 Method Not Allowed");
    else answer(c, parse_message(c->in + head, c->in + head + body));
    c->come -= head + body;
    memmove(c->in, c->in + head + body, c->come);
    return 1;
}

static void hang_up(Connection *c) {
    close(c->fd);
    free(c->out);
    free(c);
}

/* Sends what there is and takes the next request when all of it is gone; 0 if the connection broke. */
static int go_on(Connection *c) {
    for (;;) {
        make_events(c);
        while (c->sent < c->length) {
            ssize_t gone = send(c->fd, c->out + c->sent, c->length - c->sent, MSG_NOSIGNAL);
            if (gone < 0) return errno == EAGAIN;
            c->sent += (size_t)gone;
        }
        c->length = c->sent = 0;
        if (!c->left && !take(c)) return 1;
    }
}

/* Edges are told once, so whatever fills the buffer may not be all there is. */
static void came(Connection *c, uint32_t what) {
    for (int more = (what & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0; more; ) {
        size_t wanted = READ - c->come;
        ssize_t read = recv(c->fd, c->in + c->come, wanted, 0);
        if (read == 0 || (read < 0 && errno != EAGAIN)) { hang_up(c); return; }
        more = read == (ssize_t)wanted;
        if (read > 0) c->come += (size_t)read;
        if (more && !go_on(c)) { hang_up(c); return; }
    }
    if (!go_on(c)) hang_up(c);
}

static void greet(int listener) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0; ) {
        Connection *c = calloc(1, sizeof *c);
        int one = 1;
        if (!c) abort();
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct epoll_event wanted = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
        epoll_ctl(polled, EPOLL_CTL_ADD, fd, &wanted);
    }
}

static void list_tools(int count) {
    Connection list = {0};
    say(&list, "{\"tools\":[");
    for (int number = 0; number < count; number++) {
        say(&list, "%s{\"name\":\"", number ? "," : "");
        if (number) say(&list, "tool_%d", number); else say(&list, "echo");
        say(&list, "\",\"description\":\"Says what it was told, once.\",\"inputSchema\":{\"type\":\"object\",\"properties\":"
                   "{\"text\":{\"type\":\"string\"},\"events\":{\"type\":\"integer\"}}}}");
    }
    say(&list, "],\"resultType\":\"complete\",\"ttlMs\":60000,\"cacheScope\":\"public\"}");
    tools = list.out, tools_length = list.length;
}

int main(int count, char **arguments) {
    if (count != 3) return fprintf(stderr, "upstream PORT TOOLS\n"), 2;
    signal(SIGPIPE, SIG_IGN);
    list_tools(atoi(arguments[2]));
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(arguments[1])),
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), one = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) || listen(listener, 4096)) return perror("upstream"), 1;
    polled = epoll_create1(0);
    struct epoll_event ready[READY], wanted = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(polled, EPOLL_CTL_ADD, listener, &wanted);
    for (;;) {
        int many = epoll_wait(polled, ready, READY, -1);
        for (int at = 0; at < many; at++)
            if (ready[at].data.ptr) came(ready[at].data.ptr, ready[at].events);
            else greet(listener);
    }
}
