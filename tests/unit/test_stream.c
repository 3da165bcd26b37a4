/*
 * Tests of lib/net/stream.c: making a stream, its time limits, its end.
 * long: one file a module, many short tests.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "fixture.h"
#include "net/stream.h"

enum { MUCH = 600000 }; /* more than the socket buffers of a pair take */

static const char much[MUCH];

/* What a closed callback was told. */
struct ending {
    int n;
    int error;
    int fd;
    bool fd_was_open;
};

static void note_end(void *arg, int error)
{
    struct ending *e = arg;

    e->n++;
    e->error = error;
    e->fd_was_open = fcntl(e->fd, F_GETFD) >= 0;
}

/* Closes f->stream, which is not the fixture's any more. */
static void close_stream(struct fixture *f, struct ending *e)
{
    struct co_stream *s = f->stream;

    e->fd = co_stream_fd(s);
    f->stream = NULL;
    co_stream_close(s, note_end, e);
}

static void assert_ended(const struct ending *e, int error)
{
    assert_int_equal(e->n, 1);
    assert_int_equal(e->error, error);
    assert_true(e->fd_was_open);
    assert_int_equal(fcntl(e->fd, F_GETFD), -1);
}

static int read_some(void *arg)
{
    struct fixture *f = arg;
    struct co_bytes bytes;

    return co_stream_await_some(f->stream, 100, CO_NEVER, &bytes);
}

static int read_line(void *arg)
{
    struct fixture *f = arg;
    struct co_bytes bytes;

    return co_stream_await_line(f->stream, 100, CO_NEVER, &bytes);
}

static void count_input(struct co_stream *s, void *arg)
{
    (void)s;
    if (arg)
        (*(int *)arg)++;
}

/* ---- making ---- */

static int open_and_abort(void *ctx)
{
    static const struct co_stream_limits limits = { .idle_timeout = CO_SECOND };
    struct fixture *f = ctx;
    struct co_stream *s = NULL;
    int fd = fixture_socketpair(&f->peer);
    int r = co_stream_open(f->loop, fd, &limits, &s);

    peer_close(&f->peer);
    if (r == 0) {
        co_stream_abort(s);
    } else {
        assert_null(s);
        assert_int_equal(close(fd), 0);
    }
    return r;
}

/* Whatever allocation fails, the descriptor stays the caller's and nothing is left. */
static void test_open_under_faults_leaves_the_descriptor(void **state)
{
    struct fixture *f = *state;

    assert_true(fault_walk(open_and_abort, f) >= 2);
}

/* What epoll refuses is refused. */
static void test_open_refuses_a_file(void **state)
{
    struct fixture *f = *state;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    struct co_stream *s = NULL;

    assert_int_equal(co_stream_open(f->loop, fd, NULL, &s), -EPERM);
    assert_null(s);
    assert_int_equal(close(fd), 0);
    assert_int_equal(co_stream_open(f->loop, fd, NULL, &s), -EBADF);
}

/* An open stream says which descriptor it has, and that nothing has happened. */
static void test_open_starts_with_nothing(void **state)
{
    struct fixture *f = *state;
    struct co_stream_stats stats;

    fixture_open_stream(f, NULL);
    co_stream_get_stats(f->stream, &stats);
    assert_true(co_stream_fd(f->stream) >= 0);
    assert_int_equal(co_stream_error(f->stream), 0);
    assert_int_equal(stats.bytes_in, 0);
    assert_int_equal(stats.bytes_out, 0);
    assert_int_equal(stats.since, FIXTURE_START);
    assert_int_equal(fixture_stats(f).n_watches, f->n_watches + 1);
    assert_int_equal(fixture_stats(f).n_timers, 0);
}

/* ---- close ---- */

/* With nothing to send the stream is gone before close returns; the callback comes first. */
static void test_close_with_nothing_to_send_is_at_once(void **state)
{
    struct fixture *f = *state;
    struct ending e = { .n = 0 };
    char byte;

    fixture_open_stream(f, NULL);
    close_stream(f, &e);
    assert_ended(&e, 0);
    assert_int_equal(peer_read(&f->peer, &byte, 1), 0);
}

/* Buffered output is sent first, all of it (b087). */
static void test_close_flushes(void **state)
{
    struct fixture *f = *state;
    struct ending e = { .n = 0 };
    size_t got = 0;

    fixture_open_stream(f, NULL);
    assert_int_equal(co_stream_write(f->stream, much, MUCH), 0);
    close_stream(f, &e);
    fixture_run_idle(f);
    assert_int_equal(e.n, 0);
    while (e.n == 0) {
        got += peer_drain(&f->peer);
        fixture_run_idle(f);
    }
    assert_ended(&e, 0);
    got += peer_drain(&f->peer);
    assert_int_equal(got, MUCH);
}

/* A peer that goes while output is flushed ends the stream with its error. */
static void test_close_while_the_peer_goes(void **state)
{
    struct fixture *f = *state;
    struct ending e = { .n = 0 };

    fixture_open_tcp_stream(f, NULL);
    assert_int_equal(co_stream_write(f->stream, much, MUCH), 0);
    close_stream(f, &e);
    peer_reset(&f->peer);
    fixture_run_idle(f);
    assert_ended(&e, -ECONNRESET);
}

/* The final flush as a whole has write_timeout, also when the peer reads a little. */
static void test_close_flushes_within_write_timeout(void **state)
{
    static const struct co_stream_limits limits = { .write_timeout = 10 * CO_SECOND };
    struct fixture *f = *state;
    struct ending e = { .n = 0 };

    fixture_open_tcp_stream(f, &limits);
    assert_int_equal(co_stream_write(f->stream, much, MUCH), 0);
    fixture_pass_ms(f, 5000);
    close_stream(f, &e);
    for (int i = 0; i < 9; i++) {
        char buf[5000];

        (void)peer_read(&f->peer, buf, sizeof(buf));
        fixture_pass_ms(f, 1000);
    }
    assert_int_equal(e.n, 0);
    fixture_pass_ms(f, 1000);
    assert_ended(&e, -ETIMEDOUT);
}

/* Without write_timeout the flush has no limit, whatever the limits of an open stream. */
static void test_close_flushes_without_a_limit(void **state)
{
    static const struct co_stream_limits limits[] = {
        { .idle_timeout = CO_SECOND, .read_timeout = CO_SECOND },
        { .idle_timeout = CO_SECOND, .write_timeout = CO_NEVER },
        { .idle_timeout = CO_SECOND, .write_timeout = CO_NEVER - 1 },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(limits); i++) {
        struct ending e = { .n = 0 };

        fixture_open_stream(f, &limits[i]);
        assert_int_equal(co_stream_write(f->stream, much, MUCH), 0);
        close_stream(f, &e);
        fixture_pass_ms(f, 100000);
        assert_int_equal(e.n, 0);
        peer_close(&f->peer);
        fixture_run_idle(f);
        assert_int_equal(e.n, 1);
    }
}

/* A stream that has failed ends with its error, at once. */
static void test_close_of_a_failed_stream(void **state)
{
    struct fixture *f = *state;
    struct ending e = { .n = 0 };

    fixture_open_stream(f, NULL);
    assert_int_equal(co_stream_write(f->stream, much, MUCH), 0);
    co_stream_fail(f->stream, -EIO);
    close_stream(f, &e);
    assert_ended(&e, -EIO);
}

/* After our end the peer has time to end too; what it still sends is dropped. */
static void test_close_lingers_until_the_peer_closes(void **state)
{
    static const struct co_stream_limits limits = { .linger_timeout = 10 * CO_SECOND };
    struct fixture *f = *state;
    struct ending e = { .n = 0 };
    char buf[10];

    fixture_open_tcp_stream(f, &limits);
    fixture_run_idle(f);
    peer_send(&f->peer, "not read by us");
    assert_int_equal(co_stream_write(f->stream, "bye", 3), 0);
    close_stream(f, &e);
    fixture_pass_ms(f, 9000);
    assert_int_equal(e.n, 0);
    /* Our bytes were not destroyed by a reset. */
    peer_await_input(&f->peer);
    assert_int_equal(peer_read(&f->peer, buf, sizeof(buf)), 3);
    peer_await_input(&f->peer);
    assert_int_equal(peer_read(&f->peer, buf, sizeof(buf)), 0);
    peer_send(&f->peer, "nor this");
    fixture_run_idle(f);
    assert_int_equal(e.n, 0);
    peer_close(&f->peer);
    fixture_run_idle(f);
    assert_ended(&e, 0);
}

/* A flood while the stream lingers is dropped too, and its end is seen. */
static void test_close_lingers_through_a_flood(void **state)
{
    static const struct co_stream_limits limits = { .linger_timeout = 10 * CO_SECOND };
    struct fixture *f = *state;
    struct ending e = { .n = 0 };

    fixture_open_stream(f, &limits);
    peer_send_bytes(&f->peer, much, 150000);
    fixture_run_idle(f);
    close_stream(f, &e);
    fixture_run_idle(f);
    assert_int_equal(e.n, 0);
    peer_close(&f->peer);
    fixture_run_idle(f);
    assert_ended(&e, 0);
}

/* A reset that came behind a flood ends the lingering once the flood is dropped. */
static void test_close_lingers_until_a_reset_behind_a_flood(void **state)
{
    static const struct co_stream_limits limits = { .linger_timeout = 10 * CO_SECOND };
    struct fixture *f = *state;
    struct ending e = { .n = 0 };

    fixture_open_stream(f, &limits);
    assert_int_equal(co_stream_write(f->stream, "not read", 8), 0);
    peer_send_bytes(&f->peer, much, 65537);
    peer_close(&f->peer);
    fixture_run_idle(f);
    close_stream(f, &e);
    fixture_run_idle(f);
    assert_ended(&e, 0);
}

/* When the peer does not end in time, the stream does. */
static void test_close_lingers_no_longer_than_told(void **state)
{
    static const struct co_stream_limits limits = { .idle_timeout = CO_SECOND,
                                                    .linger_timeout = 10 * CO_SECOND };
    struct fixture *f = *state;
    struct ending e = { .n = 0 };

    fixture_open_stream(f, &limits);
    close_stream(f, &e);
    fixture_pass_ms(f, 9999);
    assert_int_equal(e.n, 0);
    fixture_pass_ms(f, 1);
    assert_ended(&e, 0);
}

/* Without linger_timeout a flushed stream does not wait for the peer, in no form of none. */
static void test_close_flushes_and_does_not_linger(void **state)
{
    static const struct co_stream_limits limits[] = {
        { .linger_timeout = 0 },
        { .linger_timeout = CO_NEVER },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(limits); i++) {
        struct ending e = { .n = 0 };

        fixture_open_stream(f, &limits[i]);
        assert_int_equal(co_stream_write(f->stream, much, MUCH), 0);
        close_stream(f, &e);
        for (int k = 0; k < 20; k++) {
            (void)peer_drain(&f->peer);
            fixture_run_idle(f);
        }
        assert_ended(&e, 0);
        peer_close(&f->peer);
    }
}

/* A peer that has closed its side already is not waited for. */
static void test_close_after_the_peers_end_does_not_linger(void **state)
{
    static const struct co_stream_limits limits = { .linger_timeout = 10 * CO_SECOND };
    struct fixture *f = *state;
    struct ending e = { .n = 0 };

    fixture_open_stream(f, &limits);
    peer_shutdown(&f->peer);
    assert_int_equal(fixture_call(f, read_some, f), CO_EEOF);
    close_stream(f, &e);
    assert_ended(&e, 0);
}

/* Bytes written before write_eof are flushed by a close that comes after it. */
static void test_close_after_write_eof(void **state)
{
    struct fixture *f = *state;
    struct ending e = { .n = 0 };
    size_t got = 0;

    fixture_open_stream(f, NULL);
    assert_int_equal(co_stream_write(f->stream, much, MUCH), 0);
    assert_int_equal(co_stream_write_eof(f->stream), 0);
    close_stream(f, &e);
    for (int k = 0; k < 20; k++) {
        got += peer_drain(&f->peer);
        fixture_run_idle(f);
    }
    assert_ended(&e, 0);
    assert_int_equal(got, MUCH);
}

/* A parked stream can be closed: its input callback does not come any more. */
static void test_close_of_a_parked_stream(void **state)
{
    static const struct co_stream_limits limits = { .linger_timeout = CO_SECOND };
    struct fixture *f = *state;
    struct ending e = { .n = 0 };
    int n_input = 0;

    fixture_open_stream(f, &limits);
    fixture_run_idle(f);
    assert_true(co_stream_on_input(f->stream, count_input, &n_input));
    close_stream(f, &e);
    peer_send(&f->peer, "x");
    fixture_run_idle(f);
    peer_close(&f->peer);
    fixture_run_idle(f);
    assert_ended(&e, 0);
    assert_int_equal(n_input, 0);
}

/* A loop that is freed ends the streams that were still closing. */
static void test_close_is_ended_by_the_loops_end(void **state)
{
    static const struct co_stream_limits limits = { .linger_timeout = CO_SECOND };
    struct fixture *f = *state;
    struct co_loop_config config = { .clock = &f->clock.clock };
    struct ending e[2] = { { .n = 0 }, { .n = 0 } };

    for (int i = 0; i < 2; i++) {
        fixture_open_stream(f, &limits);
        if (i == 0)
            assert_int_equal(co_stream_write(f->stream, much, MUCH), 0);
        close_stream(f, &e[i]);
        peer_close(&f->peer);
    }
    co_loop_free(f->loop);
    assert_ended(&e[0], CO_ECLOSED);
    assert_ended(&e[1], CO_ECLOSED);
    assert_int_equal(co_loop_new(&config, &f->loop), 0);
}

/* ---- abort ---- */

/* Abort drops what is buffered and is done at once; NULL is fine (b087). */
static void test_abort_drops_output(void **state)
{
    struct fixture *f = *state;
    int fd;

    co_stream_abort(NULL);
    fixture_open_stream(f, NULL);
    fd = co_stream_fd(f->stream);
    assert_int_equal(co_stream_write(f->stream, much, MUCH), 0);
    co_stream_abort(f->stream);
    f->stream = NULL;
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_true(peer_drain(&f->peer) < MUCH);
}

/* Buffered input is dropped, and its block goes back. */
static void test_abort_drops_input(void **state)
{
    struct fixture *f = *state;

    fixture_open_stream(f, NULL);
    peer_send(&f->peer, "two\nlines\n");
    assert_int_equal(fixture_call(f, read_line, f), 0);
    assert_int_equal(fixture_idle_blocks(f), 0);
    co_stream_abort(f->stream);
    f->stream = NULL;
    assert_int_equal(fixture_idle_blocks(f), 1);
}

/* A stream that is closing can be ended at once; its callback is told so. */
static void test_abort_of_a_closing_stream(void **state)
{
    static const struct co_stream_limits limits = { .linger_timeout = CO_SECOND };
    struct fixture *f = *state;

    for (int has_output = 0; has_output < 2; has_output++) {
        struct ending e = { .n = 0 };
        struct co_stream *s;

        fixture_open_stream(f, &limits);
        s = f->stream;
        if (has_output)
            assert_int_equal(co_stream_write(s, much, MUCH), 0);
        close_stream(f, &e);
        fixture_run_idle(f);
        assert_int_equal(e.n, 0);
        co_stream_abort(s);
        assert_ended(&e, CO_ECLOSED);
        peer_close(&f->peer);
    }
}

static void abort_under_a_reader(void *arg)
{
    struct fixture *f = arg;

    fixture_spawn(f, read_some, f);
    fixture_run_idle(f);
    co_stream_abort(f->stream);
}

static int drain_output(void *arg)
{
    struct fixture *f = arg;

    return co_stream_await_flush(f->stream, CO_NEVER);
}

static void abort_under_a_drainer(void *arg)
{
    struct fixture *f = arg;

    (void)co_stream_write(f->stream, much, MUCH);
    fixture_spawn(f, drain_output, f);
    fixture_run_idle(f);
    co_stream_abort(f->stream);
}

/* A stream that a task waits for must not end: that is found, not left to crash. */
static void test_abort_under_a_waiting_task_is_caught(void **state)
{
    struct fixture *f = *state;
    struct child_result child;

    fixture_open_stream(f, NULL);
    child = child_run(abort_under_a_reader, f);
    assert_int_equal(child.signal, SIGABRT);
    assert_non_null(strstr(child.text, "co_stream_abort"));
    child = child_run(abort_under_a_drainer, f);
    assert_int_equal(child.signal, SIGABRT);
    assert_non_null(strstr(child.text, "co_stream_abort"));
}

/* ---- time limits ---- */

/* Silence for idle_timeout while input is awaited fails the stream; a byte starts anew. */
static void test_idle_timeout_counts_silence(void **state)
{
    static const struct co_stream_limits limits = { .idle_timeout = 10 * CO_SECOND };
    struct fixture *f = *state;

    fixture_open_stream(f, &limits);
    fixture_spawn(f, read_some, f);
    fixture_pass_ms(f, 9999);
    peer_send(&f->peer, "x");
    fixture_run(f);
    fixture_spawn(f, read_some, f);
    fixture_pass_ms(f, 9999);
    assert_int_equal(co_stream_error(f->stream), 0);
    fixture_pass_ms(f, 1);
    assert_int_equal(co_stream_error(f->stream), -ETIMEDOUT);
    fixture_run(f);
    assert_int_equal(fixture_call(f, read_some, f), -ETIMEDOUT);
}

/* A parked stream is idle too, with or without an argument to its callback. */
static void test_idle_timeout_of_a_parked_stream(void **state)
{
    static const struct co_stream_limits limits = { .idle_timeout = 10 * CO_SECOND };
    struct fixture *f = *state;
    int n_input = 0;
    void *args[] = { &n_input, NULL };

    for (size_t i = 0; i < N_ELEMENTS(args); i++) {
        fixture_open_stream(f, &limits);
        assert_true(co_stream_on_input(f->stream, count_input, args[i]));
        fixture_pass_ms(f, 9999);
        assert_int_equal(co_stream_error(f->stream), 0);
        fixture_pass_ms(f, 1);
        assert_int_equal(co_stream_error(f->stream), -ETIMEDOUT);
        assert_int_equal(n_input, 1);
        co_stream_abort(f->stream);
        f->stream = NULL;
        peer_close(&f->peer);
    }
}

/* While the owner works and awaits no input, no limit runs out. */
static void test_idle_timeout_spares_a_busy_owner(void **state)
{
    static const struct co_stream_limits limits = { .idle_timeout = CO_SECOND,
                                                    .read_timeout = CO_SECOND };
    struct fixture *f = *state;

    fixture_open_stream(f, &limits);
    fixture_pass_ms(f, 60000);
    assert_int_equal(co_stream_error(f->stream), 0);
}

/* A byte a second is not idle, but the message as a whole has read_timeout. */
static void test_read_timeout_ends_a_drip(void **state)
{
    static const struct co_stream_limits limits = { .idle_timeout = 3 * CO_SECOND,
                                                    .read_timeout = 10 * CO_SECOND };
    struct fixture *f = *state;
    int n = 0;

    fixture_open_stream(f, &limits);
    fixture_spawn(f, read_line, f);
    fixture_pass_ms(f, 2000);
    while (co_stream_error(f->stream) == 0 && n < 100) {
        peer_send(&f->peer, "x");
        n++;
        fixture_pass_ms(f, 1000);
    }
    assert_int_equal(co_stream_error(f->stream), -ETIMEDOUT);
    assert_int_equal(n, 10);
    fixture_run(f);
}

/* Each message has its own read_timeout, from its first byte. */
static void test_read_timeout_starts_anew_for_each_message(void **state)
{
    static const struct co_stream_limits limits = { .read_timeout = 10 * CO_SECOND };
    struct fixture *f = *state;

    fixture_open_stream(f, &limits);
    for (int i = 0; i < 5; i++) {
        fixture_spawn(f, read_line, f);
        fixture_pass_ms(f, 60000);
        peer_send(&f->peer, "half ");
        fixture_pass_ms(f, 9000);
        /* The end of one message and the begin of the next in one segment. */
        peer_send(&f->peer, "whole\n");
        fixture_run(f);
    }
    assert_int_equal(co_stream_error(f->stream), 0);
}

/* Output that makes no progress for write_timeout fails the stream; progress renews it. */
static void test_write_timeout_counts_from_the_last_progress(void **state)
{
    static const struct co_stream_limits limits = { .write_timeout = 10 * CO_SECOND };
    struct fixture *f = *state;

    fixture_open_stream(f, &limits);
    assert_int_equal(co_stream_write(f->stream, much, MUCH), 0);
    fixture_pass_ms(f, 9000);
    assert_true(peer_drain(&f->peer) > 0);
    fixture_pass_ms(f, 9999);
    assert_int_equal(co_stream_error(f->stream), 0);
    fixture_pass_ms(f, 1);
    assert_int_equal(co_stream_error(f->stream), -ETIMEDOUT);
    assert_int_equal(co_stream_pending(f->stream), 0);
}

/* Who awaits input, while another task sends, is not idle. */
static void test_idle_timeout_counts_bytes_sent(void **state)
{
    static const struct co_stream_limits limits = { .idle_timeout = 10 * CO_SECOND };
    struct fixture *f = *state;

    fixture_open_stream(f, &limits);
    fixture_spawn(f, read_line, f);
    for (int i = 0; i < 5; i++) {
        fixture_pass_ms(f, 9000);
        assert_int_equal(co_stream_write(f->stream, "tick", 4), 0);
    }
    fixture_pass_ms(f, 9999);
    assert_int_equal(co_stream_error(f->stream), 0);
    fixture_pass_ms(f, 1);
    assert_int_equal(co_stream_error(f->stream), -ETIMEDOUT);
    fixture_run(f);
}

/* Without a write_timeout, output that nobody takes does not keep an idle stream. */
static void test_idle_timeout_of_a_peer_that_takes_nothing(void **state)
{
    static const struct co_stream_limits limits = { .idle_timeout = 10 * CO_SECOND };
    struct fixture *f = *state;

    fixture_open_stream(f, &limits);
    assert_int_equal(co_stream_write(f->stream, much, MUCH), 0);
    fixture_pass_ms(f, 60000);
    assert_int_equal(co_stream_error(f->stream), 0); /* no input is awaited */
    fixture_spawn(f, read_line, f);
    fixture_pass_ms(f, 9000);
    assert_true(peer_drain(&f->peer) > 0);
    fixture_pass_ms(f, 9999);
    assert_int_equal(co_stream_error(f->stream), 0);
    fixture_pass_ms(f, 1);
    assert_int_equal(co_stream_error(f->stream), -ETIMEDOUT);
    fixture_run(f);
}

/* A message that does not come whole ends also while output waits and moves. */
static void test_read_timeout_while_output_waits(void **state)
{
    static const struct co_stream_limits limits = { .read_timeout = 10 * CO_SECOND,
                                                    .write_timeout = 60 * CO_SECOND };
    struct fixture *f = *state;

    fixture_open_stream(f, &limits);
    assert_int_equal(co_stream_write(f->stream, much, MUCH), 0);
    fixture_spawn(f, read_line, f);
    peer_send(&f->peer, "half ");
    fixture_pass_ms(f, 9999);
    assert_true(co_stream_pending(f->stream) > 0);
    assert_int_equal(co_stream_error(f->stream), 0);
    fixture_pass_ms(f, 1);
    assert_int_equal(co_stream_error(f->stream), -ETIMEDOUT);
    fixture_run(f);
}

/* Bytes that come in the very moment in which a limit runs out are read. */
static void test_limits_lose_against_bytes_of_the_same_moment(void **state)
{
    static const struct co_stream_limits limits[] = {
        { .idle_timeout = 10 * CO_SECOND },
        { .read_timeout = 10 * CO_SECOND },
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(limits); i++) {
        fixture_open_stream(f, &limits[i]);
        fixture_spawn(f, read_line, f);
        if (limits[i].read_timeout)
            peer_send(&f->peer, "begin ");
        fixture_run_idle(f);
        peer_send(&f->peer, "end\n");
        f->clock.now += 10 * CO_SECOND;
        fixture_run(f);
        assert_int_equal(co_stream_error(f->stream), 0);
        co_stream_abort(f->stream);
        f->stream = NULL;
        peer_close(&f->peer);
    }
}

/* New limits hold from then on: shorter, longer, none. */
static void test_set_limits_replaces_them(void **state)
{
    static const struct co_stream_limits s1 = { .idle_timeout = CO_SECOND };
    static const struct co_stream_limits s9 = { .idle_timeout = 9 * CO_SECOND };
    struct fixture *f = *state;

    fixture_open_stream(f, &s1);
    fixture_spawn(f, read_some, f);
    fixture_run_idle(f);
    co_stream_set_limits(f->stream, &s9);
    fixture_pass_ms(f, 8999);
    assert_int_equal(co_stream_error(f->stream), 0);
    co_stream_set_limits(f->stream, NULL);
    assert_int_equal(fixture_stats(f).n_timers, 0);
    fixture_pass_ms(f, 60000);
    assert_int_equal(co_stream_error(f->stream), 0);
    co_stream_set_limits(f->stream, &s1);
    fixture_pass_ms(f, 1000);
    assert_int_equal(co_stream_error(f->stream), -ETIMEDOUT);
    fixture_run(f);
}

/* Output while input is awaited is no silence, also when the socket takes it at once. */
static void test_idle_timeout_counts_output(void **state)
{
    static const struct co_stream_limits limits = { .idle_timeout = 10 * CO_SECOND };
    struct fixture *f = *state;
    int n_input = 0;

    fixture_open_stream(f, &limits);
    assert_true(co_stream_on_input(f->stream, count_input, &n_input));
    fixture_pass_ms(f, 6000);
    assert_int_equal(co_stream_write(f->stream, "x", 1), 0);
    fixture_pass_ms(f, 9999);
    assert_int_equal(co_stream_error(f->stream), 0);
    fixture_pass_ms(f, 1);
    assert_int_equal(co_stream_error(f->stream), -ETIMEDOUT);
}

/* New limits do not take from a parked stream the news of its failure. */
static void test_set_limits_of_a_failed_stream_keeps_its_callback(void **state)
{
    struct fixture *f = *state;
    int n_input = 0;

    fixture_open_stream(f, NULL);
    assert_true(co_stream_on_input(f->stream, count_input, &n_input));
    co_stream_fail(f->stream, -EIO);
    co_stream_set_limits(f->stream, NULL);
    fixture_run_idle(f);
    assert_int_equal(n_input, 1);
}

/* A busy stream moves no timer: the limit is looked at once a period. */
static void test_limits_cost_nothing_while_bytes_flow(void **state)
{
    static const struct co_stream_limits limits = { .idle_timeout = 10 * CO_SECOND };
    struct fixture *f = *state;
    uint32_t seq;

    fixture_open_stream(f, &limits);
    seq = f->loop->timers.next_seq;
    for (int i = 0; i < 100; i++) {
        peer_send(&f->peer, "x");
        fixture_pass_ms(f, 90);
        assert_int_equal(fixture_call(f, read_some, f), 0);
    }
    assert_int_equal(f->loop->timers.next_seq, seq);
    fixture_pass_ms(f, 1000);
    assert_int_equal(f->loop->timers.next_seq, seq + 1);
}

#define STREAM_TEST(name) \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        STREAM_TEST(test_open_under_faults_leaves_the_descriptor),
        STREAM_TEST(test_open_refuses_a_file),
        STREAM_TEST(test_open_starts_with_nothing),
        STREAM_TEST(test_close_with_nothing_to_send_is_at_once),
        STREAM_TEST(test_close_flushes),
        STREAM_TEST(test_close_while_the_peer_goes),
        STREAM_TEST(test_close_flushes_within_write_timeout),
        STREAM_TEST(test_close_flushes_without_a_limit),
        STREAM_TEST(test_close_of_a_failed_stream),
        STREAM_TEST(test_close_lingers_until_the_peer_closes),
        STREAM_TEST(test_close_lingers_through_a_flood),
        STREAM_TEST(test_close_lingers_until_a_reset_behind_a_flood),
        STREAM_TEST(test_close_lingers_no_longer_than_told),
        STREAM_TEST(test_close_flushes_and_does_not_linger),
        STREAM_TEST(test_close_after_the_peers_end_does_not_linger),
        STREAM_TEST(test_close_after_write_eof),
        STREAM_TEST(test_close_of_a_parked_stream),
        STREAM_TEST(test_close_is_ended_by_the_loops_end),
        STREAM_TEST(test_abort_drops_output),
        STREAM_TEST(test_abort_drops_input),
        STREAM_TEST(test_abort_of_a_closing_stream),
        STREAM_TEST(test_abort_under_a_waiting_task_is_caught),
        STREAM_TEST(test_idle_timeout_counts_silence),
        STREAM_TEST(test_idle_timeout_of_a_parked_stream),
        STREAM_TEST(test_idle_timeout_counts_output),
        STREAM_TEST(test_idle_timeout_spares_a_busy_owner),
        STREAM_TEST(test_read_timeout_ends_a_drip),
        STREAM_TEST(test_read_timeout_starts_anew_for_each_message),
        STREAM_TEST(test_write_timeout_counts_from_the_last_progress),
        STREAM_TEST(test_idle_timeout_counts_bytes_sent),
        STREAM_TEST(test_idle_timeout_of_a_peer_that_takes_nothing),
        STREAM_TEST(test_read_timeout_while_output_waits),
        STREAM_TEST(test_limits_lose_against_bytes_of_the_same_moment),
        STREAM_TEST(test_set_limits_replaces_them),
        STREAM_TEST(test_set_limits_of_a_failed_stream_keeps_its_callback),
        STREAM_TEST(test_limits_cost_nothing_while_bytes_flow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
