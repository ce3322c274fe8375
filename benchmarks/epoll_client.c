/* The least that a WebSocket client can do: connect, read, split frames, count. One thread, epoll, no library.
 *
 *     epoll_client PORT CONNECTIONS WARM_UP_S SECONDS
 *
 * Opens CONNECTIONS WebSockets to ws://127.0.0.1:PORT/ticks, one after the other, reads them for WARM_UP_S
 * seconds, then measures for SECONDS, and prints one line of JSON, of the measured time only:
 *
 *     {"messages": 40000, "cpu_us": 151234.0, "seconds": 4.000}
 *
 * It decodes nothing and answers no ping: it is a yardstick, not a client.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_EVENTS = 256, READ_BYTES = 256 * 1024, MSS_BYTES = 1460, CONNECT_TIMEOUT_S = 30 };

struct connection {
    int fd;
    uint8_t header[10]; /* RFC 6455, section 5.2: 2 bytes, and 2 or 8 more of length; servers do not mask */
    unsigned header_bytes;
    uint64_t payload_left;
};

static char buffer[READ_BYTES];
static long messages;

static void die(const char *what) {
    fprintf(stderr, "epoll_client: %s: %s\n", what, errno ? strerror(errno) : "not what was expected");
    exit(1);
}

static double clock_s(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static double cpu_us(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 + used.ru_utime.tv_usec + used.ru_stime.tv_usec;
}

/* The whole header's length, as far as its first bytes tell. */
static unsigned header_length(const struct connection *c) {
    if (c->header_bytes < 2) return 2;
    unsigned field = c->header[1] & 0x7f;
    return field == 126 ? 4 : field == 127 ? 10 : 2;
}

static uint64_t payload_length(const struct connection *c) {
    uint64_t length = c->header[1] & 0x7f;
    if (length < 126) return length;
    unsigned bytes = length == 126 ? 2 : 8;
    length = 0;
    for (unsigned i = 0; i < bytes; i++) length = length << 8 | c->header[2 + i];
    return length;
}

/* Take bytes of frames; count a message at the last byte of each final data frame. */
static void take(struct connection *c, const char *data, size_t bytes) {
    while (bytes) {
        if (c->header_bytes < header_length(c)) {
            c->header[c->header_bytes++] = (uint8_t)*data++;
            bytes--;
            if (c->header_bytes < header_length(c)) continue;
            c->payload_left = payload_length(c);
        }
        size_t part = c->payload_left < bytes ? c->payload_left : bytes;
        data += part;
        bytes -= part;
        c->payload_left -= part;
        if (c->payload_left) return;
        int final = c->header[0] & 0x80, control = c->header[0] & 0x08;
        if (final && !control) messages++;
        c->header_bytes = 0;
    }
}

/* Connect and shake hands, waiting for each step; bytes behind the answer's head are frames already. */
static void open_websocket(struct connection *c, int port) {
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(port)};
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1, mss = MSS_BYTES;
    struct timeval patience = {.tv_sec = CONNECT_TIMEOUT_S};
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0) die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(c->fd, IPPROTO_TCP, TCP_MAXSEG, &mss, sizeof mss);
    setsockopt(c->fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server) < 0) die("connect");

    char request[256];
    int length = snprintf(request, sizeof request,
                          "GET /ticks HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                          "Sec-WebSocket-Version: 13\r\n\r\n",
                          port);
    if (send(c->fd, request, length, 0) != length) die("send");
    size_t got = 0;
    char *head_end = NULL;
    while (!head_end) {
        ssize_t bytes = recv(c->fd, buffer + got, 4096, 0);
        if (bytes <= 0 || got > 16384) die("handshake");
        got += bytes;
        head_end = memmem(buffer, got, "\r\n\r\n", 4);
    }
    if (memcmp(buffer, "HTTP/1.1 101 ", 13) != 0) die("handshake refused");
    take(c, head_end + 4, buffer + got - (head_end + 4));
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
}

static void read_for(int poller, double seconds) {
    struct epoll_event events[MAX_EVENTS];
    double end_s = clock_s(CLOCK_MONOTONIC) + seconds, left_s;
    while ((left_s = end_s - clock_s(CLOCK_MONOTONIC)) > 0) {
        int count = epoll_wait(poller, events, MAX_EVENTS, (int)(left_s * 1e3) + 1);
        if (count < 0 && errno != EINTR) die("epoll_wait");
        for (int i = 0; i < count; i++) {
            struct connection *c = events[i].data.ptr;
            ssize_t bytes = recv(c->fd, buffer, sizeof buffer, 0);
            if (bytes == 0 || (bytes < 0 && errno != EAGAIN)) die("the connection ended");
            if (bytes > 0) take(c, buffer, bytes);
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 5) {
        fprintf(stderr, "usage: epoll_client PORT CONNECTIONS WARM_UP_S SECONDS\n");
        return 2;
    }
    int port = atoi(argv[1]), count = atoi(argv[2]);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);

    struct connection *connections = calloc(count, sizeof *connections);
    int poller = epoll_create1(0);
    if (!connections || poller < 0) die("start");
    for (int i = 0; i < count; i++) {
        open_websocket(&connections[i], port);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        if (epoll_ctl(poller, EPOLL_CTL_ADD, connections[i].fd, &event) < 0) die("epoll_ctl");
    }
    read_for(poller, atof(argv[3]));

    messages = 0;
    double start_us = cpu_us(), start_s = clock_s(CLOCK_MONOTONIC);
    read_for(poller, atof(argv[4]));
    printf("{\"messages\": %ld, \"cpu_us\": %.1f, \"seconds\": %.3f}\n", messages, cpu_us() - start_us,
           clock_s(CLOCK_MONOTONIC) - start_s);
    return 0;
}
