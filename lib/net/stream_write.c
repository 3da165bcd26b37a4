/*
 * Writing: to the socket first, the rest into the queue of output.
 */
#include <errno.h>

#include "net/stream.h"

enum { IOV_AT_ONCE = 16 };

static void sent(struct co_stream *s, size_t n)
{
    /* After its close nobody asks, and the field has another use. */
    if (s->state != STREAM_OPEN)
        return;
    s->bytes_out += n;
    /* Who awaits input is not idle now. A message that is coming keeps its time. */
    if (UNLIKELY(s->reader || s->on_input) && n > 0 &&
        !(s->in && block_filled(s->in) > 0))
        s->since = stream_loop(s)->now;
}

static void wake_waiters(struct outq *q)
{
    while (!list_is_empty(&q->waiters))
        task_wake(CO_CONTAINER_OF(q->waiters.next, struct co_task, handle.link), 0);
}

void stream_limits_changed(struct co_stream *s)
{
    if (s->out)
        wake_waiters(s->out);
}

void stream_drop_output(struct co_stream *s)
{
    struct outq *q = s->out;

    if (!q)
        return;
    s->out = NULL;
    wake_waiters(q);
    outq_clear(q, &stream_net(s)->blocks);
    slab_give(&stream_net(s)->outqs, q);
}

int stream_flush(struct co_stream *s)
{
    struct outq *q = s->out;
    struct iovec iov[IOV_AT_ONCE];
    ssize_t n = 0;

    while (q->size > 0) {
        n = transport_writev(&s->transport, iov, outq_peek(q, iov, IOV_AT_ONCE));
        if (n < 0)
            break;
        outq_consume(q, &stream_net(s)->blocks, (size_t)n);
        q->progress = stream_loop(s)->now;
        sent(s, (size_t)n);
    }
    if (n < 0 && n != -EAGAIN) {
        co_stream_fail(s, (int)n);
        return (int)n;
    }
    if (q->size <= stream_low_water(s))
        wake_waiters(q);
    if (q->size == 0) {
        stream_drop_output(s);
        stream_flushed(s);
    }
    return 0;
}

/* Whether writing is possible at all; the first act of every write. */
static int write_begin(const struct co_stream *s)
{
    loop_check_owner(stream_loop(s));
    if (s->error < 0)
        return s->error;
    return s->write_eof ? CO_ECLOSED : 0;
}

/* Queues bytes that the socket did not take. Out of memory fails the stream. */
COLD static int queue(struct co_stream *s, const void *data, size_t len)
{
    struct net_loop *net = stream_net(s);
    int r;

    if (!s->out) {
        s->out = slab_take(&net->outqs);
        if (s->out)
            outq_init(s->out, stream_loop(s)->now);
    }
    r = s->out ? outq_append(s->out, &net->blocks, data, len) : -ENOMEM;
    if (r < 0) {
        co_stream_fail(s, r);
        return r;
    }
    return 0;
}

/* Makes of what a transport write returned the number of bytes taken, or fails the stream. */
static ssize_t taken(struct co_stream *s, ssize_t n)
{
    if (n == -EAGAIN)
        return 0;
    if (n < 0)
        co_stream_fail(s, (int)n);
    else
        sent(s, (size_t)n);
    return n;
}

int co_stream_write(struct co_stream *s, const void *data, size_t len)
{
    ssize_t n = 0;
    int r = write_begin(s);

    if (r < 0 || len == 0)
        return r;
    if (!s->out) {
        n = taken(s, transport_write(&s->transport, data, len));
        if (n < 0)
            return (int)n;
    }
    if ((size_t)n == len)
        return 0;
    return queue(s, (const char *)data + n, len - (size_t)n);
}

int co_stream_writev(struct co_stream *s, const struct iovec *iov, int count)
{
    ssize_t n = 0;
    int r = write_begin(s);

    if (r < 0 || count <= 0)
        return r;
    if (!s->out) {
        /* The kernel takes IOV_MAX (1024) entries; the rest goes through the queue. */
        n = taken(s, transport_writev(&s->transport, iov, count < 1024 ? count : 1024));
        if (n < 0)
            return (int)n;
    }
    for (int i = 0; i < count && r == 0; i++) {
        size_t len = iov[i].iov_len;

        if ((size_t)n >= len)
            n -= (ssize_t)len;
        else {
            r = queue(s, (const char *)iov[i].iov_base + n, len - (size_t)n);
            n = 0;
        }
    }
    /* A socket that took all it was offered reports no edge for the rest. */
    if (r == 0 && s->out && (s->transport.ready & WATCH_WRITE))
        r = stream_flush(s);
    return r;
}

/* Suspends until no more than the low-water mark is queued, or nothing for @is_flush. */
static int await_below(struct co_stream *s, bool is_flush, co_time deadline)
{
    struct co_task *task = co_task_current();
    int r = 0;

    if (!task)
        return CO_ENOTASK;
    while (r == 0 && s->out && s->out->size > (is_flush ? 0 : stream_low_water(s))) {
        list_add_tail(&s->out->waiters, &task->handle.link);
        r = task_suspend(task, "stream drain", deadline);
    }
    return s->error < 0 && r == 0 ? s->error : r;
}

int co_stream_await_drain(struct co_stream *s, co_time deadline)
{
    loop_check_owner(stream_loop(s));
    if (UNLIKELY(s->out != NULL) && s->out->size > stream_high_water(s))
        return await_below(s, false, deadline);
    return s->error;
}

int co_stream_await_flush(struct co_stream *s, co_time deadline)
{
    loop_check_owner(stream_loop(s));
    if (s->out)
        return await_below(s, true, deadline);
    return s->error;
}

size_t co_stream_pending(const struct co_stream *s)
{
    return s->out ? s->out->size : 0;
}

int co_stream_write_eof(struct co_stream *s)
{
    loop_check_owner(stream_loop(s));
    if (s->error < 0)
        return s->error;
    if (!s->write_eof) {
        s->write_eof = true;
        if (!s->out)
            transport_shutdown(&s->transport);
    }
    return 0;
}
