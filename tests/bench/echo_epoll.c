/**
 * The yardstick: an echo server as one writes it by hand on epoll when nothing but speed
 * counts. Edge-triggered, every descriptor added once, one recv and one send a message; a
 * short read proves the socket empty, so there is no second recv. It keeps what an honest
 * server needs: output that the socket does not take is kept and the reading pauses.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "listen.h"

enum { BATCH = 256, BUFFER = 16384 };

struct conn {
    int fd;
    int len;        /* bytes of kept output, 0 when there is none */
    int off;        /* how many of them the socket has taken */
    char *kept;     /* what a send left over, NULL when never needed */
    bool has_ended; /* EOF or reset was announced: a short read proves nothing any more */
};

static void conn_free(struct conn *c)
{
    close(c->fd);
    free(c->kept);
    free(c);
}

/* Keeps buf[len] until the socket is writable again. Returns false when out of memory. */
static bool conn_keep(struct conn *c, const char *buf, int len)
{
    if (c->kept == NULL)
        c->kept = malloc(BUFFER);
    if (c->kept == NULL)
        return false;
    memcpy(c->kept, buf, (size_t)len);
    c->len = len;
    c->off = 0;
    return true;
}

/* Returns false when the connection is over; true when all is sent or the socket is full.
 */
static bool conn_flush(struct conn *c)
{
    while (c->off < c->len) {
        ssize_t n =
            send(c->fd, c->kept + c->off, (size_t)(c->len - c->off), MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN;
        c->off += (int)n;
    }
    c->len = 0;
    return true;
}

/* Echoes until the socket is empty, or full. Returns false when the connection is over.
 */
static inline bool conn_echo(struct conn *c, char *buf)
{
    ssize_t got;

    do {
        got = recv(c->fd, buf, BUFFER, 0);
        if (__builtin_expect(got <= 0, 0))
            return got < 0 && errno == EAGAIN;
        ssize_t sent = send(c->fd, buf, (size_t)got, MSG_NOSIGNAL);
        if (__builtin_expect(sent != got, 0)) {
            if (sent < 0 && errno != EAGAIN)
                return false;
            sent = sent < 0 ? 0 : sent;
            return conn_keep(c, buf + sent, (int)(got - sent));
        }
    } while (got == BUFFER || c->has_ended);
    return true;
}

/* The uncommon events: end of the stream, an error, room for kept output. */
static bool conn_handle_rare(struct conn *c, uint32_t events, char *buf)
{
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        c->has_ended = true;
    if (c->len > 0 && !conn_flush(c))
        return false;
    /* Edge-triggered: input that came while output was kept is not announced again. */
    return c->len > 0 || conn_echo(c, buf);
}

static void accept_all(int epoll_fd, int listen_fd)
{
    int on = 1;
    int fd;

    /* The epoll set holds c from here on; the analyzer thinks it is lost. */
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    while ((fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct conn *c = calloc(1, sizeof(*c));
        struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                  .data.ptr = c };
        if (c == NULL)
            die("calloc");
        c->fd = fd;
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)
            conn_free(c);
    }
}

static void *run_worker(void *arg)
{
    int listen_fd = *(int *)arg;
    char *buf = malloc(BUFFER);
    struct epoll_event events[BATCH];
    struct epoll_event ev = { .events = EPOLLIN | EPOLLET, .data.ptr = NULL };
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

    if (buf == NULL || epoll_fd < 0 ||
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &ev) < 0)
        die("epoll");
    for (;;) {
        int n = epoll_wait(epoll_fd, events, BATCH, -1);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            bool is_open = true;
            if (c == NULL)
                accept_all(epoll_fd, listen_fd);
            else if (__builtin_expect(
                         (events[i].events & ~(EPOLLIN | EPOLLOUT)) == 0 && c->len == 0,
                         1))
                is_open = conn_echo(c, buf);
            else
                is_open = conn_handle_rare(c, events[i].events, buf);
            if (!is_open)
                conn_free(c);
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    return serve_with_threads(argc, argv, run_worker);
}
