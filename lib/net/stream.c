/*
 * The life of a stream: making it, events, time limits, the end.
 *
 * Time limits are lazy: traffic stamps the time when a read, a message or a blocked write
 * begins, and touches no timer. One timer a stream fires at the latest one shortest limit
 * after it fired before. Whatever was being waited for then had its end looked at; whatever
 * began later cannot end before the next look. So no limit is missed, and an idle stream
 * costs one look a limit.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/stream.h"

/* clang-format off */
#define TO(state) (1u << (state))
static const struct {
    const char *name;
    unsigned next;
} states[] = {
    [STREAM_OPEN]      = { "open",      TO(STREAM_FLUSHING) | TO(STREAM_CLOSED) },
    [STREAM_FLUSHING]  = { "flushing",  TO(STREAM_LINGERING) | TO(STREAM_CLOSED) },
    [STREAM_LINGERING] = { "lingering", TO(STREAM_CLOSED) },
    [STREAM_CLOSED]    = { "closed",    0 },
};
/* clang-format on */

static void stream_move(struct co_stream *s, enum stream_state to)
{
    CO_CHECK(states[s->state].next & TO(to));
    s->state = (uint8_t)to;
}

/* When a limit of @span that holds from @since on is over; 0 and CO_NEVER are no limit. */
static co_time after(co_time since, co_time span)
{
    return span > 0 && span < CO_NEVER - since ? since + span : CO_NEVER;
}

/* ---- the end ---- */

static void finish(struct co_stream *s, int error)
{
    struct net_loop *net = stream_net(s);
    co_stream_closed_fn on_closed = s->state == STREAM_OPEN ? NULL : s->on_closed;
    void *arg = s->closed_arg;
    int fd;

    if (s->state != STREAM_OPEN)
        list_remove(&s->closing);
    stream_move(s, STREAM_CLOSED);
    co_timer_stop(stream_loop(s), &s->limit);
    stream_drop_output(s);
    block_give(&net->blocks, s->in);
    fd = transport_detach(&s->transport);
    slab_give(&net->streams, s);
    /* Before the descriptor is closed: a count that this lowers is down by the time the peer
     * can know, connect again and be admitted. */
    if (on_closed)
        on_closed(arg, error);
    close(fd);
}

/* ---- what a loop keeps ---- */

static void net_loop_free(struct loop_extra *extra)
{
    struct net_loop *net = CO_CONTAINER_OF(extra, struct net_loop, extra);

    while (!list_is_empty(&net->closing))
        finish(CO_CONTAINER_OF(net->closing.next, struct co_stream, closing), CO_ECLOSED);
    slab_fini(&net->streams);
    slab_fini(&net->outqs);
    block_pool_fini(&net->blocks);
    free(net);
}

static int net_loop_ensure(struct co_loop *loop)
{
    struct net_loop *net;

    if (loop->extra)
        return 0;
    net = calloc(1, sizeof(*net));
    if (!net)
        return -ENOMEM;
    net->extra.free = net_loop_free;
    slab_init(&net->streams, sizeof(struct co_stream));
    slab_init(&net->outqs, sizeof(struct outq));
    list_init(&net->closing);
    loop->extra = &net->extra;
    return 0;
}

/* ---- closing ---- */

/*
 * Drops input until the peer's end comes. A flood has no edge for what is left of it: the
 * timer, which is set to the end of the time (s->since) otherwise, comes back to it.
 */
COLD static void linger(struct co_stream *s)
{
    struct co_loop *loop = stream_loop(s);
    char rubbish[2048];
    int rounds = 32;
    ssize_t n;

    do {
        /* A reset may lie behind the last bytes, and has no edge of its own. */
        transport_prove(&s->transport);
        n = transport_read(&s->transport, rubbish, sizeof(rubbish));
    } while (n > 0 && --rounds > 0);
    if (n <= 0 && n != -EAGAIN)
        finish(s, 0);
    else /* cannot fail: it is started */
        CO_CHECK(co_timer_start(loop, &s->limit, n > 0 ? loop->now : s->since) == 0);
}

/* Whether the peer may still be sending, so that a close could destroy what we sent. */
static bool wants_linger(const struct co_stream *s)
{
    return !s->read_eof && s->limits->linger_timeout > 0 &&
           s->limits->linger_timeout != CO_NEVER;
}

void stream_flushed(struct co_stream *s)
{
    co_time now = stream_loop(s)->now;

    if (s->write_eof || s->state == STREAM_FLUSHING)
        transport_shutdown(&s->transport);
    if (s->state == STREAM_OPEN) {
        s->since = now;
        return;
    }
    if (!wants_linger(s)) {
        finish(s, 0);
        return;
    }
    stream_move(s, STREAM_LINGERING);
    s->since = after(now, s->limits->linger_timeout);
    if (co_timer_start(stream_loop(s), &s->limit, s->since) < 0)
        finish(s, 0);
    else
        linger(s);
}

void co_stream_close(struct co_stream *s, co_stream_closed_fn fn, void *arg)
{
    co_time due = after(stream_loop(s)->now, s->limits->write_timeout);

    loop_check_owner(stream_loop(s));
    CO_CHECK(s->state == STREAM_OPEN && (s->on_input || !s->reader));
    CO_CHECK(!s->out || list_is_empty(&s->out->waiters));
    s->on_closed = fn;
    s->closed_arg = arg;
    stream_move(s, STREAM_FLUSHING);
    list_add_tail(&stream_net(s)->closing, &s->closing);
    if (s->error < 0 || (!s->out && !wants_linger(s))) {
        finish(s, s->error);
        return;
    }
    if (!s->out) {
        stream_flushed(s);
        return;
    }
    if (due == CO_NEVER)
        co_timer_stop(stream_loop(s), &s->limit);
    else if (co_timer_start(stream_loop(s), &s->limit, due) < 0)
        finish(s, -ENOMEM);
}

void co_stream_abort(struct co_stream *s)
{
    if (!s)
        return;
    loop_check_owner(stream_loop(s));
    if (s->state == STREAM_OPEN) {
        CO_CHECK(s->on_input || !s->reader);
        CO_CHECK(!s->out || list_is_empty(&s->out->waiters));
    }
    finish(s, CO_ECLOSED);
}

/* Tells who waits for input that a read would return. The last act on s. */
static inline void wake_reader(struct co_stream *s)
{
    co_stream_input_fn fn = s->on_input;
    void *arg = s->input_arg;

    if (fn) {
        s->on_input = NULL;
        s->input_arg = NULL;
        fn(s, arg);
    } else if (s->reader) {
        task_wake(s->reader, 0);
    }
}

COLD void co_stream_fail(struct co_stream *s, int error)
{
    loop_check_owner(stream_loop(s));
    if (s->error < 0)
        return;
    s->error = error;
    if (s->state != STREAM_OPEN) {
        finish(s, error);
        return;
    }
    stream_drop_output(s);
    /* A callback may end the stream, so it is not called in the midst of somebody's write. */
    if (s->on_input &&
        co_timer_start(stream_loop(s), &s->limit, stream_loop(s)->now) == 0)
        return;
    wake_reader(s);
}

/* ---- time limits ---- */

/* When the limit of waiting output runs out. */
static co_time output_due(const struct co_stream *s)
{
    return s->out ? after(s->out->progress, s->limits->write_timeout) : CO_NEVER;
}

/* When the limit of awaited input runs out. */
static co_time input_due(const struct co_stream *s)
{
    if (!s->reader && !s->on_input) /* the owner is at work: no limit of ours */
        return CO_NEVER;
    if (s->in && block_filled(s->in) > 0)
        return after(s->in->since > s->since ? s->in->since : s->since,
                     s->limits->read_timeout);
    return after(s->since, s->limits->idle_timeout);
}

/* When the first limit that holds in the present state runs out. */
static co_time limit_due(const struct co_stream *s)
{
    co_time output = output_due(s), input = input_due(s);

    return output < input ? output : input;
}

/* The shortest of all limits, counted from now. */
static co_time shortest_limit(const struct co_stream *s, co_time now)
{
    co_time at = after(now, s->limits->idle_timeout);
    co_time read_at = after(now, s->limits->read_timeout);
    co_time write_at = after(now, s->limits->write_timeout);

    at = read_at < at ? read_at : at;
    return write_at < at ? write_at : at;
}

static void on_limit(struct co_timer *timer)
{
    struct co_stream *s = CO_CONTAINER_OF(timer, struct co_stream, limit);
    co_time now = stream_loop(s)->now;
    co_time due, next;

    if (s->state == STREAM_LINGERING && now < s->since) {
        linger(s);
        return;
    }
    if (s->state != STREAM_OPEN) {
        finish(s, s->state == STREAM_LINGERING ? 0 : -ETIMEDOUT);
        return;
    }
    if (s->error < 0) {
        wake_reader(s);
        return;
    }
    due = limit_due(s);
    if (due <= now && output_due(s) > now && !s->on_input &&
        transport_may_read(&s->transport)) {
        /* Bytes of this very iteration have woken the reader: look again after it. */
        CO_CHECK(co_timer_start(stream_loop(s), timer, now) == 0);
        return;
    }
    if (due <= now) {
        co_stream_fail(s, -ETIMEDOUT);
        return;
    }
    next = shortest_limit(s, now);
    next = due < next ? due : next;
    /* Cannot fail: the heap has the room that this timer has just left. */
    CO_CHECK(next == CO_NEVER || co_timer_start(stream_loop(s), timer, next) == 0);
}

void co_stream_set_limits(struct co_stream *s, const struct co_stream_limits *limits)
{
    static const struct co_stream_limits none = { 0 };
    co_time at;

    loop_check_owner(stream_loop(s));
    s->limits = limits ? limits : &none;
    if (s->error < 0) /* the timer, if it runs, is on its way to a callback */
        return;
    stream_limits_changed(s);
    at = shortest_limit(s, stream_loop(s)->now);
    /* What has been waited for so far counts: new limits do not put the end off. */
    if (limit_due(s) < at)
        at = limit_due(s);
    if (at == CO_NEVER)
        co_timer_stop(stream_loop(s), &s->limit);
    else if (co_timer_start(stream_loop(s), &s->limit, at) < 0)
        co_stream_fail(s, -ENOMEM);
}

/* ---- events, making ---- */

static void on_ready(struct watch *watch, int events)
{
    struct co_stream *s = CO_CONTAINER_OF(watch, struct co_stream, transport.watch);

    transport_note(&s->transport, events);
    if (UNLIKELY(s->state != STREAM_OPEN)) {
        if (s->state == STREAM_LINGERING)
            linger(s);
        else
            (void)stream_flush(s);
        return;
    }
    if (UNLIKELY(s->out != NULL) && (events & WATCH_WRITE) && stream_flush(s) < 0)
        return;
    if (transport_may_read(&s->transport))
        wake_reader(s);
}

int co_stream_open(struct co_loop *loop, int fd, const struct co_stream_limits *limits,
                   struct co_stream **out_stream)
{
    struct net_loop *net;
    struct co_stream *s;
    int r;

    loop_check_owner(loop);
    r = net_loop_ensure(loop);
    if (r < 0)
        return r;
    net = CO_CONTAINER_OF(loop->extra, struct net_loop, extra);
    s = slab_take(&net->streams);
    if (!s)
        return -ENOMEM;
    *s = (struct co_stream){ .since = loop->now, .limit.fire = on_limit };
    r = transport_open(&s->transport, loop, fd, on_ready);
    if (r < 0) {
        slab_give(&net->streams, s);
        return r;
    }
    co_stream_set_limits(s, limits);
    if (s->error < 0) {
        r = s->error;
        (void)transport_detach(&s->transport);
        slab_give(&net->streams, s);
        return r;
    }
    *out_stream = s;
    return 0;
}

/* ---- facts ---- */

int co_stream_error(const struct co_stream *s)
{
    return s->error;
}

void co_stream_get_stats(const struct co_stream *s, struct co_stream_stats *out_stats)
{
    *out_stats = (struct co_stream_stats){ .bytes_in = s->bytes_in,
                                           .bytes_out = s->bytes_out,
                                           .since = s->since };
}

int co_stream_fd(const struct co_stream *s)
{
    return s->transport.fd;
}
