/**
 * bench_core: what the runtime's own operations cost, without a kernel in between:
 * switch, yield, spawn and join, timers, posts; and how many guarded stacks live in one
 * process. One line of JSON a figure. Each figure is the median of ROUNDS rounds.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <corod/error.h>
#include <corod/future.h>
#include <corod/loop.h>
#include <corod/task.h>

#include "bare_switch.h"
#include "core/switch.h"

enum {
    ROUNDS = 11,
    SWITCHES = 1000000, /* a round; there and back is two */
    YIELDS = 500000,
    SPAWNS = 200000,
    SINGLE_SPAWNS = 50000,
    TOGETHER =
        64, /* tasks that yield in turn, or are spawned before the first is joined */
    TIMER_PAIRS = 500000,
    TIMERS_BESIDE = 1000, /* started while others are measured */
    POSTS = 16384,
    STACK = 16384,
    PAGE = 4096,
    PROBES = 1000, /* stacks whose guard is looked at */
};

static double now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Sorts the rounds. */
static double median(double *rounds)
{
    qsort(rounds, ROUNDS, sizeof(*rounds), compare_doubles);
    return rounds[ROUNDS / 2];
}

_Noreturn static void fail(const char *what, int error)
{
    fprintf(stderr, "bench_core: %s: %s\n", what, co_strerror(error));
    exit(1);
}

static void must(const char *what, int result)
{
    if (result < 0)
        fail(what, result);
}

/* ---- the switch alone: the library's and the bare one, in turn ---- */

static void *here;
static void *there;

static void bounce_bare(void)
{
    for (;;)
        bare_switch(&there, here);
}

static void bounce(void *arg)
{
    (void)arg;
    for (;;)
        switch_to(&there, here);
}

static double time_bare_switches(char *stack)
{
    there = bare_prepare(stack + STACK, bounce_bare);
    bare_switch(&here, there);
    double began = now_ns();
    for (int i = 0; i < SWITCHES / 2; i++)
        bare_switch(&here, there);
    return (now_ns() - began) / SWITCHES;
}

static double time_switches(char *stack)
{
    there = switch_prepare(stack + STACK, bounce, NULL);
    switch_to(&here, there);
    double began = now_ns();
    for (int i = 0; i < SWITCHES / 2; i++)
        switch_to(&here, there);
    return (now_ns() - began) / SWITCHES;
}

static void bench_switch(void)
{
    double bare[ROUNDS], own[ROUNDS], ratio[ROUNDS];
    char *stack = aligned_alloc(PAGE, STACK);

    if (stack == NULL)
        fail("stack", -ENOMEM);
    for (int i = 0; i < ROUNDS; i++) {
        own[i] = time_switches(stack);
        bare[i] = HAVE_BARE_SWITCH ? time_bare_switches(stack) : 0;
        ratio[i] = HAVE_BARE_SWITCH ? own[i] / bare[i] : 0;
    }
    free(stack);
    printf("{\"name\": \"switch\", \"ns\": %.2f}\n", median(own));
    if (HAVE_BARE_SWITCH)
        printf("{\"name\": \"bare_switch\", \"ns\": %.2f}\n"
               "{\"name\": \"switch_to_bare\", \"ratio\": %.3f}\n",
               median(bare), median(ratio));
}

/* ---- through the loop: everything below runs in a task ---- */

static const struct co_task_attr small_task = { .name = "bench", .stack_size = STACK };

static int do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int yield_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < YIELDS / TOGETHER; i++)
        must("yield", co_await_yield());
    return 0;
}

/* Spawns @n tasks that run fn, then joins them all. */
static void spawn_and_join(struct co_loop *loop, int n, co_task_fn fn)
{
    struct co_task *tasks[TOGETHER];
    int result;

    for (int i = 0; i < n; i++)
        must("spawn", co_task_spawn(loop, &small_task, fn, NULL, &tasks[i]));
    for (int i = 0; i < n; i++) {
        must("join", co_task_await(tasks[i], CO_NEVER, &result));
        must("task", result);
        co_task_free(tasks[i]);
    }
}

/* Many tasks take turns, so that the loop's look at its descriptors is shared by them. */
static double time_yields(struct co_loop *loop)
{
    double began = now_ns();

    spawn_and_join(loop, TOGETHER, yield_often);
    return (now_ns() - began) / YIELDS;
}

static double time_spawns(struct co_loop *loop)
{
    double began = now_ns();

    for (int i = 0; i < SPAWNS / TOGETHER; i++)
        spawn_and_join(loop, TOGETHER, do_nothing);
    return (now_ns() - began) / SPAWNS;
}

/* One at a time: each join lets the loop go round once, with its system call. */
static double time_single_spawns(struct co_loop *loop)
{
    double began = now_ns();

    for (int i = 0; i < SINGLE_SPAWNS; i++)
        spawn_and_join(loop, 1, do_nothing);
    return (now_ns() - began) / SINGLE_SPAWNS;
}

static void on_timer(struct co_timer *timer)
{
    (void)timer;
    fail("a timer fired", -EINVAL);
}

/* A timer that never fires: the deadline of a request that is answered in time. */
static double time_timers(struct co_loop *loop)
{
    static struct co_timer beside[TIMERS_BESIDE];
    struct co_timer timer = { .fire = on_timer };
    co_time base = co_loop_now(loop) + 3600 * CO_SECOND;
    double ns;

    for (int i = 0; i < TIMERS_BESIDE; i++) {
        beside[i].fire = on_timer;
        must("timer", co_timer_start(loop, &beside[i], base + i * CO_MSEC));
    }
    double began = now_ns();
    for (int i = 0; i < TIMER_PAIRS; i++) {
        must("timer", co_timer_start(loop, &timer, base + i % TIMERS_BESIDE * CO_MSEC));
        co_timer_stop(loop, &timer);
    }
    ns = (now_ns() - began) / TIMER_PAIRS;
    for (int i = 0; i < TIMERS_BESIDE; i++)
        co_timer_stop(loop, &beside[i]);
    return ns;
}

struct poster {
    struct co_loop *loop;
    struct co_handle handles[POSTS];
    double ns;
};

static int n_posted_run;

static void on_post(struct co_handle *handle)
{
    (void)handle;
    n_posted_run++;
}

static void *post_all(void *arg)
{
    struct poster *p = arg;
    double began = now_ns();

    for (int i = 0; i < POSTS; i++)
        co_loop_post(p->loop, &p->handles[i]);
    p->ns = (now_ns() - began) / POSTS;
    return NULL;
}

/* Another thread posts while this task keeps the loop awake. */
static double time_posts(struct co_loop *loop)
{
    static struct poster poster;
    pthread_t thread;

    poster = (struct poster){ .loop = loop };
    for (int i = 0; i < POSTS; i++)
        poster.handles[i].run = on_post;
    n_posted_run = 0;
    if (pthread_create(&thread, NULL, post_all, &poster) != 0)
        fail("thread", -EAGAIN);
    while (n_posted_run < POSTS)
        must("yield", co_await_yield());
    pthread_join(thread, NULL);
    return poster.ns;
}

static int bench_loop(void *arg)
{
    static const struct {
        const char *name;
        double (*time)(struct co_loop *loop);
    } figures[] = {
        { "yield", time_yields },
        { "spawn_join", time_spawns },
        { "spawn_join_single", time_single_spawns },
        { "timer_start_stop", time_timers },
        { "post", time_posts },
    };
    struct co_loop *loop = co_loop_current();
    struct co_loop_stats stats;
    double rounds[ROUNDS];

    (void)arg;
    for (unsigned i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
        (void)figures[i].time(loop); /* warms the pool, the heap and the caches */
        for (int k = 0; k < ROUNDS; k++)
            rounds[k] = figures[i].time(loop);
        printf("{\"name\": \"%s\", \"ns\": %.2f}\n", figures[i].name, median(rounds));
    }
    co_loop_get_stats(loop, &stats);
    printf("{\"name\": \"post_wakeups\", \"n\": %llu}\n",
           (unsigned long long)stats.wakeups);
    return 0;
}

/* ---- many stacks at once ---- */

struct crowd {
    struct co_future gate;
    long n_wanted, n_alive;
    long n_probed, n_guarded;
};

/*
 * Whether there is a guard at the end of the calling task's stack: going down from here,
 * a page that even the kernel cannot read comes before the stack's size is passed.
 */
static bool is_guarded(void)
{
    char byte;
    struct iovec to = { &byte, 1 };
    uintptr_t page = (uintptr_t)__builtin_frame_address(0) & ~(uintptr_t)(PAGE - 1);

    for (int i = 1; i <= STACK / PAGE; i++) {
        struct iovec from = { (void *)(page - (uintptr_t)i * PAGE), 1 };
        if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) < 0)
            return errno == EFAULT;
    }
    return false;
}

static int stand_in_crowd(void *arg)
{
    struct crowd *crowd = arg;
    int result;

    if (crowd->n_alive++ % (crowd->n_wanted / PROBES + 1) == 0) {
        crowd->n_probed++;
        crowd->n_guarded += is_guarded();
    }
    return co_future_await(&crowd->gate, CO_NEVER, &result);
}

static double anonymous_bytes(void)
{
    FILE *file = fopen("/proc/self/smaps_rollup", "re");
    char line[128];
    double kib = 0;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (sscanf(line, "Anonymous: %lf kB", &kib) == 1)
            break;
    }
    if (file != NULL)
        fclose(file);
    return kib * 1024;
}

static int bench_crowd(void *arg)
{
    struct crowd *crowd = arg;
    struct co_loop *loop = co_loop_current();
    struct co_loop_stats stats;
    double before = anonymous_bytes();
    double began = now_ns();
    double ns;
    int r = 0;

    co_future_init(&crowd->gate, loop);
    for (long i = 0; i < crowd->n_wanted && r == 0; i++)
        r = co_task_spawn(loop, &small_task, stand_in_crowd, crowd, NULL);
    must("yield", co_await_yield());
    ns = now_ns() - began;
    co_loop_get_stats(loop, &stats);
    printf(
        "{\"name\": \"stacks\", \"wanted\": %ld, \"alive\": %ld, \"error\": \"%s\", "
        "\"bytes_each\": %.0f, \"ns_each\": %.0f, \"probed\": %ld, \"guarded\": %ld}\n",
        crowd->n_wanted, crowd->n_alive, r < 0 ? co_errname(r) : "",
        (anonymous_bytes() - before) / (double)(crowd->n_alive + 1),
        ns / (double)(crowd->n_alive + 1), crowd->n_probed, crowd->n_guarded);
    (void)co_future_set(&crowd->gate, 0, NULL);
    do {
        must("yield", co_await_yield());
        co_loop_get_stats(loop, &stats);
    } while (stats.n_tasks > 1);
    return 0;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 3 && strcmp(argv[1], "--stacks") == 0 && atol(argv[2]) > 0) {
        struct crowd crowd = { .n_wanted = atol(argv[2]) };
        must("run", co_run(bench_crowd, &crowd));
        return 0;
    }
    if (argc != 1) {
        fprintf(stderr, "usage: bench_core [--stacks N]\n");
        return 64;
    }
    bench_switch();
    must("run", co_run(bench_loop, NULL));
    return 0;
}
