/* Tests of lib/core/watch.c: tasks that wait for a descriptor of the user's. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/task.h"
#include "fault.h"
#include "fixture.h"

struct waiting {
    struct co_watch *watch;
    struct co_loop *watch_loop; /* of await_events_late() */
    int events;
    co_time deadline; /* 0: CO_NEVER */
    int r;
    int n_done;
};

static int await_events(void *arg)
{
    struct waiting *w = arg;

    w->r = co_watch_await(w->watch, w->events, w->deadline ? w->deadline : CO_NEVER);
    w->n_done++;
    return 0;
}

/* Opens a watch for @events on our end of a pair of sockets; returns the descriptor. */
static int open_watch(struct fixture *f, int events, struct co_watch **out_watch)
{
    int fd = fixture_socketpair(&f->peer);

    assert_int_equal(co_watch_new(f->loop, fd, events, out_watch), 0);
    return fd;
}

/* A wait ends when the descriptor becomes readable, and says so. */
static void test_await_readable(void **state)
{
    struct fixture *f = *state;
    struct waiting w = { .events = CO_READ };
    int fd = open_watch(f, CO_READ, &w.watch);

    fixture_spawn(f, await_events, &w);
    fixture_run_idle(f);
    assert_int_equal(w.n_done, 0);
    peer_send(&f->peer, "x");
    fixture_run(f);
    assert_int_equal(w.r, CO_READ);
    co_watch_free(w.watch);
    close(fd);
}

/* Readiness stays known until it is cleared; then a wait takes a new edge. */
static void test_clear_makes_the_next_wait_suspend(void **state)
{
    struct fixture *f = *state;
    struct waiting w = { .events = CO_READ };
    int fd = open_watch(f, CO_READ | CO_WRITE, &w.watch);
    char byte;

    peer_send(&f->peer, "x");
    fixture_call(f, await_events, &w);
    fixture_call(f, await_events, &w);
    assert_int_equal(w.r, CO_READ);
    assert_int_equal(read(fd, &byte, 1), 1);
    co_watch_clear(w.watch, CO_READ);
    fixture_spawn(f, await_events, &w);
    fixture_run_idle(f);
    assert_int_equal(w.n_done, 2);
    peer_send(&f->peer, "y");
    fixture_run(f);
    assert_int_equal(w.r, CO_READ);
    w.events = CO_WRITE;
    fixture_call(f, await_events, &w);
    assert_int_equal(w.r, CO_WRITE);
    co_watch_free(w.watch);
    close(fd);
}

/* A peer that goes makes the descriptor readable: the read will tell. */
static void test_await_readable_at_the_end(void **state)
{
    struct fixture *f = *state;
    struct waiting w = { .events = CO_READ };
    int fd = open_watch(f, CO_READ, &w.watch);

    fixture_spawn(f, await_events, &w);
    fixture_run_idle(f);
    peer_close(&f->peer);
    fixture_run(f);
    assert_int_equal(w.r, CO_READ);
    co_watch_free(w.watch);
    close(fd);
}

/* One task at a time; a deadline and a cancellation end a wait. */
static void test_await_ends_otherwise(void **state)
{
    struct fixture *f = *state;
    struct waiting w = { .events = CO_READ, .deadline = FIXTURE_START + CO_SECOND };
    struct waiting second = { .events = CO_READ };
    struct co_task *task;
    int fd = open_watch(f, CO_READ, &w.watch);

    second.watch = w.watch;
    fixture_spawn(f, await_events, &w);
    fixture_spawn(f, await_events, &second);
    fixture_run(f);
    assert_int_equal(second.r, -EBUSY);
    assert_int_equal(w.r, -ETIMEDOUT);
    task = fixture_spawn(f, await_events, &second);
    fixture_run_idle(f);
    assert_string_equal(co_task_awaits(task), "descriptor");
    co_task_cancel(task);
    fixture_run(f);
    assert_int_equal(second.r, CO_ECANCELLED);
    assert_int_equal(co_watch_await(w.watch, CO_READ, CO_NEVER), CO_ENOTASK);
    co_watch_free(w.watch);
    close(fd);
}

static int make_a_watch(void *ctx)
{
    struct fixture *f = ctx;
    struct co_watch *watch = NULL;
    int r = co_watch_new(f->loop, f->peer.fd, CO_READ, &watch);

    assert_int_equal(watch != NULL, r == 0);
    co_watch_free(watch);
    return r;
}

/* Without memory, for a file, or for no descriptor at all there is no watch. */
static void test_new_refusals(void **state)
{
    struct fixture *f = *state;
    struct co_watch *watch = NULL;
    int fd = fixture_socketpair(&f->peer), file = open("/proc/self/exe", O_RDONLY);

    assert_int_equal(fault_walk(make_a_watch, f), 1);
    assert_int_equal(co_watch_new(f->loop, file, CO_READ, &watch), -EPERM);
    close(file);
    assert_int_equal(co_watch_new(f->loop, file, CO_READ, &watch), -EBADF);
    assert_null(watch);
    assert_int_equal(fixture_stats(f).n_watches, f->n_watches);
    close(fd);
}

/* Waits with a used up budget, so that another comes first. */
static int await_events_late(void *arg)
{
    struct waiting *w = arg;

    w->watch_loop->budget = 1;
    return await_events(w);
}

/* Who had to let others run first finds the place taken, and wakes nobody of them up. */
static void test_await_by_two_after_a_yield(void **state)
{
    struct fixture *f = *state;
    struct waiting first = { .events = CO_READ }, late;
    int fd = open_watch(f, CO_READ, &first.watch);

    late = first;
    late.watch_loop = f->loop;
    fixture_spawn(f, await_events_late, &late);
    fixture_spawn(f, await_events, &first);
    fixture_run_idle(f);
    assert_int_equal(late.n_done, 1);
    assert_int_equal(late.r, -EBUSY);
    peer_send(&f->peer, "x");
    fixture_run(f);
    assert_int_equal(first.r, CO_READ);
    co_watch_free(first.watch);
    close(fd);
}

static void free_awaited(void *arg)
{
    struct fixture *f = arg;
    struct waiting w = { .events = CO_READ };

    (void)open_watch(f, CO_READ, &w.watch);
    fixture_spawn(f, await_events, &w);
    fixture_run_idle(f);
    co_watch_free(w.watch);
}

/* A watch that a task awaits must not go; NULL is fine. */
static void test_free_while_awaited_is_caught(void **state)
{
    struct child_result child;

    co_watch_free(NULL);
    child = child_run(free_awaited, *state);
    assert_int_equal(child.signal, SIGABRT);
    assert_non_null(strstr(child.text, "co_watch_free"));
}

#define WATCH_TEST(name) \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        WATCH_TEST(test_await_readable),
        WATCH_TEST(test_clear_makes_the_next_wait_suspend),
        WATCH_TEST(test_await_readable_at_the_end),
        WATCH_TEST(test_await_ends_otherwise),
        WATCH_TEST(test_new_refusals),
        WATCH_TEST(test_await_by_two_after_a_yield),
        WATCH_TEST(test_free_while_awaited_is_caught),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
