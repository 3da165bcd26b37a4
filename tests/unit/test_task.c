/*
 * Tests of lib/core/task.c: what asyncio promises of tasks; bNNN is the promise's number.
 * long: one file a module, many short tests.
 */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/task.h"
#include "fault.h"
#include "fixture.h"
#include "float_control.h"

/* What happened, as letters in the order it did. */
struct trace {
    char text[256];
    size_t len;
};

static void note(struct trace *trace, char c)
{
    assert_true(trace->len + 1 < sizeof(trace->text));
    trace->text[trace->len++] = c;
}

static int return_arg(void *arg)
{
    return (int)(intptr_t)arg;
}

static void *number(int n)
{
    return (void *)(intptr_t)n;
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return co_await_sleep(CO_NEVER);
}

/* ---- spawn ---- */

struct tracer {
    struct trace *trace;
    char name;
    int n_yields;
};

static int trace_steps(void *arg)
{
    struct tracer *t = arg;
    int r = 0;

    note(t->trace, t->name);
    for (int i = 0; i < t->n_yields && r == 0; i++) {
        r = co_await_yield();
        note(t->trace, t->name);
    }
    return r;
}

/* Tasks take their steps in the order they were spawned and became ready (b001). */
static void test_spawn_steps_in_order(void **state)
{
    struct fixture *f = *state;
    struct trace trace = { .len = 0 };
    struct tracer t[] = { { &trace, 'a', 2 }, { &trace, 'b', 1 }, { &trace, 'c', 2 } };

    for (size_t i = 0; i < N_ELEMENTS(t); i++)
        fixture_spawn(f, trace_steps, &t[i]);
    assert_string_equal(trace.text, "");
    fixture_run(f);
    assert_string_equal(trace.text, "abcabcac");
}

/* A task shows where it stands at every point of its life. */
static void test_state_follows_the_task(void **state)
{
    struct fixture *f = *state;
    struct co_task *task = fixture_spawn(f, sleep_for_ever, NULL);

    assert_int_equal(co_task_state(task), CO_TASK_READY);
    assert_null(co_task_awaits(task));
    assert_int_equal(fixture_stats(f).n_tasks, 1);
    fixture_run_idle(f);
    assert_int_equal(co_task_state(task), CO_TASK_SUSPENDED);
    assert_string_equal(co_task_awaits(task), "sleep");
    assert_string_equal(co_task_name(task), "fixture");
    assert_true(co_task_cancel(task));
    assert_int_equal(co_task_state(task), CO_TASK_READY);
    fixture_run_idle(f);
    assert_int_equal(co_task_state(task), CO_TASK_DONE);
    assert_null(co_task_awaits(task));
    /* One that has ended counts until it is freed. */
    assert_int_equal(fixture_stats(f).n_tasks, 1);
    assert_int_equal(fixture_stats(f).n_stacks, 1);
    fixture_run(f);
    assert_int_equal(fixture_stats(f).n_tasks, 0);
    assert_int_equal(fixture_stats(f).n_stacks, 0);
}

static int look_at_oneself(void *arg)
{
    struct co_task **out = arg;

    *out = co_task_current();
    return co_task_state(*out) == CO_TASK_RUNNING ? 0 : -EINVAL;
}

/* A task finds itself; outside there is no current task. */
static void test_current_is_the_running_task(void **state)
{
    struct fixture *f = *state;
    struct co_task *seen = NULL;
    struct co_task *task = fixture_spawn(f, look_at_oneself, &seen);

    assert_null(co_task_current());
    fixture_run_idle(f);
    assert_ptr_equal(seen, task);
    assert_int_equal(task->done.result, 0);
    assert_null(co_task_current());
}

/* A task without a name, with attributes or without, has a default one. */
static void test_name_has_a_default(void **state)
{
    static const struct co_task_attr nameless = { .stack_size = 16384 };
    struct fixture *f = *state;
    struct co_task *a, *b;

    assert_int_equal(co_task_spawn(f->loop, NULL, return_arg, NULL, &a), 0);
    assert_int_equal(co_task_spawn(f->loop, &nameless, return_arg, NULL, &b), 0);
    assert_string_equal(co_task_name(a), "task");
    assert_string_equal(co_task_name(b), "task");
    fixture_run_idle(f);
    co_task_free(a);
    co_task_free(b);
}

/* A stack above the largest class is refused; nothing is spawned. */
static void test_spawn_refuses_a_huge_stack(void **state)
{
    static const struct co_task_attr huge = { .stack_size = (256 << 10) + 1 };
    struct fixture *f = *state;
    struct co_task *task = NULL;

    assert_int_equal(co_task_spawn(f->loop, &huge, return_arg, NULL, &task), -E2BIG);
    assert_null(task);
    assert_int_equal(fixture_stats(f).n_tasks, 0);
}

static int spawn_on_a_new_loop(void *ctx)
{
    struct co_loop *loop;
    struct co_task *task = NULL;
    int r = co_loop_new(NULL, &loop);

    (void)ctx;
    if (r < 0)
        return r;
    r = co_task_spawn(loop, NULL, return_arg, NULL, &task);
    if (r == 0) {
        co_loop_stop(loop);
        co_loop_run(loop);
        co_task_free(task);
    } else {
        assert_null(task);
    }
    co_loop_free(loop);
    return r;
}

/* Without memory for a stack a spawn fails and leaves nothing. */
static void test_spawn_under_faults(void **state)
{
    (void)state;
    assert_true(fault_walk(spawn_on_a_new_loop, NULL) >= 4);
}

static int count_down(void *arg)
{
    int *n = arg;

    if (*n > 0) {
        --*n;
        assert_int_equal(co_task_spawn(co_loop_current(), NULL, count_down, n, NULL), 0);
    }
    return 0;
}

/* Tasks that spawn tasks and end need no more stacks than live at a time. */
static void test_spawn_in_a_chain_reuses_stacks(void **state)
{
    struct fixture *f = *state;
    int n = 10000;

    assert_int_equal(co_task_spawn(f->loop, NULL, count_down, &n, NULL), 0);
    fixture_run_idle(f);
    assert_int_equal(n, 0);
    assert_int_equal(fixture_stats(f).n_stacks, 0);
    assert_true(fixture_stats(f).n_stacks_idle <= 64);
}

static int spawn_and_await(void *arg)
{
    int depth = (int)(intptr_t)arg;
    struct co_task *child;
    int result = -1;

    if (depth == 0)
        return 0;
    assert_int_equal(co_task_spawn(co_loop_current(), NULL, spawn_and_await,
                                   number(depth - 1), &child),
                     0);
    assert_int_equal(co_task_await(child, CO_NEVER, &result), 0);
    co_task_free(child);
    return result + 1;
}

/* Ten thousand tasks, each awaiting the one it spawned, are alive at once. */
static void test_spawn_nested_ten_thousand_deep(void **state)
{
#ifdef HAVE_TSAN
    const int depth = 1000; /* ThreadSanitizer knows no more than 8128 fibers */
#else
    const int depth = 10000;
#endif
    struct fixture *f = *state;

    assert_int_equal(fixture_call(f, spawn_and_await, number(depth)), depth);
}

/* ---- start ---- */

struct starter {
    struct trace trace;
    struct co_task *inner;
    int r;
};

static int inner_of_start(void *arg)
{
    struct starter *s = arg;
    int r;

    note(&s->trace, 'i');
    assert_ptr_equal(co_task_current(), s->inner);
    r = co_await_yield();
    note(&s->trace, 'I');
    return r;
}

static int outer_of_start(void *arg)
{
    struct starter *s = arg;
    struct co_task *self = co_task_current();
    int budget = co_loop_current()->budget = LOOP_BUDGET / 2;

    note(&s->trace, 'o');
    s->r = co_task_start(NULL, inner_of_start, s, &s->inner);
    note(&s->trace, 'p');
    assert_int_equal(co_loop_current()->budget, budget);
    assert_ptr_equal(co_task_current(), self);
    assert_int_equal(co_task_state(self), CO_TASK_RUNNING);
    assert_int_equal(co_await_yield(), 0);
    note(&s->trace, 'O');
    return 0;
}

/* A started task runs at once until it suspends, also inside another task (b038). */
static void test_start_runs_until_it_suspends(void **state)
{
    struct fixture *f = *state;
    struct starter s = { .r = -1 };

    fixture_spawn(f, outer_of_start, &s);
    fixture_run(f);
    assert_int_equal(s.r, 0);
    assert_string_equal(s.trace.text, "oipIO");
    assert_int_equal(fixture_stats(f).n_tasks, 0);
}

struct start_handle {
    struct co_handle handle;
    struct co_loop_stats after;
    int r;
};

static void start_a_task(struct co_handle *handle)
{
    struct start_handle *h = CO_CONTAINER_OF(handle, struct start_handle, handle);

    h->r = co_task_start(NULL, return_arg, number(3), NULL);
    co_loop_get_stats(co_loop_current(), &h->after);
}

/* A task that is started in a callback and does not suspend is gone on return (b038). */
static void test_start_of_a_task_that_ends_at_once(void **state)
{
    struct fixture *f = *state;
    struct start_handle h = { .handle.run = start_a_task, .r = -1 };

    co_loop_call_soon(f->loop, &h.handle);
    fixture_run_idle(f);
    assert_int_equal(h.r, 0);
    assert_int_equal(h.after.n_tasks, 0);
    assert_int_equal(h.after.n_stacks, 0);
}

/* ---- await ---- */

struct awaiting {
    struct co_task *target;
    co_time deadline; /* 0: CO_NEVER */
    int r, result;
    int r_next; /* of a yield that follows */
    int n_done;
};

static int await_target(void *arg)
{
    struct awaiting *a = arg;

    a->result = 12345;
    a->r = co_task_await(a->target, a->deadline ? a->deadline : CO_NEVER, &a->result);
    a->r_next = co_await_yield();
    a->n_done++;
    return a->r;
}

/* Any number of tasks get the result, while the task runs and when it is done. */
static void test_await_gives_the_result_to_all(void **state)
{
    struct fixture *f = *state;
    struct awaiting a[3] = { { .r = -1 }, { .r = -1 }, { .r = -1 } };
    struct co_task *target = fixture_spawn(f, return_arg, number(-7));

    for (int i = 0; i < 2; i++) {
        a[i].target = target;
        fixture_spawn(f, await_target, &a[i]);
    }
    fixture_run_idle(f);
    a[2].target = target;
    fixture_spawn(f, await_target, &a[2]);
    fixture_run_idle(f);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(a[i].r, 0);
        assert_int_equal(a[i].result, -7);
    }
}

static int await_itself(void *arg)
{
    int result = 12345;
    int r = co_task_await(co_task_current(), CO_NEVER, &result);

    (void)arg;
    assert_int_equal(result, 12345);
    return r;
}

/* A task that awaits itself is told so (b025). */
static void test_await_of_itself(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(fixture_call(f, await_itself, NULL), -EDEADLK);
}

/* Outside a task nothing can be awaited, nothing changes. */
static void test_await_outside_a_task(void **state)
{
    struct fixture *f = *state;
    struct co_task *task = fixture_spawn(f, return_arg, NULL);
    int result = 12345;

    assert_int_equal(co_task_await(task, CO_NEVER, &result), CO_ENOTASK);
    assert_int_equal(co_await_sleep(0), CO_ENOTASK);
    assert_int_equal(co_await_yield(), CO_ENOTASK);
    assert_int_equal(result, 12345);
    fixture_run(f);
}

/* A deadline ends the await and leaves the awaited task alone. */
static void test_await_at_its_deadline(void **state)
{
    struct fixture *f = *state;
    struct awaiting a = { .deadline = FIXTURE_START + CO_SECOND };

    a.target = fixture_spawn(f, sleep_for_ever, NULL);
    fixture_spawn(f, await_target, &a);
    fixture_pass_ms(f, 999);
    assert_int_equal(a.n_done, 0);
    fixture_pass_ms(f, 1);
    assert_int_equal(a.r, -ETIMEDOUT);
    assert_int_equal(a.result, 12345);
    assert_int_equal(a.r_next, 0);
    assert_int_equal(co_task_state(a.target), CO_TASK_SUSPENDED);
    co_task_cancel(a.target);
    fixture_run(f);
}

/* ---- cancel ---- */

struct body {
    int n_started;
    int r[4]; /* what the awaits gave */
    int n;    /* how many awaits */
    int result;
};

static int sleep_n_times(void *arg)
{
    struct body *b = arg;

    b->n_started++;
    for (int i = 0; i < b->n; i++)
        b->r[i] = co_await_sleep(co_after_ms(1000));
    return b->result;
}

/* Cancelled before its first step, a task never runs its body (b029). */
static void test_cancel_before_the_first_step(void **state)
{
    struct fixture *f = *state;
    struct body b = { .n = 1 };
    struct co_task *task = fixture_spawn(f, sleep_n_times, &b);

    assert_true(co_task_cancel(task));
    fixture_run_idle(f);
    assert_int_equal(b.n_started, 0);
    assert_int_equal(co_task_state(task), CO_TASK_DONE);
    assert_int_equal(task->done.result, CO_ECANCELLED);
}

/* A cancelled await returns CO_ECANCELLED once; the next one is not touched (b032). */
static void test_cancel_is_delivered_once(void **state)
{
    struct fixture *f = *state;
    struct body b = { .n = 3, .result = 5 };
    struct co_task *task = fixture_spawn(f, sleep_n_times, &b);

    fixture_pass_ms(f, 1500);
    assert_true(co_task_cancel(task));
    fixture_run_idle(f);
    assert_int_equal(b.r[0], 0);
    assert_int_equal(b.r[1], CO_ECANCELLED);
    assert_int_equal(co_task_state(task), CO_TASK_SUSPENDED);
    fixture_pass_ms(f, 1000);
    assert_int_equal(b.r[2], 0);
    assert_int_equal(task->done.result, 5);
}

/* A task that is done cannot be cancelled (b026). */
static void test_cancel_of_a_done_task(void **state)
{
    struct fixture *f = *state;
    struct co_task *task = fixture_spawn(f, return_arg, number(9));

    fixture_run_idle(f);
    assert_false(co_task_cancel(task));
    assert_int_equal(task->done.result, 9);
}

static int cancel_oneself(void *arg)
{
    int *r = arg;

    assert_true(co_task_cancel(co_task_current()));
    r[0] = co_await_yield();
    r[1] = co_await_yield();
    assert_true(co_task_cancel(co_task_current()));
    r[2] = co_await_sleep(CO_NEVER);
    r[3] = co_await_sleep(0);
    return 1;
}

/* Cancelled while it runs, a task is told at its next await (b030). */
static void test_cancel_of_the_running_task(void **state)
{
    struct fixture *f = *state;
    int r[4];

    assert_int_equal(fixture_call(f, cancel_oneself, r), 1);
    assert_int_equal(r[0], CO_ECANCELLED);
    assert_int_equal(r[1], 0);
    assert_int_equal(r[2], CO_ECANCELLED);
    assert_int_equal(r[3], 0);
}

static int cancel_oneself_last(void *arg)
{
    (void)arg;
    assert_true(co_task_cancel(co_task_current()));
    return 7;
}

/* Cancelled in its last step, a task ends cancelled (b031). */
static void test_cancel_in_the_last_step(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(fixture_call(f, cancel_oneself_last, NULL), CO_ECANCELLED);
}

/* Cancelled between wake-up and step, a task is told at that wake-up (b033). */
static void test_cancel_after_the_wake_up(void **state)
{
    struct fixture *f = *state;
    struct body b = { .n = 2 };
    struct co_task *task = fixture_spawn(f, sleep_n_times, &b);

    fixture_run_idle(f);
    task_wake(task, 0);
    assert_int_equal(co_task_state(task), CO_TASK_READY);
    assert_true(co_task_cancel(task));
    fixture_run_idle(f);
    assert_int_equal(b.r[0], CO_ECANCELLED);
    fixture_run(f);
    assert_int_equal(b.r[1], 0);
}

/* The cancellation of a task goes to what it awaits, and comes back from there (b028). */
static void test_cancel_is_passed_on(void **state)
{
    struct fixture *f = *state;
    struct awaiting outer = { .r = 1 }, middle = { .r = 1 };
    struct body b = { .n = 1, .result = CO_ECANCELLED };
    struct co_task *task;

    middle.target = fixture_spawn(f, sleep_n_times, &b);
    outer.target = fixture_spawn(f, await_target, &middle);
    task = fixture_spawn(f, await_target, &outer);
    fixture_run_idle(f);
    assert_true(co_task_cancel(task));
    fixture_run(f);
    assert_int_equal(b.r[0], CO_ECANCELLED);
    assert_int_equal(middle.r, CO_ECANCELLED);
    assert_int_equal(outer.r, CO_ECANCELLED);
    assert_int_equal(outer.result, 12345);
    /* Each is told once. */
    assert_int_equal(middle.r_next, 0);
    assert_int_equal(outer.r_next, 0);
}

/* When the awaited task makes a result of the cancellation, that is what is got (b056). */
static void test_cancel_made_into_a_result(void **state)
{
    struct fixture *f = *state;
    struct awaiting a = { .r = 1 };
    struct body b = { .n = 2, .result = 42 };
    struct co_task *task;

    a.target = fixture_spawn(f, sleep_n_times, &b);
    task = fixture_spawn(f, await_target, &a);
    fixture_run_idle(f);
    assert_true(co_task_cancel(task));
    fixture_run_idle(f);
    /* The awaiting task returns only when the awaited one has ended. */
    assert_int_equal(b.r[0], CO_ECANCELLED);
    assert_int_equal(a.n_done, 0);
    fixture_run(f);
    assert_int_equal(a.r, 0);
    assert_int_equal(a.result, 42);
    assert_int_equal(a.r_next, 0);
}

/* A second cancellation while the first is being obeyed goes to the awaited task too. */
static void test_cancel_twice(void **state)
{
    struct fixture *f = *state;
    struct awaiting a = { .r = 1 };
    struct body b = { .n = 3, .result = CO_ECANCELLED };
    struct co_task *task;

    a.target = fixture_spawn(f, sleep_n_times, &b);
    task = fixture_spawn(f, await_target, &a);
    fixture_run_idle(f);
    co_task_cancel(task);
    fixture_run_idle(f);
    co_task_cancel(task);
    fixture_run(f);
    assert_int_equal(b.r[0], CO_ECANCELLED);
    assert_int_equal(b.r[1], CO_ECANCELLED);
    assert_int_equal(b.r[2], 0);
    assert_int_equal(a.r, CO_ECANCELLED);
}

/* When the deadline passes before the awaited task has obeyed, the cancellation is kept. */
static void test_cancel_is_not_lost_to_a_deadline(void **state)
{
    struct fixture *f = *state;
    struct awaiting a = { .deadline = FIXTURE_START + 100 * CO_MSEC };
    struct body b = { .n = 2 };
    struct co_task *task;

    a.target = fixture_spawn(f, sleep_n_times, &b);
    task = fixture_spawn(f, await_target, &a);
    fixture_run_idle(f);
    co_task_cancel(task);
    fixture_run_idle(f);
    assert_int_equal(a.n_done, 0);
    fixture_pass_ms(f, 100);
    assert_int_equal(co_task_state(a.target), CO_TASK_SUSPENDED);
    assert_int_equal(a.r, -ETIMEDOUT);
    assert_int_equal(a.r_next, CO_ECANCELLED);
    fixture_run(f);
}

/* Cancelled after its deadline has passed, a task is not told that the other has ended. */
static void test_cancel_after_the_deadline(void **state)
{
    struct fixture *f = *state;
    struct awaiting a = { .deadline = CO_NEVER };
    struct co_task *task;

    a.target = fixture_spawn(f, sleep_for_ever, NULL);
    task = fixture_spawn(f, await_target, &a);
    fixture_run_idle(f);
    task_wake(task, -ETIMEDOUT);
    co_task_cancel(task);
    fixture_run_idle(f);
    assert_int_equal(a.r, -ETIMEDOUT);
    assert_int_equal(a.r_next, CO_ECANCELLED);
    assert_int_equal(co_task_state(a.target), CO_TASK_SUSPENDED);
    co_task_cancel(a.target);
    fixture_run(f);
}

/* ---- wake ---- */

static int suspend_once(void *arg)
{
    (void)arg;
    return task_suspend(co_task_current(), "test", CO_NEVER);
}

/* Of several wake-ups the first counts; a task that is not suspended is not woken. */
static void test_wake_counts_once(void **state)
{
    struct fixture *f = *state;
    struct co_task *task = fixture_spawn(f, suspend_once, NULL);

    task_wake(task, 1);
    fixture_run_idle(f);
    assert_string_equal(co_task_awaits(task), "test");
    task_wake(task, 2);
    task_wake(task, 3);
    fixture_run_idle(f);
    assert_int_equal(task->done.result, 2);
    task_wake(task, 4);
    fixture_run_idle(f);
}

/* ---- sleep and yield ---- */

struct sleeper {
    co_time until;
    co_time woken_at;
    struct trace *trace; /* NULL: none */
    char name;
};

static int sleep_until(void *arg)
{
    struct sleeper *s = arg;
    int r = co_await_sleep(s->until);

    s->woken_at = co_loop_now(co_loop_current());
    if (s->trace)
        note(s->trace, s->name);
    return r;
}

/* A sleep ends at its time; one in the past ends in the next iteration. */
static void test_sleep_ends_at_its_time(void **state)
{
    static const co_time cases[] = { 0, -5, FIXTURE_START, FIXTURE_START + 1,
                                     FIXTURE_START + 3600 * CO_SECOND };
    struct fixture *f = *state;

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct sleeper s = { .until = cases[i] };
        co_time now = f->clock.now;

        assert_int_equal(fixture_call(f, sleep_until, &s), 0);
        assert_int_equal(s.woken_at, cases[i] > now ? cases[i] : now);
    }
}

/* Sleepers of one time wake in the order they fell asleep (b005). */
static void test_sleep_of_equal_times_is_fifo(void **state)
{
    struct fixture *f = *state;
    struct trace trace = { .len = 0 };
    struct sleeper s[20];

    for (int i = 0; i < 20; i++) {
        s[i] = (struct sleeper){ .until = FIXTURE_START + (i < 10 ? 2 : 1),
                                 .trace = &trace,
                                 .name = (char)('a' + i) };
        fixture_spawn(f, sleep_until, &s[i]);
    }
    fixture_run(f);
    assert_string_equal(trace.text, "klmnopqrstabcdefghij");
}

static int sleep_without_memory(void *arg)
{
    int r;

    (void)arg;
    fault_after(1);
    r = co_await_sleep(co_after_ms(1));
    fault_off();
    return r;
}

/* Without memory for its timer a sleep says so, and the task goes on. */
static void test_sleep_without_memory(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(fixture_call(f, sleep_without_memory, NULL), -ENOMEM);
}

/* A task that yields lets every other ready task take a step first. */
static void test_yield_is_fair(void **state)
{
    struct fixture *f = *state;
    struct trace trace = { .len = 0 };
    struct tracer t[3];

    for (int i = 0; i < 3; i++) {
        t[i] = (struct tracer){ &trace, (char)('a' + i), 20 };
        fixture_spawn(f, trace_steps, &t[i]);
    }
    fixture_run(f);
    for (size_t i = 0; i < trace.len; i++)
        assert_int_equal(trace.text[i], 'a' + (int)(i % 3));
    assert_int_equal(trace.len, 63);
}

static int spend_steps(void *arg)
{
    int *n = arg;
    uint64_t before = co_loop_current()->stats.handles_run;

    while (co_loop_current()->stats.handles_run == before) {
        ++*n;
        assert_int_equal(task_spend(co_loop_current()), 0);
    }
    return 0;
}

/* Awaits that need not wait yield when the budget of the step is spent. */
static void test_spend_yields_after_the_budget(void **state)
{
    struct fixture *f = *state;
    int n = 0;

    fixture_call(f, spend_steps, &n);
    assert_int_equal(n, LOOP_BUDGET);
    /* A callback cannot yield, however much it spends. */
    for (int i = 0; i < 1000; i++)
        assert_int_equal(task_spend(f->loop), 0);
    assert_true(f->loop->budget > -LOOP_BUDGET);
}

static int round_upward(void *arg)
{
    (void)arg;
    rounding_set(ROUND_1);
    assert_int_equal(co_await_yield(), 0);
    return (int)rounding_get();
}

static int get_rounding(void *arg)
{
    (void)arg;
    assert_int_equal(co_await_yield(), 0);
    return (int)rounding_get();
}

/* Floating-point control belongs to a task, and a new one has its spawner's. */
static void test_rounding_belongs_to_the_task(void **state)
{
    struct fixture *f = *state;
    struct co_task *up, *plain;

    for (int i = 0; i < 3; i++) {
        /* Again on the stacks of the tasks before. */
        up = fixture_spawn(f, round_upward, NULL);
        plain = fixture_spawn(f, get_rounding, NULL);
        fixture_run_idle(f);
        assert_int_equal(up->done.result, ROUND_1);
        assert_int_equal(plain->done.result, ROUND_NEAREST);
        assert_int_equal(rounding_get(), ROUND_NEAREST);
        fixture_run(f);
    }
}

/* ---- the end ---- */

struct line {
    int n;
    enum co_log_level level;
    char text[128];
};

static CO_PRINTF(4, 0) void keep_line(void *ctx, enum co_log_level level,
                                      const struct co_conn *conn, const char *fmt,
                                      va_list args)
{
    struct line *line = ctx;

    assert_null(conn);
    line->n++;
    line->level = level;
    vsnprintf(line->text, sizeof(line->text), fmt, args);
}

/* A detached task frees itself; a failure of it is logged once at debug level (b024). */
static void test_detached_failure_is_logged(void **state)
{
    struct fixture *f = *state;
    struct line line = { .n = 0 };
    struct co_log_sink sink = { .write = keep_line, .ctx = &line, .level = CO_LOG_DEBUG };
    static const struct co_task_attr attr = { .name = "lonely" };
    static const int results[] = { 0, 5, CO_ECANCELLED, -EIO };

    f->loop->sink = &sink;
    for (size_t i = 0; i < N_ELEMENTS(results); i++) {
        assert_int_equal(line.n, 0);
        assert_int_equal(
            co_task_spawn(f->loop, &attr, return_arg, number(results[i]), NULL), 0);
        fixture_run_idle(f);
        assert_int_equal(fixture_stats(f).n_stacks, 0);
    }
    assert_int_equal(line.n, 1);
    assert_int_equal(line.level, CO_LOG_DEBUG);
    assert_string_equal(line.text, "task lonely ended with EIO");
}

/* A task that was given up frees itself when it ends. */
static void test_detach_frees_at_the_end(void **state)
{
    struct fixture *f = *state;
    struct co_task *task;

    assert_int_equal(co_task_spawn(f->loop, NULL, sleep_for_ever, NULL, &task), 0);
    fixture_run_idle(f);
    co_task_detach(task);
    co_task_cancel(task);
    assert_int_equal(fixture_stats(f).n_stacks, 1);
    fixture_run_idle(f);
    assert_int_equal(fixture_stats(f).n_stacks, 0);
}

static void free_a_live_task(void *arg)
{
    co_task_free(arg);
}

/* A task that is freed alive ends the process and is named (b036); NULL is fine. */
static void test_free_of_a_live_task(void **state)
{
    struct fixture *f = *state;
    struct child_result child;
    struct co_task *task = fixture_spawn(f, sleep_for_ever, NULL);

    co_task_free(NULL);
    fixture_run_idle(f);
    child = child_run(free_a_live_task, task);
    assert_int_equal(child.signal, SIGABRT);
    assert_non_null(strstr(child.text, "task fixture is freed before it has ended"));
    co_task_cancel(task);
}

#define TASK_TEST(name) \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TASK_TEST(test_spawn_steps_in_order),
        TASK_TEST(test_state_follows_the_task),
        TASK_TEST(test_current_is_the_running_task),
        TASK_TEST(test_name_has_a_default),
        TASK_TEST(test_spawn_refuses_a_huge_stack),
        TASK_TEST(test_spawn_under_faults),
        TASK_TEST(test_spawn_in_a_chain_reuses_stacks),
        TASK_TEST(test_spawn_nested_ten_thousand_deep),
        TASK_TEST(test_start_runs_until_it_suspends),
        TASK_TEST(test_start_of_a_task_that_ends_at_once),
        TASK_TEST(test_await_gives_the_result_to_all),
        TASK_TEST(test_await_of_itself),
        TASK_TEST(test_await_outside_a_task),
        TASK_TEST(test_await_at_its_deadline),
        TASK_TEST(test_cancel_before_the_first_step),
        TASK_TEST(test_cancel_is_delivered_once),
        TASK_TEST(test_cancel_of_a_done_task),
        TASK_TEST(test_cancel_of_the_running_task),
        TASK_TEST(test_cancel_in_the_last_step),
        TASK_TEST(test_cancel_after_the_wake_up),
        TASK_TEST(test_cancel_is_passed_on),
        TASK_TEST(test_cancel_made_into_a_result),
        TASK_TEST(test_cancel_twice),
        TASK_TEST(test_cancel_is_not_lost_to_a_deadline),
        TASK_TEST(test_cancel_after_the_deadline),
        TASK_TEST(test_wake_counts_once),
        TASK_TEST(test_sleep_ends_at_its_time),
        TASK_TEST(test_sleep_of_equal_times_is_fifo),
        TASK_TEST(test_sleep_without_memory),
        TASK_TEST(test_yield_is_fair),
        TASK_TEST(test_spend_yields_after_the_budget),
        TASK_TEST(test_rounding_belongs_to_the_task),
        TASK_TEST(test_detached_failure_is_logged),
        TASK_TEST(test_detach_frees_at_the_end),
        TASK_TEST(test_free_of_a_live_task),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
