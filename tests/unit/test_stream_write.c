/* Tests of lib/net/stream_write.c: writing, the marks that drain waits for, half close. */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "fixture.h"
#include "net/stream.h"

enum { MUCH = 600000 }; /* more than the socket buffers of a pair take */

static const struct co_stream_limits marks = { .high_water = 1000, .low_water = 100 };

static char pattern_at(size_t i)
{
    return (char)(i % 251);
}

/* Bytes that tell their place. */
static const char *pattern(void)
{
    static char bytes[MUCH];

    for (size_t i = 0; i < MUCH; i++)
        bytes[i] = pattern_at(i);
    return bytes;
}

/* Reads at the peer until there is nothing and the loop is idle; checks the pattern. */
static size_t drain_pattern(struct fixture *f, size_t from)
{
    char buf[5000];
    size_t sum = from;
    ssize_t n;

    while ((n = peer_read(&f->peer, buf, sizeof(buf))) > 0) {
        for (ssize_t i = 0; i < n; i++)
            assert_true(buf[i] == pattern_at(sum + (size_t)i));
        sum += (size_t)n;
        fixture_run_idle(f);
    }
    return sum - from;
}

static void assert_peer_reads(struct fixture *f, const char *text)
{
    char buf[256];
    ssize_t n = peer_read(&f->peer, buf, sizeof(buf));

    assert_int_equal(n, strlen(text));
    assert_memory_equal(buf, text, (size_t)n);
}

/* Fills the socket until some of @f's stream is pending: all of the pattern is written. */
static size_t fill(struct fixture *f)
{
    assert_int_equal(co_stream_write(f->stream, pattern(), MUCH), 0);
    assert_true(co_stream_pending(f->stream) > 0);
    return MUCH;
}

/* ---- write ---- */

/* Bytes are sent before write returns, without the loop. */
static void test_write_sends_at_once(void **state)
{
    struct fixture *f = *state;

    fixture_open_stream(f, NULL);
    assert_int_equal(co_stream_write(f->stream, "hello", 5), 0);
    assert_int_equal(co_stream_pending(f->stream), 0);
    assert_peer_reads(f, "hello");
}

/* A write of nothing does nothing (b081). */
static void test_write_of_nothing_is_no_call(void **state)
{
    struct fixture *f = *state;

    fixture_open_stream(f, NULL);
    fault_arm(FAULT_SEND, 1, EIO);
    assert_int_equal(co_stream_write(f->stream, "", 0), 0);
    assert_int_equal(co_stream_writev(f->stream, NULL, 0), 0);
    assert_false(fault_hit());
}

/* What the socket does not take is buffered and follows, in order (b081). */
static void test_write_buffers_what_is_not_taken(void **state)
{
    struct fixture *f = *state;

    fixture_open_stream(f, NULL);
    fill(f);
    assert_true(co_stream_pending(f->stream) < MUCH);
    assert_int_equal(drain_pattern(f, 0), MUCH);
    assert_int_equal(co_stream_pending(f->stream), 0);
    assert_null(f->stream->out);
}

/* Writes behind buffered output keep the order. */
static void test_write_behind_buffered_output_keeps_order(void **state)
{
    struct fixture *f = *state;
    const char *bytes = pattern();
    size_t at = 0;

    fixture_open_stream(f, NULL);
    for (size_t n = 1; at < MUCH; n = n * 7 % 20011) {
        n = n < MUCH - at ? n : MUCH - at;
        assert_int_equal(co_stream_write(f->stream, bytes + at, n), 0);
        at += n;
    }
    assert_int_equal(drain_pattern(f, 0), MUCH);
}

/* However little the socket takes at a time, all is sent. */
static void test_write_short_sends(void **state)
{
    struct fixture *f = *state;
    size_t got = 0;

    fixture_open_stream(f, NULL);
    fixture_run_idle(f);
    fault_short_sends(3);
    assert_int_equal(co_stream_write(f->stream, pattern(), 20), 0);
    assert_int_equal(co_stream_pending(f->stream), 17);
    /* Reading at the peer makes the kernel report room again. */
    while (co_stream_pending(f->stream) > 0)
        got += drain_pattern(f, got);
    got += drain_pattern(f, got);
    assert_int_equal(got, 20);
}

/* An interrupted send is repeated; a full socket is waited for. */
static void test_write_interrupted_and_full(void **state)
{
    struct fixture *f = *state;

    fixture_open_stream(f, NULL);
    fixture_run_idle(f);
    fault_arm(FAULT_SEND, 1, EINTR);
    assert_int_equal(co_stream_write(f->stream, "ab", 2), 0);
    assert_true(fault_hit());
    assert_int_equal(co_stream_pending(f->stream), 0);

    fault_arm(FAULT_SEND, 1, EAGAIN);
    assert_int_equal(co_stream_write(f->stream, "cd", 2), 0);
    assert_int_equal(co_stream_pending(f->stream), 2);
    fixture_run_idle(f);
    assert_int_equal(co_stream_pending(f->stream), 2);
    assert_int_equal(peer_drain(&f->peer), 2);
    fixture_run_idle(f);
    assert_peer_reads(f, "cd");
}

/* Any other error fails the stream: this write, later ones and reads say so (b086). */
static void test_write_errors_fail_the_stream(void **state)
{
    static const int cases[] = { EPIPE, ECONNRESET, ETIMEDOUT, EIO };
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct iovec iov = { .iov_base = (void *)(uintptr_t) "x", .iov_len = 1 };
        struct co_bytes bytes;

        fixture_open_stream(f, NULL);
        fault_arm(FAULT_SEND, 1, cases[i]);
        assert_int_equal(co_stream_write(f->stream, "x", 1), -cases[i]);
        assert_int_equal(co_stream_error(f->stream), -cases[i]);
        assert_int_equal(co_stream_write(f->stream, "x", 1), -cases[i]);
        assert_int_equal(co_stream_writev(f->stream, &iov, 1), -cases[i]);
        assert_int_equal(co_stream_write_eof(f->stream), -cases[i]);
        assert_int_equal(co_stream_await_drain(f->stream, CO_NEVER), -cases[i]);
        assert_int_equal(co_stream_await_flush(f->stream, CO_NEVER), -cases[i]);
        assert_int_equal(co_stream_await_some(f->stream, 1, CO_NEVER, &bytes), -cases[i]);
        co_stream_abort(f->stream);
        f->stream = NULL;
        peer_close(&f->peer);
    }
}

/* A peer that has gone fails a write without a signal. */
static void test_write_to_a_closed_peer(void **state)
{
    struct fixture *f = *state;

    fixture_open_stream(f, NULL);
    peer_close(&f->peer);
    assert_int_equal(co_stream_write(f->stream, "x", 1), -EPIPE);
    assert_int_equal(co_stream_pending(f->stream), 0);
}

/* Buffered output that cannot be sent fails the stream and is dropped (b086). */
static void test_buffered_output_of_a_closed_peer(void **state)
{
    struct fixture *f = *state;

    fixture_open_stream(f, NULL);
    fill(f);
    peer_close(&f->peer);
    fixture_run_idle(f);
    assert_true(co_stream_error(f->stream) < 0);
    assert_int_equal(co_stream_pending(f->stream), 0);
}

static int write_under_faults(void *ctx)
{
    struct fixture *f = ctx;
    int r;

    fixture_open_stream(f, NULL);
    r = co_stream_write(f->stream, pattern(), MUCH);
    assert_int_equal(co_stream_error(f->stream), r);
    assert_true(r == 0 || co_stream_pending(f->stream) == 0);
    co_stream_abort(f->stream);
    f->stream = NULL;
    peer_close(&f->peer);
    return r;
}

/* Without memory for the rest the stream fails, and nothing is kept. */
static void test_write_without_memory_fails_the_stream(void **state)
{
    struct fixture *f = *state;

    /* What a loop and its pools keep is made first. */
    fixture_open_stream(f, NULL);
    co_stream_abort(f->stream);
    f->stream = NULL;
    peer_close(&f->peer);
    assert_true(fault_walk(write_under_faults, f) > 3);
}

/* ---- writev ---- */

/* Entries go out in order and in one call; empty ones are fine. */
static void test_writev_is_one_call(void **state)
{
    char a[] = "ab", b[] = "cde";
    struct iovec iov[] = { { a, 2 }, { a, 0 }, { b, 3 }, { NULL, 0 } };
    struct fixture *f = *state;

    fixture_open_stream(f, NULL);
    fault_arm(FAULT_SEND, 100, EIO);
    assert_int_equal(co_stream_writev(f->stream, iov, 4), 0);
    assert_int_equal(fault_count(FAULT_SEND), 1);
    assert_peer_reads(f, "abcde");
}

/* Wherever the socket stops, the rest of the entries follows whole. */
static void test_writev_short_sends(void **state)
{
    char a[] = "abc", b[] = "def", c[] = "ghi";
    struct iovec iov[] = { { a, 3 }, { b, 3 }, { c, 3 } };
    struct fixture *f = *state;

    for (size_t max = 1; max <= 3; max++) {
        fixture_open_stream(f, NULL);
        fixture_run_idle(f);
        fault_short_sends(max);
        assert_int_equal(co_stream_writev(f->stream, iov, 3), 0);
        assert_int_equal(co_stream_pending(f->stream), 9 - max);
        fault_off();
        assert_int_equal(peer_drain(&f->peer), max);
        fixture_run_idle(f);
        assert_peer_reads(f, &"abcdefghi"[max]);
        co_stream_abort(f->stream);
        f->stream = NULL;
        peer_close(&f->peer);
    }
}

/* Behind buffered output nothing is sent out of order. */
static void test_writev_behind_buffered_output(void **state)
{
    struct fixture *f = *state;
    char tail[64];
    struct iovec iov[] = { { tail, 10 }, { tail + 10, 54 } };
    size_t at;

    fixture_open_stream(f, NULL);
    at = fill(f);
    for (size_t i = 0; i < sizeof(tail); i++)
        tail[i] = pattern_at(at + i);
    assert_int_equal(co_stream_writev(f->stream, iov, 2), 0);
    assert_int_equal(drain_pattern(f, 0), at + sizeof(tail));
}

/* More entries than one system call takes are all sent, though the socket has room. */
static void test_writev_of_many_entries(void **state)
{
    struct fixture *f = *state;
    struct iovec *iov = calloc(3000, sizeof(*iov));
    const char *bytes = pattern();

    fixture_open_tcp_stream(f, NULL);
    fixture_run_idle(f);
    for (size_t i = 0; i < 3000; i++)
        iov[i] =
            (struct iovec){ .iov_base = (void *)(uintptr_t)(bytes + i), .iov_len = 1 };
    assert_int_equal(co_stream_writev(f->stream, iov, 3000), 0);
    fixture_run_idle(f);
    assert_int_equal(co_stream_pending(f->stream), 0);
    for (size_t got = 0; got < 3000;) {
        peer_await_input(&f->peer);
        got += drain_pattern(f, got);
    }
    free(iov);
}

/* ---- drain and flush ---- */

struct draining {
    struct co_stream *s;
    co_time deadline; /* 0: CO_NEVER */
    bool is_flush;
    int r;
    size_t pending; /* when it returned */
    int n_done;
};

static int drain_once(void *arg)
{
    struct draining *d = arg;
    co_time deadline = d->deadline ? d->deadline : CO_NEVER;

    d->r = d->is_flush ? co_stream_await_flush(d->s, deadline)
                       : co_stream_await_drain(d->s, deadline);
    d->pending = co_stream_error(d->s) < 0 ? 0 : co_stream_pending(d->s);
    d->n_done++;
    return 0;
}

/* Up to the high-water mark drain does not wait; the mark itself is not above it (b082). */
static void test_await_drain_below_the_mark(void **state)
{
    struct fixture *f = *state;
    struct draining d = { .r = 1 };

    fixture_open_stream(f, &marks);
    d.s = f->stream;
    fixture_run_idle(f);
    fault_arm(FAULT_SEND, 1, EAGAIN);
    assert_int_equal(co_stream_write(f->stream, pattern(), 1000), 0);
    assert_int_equal(co_stream_pending(f->stream), 1000);
    fixture_spawn(f, drain_once, &d);
    fixture_run_idle(f);
    assert_int_equal(d.n_done, 1);
    assert_int_equal(d.r, 0);

    assert_int_equal(co_stream_write(f->stream, "x", 1), 0);
    fixture_spawn(f, drain_once, &d);
    fixture_run_idle(f);
    assert_int_equal(d.n_done, 1);
    peer_send(&f->peer, "any event brings room");
    fixture_run(f);
    assert_int_equal(d.n_done, 2);
    assert_int_equal(d.r, 0);
}

/* All who drain are woken at the low-water mark, not before (b105); who flushes, at 0. */
static void test_await_drain_wakes_all_at_the_low_mark(void **state)
{
    struct fixture *f = *state;
    struct draining d[4] = {
        { .r = 1 }, { .r = 1 }, { .r = 1 }, { .r = 1, .is_flush = true }
    };
    size_t got = 0;

    fixture_open_stream(f, &marks);
    fill(f);
    for (size_t i = 0; i < N_ELEMENTS(d); i++) {
        d[i].s = f->stream;
        fixture_spawn(f, drain_once, &d[i]);
    }
    fixture_run_idle(f);
    while (d[0].n_done == 0) {
        char buf[100];
        ssize_t n = peer_read(&f->peer, buf, sizeof(buf));

        assert_true(co_stream_pending(f->stream) > 100);
        got += n > 0 ? (size_t)n : 0;
        fixture_run_idle(f);
    }
    assert_true(d[0].pending <= 100);
    assert_int_equal(d[1].n_done + d[2].n_done, 2);
    got += drain_pattern(f, got);
    assert_int_equal(got, MUCH);
    fixture_run(f);
    for (size_t i = 0; i < N_ELEMENTS(d); i++)
        assert_int_equal(d[i].r, 0);
    assert_int_equal(d[3].pending, 0);
}

/* A low-water mark that is raised above what is queued ends the wait. */
static void test_set_limits_wakes_who_drains(void **state)
{
    static const struct co_stream_limits high = { .low_water = UINT32_MAX };
    struct fixture *f = *state;
    struct draining d = { .r = 1 };

    fixture_open_stream(f, &marks);
    fill(f);
    d.s = f->stream;
    fixture_spawn(f, drain_once, &d);
    fixture_run_idle(f);
    assert_int_equal(d.n_done, 0);
    co_stream_set_limits(f->stream, &high);
    fixture_run_idle(f);
    assert_int_equal(d.n_done, 1);
    assert_int_equal(d.r, 0);
}

/* The low-water mark itself is low enough, one byte more is not (b082). */
static void test_await_drain_ends_at_the_low_mark(void **state)
{
    struct fixture *f = *state;
    struct draining d = { .r = 1 };

    fixture_open_stream(f, &marks);
    d.s = f->stream;
    fixture_run_idle(f);
    fault_arm(FAULT_SEND, 1, EAGAIN);
    assert_int_equal(co_stream_write(f->stream, pattern(), 1001), 0);
    fixture_spawn(f, drain_once, &d);
    fixture_run_idle(f);
    for (size_t sum = 0; sum < 901; sum += 53) {
        assert_int_equal(co_stream_pending(f->stream), 1001 - sum);
        assert_int_equal(d.n_done, 0);
        fault_short_sends(53);
        peer_send(&f->peer, "any event brings room");
        fixture_run_idle(f);
    }
    assert_int_equal(co_stream_pending(f->stream), 100);
    assert_int_equal(d.n_done, 1);
    assert_int_equal(d.r, 0);
    fixture_run(f);
}

/* Flush waits for the last byte; without output it returns at once. */
static void test_await_flush_waits_for_the_last_byte(void **state)
{
    struct fixture *f = *state;
    struct draining d = { .is_flush = true };

    fixture_open_stream(f, NULL);
    d.s = f->stream;
    fixture_call(f, drain_once, &d);
    assert_int_equal(d.r, 0);
    fill(f);
    fixture_spawn(f, drain_once, &d);
    fixture_run_idle(f);
    assert_int_equal(d.n_done, 1);
    assert_int_equal(drain_pattern(f, 0), MUCH);
    fixture_run(f);
    assert_int_equal(d.n_done, 2);
    assert_int_equal(d.r, 0);
}

/* A deadline that passes, and a cancellation, leave the output as it was. */
static void test_await_drain_deadline_and_cancel_lose_nothing(void **state)
{
    struct fixture *f = *state;
    struct draining d = { .deadline = FIXTURE_START + CO_SECOND };
    struct co_task *task;

    fixture_open_stream(f, NULL);
    d.s = f->stream;
    fill(f);
    fixture_call(f, drain_once, &d);
    assert_int_equal(d.r, -ETIMEDOUT);
    assert_int_equal(f->clock.now, FIXTURE_START + CO_SECOND);
    d.deadline = 0;
    task = fixture_spawn(f, drain_once, &d);
    fixture_run_idle(f);
    assert_string_equal(co_task_awaits(task), "stream drain");
    co_task_cancel(task);
    fixture_run(f);
    assert_int_equal(d.r, CO_ECANCELLED);
    assert_int_equal(co_stream_error(f->stream), 0);
    assert_int_equal(drain_pattern(f, 0), MUCH);
}

/* Outside a task drain says where it stands, but does not wait. */
static void test_await_drain_outside_a_task(void **state)
{
    struct fixture *f = *state;

    fixture_open_stream(f, NULL);
    assert_int_equal(co_stream_await_drain(f->stream, CO_NEVER), 0);
    assert_int_equal(co_stream_await_flush(f->stream, CO_NEVER), 0);
    fill(f);
    assert_int_equal(co_stream_await_drain(f->stream, CO_NEVER), CO_ENOTASK);
    assert_int_equal(co_stream_await_flush(f->stream, CO_NEVER), CO_ENOTASK);
}

/* A failure wakes all who drain and flush, with its error. */
static void test_fail_wakes_who_drains(void **state)
{
    struct fixture *f = *state;
    struct draining d[2] = { { .r = 0 }, { .is_flush = true } };

    fixture_open_stream(f, NULL);
    fill(f);
    for (int i = 0; i < 2; i++) {
        d[i].s = f->stream;
        fixture_spawn(f, drain_once, &d[i]);
    }
    fixture_run_idle(f);
    co_stream_fail(f->stream, -ECONNABORTED);
    assert_int_equal(co_stream_pending(f->stream), 0);
    fixture_run(f);
    assert_int_equal(d[0].r, -ECONNABORTED);
    assert_int_equal(d[1].r, -ECONNABORTED);
}

struct writing {
    struct co_stream *s;
    size_t max_pending;
    size_t n_bytes;
    bool is_done;
};

static int write_with_drain(void *arg)
{
    struct writing *w = arg;
    const char *bytes = pattern();
    int r = 0;

    while (r == 0 && w->n_bytes < MUCH) {
        r = co_stream_write(w->s, bytes + w->n_bytes, 500);
        w->n_bytes += 500;
        if (co_stream_pending(w->s) > w->max_pending)
            w->max_pending = co_stream_pending(w->s);
        if (r == 0)
            r = co_stream_await_drain(w->s, CO_NEVER);
    }
    w->is_done = true;
    return r;
}

/* A writer that drains never has more than the mark and one write buffered. */
static void test_await_drain_bounds_memory(void **state)
{
    struct fixture *f = *state;
    struct writing w = { .n_bytes = 0 };
    size_t got = 0;

    fixture_open_stream(f, &marks);
    w.s = f->stream;
    fixture_spawn(f, write_with_drain, &w);
    fixture_run_idle(f);
    assert_false(w.is_done);
    while (!w.is_done)
        got += drain_pattern(f, got);
    fixture_run(f);
    got += drain_pattern(f, got);
    assert_int_equal(got, MUCH);
    assert_true(w.max_pending > 1000 && w.max_pending <= 1500);
}

/* ---- half close ---- */

/* write_eof sends what is buffered, then ends our side; writes are refused (b084). */
static void test_write_eof_flushes_then_ends(void **state)
{
    struct fixture *f = *state;
    char byte;

    fixture_open_stream(f, NULL);
    fill(f);
    assert_int_equal(co_stream_write_eof(f->stream), 0);
    assert_int_equal(co_stream_write_eof(f->stream), 0);
    assert_int_equal(co_stream_write(f->stream, "x", 1), CO_ECLOSED);
    assert_int_equal(drain_pattern(f, 0), MUCH);
    assert_int_equal(peer_read(&f->peer, &byte, 1), 0);
    assert_int_equal(co_stream_write(f->stream, "x", 1), CO_ECLOSED);
}

static int read_text(void *arg)
{
    struct co_bytes bytes;
    int r = co_stream_await_some(arg, 100, CO_NEVER, &bytes);

    if (r == 0)
        assert_bytes_equal(bytes, "answer");
    return r;
}

/* After our end is closed the peer's bytes are still read. */
static void test_write_eof_leaves_reading_open(void **state)
{
    struct fixture *f = *state;
    char byte;

    fixture_open_stream(f, NULL);
    assert_int_equal(co_stream_write_eof(f->stream), 0);
    assert_int_equal(peer_read(&f->peer, &byte, 1), 0);
    peer_send(&f->peer, "answer");
    assert_int_equal(fixture_call(f, read_text, f->stream), 0);
    peer_shutdown(&f->peer);
    assert_int_equal(fixture_call(f, read_text, f->stream), CO_EEOF);
}

/* After the peer has closed its side, ours still sends. */
static void test_write_after_the_peers_end(void **state)
{
    struct fixture *f = *state;

    fixture_open_stream(f, NULL);
    peer_shutdown(&f->peer);
    assert_int_equal(fixture_call(f, read_text, f->stream), CO_EEOF);
    fill(f);
    assert_int_equal(drain_pattern(f, 0), MUCH);
}

/* Sent and buffered bytes are counted when the socket takes them. */
static void test_write_is_counted(void **state)
{
    struct fixture *f = *state;
    struct co_stream_stats stats;

    fixture_open_stream(f, NULL);
    fill(f);
    co_stream_get_stats(f->stream, &stats);
    assert_int_equal(stats.bytes_out, MUCH - co_stream_pending(f->stream));
    fixture_pass_ms(f, 1000);
    drain_pattern(f, 0);
    co_stream_get_stats(f->stream, &stats);
    assert_int_equal(stats.bytes_out, MUCH);
    assert_int_equal(stats.since, FIXTURE_START + CO_SECOND);
}

#define STREAM_TEST(name) \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        STREAM_TEST(test_write_sends_at_once),
        STREAM_TEST(test_write_of_nothing_is_no_call),
        STREAM_TEST(test_write_buffers_what_is_not_taken),
        STREAM_TEST(test_write_behind_buffered_output_keeps_order),
        STREAM_TEST(test_write_short_sends),
        STREAM_TEST(test_write_interrupted_and_full),
        STREAM_TEST(test_write_errors_fail_the_stream),
        STREAM_TEST(test_write_to_a_closed_peer),
        STREAM_TEST(test_buffered_output_of_a_closed_peer),
        STREAM_TEST(test_write_without_memory_fails_the_stream),
        STREAM_TEST(test_writev_is_one_call),
        STREAM_TEST(test_writev_short_sends),
        STREAM_TEST(test_writev_behind_buffered_output),
        STREAM_TEST(test_writev_of_many_entries),
        STREAM_TEST(test_await_drain_below_the_mark),
        STREAM_TEST(test_await_drain_wakes_all_at_the_low_mark),
        STREAM_TEST(test_set_limits_wakes_who_drains),
        STREAM_TEST(test_await_drain_ends_at_the_low_mark),
        STREAM_TEST(test_await_flush_waits_for_the_last_byte),
        STREAM_TEST(test_await_drain_deadline_and_cancel_lose_nothing),
        STREAM_TEST(test_await_drain_outside_a_task),
        STREAM_TEST(test_fail_wakes_who_drains),
        STREAM_TEST(test_await_drain_bounds_memory),
        STREAM_TEST(test_write_eof_flushes_then_ends),
        STREAM_TEST(test_write_eof_leaves_reading_open),
        STREAM_TEST(test_write_after_the_peers_end),
        STREAM_TEST(test_write_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
