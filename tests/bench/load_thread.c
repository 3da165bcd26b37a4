/**
 * One thread of the load generator: a closed loop over its connections. The bytes of a
 * connection are one endless cut of the pattern, so that a message needs no copy to be
 * sent and one memcmp to be checked.
 */
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum {
    PERIOD = 65521,   /* of the pattern; prime */
    WINDOW = 1 << 18, /* bytes that can be read in one piece from any place of it */
    BATCH = 256,
    OPENING = 64,    /* connections of a thread that open at the same time */
    SOURCES = 200,   /* 127.0.0.2 …: a port range for each */
    STALL_MS = 5000, /* no answer for this long is an error */
    MAX_ERRORS = 50, /* more end the run */
};

struct load_conn {
    int fd;                          /* -1: closed */
    uint32_t send_phase, recv_phase; /* place in the pattern of the next byte */
    uint32_t partial;                /* bytes of the current answer that have come */
    uint32_t n_in_flight;
    bool awaits_room;            /* EPOLLOUT is asked for */
    uint64_t n_unsent;           /* bytes that the socket has not taken */
    uint64_t n_sent, n_received; /* messages; their difference is n_in_flight */
    int64_t *sent_at;            /* ring of `depth` */
};

int64_t load_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

char *load_pattern_new(void)
{
    char *pattern = malloc(PERIOD + WINDOW);
    uint32_t x = 2463534242u; /* xorshift: the same bytes in every run */

    if (pattern == NULL)
        abort();
    for (uint32_t i = 0; i < PERIOD; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        pattern[i] = (char)(x >> 11);
    }
    for (uint32_t i = 0; i < WINDOW; i++)
        pattern[PERIOD + i] = pattern[i];
    return pattern;
}

static uint32_t phase_add(uint32_t phase, uint32_t n)
{
    uint32_t sum = phase + n;

    return sum < PERIOD ? sum : sum % PERIOD;
}

/* @error: an errno value, or 0 for none. */
static void note_error(struct load_thread *t, const char *what, int error)
{
    if (t->n_errors++ == 0)
        (void)snprintf(t->first_error, sizeof(t->first_error), "%s%s%s", what,
                       error != 0 ? ": " : "", error != 0 ? strerror(error) : "");
    if (t->n_errors > MAX_ERRORS)
        t->is_sending = false;
}

static void conn_close(struct load_thread *t, struct load_conn *c)
{
    if (c->fd < 0)
        return;
    close(c->fd);
    t->n_in_flight -= c->n_in_flight;
    c->fd = -1;
    c->n_in_flight = 0;
}

static void conn_fail(struct load_thread *t, struct load_conn *c, const char *what,
                      int error)
{
    note_error(t, what, error);
    conn_close(t, c);
}

/* A blocking connect: on loopback it is done when it returns, unless the backlog is full.
 */
static int connect_from(uint32_t id, uint16_t port)
{
    struct sockaddr_in addr = { .sin_family = AF_INET,
                                .sin_addr.s_addr =
                                    htonl(INADDR_LOOPBACK + 1 + id % SOURCES) };
    struct timeval limit = { .tv_sec = STALL_MS / 1000 };
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    /* The port is chosen at connect, when the pair is known: 28,000 a source, not in all.
     */
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0) {
        addr.sin_port = htons(port);
        addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
            return fd;
    }
    int error = errno;
    close(fd);
    return -error;
}

/* Returns false when the connection could not be made; that is noted. */
static bool conn_open(struct load_thread *t, struct load_conn *c, uint32_t id)
{
    struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };
    int64_t *ring = c->sent_at;
    int fd = connect_from(id, t->config->port);

    if (fd < 0) {
        note_error(t, "connect", -fd);
        return false;
    }
    *c = (struct load_conn){ .fd = fd, .sent_at = ring };
    c->send_phase = c->recv_phase = (uint32_t)((uint64_t)id * 40503 % PERIOD);
    if (epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0) {
        conn_fail(t, c, "epoll_ctl", errno);
        return false;
    }
    return true;
}

static void conn_await_room(struct load_thread *t, struct load_conn *c, bool awaits)
{
    struct epoll_event ev = { .events = EPOLLIN | (awaits ? EPOLLOUT : 0),
                              .data.ptr = c };

    if (awaits == c->awaits_room)
        return;
    c->awaits_room = awaits;
    if (epoll_ctl(t->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev) < 0)
        conn_fail(t, c, "epoll_ctl", errno);
}

static void conn_flush(struct load_thread *t, struct load_conn *c)
{
    while (c->n_unsent > 0) {
        size_t len = c->n_unsent < WINDOW ? c->n_unsent : WINDOW;
        ssize_t n =
            send(c->fd, t->pattern + c->send_phase, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            conn_fail(t, c, "send", errno);
            return;
        }
        c->n_unsent -= (uint64_t)n;
        c->send_phase = phase_add(c->send_phase, (uint32_t)n);
    }
    conn_await_room(t, c, c->n_unsent > 0);
}

/* Puts up to @n messages in flight, as many as there are tickets for. */
static void conn_send(struct load_thread *t, struct load_conn *c, uint32_t n, int64_t now)
{
    if (!t->is_opening) {
        if (!t->is_sending)
            return;
        if (n > t->tickets)
            n = (uint32_t)t->tickets;
        t->tickets -= n;
    }
    for (uint32_t i = 0; i < n; i++)
        c->sent_at[c->n_sent++ % t->config->depth] = now;
    c->n_in_flight += n;
    t->n_in_flight += n;
    c->n_unsent += (uint64_t)n * t->config->size;
    if (n > 0)
        conn_flush(t, c);
}

/* Opens the next connection of the thread's share and sends its first message. */
static void open_next(struct load_thread *t)
{
    while (t->n_started < t->n_conns) {
        struct load_conn *c = &t->conns[t->n_started];
        /* Distinct over all threads. */
        uint32_t id = t->n_started++ * t->config->n_threads + t->index;
        if (conn_open(t, c, id)) {
            conn_send(t, c, 1, load_now());
            return;
        }
        if (t->n_errors > MAX_ERRORS)
            return;
    }
}

/* Churn: the connection has done its round trip; closes it and opens another in its
 * place. */
static void churn_next(struct load_thread *t, struct load_conn *c, int64_t now)
{
    conn_close(t, c);
    if (now >= t->measure_from && now < t->measure_until)
        t->n_connects++;
    while (t->is_sending && t->tickets > 0) {
        int64_t began = load_now();
        if (conn_open(t, c, t->next_id)) {
            t->next_id += t->config->n_threads;
            conn_send(t, c, 1, began);
            return;
        }
    }
}

/* Rotation: sends on the connection that has waited longest. */
static void rotate_next(struct load_thread *t, int64_t now)
{
    for (uint32_t tries = 0; tries < t->n_conns; tries++) {
        struct load_conn *c = &t->conns[t->cursor];
        t->cursor = (t->cursor + 1) % t->n_conns;
        if (c->fd >= 0 && c->n_in_flight == 0) {
            conn_send(t, c, 1, now);
            return;
        }
    }
}

static void on_answers(struct load_thread *t, struct load_conn *c, uint32_t n)
{
    const struct load_config *config = t->config;
    /* One look at the clock ends these round trips and begins the next ones. */
    int64_t now = load_now();
    bool is_measured = now >= t->measure_from && now < t->measure_until;

    c->n_in_flight -= n;
    t->n_in_flight -= n;
    if (t->is_opening) {
        c->n_received += n;
        t->n_opened++;
        open_next(t);
        return;
    }
    t->n_answered += n;
    for (uint32_t i = 0; i < n; i++) {
        int64_t sent_at = c->sent_at[c->n_received++ % config->depth];
        if (is_measured)
            histogram_add(&t->latency, (uint64_t)(now - sent_at));
    }
    if (is_measured)
        t->n_measured += n;
    t->stopped_at = now;
    if (now >= t->measure_until)
        t->is_sending = false;
    if (config->mode == LOAD_CHURN)
        churn_next(t, c, now);
    else if (config->rotates)
        rotate_next(t, now);
    else
        conn_send(t, c, n, now);
}

/* Whether buf[len] is what the connection has sent, and no more than that. */
static bool conn_check(const struct load_thread *t, struct load_conn *c, const char *buf,
                       uint32_t len)
{
    if (c->partial + (uint64_t)len > (uint64_t)c->n_in_flight * t->config->size)
        return false;
    if (memcmp(buf, t->pattern + c->recv_phase, len) != 0)
        return false;
    c->recv_phase = phase_add(c->recv_phase, len);
    return true;
}

static void conn_receive(struct load_thread *t, struct load_conn *c)
{
    ssize_t got = recv(c->fd, t->buf, WINDOW, MSG_DONTWAIT);
    uint32_t size = t->config->size;
    uint32_t n;

    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        conn_fail(t, c, got < 0 ? "recv" : "closed by the server", got < 0 ? errno : 0);
        return;
    }
    if (!conn_check(t, c, t->buf, (uint32_t)got)) {
        conn_fail(t, c, "the answer is not what was sent", 0);
        return;
    }
    n = (c->partial + (uint32_t)got) / size;
    c->partial = (c->partial + (uint32_t)got) % size;
    if (n > 0)
        on_answers(t, c, n);
}

/* Runs until nothing is in flight any more; what answers trigger keeps it going. */
static void drive(struct load_thread *t)
{
    struct epoll_event events[BATCH];

    while (t->n_in_flight > 0) {
        int n = epoll_wait(t->epoll_fd, events, BATCH, STALL_MS);
        if (n == 0) {
            note_error(t, "no answer", ETIMEDOUT);
            return;
        }
        for (int i = 0; i < n; i++) {
            struct load_conn *c = events[i].data.ptr;
            if (c->fd >= 0 && (events[i].events & EPOLLOUT))
                conn_flush(t, c);
            if (c->fd >= 0 && (events[i].events & ~(uint32_t)EPOLLOUT))
                conn_receive(t, c);
        }
    }
}

static bool thread_init(struct load_thread *t)
{
    const struct load_config *config = t->config;
    uint32_t share = config->n_conns / config->n_threads;
    int64_t *rings;

    t->n_conns = share + (t->index < config->n_conns % config->n_threads);
    t->tickets = UINT64_MAX;
    if (config->count > 0)
        t->tickets = config->count / config->n_threads +
                     (t->index < config->count % config->n_threads);
    t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    t->buf = malloc(WINDOW);
    t->conns = calloc(t->n_conns, sizeof(*t->conns));
    rings = calloc((size_t)t->n_conns * config->depth, sizeof(*rings));
    if (t->epoll_fd < 0 || t->buf == NULL || t->conns == NULL || rings == NULL) {
        free(rings);
        t->n_conns = 0;
        note_error(t, "no memory or descriptors", 0);
        return false;
    }
    for (uint32_t i = 0; i < t->n_conns; i++)
        t->conns[i] =
            (struct load_conn){ .fd = -1, .sent_at = rings + (size_t)i * config->depth };
    return true;
}

/* The counted part. Connections begin with `depth` messages each, rotation with `depth`.
 */
static void run_measured(struct load_thread *t)
{
    const struct load_config *config = t->config;
    int64_t now = load_now();

    t->is_sending = true;
    t->measure_from = now + config->warmup_ns;
    t->measure_until = INT64_MAX;
    t->stopped_at = now;
    if (config->count == 0)
        t->measure_until = t->measure_from + config->measure_ns;
    for (uint32_t i = 0; i < t->n_conns && t->tickets > 0; i++) {
        struct load_conn *c = &t->conns[i];
        now = load_now();
        if (config->mode == LOAD_CHURN) {
            if (conn_open(t, c, t->next_id))
                conn_send(t, c, 1, now);
            t->next_id += config->n_threads;
        } else if (c->fd >= 0) {
            conn_send(t, c, config->depth, now);
        }
        if (config->rotates && t->n_in_flight >= OPENING)
            break;
    }
    drive(t);
}

void *load_thread_run(void *arg)
{
    struct load_thread *t = arg;
    bool is_ready = thread_init(t);

    t->next_id = t->index;
    if (is_ready && t->config->mode != LOAD_CHURN) {
        t->is_opening = true;
        for (int i = 0; i < OPENING; i++)
            open_next(t);
        drive(t);
        t->is_opening = false;
    }
    pthread_barrier_wait(t->barrier);
    if (is_ready && t->config->mode != LOAD_IDLE)
        run_measured(t);
    return NULL;
}

uint32_t load_thread_count_lost(const struct load_thread *t)
{
    uint32_t n_lost = 0;
    char byte;

    for (uint32_t i = 0; i < t->n_conns; i++) {
        int fd = t->conns[i].fd;
        if (fd < 0 || recv(fd, &byte, 1, MSG_DONTWAIT) >= 0 || errno != EAGAIN)
            n_lost++;
    }
    return n_lost;
}

void load_thread_fini(struct load_thread *t)
{
    for (uint32_t i = 0; i < t->n_conns; i++)
        conn_close(t, &t->conns[i]);
    if (t->n_conns > 0)
        free(t->conns[0].sent_at);
    free(t->conns);
    free(t->buf);
    if (t->epoll_fd >= 0)
        close(t->epoll_fd);
}
