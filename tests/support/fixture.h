/**
 * The fixture of the library's unit tests: a loop on a virtual clock, the tasks of a test,
 * and a peer at the other end of a socket. Nothing here sleeps.
 *
 *     static void test_await_some_gives_what_is_there(void **state)
 *     {
 *         struct fixture *f = *state;
 *         struct reading r = { .f = f };
 *
 *         fixture_open_stream(f, NULL);
 *         fixture_spawn(f, read_some, &r);
 *         peer_send(&f->peer, "abc");
 *         fixture_run(f);
 *         assert_bytes_equal(r.bytes, "abc");
 *     }
 *     …
 *     cmocka_unit_test_setup_teardown(test_…, fixture_setup, fixture_teardown)
 *
 * Thread: the one that runs the test.
 */
#ifndef COROD_FIXTURE_H
#define COROD_FIXTURE_H

#include <corod/future.h>
#include <corod/stream.h>
#include <corod/task.h>

#include "core/loop.h"

enum { FIXTURE_TASKS = 64 };

/** The other end of a connection; a blocking descriptor, -1 when closed. */
struct peer {
    int fd;
    int ours;    /* the end under test */
    bool is_tcp; /* what one end does may reach the other a little later */
};

struct fixture {
    struct co_virtual_clock clock;
    struct co_loop *loop;
    struct co_task *tasks[FIXTURE_TASKS];
    int n_tasks;
    struct co_stream *stream; /* our end of a connection; aborted by the teardown */
    struct peer peer;
    int n_fds;          /* open descriptors at the setup */
    uint32_t n_watches; /* the loop's own */
};

/** cmocka setup: a loop whose virtual clock shows fixture_start. */
int fixture_setup(void **state);

/**
 * cmocka teardown: ends stream, peer, tasks and loop, and fails when a descriptor, a stream,
 * a block or a task is left.
 */
int fixture_teardown(void **state);

/** First time of the loop's clock. */
#define FIXTURE_START (1000 * CO_SECOND)

/* ---- running ---- */

/** Spawns a task that the fixture owns. Returns it, to be cancelled or looked at. */
struct co_task *fixture_spawn(struct fixture *f, co_task_fn fn, void *arg);

/** Runs until nothing is ready any more; the clock stands still. */
void fixture_run_idle(struct fixture *f);

/** Lets @ms milliseconds pass: each timer fires at its time. Then runs until idle. */
void fixture_pass_ms(struct fixture *f, int64_t ms);

/**
 * Runs until all tasks of the fixture have ended, the clock jumping to the next timer when
 * nothing is ready, and frees them. Fails and names a task when nothing can wake it.
 */
void fixture_run(struct fixture *f);

/** Runs @fn as a task to its end, as fixture_run(); returns its result. */
int fixture_call(struct fixture *f, co_task_fn fn, void *arg);

/* ---- connections ---- */

/** Makes a pair of connected Unix sockets: ours is non-blocking, theirs the peer's. */
int fixture_socketpair(struct peer *peer);

/** Makes a pair of connected TCP sockets on the loopback, as fixture_socketpair(). */
int fixture_tcp_pair(struct peer *peer);

/** Opens f->stream to f->peer over a pair of Unix sockets. */
void fixture_open_stream(struct fixture *f, const struct co_stream_limits *limits);

/** Opens f->stream to f->peer over TCP, with small socket buffers on both sides. */
void fixture_open_tcp_stream(struct fixture *f, const struct co_stream_limits *limits);

/*
 * What a peer does has reached our end when these return, so that the next iteration of the
 * loop sees it.
 */
void peer_send(struct peer *peer, const char *text);
void peer_send_bytes(struct peer *peer, const void *data, size_t len);

/** Reads what is there into buf[size]; 0 at the end, -errno (-EAGAIN: nothing there). */
ssize_t peer_read(struct peer *peer, void *buf, size_t size);

/** Waits until there is something for the peer to read, or its end; TCP needs that. */
void peer_await_input(struct peer *peer);

/** Reads and drops what is there; returns how much. */
size_t peer_drain(struct peer *peer);

/** Closes the sending side. */
void peer_shutdown(struct peer *peer);

void peer_close(struct peer *peer);

/** Closes so that our end is reset; TCP only. */
void peer_reset(struct peer *peer);

/* ---- facts ---- */

/** Fails unless bytes are the NUL-terminated @text. */
void assert_bytes_equal(struct co_bytes bytes, const char *text);

/** Blocks in the pool of the fixture's loop. */
unsigned fixture_idle_blocks(const struct fixture *f);

/** Counters of the fixture's loop. */
struct co_loop_stats fixture_stats(const struct fixture *f);

/* ---- child processes ---- */

struct child_result {
    int signal;      /* that ended it, or 0 */
    int status;      /* that it exited with */
    char text[2048]; /* its stderr, NUL-terminated */
};

/** Runs fn(arg) in a child process, which then exits with 0; default signal dispositions. */
struct child_result child_run(void (*fn)(void *arg), void *arg);

#endif
