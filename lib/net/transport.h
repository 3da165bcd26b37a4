/*
 * A connected stream socket (TCP or Unix) and what is known of its readiness. Reads and
 * writes are tried only when they may succeed: the kernel reports edges, and a short read
 * or write proves that a buffer is empty or full until the next edge.
 *
 * Thread: the loop's.
 */
#ifndef NET_TRANSPORT_H
#define NET_TRANSPORT_H

#include <errno.h>
#include <sys/uio.h>

#include "base/sys.h"
#include "core/loop.h"

/* Besides the WATCH_ bits: the socket seemed empty after a short read, no more is known. */
enum { TRANSPORT_UNPROVEN = 0x01 };

struct transport {
    struct watch watch;
    int fd;
    /* WATCH_READ: a read may return something; WATCH_WRITE: a write may take something;
     * WATCH_EOF: the peer's end was reported, and reads go on until they return it. */
    uint8_t ready;
};

/*
 * Registers a non-blocking socket, which stays the caller's on failure. @ready is called with
 * events, and its first act is transport_note(). Returns 0 or -errno.
 */
int transport_open(struct transport *t, struct co_loop *loop, int fd, watch_fn ready);

/* Takes note of events. */
static inline void transport_note(struct transport *t, int events)
{
    if (UNLIKELY(events & WATCH_EOF))
        events |= WATCH_READ;
    t->ready |= (uint8_t)events;
    if (events & WATCH_READ)
        t->ready &= (uint8_t)~TRANSPORT_UNPROVEN;
}

/* Whether a read may return something. */
static inline bool transport_may_read(const struct transport *t)
{
    return t->ready & WATCH_READ;
}

/* Before a wait for input: has the next read ask the socket, unless it is known empty. */
static inline void transport_prove(struct transport *t)
{
    if (UNLIKELY(t->ready & TRANSPORT_UNPROVEN))
        t->ready ^= TRANSPORT_UNPROVEN | WATCH_READ;
}

/* Unregisters. The descriptor is returned, still open, and the caller's to close. */
int transport_detach(struct transport *t);

/* What an errno of a read or write means; clears @event on EAGAIN. Returns -errno. */
COLD int transport_failed(struct transport *t, int event);

/* Bytes read (> 0), 0 at the end, or -errno; -EAGAIN, often without a system call. */
static inline ssize_t transport_read(struct transport *t, void *buf, size_t size)
{
    ssize_t n;

    if (!transport_may_read(t))
        return -EAGAIN;
    do
        n = sys_recv(t->fd, buf, size);
    while (UNLIKELY(n < 0) && errno == EINTR);
    if (UNLIKELY(n < 0))
        return transport_failed(t, WATCH_READ);
    if ((size_t)n < size && LIKELY(!(t->ready & WATCH_EOF)))
        t->ready ^= WATCH_READ | TRANSPORT_UNPROVEN;
    return n;
}

/* Bytes taken (>= 0), or -errno; -EAGAIN, often without a system call. */
static inline ssize_t transport_write(struct transport *t, const void *data, size_t len)
{
    ssize_t n;

    if (!(t->ready & WATCH_WRITE))
        return -EAGAIN;
    do
        n = sys_send(t->fd, data, len);
    while (UNLIKELY(n < 0) && errno == EINTR);
    if (UNLIKELY(n < 0))
        return transport_failed(t, WATCH_WRITE);
    t->ready &= (uint8_t)~TRANSPORT_UNPROVEN;
    if (UNLIKELY((size_t)n < len))
        t->ready &= (uint8_t)~WATCH_WRITE;
    return n;
}

/* As transport_write(), for iov[n]. */
ssize_t transport_writev(struct transport *t, const struct iovec *iov, int n);

/* Closes the sending side. */
void transport_shutdown(struct transport *t);

#endif
