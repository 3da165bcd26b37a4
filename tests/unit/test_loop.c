/*
 * Tests of lib/core/loop.c: batches, timers, clocks, threads; bNNN is asyncio's promise.
 * long: one file a module, many short tests.
 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/loop.h"
#include "core/task.h"
#include "fault.h"
#include "fixture.h"

struct step {
    struct co_handle handle;
    struct fixture *f;
    int *order;
    int place; /* when it ran, from 1; 0: not yet */
    int n;
    uint64_t iteration;
    void (*act)(struct step *step); /* NULL: nothing more */
    struct step *other;
};

static void run_step(struct co_handle *handle)
{
    struct step *s = CO_CONTAINER_OF(handle, struct step, handle);

    s->n++;
    s->place = ++*s->order;
    s->iteration = s->f->loop->stats.iterations;
    if (s->act)
        s->act(s);
}

static struct step step_of(struct fixture *f, int *order)
{
    return (struct step){ .handle.run = run_step, .f = f, .order = order };
}

static void run_one_iteration(struct fixture *f)
{
    co_loop_stop(f->loop);
    assert_int_equal(co_loop_run(f->loop), 0);
}

/* ---- handles ---- */

/* Handles run in the order they were queued, each once (b001). */
static void test_call_soon_is_fifo(void **state)
{
    struct fixture *f = *state;
    struct step steps[10];
    int order = 0;

    for (int i = 0; i < 10; i++) {
        steps[i] = step_of(f, &order);
        co_loop_call_soon(f->loop, &steps[i].handle);
    }
    fixture_run_idle(f);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(steps[i].n, 1);
        assert_int_equal(steps[i].place, i + 1);
    }
}

static void queue_other(struct step *s)
{
    co_loop_call_soon(s->f->loop, &s->other->handle);
}

/* Handles that callbacks queue wait for the next iteration (b002). */
static void test_call_soon_in_a_callback_waits(void **state)
{
    struct fixture *f = *state;
    int order = 0;
    struct step a = step_of(f, &order), b = a, c = a;

    a.act = queue_other;
    a.other = &c;
    co_loop_call_soon(f->loop, &a.handle);
    co_loop_call_soon(f->loop, &b.handle);
    run_one_iteration(f);
    assert_int_equal(b.place, 2);
    assert_int_equal(c.n, 0);
    run_one_iteration(f);
    assert_int_equal(c.n, 1);
    assert_int_equal(c.iteration, a.iteration + 1);
}

static void queue_itself(struct step *s)
{
    if (s->n < 5)
        co_loop_call_soon(s->f->loop, &s->handle);
}

/* A handle may queue itself again from its callback. */
static void test_call_soon_of_itself(void **state)
{
    struct fixture *f = *state;
    int order = 0;
    struct step a = step_of(f, &order);

    a.act = queue_itself;
    co_loop_call_soon(f->loop, &a.handle);
    fixture_run_idle(f);
    assert_int_equal(a.n, 5);
}

static void queue_twice(void *arg)
{
    struct fixture *f = arg;
    int order = 0;
    struct step a = step_of(f, &order);

    co_loop_call_soon(f->loop, &a.handle);
    co_loop_call_soon(f->loop, &a.handle);
}

/* Queueing a queued handle would tear the queue: it is caught. */
static void test_call_soon_of_a_queued_handle_is_caught(void **state)
{
    assert_int_equal(child_run(queue_twice, *state).signal, SIGABRT);
}

static void cancel_other(struct step *s)
{
    co_handle_cancel(&s->other->handle);
}

/* A cancelled handle does not run, not even in the batch that is running (b006). */
static void test_handle_cancel(void **state)
{
    struct fixture *f = *state;
    int order = 0;
    struct step a = step_of(f, &order), b = a, c = a;

    co_handle_cancel(&a.handle); /* idle */
    a.act = cancel_other;
    a.other = &c;
    co_loop_call_soon(f->loop, &b.handle);
    co_loop_call_soon(f->loop, &a.handle);
    co_loop_call_soon(f->loop, &c.handle);
    co_handle_cancel(&b.handle);
    fixture_run_idle(f);
    assert_int_equal(a.n, 1);
    assert_int_equal(b.n, 0);
    assert_int_equal(c.n, 0);
    co_loop_call_soon(f->loop, &b.handle);
    fixture_run_idle(f);
    assert_int_equal(b.n, 1);
}

/* ---- run and stop ---- */

/* Stopped before it runs, a loop runs one iteration (b009). */
static void test_stop_before_run(void **state)
{
    struct fixture *f = *state;
    int order = 0;
    struct step a = step_of(f, &order);

    a.act = queue_itself;
    co_loop_call_soon(f->loop, &a.handle);
    run_one_iteration(f);
    assert_int_equal(a.n, 1);
    assert_int_equal(fixture_stats(f).iterations, 1);
    fixture_run_idle(f);
}

static void stop_loop(struct step *s)
{
    co_loop_stop(s->f->loop);
}

/* A stop finishes the batch that is running, and what it queues waits (b008). */
static void test_stop_finishes_the_batch(void **state)
{
    struct fixture *f = *state;
    int order = 0;
    struct step a = step_of(f, &order), b = a, c = a;

    a.act = stop_loop;
    b.act = queue_other;
    b.other = &c;
    co_loop_call_soon(f->loop, &a.handle);
    co_loop_call_soon(f->loop, &b.handle);
    assert_int_equal(co_loop_run(f->loop), 0);
    assert_int_equal(b.n, 1);
    assert_int_equal(c.n, 0);
    fixture_run_idle(f);
    assert_int_equal(c.n, 1);
}

static void run_inside(struct step *s)
{
    struct co_loop *other;

    assert_int_equal(co_loop_run(s->f->loop), CO_ESTATE);
    assert_int_equal(co_loop_new(NULL, &other), 0);
    assert_int_equal(co_loop_run(other), CO_ESTATE);
    co_loop_free(other);
    assert_ptr_equal(co_loop_current(), s->f->loop);
}

/* A thread that runs a loop can run no other, nor the same again (b011). */
static void test_run_inside_run(void **state)
{
    struct fixture *f = *state;
    int order = 0;
    struct step a = step_of(f, &order);

    assert_null(co_loop_current());
    a.act = run_inside;
    co_loop_call_soon(f->loop, &a.handle);
    fixture_run_idle(f);
    assert_int_equal(a.n, 1);
    assert_null(co_loop_current());
}

static void free_loop(struct step *s)
{
    co_loop_free(s->f->loop);
}

static void free_running_loop(void *arg)
{
    struct fixture *f = arg;
    int order = 0;
    struct step a = step_of(f, &order);

    a.act = free_loop;
    co_loop_call_soon(f->loop, &a.handle);
    fixture_run_idle(f);
}

/* A running loop cannot be freed (b012); NULL can. */
static void test_free_of_a_running_loop_is_caught(void **state)
{
    co_loop_free(NULL);
    assert_int_equal(child_run(free_running_loop, *state).signal, SIGABRT);
}

static int sleep_for_ever(void *arg)
{
    (void)arg;
    return co_await_sleep(CO_NEVER);
}

static void free_with_a_task(void *arg)
{
    static const struct co_task_attr attr = { .name = "forgotten" };
    struct fixture *f = arg;

    assert_int_equal(co_task_spawn(f->loop, &attr, sleep_for_ever, NULL, NULL), 0);
    fixture_run_idle(f);
    co_loop_free(f->loop);
}

/* A task that is left when its loop ends is named (b036). */
static void test_free_with_a_task_left_is_caught(void **state)
{
    struct child_result child = child_run(free_with_a_task, *state);

    assert_int_equal(child.signal, SIGABRT);
    assert_non_null(strstr(child.text, "task forgotten"));
}

static void ignore_timer(struct co_timer *timer)
{
    (void)timer;
}

/* Handles and timers that are still queued become idle when their loop ends. */
static void test_free_forgets_handles_and_timers(void **state)
{
    struct fixture *f = *state;
    int order = 0;
    struct step a = step_of(f, &order), b = a, c = a;
    struct co_timer timer = { .fire = ignore_timer };
    struct co_loop *loop;

    assert_int_equal(co_loop_new(NULL, &loop), 0);
    co_loop_call_soon(loop, &a.handle);
    co_loop_post(loop, &b.handle);
    co_loop_post(loop, &c.handle);
    assert_int_equal(co_timer_start(loop, &timer, 5), 0);
    co_loop_free(loop);
    assert_false(co_timer_is_started(&timer));
    co_handle_cancel(&a.handle);
    co_loop_call_soon(f->loop, &a.handle);
    co_loop_call_soon(f->loop, &b.handle);
    co_loop_call_soon(f->loop, &c.handle);
    fixture_run_idle(f);
    assert_int_equal(order, 3);
}

static int make_a_loop(void *ctx)
{
    struct co_loop *loop = NULL;
    int r = co_loop_new(NULL, &loop);

    (void)ctx;
    assert_int_equal(loop != NULL, r == 0);
    co_loop_free(loop);
    return r;
}

/* Whatever fails while a loop is made, nothing is left of it. */
static void test_new_under_faults(void **state)
{
    struct fixture *f = *state;

    assert_true(fault_walk(make_a_loop, NULL) >= 1);
    assert_int_equal(fault_walk_kind(make_a_loop, NULL, FAULT_FD, EMFILE), 2);
    assert_int_equal(fault_walk_kind(make_a_loop, NULL, FAULT_FD, ENFILE), 2);
    assert_int_equal(count_fds() > f->n_fds, true);
}

/* The user's pointer comes back. */
static void test_user_is_the_configs(void **state)
{
    struct fixture *f = *state;
    struct co_loop_config config = { .user = f };
    struct co_loop *loop;

    assert_null(co_loop_user(f->loop));
    assert_int_equal(co_loop_new(&config, &loop), 0);
    assert_ptr_equal(co_loop_user(loop), f);
    co_loop_free(loop);
}

/* ---- timers and time ---- */

struct alarm {
    struct co_timer timer;
    struct fixture *f;
    int *order;
    int place;
    int n;
    co_time fired_at;
    struct step *queues; /* a handle to queue when it fires; NULL: none */
    int n_again;         /* starts itself again so often, at time 0 */
};

static void ring(struct co_timer *timer)
{
    struct alarm *a = CO_CONTAINER_OF(timer, struct alarm, timer);

    a->n++;
    a->place = ++*a->order;
    a->fired_at = co_loop_now(a->f->loop);
    if (a->queues)
        co_loop_call_soon(a->f->loop, &a->queues->handle);
    if (a->n <= a->n_again)
        assert_int_equal(co_timer_start(a->f->loop, timer, 0), 0);
}

static struct alarm alarm_of(struct fixture *f, int *order)
{
    return (struct alarm){ .timer.fire = ring, .f = f, .order = order };
}

/* Timers fire at their time; those of equal time in the order they were started (b005). */
static void test_timers_fire_in_order(void **state)
{
    static const int64_t after_ms[] = { 30, 10, 20, 10, -5, 20, 0 };
    static const int places[] = { 7, 3, 5, 4, 1, 6, 2 };
    struct fixture *f = *state;
    struct alarm alarms[7];
    int order = 0;

    for (int i = 0; i < 7; i++) {
        alarms[i] = alarm_of(f, &order);
        assert_int_equal(co_timer_start(f->loop, &alarms[i].timer,
                                        FIXTURE_START + after_ms[i] * CO_MSEC),
                         0);
    }
    assert_int_equal(fixture_stats(f).n_timers, 7);
    fixture_pass_ms(f, 100);
    for (int i = 0; i < 7; i++) {
        int64_t expected = after_ms[i] > 0 ? after_ms[i] : 0;

        assert_int_equal(alarms[i].fired_at, FIXTURE_START + expected * CO_MSEC);
        assert_int_equal(alarms[i].place, places[i]);
    }
}

/* A handle that a timer queues runs in the same iteration. */
static void test_timers_come_before_the_batch(void **state)
{
    struct fixture *f = *state;
    int order = 0;
    struct step step = step_of(f, &order);
    struct alarm alarm = alarm_of(f, &order);

    alarm.queues = &step;
    assert_int_equal(co_timer_start(f->loop, &alarm.timer, FIXTURE_START), 0);
    run_one_iteration(f);
    assert_int_equal(alarm.place, 1);
    assert_int_equal(step.place, 2);
}

/* A stopped timer does not fire, a moved one fires at its new time only. */
static void test_timers_stopped_and_moved(void **state)
{
    struct fixture *f = *state;
    int order = 0;
    struct alarm stopped = alarm_of(f, &order), moved = stopped;

    assert_int_equal(co_timer_start(f->loop, &stopped.timer, FIXTURE_START + 1), 0);
    assert_int_equal(co_timer_start(f->loop, &moved.timer, FIXTURE_START + 1), 0);
    assert_int_equal(co_timer_start(f->loop, &moved.timer, FIXTURE_START + CO_MSEC), 0);
    co_timer_stop(f->loop, &stopped.timer);
    co_timer_stop(f->loop, &stopped.timer);
    fixture_pass_ms(f, 10);
    assert_int_equal(stopped.n, 0);
    assert_int_equal(moved.n, 1);
    assert_int_equal(moved.fired_at, FIXTURE_START + CO_MSEC);
}

/* A timer that keeps starting itself in the past does not starve the others. */
static void test_timers_in_the_past_do_not_starve_others(void **state)
{
    struct fixture *f = *state;
    int order = 0;
    struct alarm greedy = alarm_of(f, &order), other = greedy;

    greedy.n_again = 100;
    assert_int_equal(co_timer_start(f->loop, &greedy.timer, 0), 0);
    assert_int_equal(co_timer_start(f->loop, &other.timer, FIXTURE_START), 0);
    run_one_iteration(f);
    run_one_iteration(f);
    assert_int_equal(other.n, 1);
    assert_int_equal(greedy.n, 2);
    fixture_run_idle(f);
}

/* With a virtual clock a run jumps from timer to timer; a ready handle holds time still. */
static void test_run_jumps_the_virtual_clock(void **state)
{
    struct fixture *f = *state;
    int order = 0;
    struct step stop = step_of(f, &order), busy = stop;
    struct alarm first = alarm_of(f, &order), last = first;

    stop.act = stop_loop;
    busy.act = queue_itself;
    last.queues = &stop;
    assert_int_equal(co_timer_start(f->loop, &first.timer, FIXTURE_START + CO_SECOND), 0);
    assert_int_equal(
        co_timer_start(f->loop, &last.timer, FIXTURE_START + 3600 * CO_SECOND), 0);
    co_loop_call_soon(f->loop, &busy.handle);
    assert_int_equal(co_loop_run(f->loop), 0);
    assert_int_equal(busy.place, 5);
    assert_int_equal(first.place, 6);
    assert_int_equal(first.fired_at, FIXTURE_START + CO_SECOND);
    assert_int_equal(last.fired_at, FIXTURE_START + 3600 * CO_SECOND);
    assert_int_equal(f->clock.now, last.fired_at);
}

/* A clock that nobody can make jump, and that runs fast: each look takes a millisecond. */
static co_time fast_now(void *ctx)
{
    co_time *now = ctx;

    *now += CO_MSEC;
    return *now;
}

/* A loop that cannot jump sleeps in its poll until the next timer is due. */
static void test_run_sleeps_until_the_next_timer(void **state)
{
    struct fixture *f = *state;
    const co_time start =
        1000000 * CO_SECOND; /* not the system's time: distances count */
    co_time now = start;
    struct co_clock clock = { .now = fast_now, .ctx = &now };
    struct co_loop_config config = { .clock = &clock };
    struct co_loop *loop = f->loop;
    int order = 0;
    struct step stop = step_of(f, &order);
    struct alarm alarms[3];

    assert_int_equal(co_loop_new(&config, &f->loop), 0);
    stop.act = stop_loop;
    for (int i = 0; i < 3; i++) {
        alarms[i] = alarm_of(f, &order);
        assert_int_equal(
            co_timer_start(f->loop, &alarms[i].timer, start + (i + 2) * CO_MSEC), 0);
    }
    alarms[2].queues = &stop;
    assert_int_equal(co_loop_run(f->loop), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(alarms[i].place, i + 1);
        assert_true(alarms[i].fired_at >= start + (i + 2) * CO_MSEC);
    }
    co_loop_free(f->loop);
    f->loop = loop;
}

static void look_at_time(struct step *s)
{
    assert_int_equal(co_loop_now(s->f->loop), FIXTURE_START);
    s->f->clock.now += CO_SECOND;
    assert_int_equal(co_loop_now(s->f->loop), FIXTURE_START);
    assert_int_equal(co_after_ms(5), FIXTURE_START + 5 * CO_MSEC);
}

/* Time stands still within an iteration. */
static void test_now_is_constant_within_an_iteration(void **state)
{
    struct fixture *f = *state;
    int order = 0;
    struct step a = step_of(f, &order);

    a.act = look_at_time;
    co_loop_call_soon(f->loop, &a.handle);
    fixture_run_idle(f);
    assert_int_equal(co_loop_now(f->loop), FIXTURE_START + CO_SECOND);
}

static int check_after_ms(void *arg)
{
    static const struct {
        int64_t ms;
        co_time at;
    } cases[] = {
        { 0, FIXTURE_START },
        { 1, FIXTURE_START + CO_MSEC },
        { -1000, FIXTURE_START - CO_SECOND },
        { INT64_MAX, CO_NEVER },
        { INT64_MAX / 1000, CO_NEVER },
        { INT64_MIN, INT64_MIN },
    };

    (void)arg;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        co_time at = co_after_ms(cases[i].ms);

        /* Far in the past is any time in the past. */
        if (cases[i].ms == INT64_MIN)
            assert_true(at < FIXTURE_START);
        else
            assert_int_equal(at, cases[i].at);
    }
    return 0;
}

static void call_after_ms(void *arg)
{
    (void)arg;
    (void)co_after_ms(1);
}

/* A deadline in milliseconds saturates; without a running loop there is none. */
static void test_after_ms_saturates(void **state)
{
    assert_int_equal(fixture_call(*state, check_after_ms, NULL), 0);
    assert_int_equal(child_run(call_after_ms, NULL).signal, SIGABRT);
}

/* ---- threads ---- */

static void post_other(struct step *s)
{
    co_loop_post(s->f->loop, &s->other->handle);
}

static void raise_signal(struct step *s)
{
    (void)s;
    raise(SIGUSR1);
}

/* The step that the signal handler posts. */
static struct step *signal_step;

static void on_signal(int sig)
{
    (void)sig;
    co_loop_post(signal_step->f->loop, &signal_step->handle);
}

/* A post from the loop's own thread, and from a signal handler, runs next (b014, b017). */
static void test_post_from_the_loops_thread(void **state)
{
    struct fixture *f = *state;
    int order = 0;
    struct step a = step_of(f, &order), b = a, c = a, d = a;
    void (*before)(int) = signal(SIGUSR1, on_signal);

    signal_step = &d;
    a.act = post_other;
    a.other = &c;
    b.act = raise_signal;
    co_loop_call_soon(f->loop, &a.handle);
    co_loop_call_soon(f->loop, &b.handle);
    fixture_run_idle(f);
    signal(SIGUSR1, before);
    assert_int_equal(c.place, 3);
    assert_int_equal(d.place, 4);
    assert_int_equal(c.iteration, a.iteration + 1);
}

/* Two loops, each on its thread, that post one handle to each other. */
struct rally {
    struct co_handle handle;
    struct co_loop *loops[2];
    int n;
};

static void return_ball(struct co_handle *handle)
{
    struct rally *r = CO_CONTAINER_OF(handle, struct rally, handle);

    r->n++;
    if (r->n >= 2000)
        co_loop_stop(co_loop_current());
    if (r->n <= 2000)
        co_loop_post(r->loops[r->n % 2], handle);
}

static void *run_loop(void *arg)
{
    assert_int_equal(co_loop_run(arg), 0);
    return NULL;
}

/* Handles that cross between two sleeping loops are never lost (b014). */
static void test_post_between_two_threads(void **state)
{
    struct rally r = { .handle.run = return_ball };
    pthread_t thread;

    (void)state;
    assert_int_equal(co_loop_new(NULL, &r.loops[0]), 0);
    assert_int_equal(co_loop_new(NULL, &r.loops[1]), 0);
    assert_int_equal(pthread_create(&thread, NULL, run_loop, r.loops[1]), 0);
    co_loop_post(r.loops[0], &r.handle);
    assert_int_equal(co_loop_run(r.loops[0]), 0);
    pthread_join(thread, NULL);
    assert_int_equal(r.n, 2001);
    co_loop_free(r.loops[0]);
    co_loop_free(r.loops[1]);
}

struct breach {
    struct fixture *f;
    int act;
};

static int return_zero(void *arg)
{
    (void)arg;
    return 0;
}

static void *breach_thread(void *arg)
{
    static struct co_handle handle = { .run = NULL };
    static struct co_timer timer = { .fire = ignore_timer };
    struct breach *b = arg;
    struct co_task *task;

    if (b->act == 0)
        co_loop_stop(b->f->loop);
    else if (b->act == 1)
        co_loop_call_soon(b->f->loop, &handle);
    else if (b->act == 2)
        assert_int_equal(co_timer_start(b->f->loop, &timer, 0), 0);
    else
        assert_int_equal(co_task_spawn(b->f->loop, NULL, return_zero, NULL, &task), 0);
    return NULL;
}

static int be_breached(void *arg)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, breach_thread, arg) == 0)
        pthread_join(thread, NULL);
    return 0;
}

static void run_breach(void *arg)
{
    struct breach *b = arg;

    fixture_call(b->f, be_breached, b);
}

/* A running loop that another thread touches ends the process and says where (b014). */
static void test_use_by_another_thread_is_caught(void **state)
{
    for (int act = 0; act < 4; act++) {
        struct breach b = { .f = *state, .act = act };
        struct child_result child = child_run(run_breach, &b);

        assert_int_equal(child.signal, SIGABRT);
        assert_non_null(strstr(child.text, "loop_check_owner"));
    }
}

/* ---- idle stacks ---- */

static int sleep_ten_seconds(void *arg)
{
    (void)arg;
    return co_await_sleep(co_after_ms(10000));
}

/* The stacks of a spike of tasks are given back seconds after it, and no timer is left. */
static void test_run_trims_stacks_after_a_spike(void **state)
{
    struct fixture *f = *state;
    const struct stack_class *c = &f->loop->stacks.classes[1];

    for (int i = 0; i < 500; i++)
        assert_int_equal(co_task_spawn(f->loop, NULL, sleep_ten_seconds, NULL, NULL), 0);
    for (int i = 0; i < 20; i++)
        fixture_pass_ms(f, 1000);
    assert_int_equal(fixture_stats(f).n_stacks, 0);
    assert_int_equal(c->n_cold, c->n_idle - STACK_KEEP_WARM);
    assert_true(f->loop->trim_at == CO_NEVER);
}

/* ---- logs ---- */

static CO_PRINTF(4, 0) void keep_text(void *ctx, enum co_log_level level,
                                      const struct co_conn *conn, const char *fmt,
                                      va_list args)
{
    (void)level;
    (void)conn;
    vsnprintf(ctx, 64, fmt, args);
}

static void log_a_line(struct step *s)
{
    (void)s;
    co_log(CO_LOG_NOTICE, "from the %s", "loop");
}

/* Lines of a running loop go to its sink. */
static void test_run_logs_to_its_sink(void **state)
{
    struct fixture *f = *state;
    char text[64] = "";
    struct co_log_sink sink = { .write = keep_text, .ctx = text, .level = CO_LOG_INFO };
    int order = 0;
    struct step a = step_of(f, &order);

    f->loop->sink = &sink;
    a.act = log_a_line;
    co_loop_call_soon(f->loop, &a.handle);
    fixture_run_idle(f);
    assert_string_equal(text, "from the loop");
}

#define LOOP_TEST(name) \
    cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        LOOP_TEST(test_call_soon_is_fifo),
        LOOP_TEST(test_call_soon_in_a_callback_waits),
        LOOP_TEST(test_call_soon_of_itself),
        LOOP_TEST(test_call_soon_of_a_queued_handle_is_caught),
        LOOP_TEST(test_handle_cancel),
        LOOP_TEST(test_stop_before_run),
        LOOP_TEST(test_stop_finishes_the_batch),
        LOOP_TEST(test_run_inside_run),
        LOOP_TEST(test_free_of_a_running_loop_is_caught),
        LOOP_TEST(test_free_with_a_task_left_is_caught),
        LOOP_TEST(test_free_forgets_handles_and_timers),
        LOOP_TEST(test_new_under_faults),
        LOOP_TEST(test_user_is_the_configs),
        LOOP_TEST(test_timers_fire_in_order),
        LOOP_TEST(test_timers_come_before_the_batch),
        LOOP_TEST(test_timers_stopped_and_moved),
        LOOP_TEST(test_timers_in_the_past_do_not_starve_others),
        LOOP_TEST(test_run_jumps_the_virtual_clock),
        LOOP_TEST(test_run_sleeps_until_the_next_timer),
        LOOP_TEST(test_now_is_constant_within_an_iteration),
        LOOP_TEST(test_after_ms_saturates),
        LOOP_TEST(test_post_from_the_loops_thread),
        LOOP_TEST(test_post_between_two_threads),
        LOOP_TEST(test_use_by_another_thread_is_caught),
        LOOP_TEST(test_run_trims_stacks_after_a_spike),
        LOOP_TEST(test_run_logs_to_its_sink),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
