/* Tests of lib/core/run.c: a program around one task. */
#include "test.h"

#include <errno.h>

#include "core/task.h"
#include "fault.h"
#include "fixture.h"

static int add_one(void *arg)
{
    return *(int *)arg + 1;
}

/* What main returns is what run returns; nothing is left, so it can be done again. */
static void test_run_returns_what_main_returns(void **state)
{
    static const int cases[] = { 0, 41, -EIO, CO_ECANCELLED };
    int n_fds = count_fds();

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        int before = cases[i] - 1;

        assert_int_equal(co_run(add_one, &before), cases[i]);
        assert_null(co_loop_current());
    }
    assert_int_equal(count_fds(), n_fds);
}

static int child(void *arg)
{
    int *n = arg;

    ++*n;
    return co_await_yield();
}

static int spawn_children(void *arg)
{
    struct co_task *tasks[10];
    int result;

    for (int i = 0; i < 10; i++)
        assert_int_equal(co_task_spawn(co_loop_current(), NULL, child, arg, &tasks[i]),
                         0);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(co_task_await(tasks[i], CO_NEVER, &result), 0);
        assert_int_equal(result, 0);
        co_task_free(tasks[i]);
    }
    return 0;
}

/* Main may spawn and await others, and sleep. */
static void test_run_runs_other_tasks(void **state)
{
    int n = 0;

    (void)state;
    assert_int_equal(co_run(spawn_children, &n), 0);
    assert_int_equal(n, 10);
}

static int run_inside(void *arg)
{
    return co_run(add_one, arg);
}

/* Inside a loop there is no other run. */
static void test_run_inside_a_loop(void **state)
{
    int n = 1;

    (void)state;
    assert_int_equal(co_run(run_inside, &n), CO_ESTATE);
}

static int run_under_faults(void *ctx)
{
    int n = -1;

    (void)ctx;
    return co_run(add_one, &n);
}

/* Whatever cannot be made, run says so and leaves nothing. */
static void test_run_under_faults(void **state)
{
    int n_fds = count_fds();

    /* The fixture's signal stack spares the loop its own, which it could do without. */
    assert_int_equal(fixture_setup(state), 0);
    assert_true(fault_walk(run_under_faults, NULL) >= 4);
    assert_int_equal(fault_walk_kind(run_under_faults, NULL, FAULT_FD, EMFILE), 2);
    assert_int_equal(fixture_teardown(state), 0);
    assert_int_equal(count_fds(), n_fds);
}

static int close_with_output(void *arg)
{
    static char much[600000];
    int fd = fixture_socketpair(arg);
    struct co_stream *s;

    assert_int_equal(co_stream_open(co_loop_current(), fd, NULL, &s), 0);
    assert_int_equal(co_stream_write(s, much, sizeof(much)), 0);
    co_stream_close(s, NULL, NULL);
    return 0;
}

/* A stream that main has closed but that is still flushing does not outlive the loop. */
static void test_run_ends_closing_streams(void **state)
{
    int n_fds = count_fds();
    struct peer peer;

    (void)state;
    assert_int_equal(co_run(close_with_output, &peer), 0);
    assert_true(peer_drain(&peer) > 0);
    peer_close(&peer);
    assert_int_equal(count_fds(), n_fds);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run_returns_what_main_returns),
        cmocka_unit_test(test_run_runs_other_tasks),
        cmocka_unit_test(test_run_inside_a_loop),
        cmocka_unit_test(test_run_under_faults),
        cmocka_unit_test(test_run_ends_closing_streams),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
