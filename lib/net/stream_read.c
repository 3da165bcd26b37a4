/*
 * Reading: input lands in a block that the loop lends, and is handed out where it lies.
 */
#include <errno.h>
#include <string.h>

#include "net/stream.h"

enum {
    WORTH_READING = 2048
}; /* less room than this at a block's end is made more first */

static uint32_t filled(const struct co_stream *s)
{
    return s->in ? block_filled(s->in) : 0;
}

/*
 * Makes room for more input behind what is there, when @want bytes are wanted in one piece.
 * Memory grows by doubling as bytes come, not as they are announced.
 */
static int reserve(struct co_stream *s, size_t want)
{
    struct block *in = s->in;
    struct block *larger;
    size_t missing, target;

    if (!in) {
        s->in = block_take(&stream_net(s)->blocks, 0);
        return s->in ? 0 : -ENOMEM;
    }
    if (block_filled(in) == 0)
        in->start = in->end = 0;
    missing =
        want - block_filled(in) < WORTH_READING ? want - block_filled(in) : WORTH_READING;
    if (in->room - in->end >= missing)
        return 0;
    if (in->room - block_filled(in) >= missing) {
        memmove(in->data, in->data + in->start, block_filled(in));
        in->end -= in->start;
        in->start = 0;
        return 0;
    }
    target = 2 * (size_t)in->room < want ? 2 * (size_t)in->room : want;
    larger = block_take(&stream_net(s)->blocks, target);
    if (!larger)
        return -ENOMEM;
    memcpy(larger->data, in->data + in->start, block_filled(in));
    larger->end = block_filled(in);
    larger->since = in->since;
    block_give(&stream_net(s)->blocks, in);
    s->in = larger;
    return 0;
}

static int await_input(struct co_stream *s, co_time deadline)
{
    struct co_task *task = co_task_current();
    int r;

    if (s->reader || s->on_input)
        return -EBUSY;
    transport_prove(&s->transport);
    if (transport_may_read(&s->transport))
        return 0;
    if (!task)
        return CO_ENOTASK;
    stream_drop_empty_input(s);
    s->reader = task;
    r = task_suspend(task, "stream read", deadline);
    s->reader = NULL;
    return r;
}

/*
 * Reads once what the socket has, into s->in, which has room. Returns 0 when bytes came,
 * CO_EEOF, -EAGAIN or -errno.
 */
HOT_INLINE int read_into(struct co_stream *s, struct block *in)
{
    ssize_t n = transport_read(&s->transport, in->data + in->end, in->room - in->end);

    if (LIKELY(n > 0)) {
        if (in->start == in->end)
            in->since = stream_loop(s)->now;
        in->end += (uint32_t)n;
        s->bytes_in += (uint64_t)n;
        return 0;
    }
    if (n == 0) {
        s->read_eof = true;
        return CO_EEOF;
    }
    if (n != -EAGAIN)
        co_stream_fail(s, (int)n);
    return (int)n;
}

COLD static int read_once(struct co_stream *s, size_t want)
{
    int r;

    if (!transport_may_read(&s->transport))
        return -EAGAIN;
    r = reserve(s, want);
    return r < 0 ? r : read_into(s, s->in);
}

/*
 * Gets more input behind what is there, when @want bytes are wanted in one piece. Returns 0
 * when some came, or why not.
 */
COLD static int await_more(struct co_stream *s, size_t want, co_time deadline)
{
    int r;

    do {
        if (s->error < 0)
            return s->error;
        if (s->read_eof)
            return CO_EEOF;
        r = read_once(s, want);
        if (r == -EAGAIN) {
            r = await_input(s, deadline);
            if (r == 0)
                r = -EAGAIN;
        }
    } while (r == -EAGAIN);
    return r;
}

/* The first act of every read: nothing is touched for one that another task keeps out. */
HOT_INLINE int read_begin(struct co_stream *s)
{
    struct co_loop *loop = stream_loop(s);
    int r;

    loop_check_owner(loop);
    r = task_spend(loop);
    if (UNLIKELY(r < 0))
        return r;
    if (UNLIKELY(s->reader != NULL) && !s->on_input)
        return s->error < 0 ? s->error : -EBUSY;
    s->since = loop->now;
    return 0;
}

/* Hands out and consumes @n bytes that are there. */
static void take(struct co_stream *s, size_t n, struct co_bytes *out_bytes)
{
    struct block *in = s->in;

    *out_bytes = (struct co_bytes){ .data = in->data + in->start, .len = n };
    in->start += (uint32_t)n;
}

/* co_stream_await_some() in full. */
COLD static int await_some_slow(struct co_stream *s, size_t max, co_time deadline,
                                struct co_bytes *out_bytes)
{
    int r = 0;

    if (max == 0) {
        *out_bytes = (struct co_bytes){ .data = "", .len = 0 };
        return 0;
    }
    if (filled(s) == 0)
        r = await_more(s, 1, deadline);
    if (r == 0)
        take(s, max < filled(s) ? max : filled(s), out_bytes);
    return r;
}

int co_stream_await_some(struct co_stream *s, size_t max, co_time deadline,
                         struct co_bytes *out_bytes)
{
    int r = read_begin(s);

    if (UNLIKELY(r < 0))
        return r;
    /* The way of a message that has come whole to a stream that had none. */
    if (LIKELY(!s->in && transport_may_read(&s->transport) && s->error == 0 && max > 0)) {
        struct block *in = block_take(&stream_net(s)->blocks, 0);

        s->in = in;
        if (LIKELY(in && read_into(s, in) == 0 && in->end <= max)) {
            in->start = in->end;
            *out_bytes = (struct co_bytes){ .data = in->data, .len = in->end };
            return 0;
        }
    }
    return await_some_slow(s, max, deadline, out_bytes);
}

int co_stream_await_exactly(struct co_stream *s, size_t n, co_time deadline,
                            struct co_bytes *out_bytes)
{
    int r = read_begin(s);

    if (n == 0)
        return r < 0 ? r : co_stream_await_some(s, 0, deadline, out_bytes);
    while (r == 0 && filled(s) < n)
        r = await_more(s, n, deadline);
    if (r == 0)
        take(s, n, out_bytes);
    return r;
}

/*
 * Waits until @sep is in the input within @max bytes, itself included. Returns 0 and the
 * length up to its end.
 */
static int await_separator(struct co_stream *s, const void *sep, size_t sep_len,
                           size_t max, co_time deadline, size_t *out_len)
{
    size_t searched = 0; /* no separator begins before this */
    int r;

    for (;;) {
        size_t have = filled(s) < max ? filled(s) : max;

        if (have - searched >= sep_len && have > searched) {
            const char *data = s->in->data + s->in->start;
            const char *hit = memmem(data + searched, have - searched, sep, sep_len);

            if (hit) {
                *out_len = (size_t)(hit - data) + sep_len;
                return 0;
            }
            searched = have - sep_len + 1;
        }
        if (have == max)
            return -EMSGSIZE;
        r = await_more(s, max, deadline);
        if (r < 0)
            return r;
    }
}

int co_stream_await_until(struct co_stream *s, const void *sep, size_t sep_len,
                          size_t max, co_time deadline, struct co_bytes *out_bytes)
{
    size_t len;
    int r = read_begin(s);

    if (r < 0)
        return r;
    if (sep_len == 0 || sep_len > 256)
        return -EINVAL;
    if (max > stream_read_limit(s))
        max = stream_read_limit(s);
    r = await_separator(s, sep, sep_len, max, deadline, &len);
    if (r == 0)
        take(s, len, out_bytes);
    return r;
}

int co_stream_await_line(struct co_stream *s, size_t max, co_time deadline,
                         struct co_bytes *out_line)
{
    struct co_bytes line;
    size_t with_end = max < SIZE_MAX - 2 ? max + 2 : max; /* "\r\n" */
    size_t len;
    int r = read_begin(s);

    if (r < 0)
        return r;
    if (with_end > stream_read_limit(s))
        with_end = stream_read_limit(s);
    r = await_separator(s, "\n", 1, with_end, deadline, &len);
    if (r < 0)
        return r;
    line = (struct co_bytes){ .data = s->in->data + s->in->start, .len = len - 1 };
    if (line.len > 0 && line.data[line.len - 1] == '\r')
        line.len--;
    if (line.len > max)
        return -EMSGSIZE;
    take(s, len, out_line);
    *out_line = line;
    return 0;
}

size_t co_stream_buffered(const struct co_stream *s)
{
    return filled(s);
}

HOT_INLINE bool has_input(struct co_stream *s)
{
    if (filled(s) > 0 || s->read_eof || s->error < 0)
        return true;
    transport_prove(&s->transport);
    return UNLIKELY(transport_may_read(&s->transport)) && read_once(s, 1) != -EAGAIN;
}

bool co_stream_has_input(struct co_stream *s)
{
    loop_check_owner(stream_loop(s));
    return has_input(s);
}

bool co_stream_at_eof(const struct co_stream *s)
{
    return s->read_eof && filled(s) == 0;
}

bool co_stream_on_input(struct co_stream *s, co_stream_input_fn fn, void *arg)
{
    struct block *in = s->in;

    loop_check_owner(stream_loop(s));
    if (UNLIKELY(has_input(s)))
        return false;
    CO_CHECK(!s->reader);
    if (in) {
        s->in = NULL;
        block_give(&stream_net(s)->blocks, in);
    }
    s->on_input = fn;
    s->input_arg = arg;
    s->since = stream_loop(s)->now;
    return true;
}

void co_stream_cancel_on_input(struct co_stream *s)
{
    loop_check_owner(stream_loop(s));
    if (s->on_input) {
        s->on_input = NULL;
        s->input_arg = NULL;
    }
}
