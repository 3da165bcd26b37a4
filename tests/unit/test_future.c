/* Tests of lib/core/future.c: a result that comes once; bNNN is asyncio's promise. */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "core/task.h"
#include "fixture.h"

struct waiting {
    struct co_future *future;
    co_time deadline; /* 0: CO_NEVER */
    int r, result;
    int r_next; /* of a yield that follows */
    int n_done;
    int *order; /* counts who was first; NULL: nobody counts */
    int place;
};

static int await_future(void *arg)
{
    struct waiting *w = arg;

    w->result = 12345;
    w->r = co_future_await(w->future, w->deadline ? w->deadline : CO_NEVER, &w->result);
    w->place = w->order ? (*w->order)++ : 0;
    w->r_next = co_await_yield();
    w->n_done++;
    return 0;
}

struct callback {
    struct co_handle handle;
    int n;
    int *order;
    int place;
    struct co_handle *cancels; /* taken back when this one runs */
};

static void on_done(struct co_handle *handle)
{
    struct callback *c = CO_CONTAINER_OF(handle, struct callback, handle);

    c->n++;
    c->place = c->order ? (*c->order)++ : 0;
    if (c->cancels)
        co_handle_cancel(c->cancels);
}

/* A result is kept for whoever awaits it, before and after it comes. */
static void test_await_gives_the_result(void **state)
{
    struct fixture *f = *state;
    struct co_future future;
    struct waiting early = { .future = &future }, late = early;
    int value;

    co_future_init(&future, f->loop);
    assert_false(future.is_done);
    fixture_spawn(f, await_future, &early);
    fixture_run_idle(f);
    assert_int_equal(early.n_done, 0);
    assert_int_equal(co_future_set(&future, 7, &value), 0);
    fixture_run(f);
    assert_int_equal(early.r, 0);
    assert_int_equal(early.result, 7);
    assert_ptr_equal(future.value, &value);
    fixture_call(f, await_future, &late);
    assert_int_equal(late.result, 7);
}

/* A future that is done already is got without suspending. */
static void test_await_of_a_done_future_does_not_suspend(void **state)
{
    struct fixture *f = *state;
    struct co_future future;
    struct waiting w = { .future = &future };

    co_future_init(&future, f->loop);
    co_future_set(&future, -EIO, NULL);
    fixture_spawn(f, await_future, &w);
    co_loop_stop(f->loop);
    co_loop_run(f->loop);
    assert_int_equal(w.r, 0);
    assert_int_equal(w.result, -EIO);
    fixture_run(f);
}

/* A second result is refused and changes nothing (b020). */
static void test_set_of_a_done_future(void **state)
{
    struct fixture *f = *state;
    struct co_future future;
    int value;

    co_future_init(&future, f->loop);
    assert_int_equal(co_future_set(&future, 1, &value), 0);
    assert_int_equal(co_future_set(&future, 2, NULL), CO_ESTATE);
    assert_false(co_future_cancel(&future));
    assert_int_equal(future.result, 1);
    assert_ptr_equal(future.value, &value);
}

/* A cancelled future has CO_ECANCELLED as its result. */
static void test_cancel_is_a_result(void **state)
{
    struct fixture *f = *state;
    struct co_future future;
    struct waiting w = { .future = &future };

    co_future_init(&future, f->loop);
    fixture_spawn(f, await_future, &w);
    fixture_run_idle(f);
    assert_true(co_future_cancel(&future));
    fixture_run(f);
    /* The waiting task itself was not cancelled. */
    assert_int_equal(w.r, 0);
    assert_int_equal(w.result, CO_ECANCELLED);
    assert_int_equal(w.r_next, 0);
}

/* Callbacks are queued, never called inline, also when the future is done (b021, b022). */
static void test_on_done_never_calls_inline(void **state)
{
    struct fixture *f = *state;
    struct co_future future;
    struct callback before = { .handle.run = on_done }, after = before;

    co_future_init(&future, f->loop);
    co_future_on_done(&future, &before.handle);
    co_future_set(&future, 0, NULL);
    co_future_on_done(&future, &after.handle);
    assert_int_equal(before.n + after.n, 0);
    fixture_run_idle(f);
    assert_int_equal(before.n, 1);
    assert_int_equal(after.n, 1);
}

/* Tasks and callbacks that wait are served in the order they came. */
static void test_set_wakes_in_order(void **state)
{
    struct fixture *f = *state;
    struct co_future future;
    int order = 0;
    struct waiting tasks[5];
    struct callback callbacks[5];

    co_future_init(&future, f->loop);
    for (int i = 0; i < 5; i++) {
        tasks[i] = (struct waiting){ .future = &future, .order = &order };
        fixture_spawn(f, await_future, &tasks[i]);
        fixture_run_idle(f);
        callbacks[i] = (struct callback){ .handle.run = on_done, .order = &order };
        co_future_on_done(&future, &callbacks[i].handle);
    }
    co_future_set(&future, 0, NULL);
    fixture_run(f);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(tasks[i].place, 2 * i);
        assert_int_equal(callbacks[i].place, 2 * i + 1);
    }
}

/* A callback may take others back while they are being served (b023). */
static void test_on_done_taken_back_during_dispatch(void **state)
{
    struct fixture *f = *state;
    struct co_future future;
    struct callback c[4];

    co_future_init(&future, f->loop);
    for (int i = 0; i < 4; i++) {
        c[i] = (struct callback){ .handle.run = on_done };
        co_future_on_done(&future, &c[i].handle);
    }
    c[0].cancels = &c[2].handle;    /* in the batch that runs */
    co_handle_cancel(&c[3].handle); /* still in the future's list */
    co_future_set(&future, 0, NULL);
    fixture_run_idle(f);
    assert_int_equal(c[0].n, 1);
    assert_int_equal(c[1].n, 1);
    assert_int_equal(c[2].n, 0);
    assert_int_equal(c[3].n, 0);
}

/* A deadline ends one await; the future and who else awaits it are untouched. */
static void test_await_at_its_deadline(void **state)
{
    struct fixture *f = *state;
    struct co_future future;
    struct waiting hasty = { .future = &future, .deadline = FIXTURE_START + CO_SECOND };
    struct waiting patient = { .future = &future };

    co_future_init(&future, f->loop);
    fixture_spawn(f, await_future, &hasty);
    fixture_spawn(f, await_future, &patient);
    fixture_pass_ms(f, 999);
    assert_int_equal(hasty.n_done, 0);
    fixture_pass_ms(f, 1);
    assert_int_equal(hasty.r, -ETIMEDOUT);
    assert_int_equal(hasty.result, 12345);
    assert_false(future.is_done);
    co_future_set(&future, 3, NULL);
    fixture_run(f);
    assert_int_equal(hasty.n_done, 1);
    assert_int_equal(patient.result, 3);
}

/* Cancelling a task cancels the future it awaits; others get that as a result (b028). */
static void test_await_cancelled_cancels_the_future(void **state)
{
    struct fixture *f = *state;
    struct co_future future;
    struct waiting w = { .future = &future }, other = w;
    struct co_task *task;

    co_future_init(&future, f->loop);
    task = fixture_spawn(f, await_future, &w);
    fixture_spawn(f, await_future, &other);
    fixture_run_idle(f);
    assert_true(co_task_cancel(task));
    assert_true(future.is_done);
    fixture_run(f);
    assert_int_equal(w.r, CO_ECANCELLED);
    assert_int_equal(w.result, 12345);
    assert_int_equal(w.r_next, 0);
    assert_int_equal(other.r, 0);
    assert_int_equal(other.result, CO_ECANCELLED);
}

/* The first who wakes may use the future's memory anew: the others have their result. */
static void test_await_outlives_the_future(void **state)
{
    struct fixture *f = *state;
    struct co_future future;
    struct waiting cancelled = { .future = &future }, other = cancelled;
    struct co_task *task;

    co_future_init(&future, f->loop);
    task = fixture_spawn(f, await_future, &cancelled);
    fixture_spawn(f, await_future, &other);
    fixture_run_idle(f);
    assert_true(co_task_cancel(task));
    co_future_init(&future, f->loop);
    fixture_run(f);
    assert_int_equal(cancelled.r, CO_ECANCELLED);
    assert_int_equal(other.r, 0);
    assert_int_equal(other.result, CO_ECANCELLED);
}

/* Cancelled between the result and its wake-up, a task is told then; the result stays (b033). */
static void test_await_cancelled_after_the_result(void **state)
{
    struct fixture *f = *state;
    struct co_future future;
    struct waiting w = { .future = &future };
    struct co_task *task;

    co_future_init(&future, f->loop);
    task = fixture_spawn(f, await_future, &w);
    fixture_run_idle(f);
    co_future_set(&future, 9, NULL);
    assert_true(co_task_cancel(task));
    fixture_run(f);
    assert_int_equal(w.r, CO_ECANCELLED);
    assert_int_equal(w.r_next, 0);
    assert_int_equal(future.result, 9);
}

static int cancel_then_await(void *arg)
{
    assert_true(co_task_cancel(co_task_current()));
    return await_future(arg);
}

/* A task that was cancelled while it ran cancels what it then awaits (b030). */
static void test_await_by_a_cancelled_task(void **state)
{
    struct fixture *f = *state;
    struct co_future future;
    struct waiting w = { .future = &future };

    co_future_init(&future, f->loop);
    fixture_call(f, cancel_then_await, &w);
    assert_int_equal(w.r, CO_ECANCELLED);
    assert_int_equal(w.r_next, 0);
    assert_int_equal(future.result, CO_ECANCELLED);
}

/* Outside a task nothing is awaited. */
static void test_await_outside_a_task(void **state)
{
    struct fixture *f = *state;
    struct co_future future;
    int result = 12345;

    co_future_init(&future, f->loop);
    assert_int_equal(co_future_await(&future, CO_NEVER, &result), CO_ENOTASK);
    assert_int_equal(result, 12345);
}

static void await_on_another_loop(void *arg)
{
    struct fixture *f = arg;
    struct co_future future;
    struct waiting w = { .future = &future };
    struct co_loop *other;

    assert_int_equal(co_loop_new(NULL, &other), 0);
    co_future_init(&future, other);
    fixture_call(f, await_future, &w);
}

/* A future of another loop cannot be awaited: its result would come on another thread (b025). */
static void test_await_of_another_loops_future_is_caught(void **state)
{
    struct child_result child = child_run(await_on_another_loop, *state);

    assert_int_equal(child.signal, SIGABRT);
    assert_non_null(strstr(child.text, "co_future_await"));
    assert_non_null(strstr(child.text, "task fixture"));
}

#define FUTURE_TEST(name) \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        FUTURE_TEST(test_await_gives_the_result),
        FUTURE_TEST(test_await_of_a_done_future_does_not_suspend),
        FUTURE_TEST(test_set_of_a_done_future),
        FUTURE_TEST(test_cancel_is_a_result),
        FUTURE_TEST(test_on_done_never_calls_inline),
        FUTURE_TEST(test_set_wakes_in_order),
        FUTURE_TEST(test_on_done_taken_back_during_dispatch),
        FUTURE_TEST(test_await_at_its_deadline),
        FUTURE_TEST(test_await_cancelled_cancels_the_future),
        FUTURE_TEST(test_await_outlives_the_future),
        FUTURE_TEST(test_await_cancelled_after_the_result),
        FUTURE_TEST(test_await_by_a_cancelled_task),
        FUTURE_TEST(test_await_outside_a_task),
        FUTURE_TEST(test_await_of_another_loops_future_is_caught),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
