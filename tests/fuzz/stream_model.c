/*
 * The model behind fuzz_stream.c, and the peer, whose bytes it knows.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stream_model.h"

const struct co_stream_limits *limits_of(const struct run *run)
{
    return &run->limits[run->n_limits % 2];
}

size_t or_default(size_t value, size_t otherwise)
{
    return value > 0 ? value : otherwise;
}

bool is_reading(const struct helper *by)
{
    return by->op >= SOME && by->op <= LINE;
}

size_t high_water(const struct run *run)
{
    return or_default(limits_of(run)->high_water, 65536);
}

size_t low_water(const struct run *run)
{
    return or_default(limits_of(run)->low_water, high_water(run) / 4);
}

static co_time later(co_time a, co_time b)
{
    return a > b ? a : b;
}

/* When a limit that holds from @since on is over. */
static co_time limit_end(co_time since, co_time span)
{
    return span == 0 || span == CO_NEVER ? CO_NEVER : since + span;
}

uint8_t written_byte(size_t at)
{
    return (uint8_t)(at ^ at >> 8 ^ at >> 16);
}

uint8_t filler(size_t at)
{
    return (uint8_t)('A' + (at ^ at >> 4 ^ at >> 8 ^ at >> 12) % 16);
}

int model_read(const struct run *run, const struct read_call *call, size_t *out_len)
{
    const uint8_t *data = run->sent + run->n_consumed;
    size_t n = run->n_sent - run->n_consumed;
    size_t have = n < call->window ? n : call->window;
    const uint8_t *hit = NULL;

    if (call->op == SOME || call->op == EXACTLY) {
        *out_len = call->op == SOME && n < call->max ? n : call->max;
        if (call->max == 0 || (call->op == SOME ? n > 0 : n >= call->max))
            return 0;
        return run->peer_ended ? CO_EEOF : 1;
    }
    if (call->sep_len == 0 || call->sep_len == SEP_MAX)
        return -EINVAL;
    if (have > 0)
        hit = memmem(data, have, call->sep, call->sep_len);
    if (hit) {
        *out_len = (size_t)(hit - data) + call->sep_len;
        if (call->op == LINE &&
            *out_len - 1 - (*out_len > 1 && hit[-1] == '\r') > call->max)
            return -EMSGSIZE;
        return 0;
    }
    if (have == call->window)
        return -EMSGSIZE;
    return run->peer_ended ? CO_EEOF : 1;
}

/* The end of a time limit cannot come before what the present state allows. */
static void check_time_is_up(const struct run *run)
{
    const struct co_stream_limits *limits = limits_of(run);
    co_time idle =
        limit_end(later(run->read_at, run->any_output_at), limits->idle_timeout);
    co_time read = limit_end(run->read_at, limits->read_timeout);
    co_time write = limit_end(run->queued_at, limits->write_timeout);
    co_time now = co_loop_now(run->loop);

    REQUIRE(now >= idle || now >= read || now >= write);
}

void check_error(struct run *run)
{
    int error = co_stream_error(run->stream);

    if (error == run->error)
        return;
    REQUIRE(run->error == 0);
    run->error = error;
    if (error == -ECONNRESET)
        REQUIRE(run->is_reset);
    else if (error == -EPIPE)
        REQUIRE(run->peer < 0);
    else if (error == -ETIMEDOUT)
        check_time_is_up(run);
    else
        REQUIRE(error == run->injected);
}

bool is_ended_early(struct run *run, struct helper *by, int r)
{
    if (r == CO_ECANCELLED) {
        REQUIRE(by && by->is_cancelled);
        by->is_cancelled = false;
        return true;
    }
    return r == -ETIMEDOUT && by && co_loop_now(run->loop) >= by->deadline;
}

/* ---- the peer ---- */

void peer_send(struct run *run, const uint8_t *data, size_t len)
{
    ssize_t n;

    if (run->peer < 0 || run->peer_ended || len == 0)
        return;
    n = send(run->peer, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    REQUIRE(n > 0 || (n < 0 && errno == EAGAIN));
    if (n > 0) {
        run->n_sent += (size_t)n;
        run->is_moving = true;
    }
}

size_t peer_read(struct run *run, size_t max)
{
    static uint8_t buf[65536];
    size_t want = max < sizeof(buf) ? max : sizeof(buf);
    ssize_t n;

    if (run->peer < 0 || want == 0)
        return 0;
    n = recv(run->peer, buf, want, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n <= 0) {
        /* A stream that is closed with unread input resets the connection. */
        REQUIRE(run->write_ended);
        REQUIRE(n == 0 || (errno == ECONNRESET && run->n_sent > run->n_consumed));
        run->is_eof_received = true;
        return 0;
    }
    for (size_t i = 0; i < (size_t)n; i++)
        REQUIRE(buf[i] == written_byte(run->n_received + i));
    run->n_received += (size_t)n;
    REQUIRE(run->n_received <= run->n_attempted);
    run->is_moving = true;
    return (size_t)n;
}

void peer_close(struct run *run)
{
    if (run->peer < 0)
        return;
    run->peer_ended = true;
    /* What it has not read resets the connection. */
    run->is_reset = run->n_received < run->n_attempted;
    close(run->peer);
    run->peer = -1;
}

/* ---- who waits ---- */

/* No limit of the stream is over: a wait would have ended by it. */
static void check_no_limit_is_over(const struct run *run)
{
    const struct co_stream_limits *limits = limits_of(run);
    bool has_input = co_stream_buffered(run->stream) > 0;
    co_time at = later(run->read_at, run->moved_at);
    co_time now = co_loop_now(run->loop);

    if (co_stream_pending(run->stream) > 0)
        REQUIRE(now < limit_end(run->moved_at, limits->write_timeout));
    else if (has_input && is_reading(&run->owner))
        REQUIRE(now < limit_end(at, limits->read_timeout));
    else if (is_reading(&run->owner) || run->is_parked)
        REQUIRE(now < limit_end(at, limits->idle_timeout));
}

static void check_waits(const struct run *run, const struct helper *helper)
{
    size_t len, pending = co_stream_pending(run->stream);

    if (!helper->task || co_task_state(helper->task) == CO_TASK_DONE)
        return;
    REQUIRE(co_task_state(helper->task) == CO_TASK_SUSPENDED);
    REQUIRE(!helper->is_cancelled);
    REQUIRE(co_loop_now(run->loop) < helper->deadline);
    if (helper->op == SLEEP)
        return;
    REQUIRE(co_stream_error(run->stream) == 0);
    if (is_reading(helper))
        REQUIRE(model_read(run, &run->reading, &len) == 1);
    else
        REQUIRE(pending > (helper->op == FLUSH ? 0 : low_water(run)));
}

void check_all_wait(struct run *run)
{
    check_error(run);
    check_waits(run, &run->owner);
    for (int i = 0; i < HELPERS_MAX; i++)
        check_waits(run, &run->helpers[i]);
    if (run->is_parked)
        REQUIRE(run->n_sent == run->n_consumed && !run->peer_ended &&
                co_stream_error(run->stream) == 0);
    if (co_stream_error(run->stream) == 0)
        check_no_limit_is_over(run);
}
