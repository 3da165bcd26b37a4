/*
 * Sockets on a loop.
 *
 * After a short read the socket is taken to be empty, without asking it again: whatever comes
 * later is a new edge. Three things come with no edge of their own:
 *
 * - The peer's FIN may be in the edge that is being served. Then it was reported with it
 *   (WATCH_EOF), and reads go on until they return 0.
 * - So may a reset, but libevent reports that as any readiness. A write that succeeds proves
 *   that there was none; who waits for input without one asks the socket once more
 *   (TRANSPORT_UNPROVEN).
 * - TCP urgent data splits a read at its mark: what lies behind the mark is seen with the
 *   next edge only.
 */
#include <errno.h>
#include <sys/socket.h>

#include "net/transport.h"

int transport_open(struct transport *t, struct co_loop *loop, int fd, watch_fn ready)
{
    t->fd = fd;
    t->ready = WATCH_WRITE; /* a first edge reports what is there to read already */
    return watch_add(&t->watch, loop, fd, WATCH_READ | WATCH_WRITE | WATCH_EOF, ready);
}

int transport_detach(struct transport *t)
{
    int fd = t->fd;

    watch_remove(&t->watch);
    t->fd = -1;
    return fd;
}

int transport_failed(struct transport *t, int event)
{
    if (errno == EAGAIN)
        t->ready &= (uint8_t) ~(event | TRANSPORT_UNPROVEN);
    return -errno;
}

ssize_t transport_writev(struct transport *t, const struct iovec *iov, int count)
{
    /* sendmsg() does not write to the vector; its type predates const. */
    struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)iov,
                          .msg_iovlen = (size_t)count };
    size_t want = 0;
    ssize_t n;

    if (!(t->ready & WATCH_WRITE))
        return -EAGAIN;
    for (int i = 0; i < count; i++)
        want += iov[i].iov_len;
    do
        n = sendmsg(t->fd, &msg, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return transport_failed(t, WATCH_WRITE);
    t->ready &= (uint8_t)~TRANSPORT_UNPROVEN;
    if ((size_t)n < want)
        t->ready &= (uint8_t)~WATCH_WRITE;
    return n;
}

void transport_shutdown(struct transport *t)
{
    /* ENOTCONN: the peer has reset; the next read says so. */
    (void)shutdown(t->fd, SHUT_WR);
}
