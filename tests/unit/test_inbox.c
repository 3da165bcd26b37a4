/* Tests of lib/core/inbox.c: nothing is lost, nothing is late, from many threads. */
#include "test.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "core/inbox.h"
#include "fixture.h"

enum { N_PRODUCERS = 4, N_EACH = 5000 };

struct item {
    struct co_handle handle;
    int producer;
    int number;
};

static void run_nothing(struct co_handle *handle)
{
    (void)handle;
}

/* ---- order ---- */

/* Handles come out in the order they went in, behind what is in the queue already. */
static void test_drain_keeps_order(void **state)
{
    struct inbox inbox = { .head = NULL };
    struct item items[10] = { { .number = 0 } };
    struct co_list ready;

    (void)state;
    list_init(&ready);
    list_add_tail(&ready, &items[0].handle.link);
    for (int i = 1; i < 10; i++) {
        items[i].number = i;
        assert_false(inbox_post(&inbox, &items[i].handle));
        /* In one go, and in several. */
        if (i == 5)
            inbox_drain(&inbox, &ready);
    }
    inbox_drain(&inbox, &ready);
    assert_true(inbox_is_empty(&inbox));
    for (int i = 0; i < 10; i++) {
        struct co_handle *handle =
            CO_CONTAINER_OF(list_take_first(&ready), struct co_handle, link);

        assert_int_equal(CO_CONTAINER_OF(handle, struct item, handle)->number, i);
        assert_false(list_is_linked(&handle->link));
    }
    assert_true(list_is_empty(&ready));
}

/* Draining an empty inbox adds nothing. */
static void test_drain_of_an_empty_inbox(void **state)
{
    struct inbox inbox = { .head = NULL };
    struct co_list ready;

    (void)state;
    list_init(&ready);
    inbox_drain(&inbox, &ready);
    assert_true(list_is_empty(&ready));
}

/* ---- sleeping ---- */

/* What the inbox promises, as a state machine of two facts. */
struct model {
    bool is_asleep; /* the loop was told that it may sleep, and nobody has woken it */
    bool has_handle;
};

/* One call, on the inbox and on the model, that must agree. */
static void step(struct inbox *inbox, struct model *model, int call, struct item *item)
{
    struct co_list ready;

    switch (call) {
    case 0:
        /* Exactly the first post to a sleeping loop has to wake it. */
        assert_int_equal(inbox_post(inbox, &item->handle), model->is_asleep);
        *model = (struct model){ .has_handle = true };
        break;
    case 1:
        assert_int_equal(inbox_try_sleep(inbox), !model->has_handle);
        model->is_asleep = !model->has_handle;
        break;
    default:
        list_init(&ready);
        inbox_awake(inbox);
        inbox_drain(inbox, &ready);
        assert_int_equal(list_is_empty(&ready), !model->has_handle);
        *model = (struct model){ .has_handle = false };
    }
}

/* Every sequence of nine posts, sleeps and drains wakes the loop when, and only when, due. */
static void test_sleep_protocol_in_every_order(void **state)
{
    enum { LENGTH = 9 };
    int n_sequences = 1;

    (void)state;
    for (int i = 0; i < LENGTH; i++)
        n_sequences *= 3;
    for (int sequence = 0; sequence < n_sequences; sequence++) {
        struct inbox inbox = { .head = NULL };
        struct model model = { .is_asleep = false };
        struct item items[LENGTH] = { { .number = 0 } };

        for (int i = 0, rest = sequence; i < LENGTH; i++, rest /= 3)
            step(&inbox, &model, rest % 3, &items[i]);
    }
}

/* ---- threads ---- */

struct arena {
    struct inbox inbox;
    struct item items[N_PRODUCERS][N_EACH];
    struct co_loop *loop;  /* NULL: the inbox alone */
    atomic_int n_wakes;    /* posts that said "wake", until the sleeper takes note */
    atomic_int n_finished; /* producers that have posted all */
    int next[N_PRODUCERS];
    int n_seen;
};

struct producer {
    struct arena *arena;
    int number;
};

static void *produce(void *arg)
{
    struct producer *p = arg;
    struct arena *a = p->arena;

    for (int i = 0; i < N_EACH; i++) {
        struct co_handle *handle = &a->items[p->number][i].handle;

        if (a->loop)
            co_loop_post(a->loop, handle);
        else if (inbox_post(&a->inbox, handle))
            atomic_fetch_add(&a->n_wakes, 1);
    }
    atomic_fetch_add(&a->n_finished, 1);
    return NULL;
}

static struct arena *arena_new(co_handle_fn run)
{
    struct arena *a = calloc(1, sizeof(*a));

    assert_non_null(a);
    for (int p = 0; p < N_PRODUCERS; p++) {
        for (int i = 0; i < N_EACH; i++)
            a->items[p][i] =
                (struct item){ .handle.run = run, .producer = p, .number = i };
    }
    return a;
}

static void see(struct arena *a, const struct item *item)
{
    assert_int_equal(item->number, a->next[item->producer]);
    a->next[item->producer]++;
    a->n_seen++;
}

/* Sleeps as in a poll: until a post says "wake". One that came too early ends it as well. */
static void sleep_until_woken(struct arena *a)
{
    while (atomic_exchange(&a->n_wakes, 0) == 0) {
        bool is_over = atomic_load(&a->n_finished) == N_PRODUCERS;

        /* Nobody is left to wake us: the wake-up must have come. */
        if (is_over && atomic_load(&a->n_wakes) == 0)
            fail_msg("a wake-up is lost after %d handles", a->n_seen);
        sched_yield();
    }
}

/* Each handle of many threads comes out once, in its thread's order; no wake-up is lost. */
static void test_post_from_many_threads(void **state)
{
    struct arena *a = arena_new(run_nothing);
    struct producer producers[N_PRODUCERS];
    pthread_t threads[N_PRODUCERS];

    (void)state;
    for (int i = 0; i < N_PRODUCERS; i++) {
        producers[i] = (struct producer){ a, i };
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    while (a->n_seen < N_PRODUCERS * N_EACH) {
        struct co_list ready;

        list_init(&ready);
        if (inbox_try_sleep(&a->inbox))
            sleep_until_woken(a);
        inbox_awake(&a->inbox);
        inbox_drain(&a->inbox, &ready);
        while (!list_is_empty(&ready)) {
            struct co_handle *handle =
                CO_CONTAINER_OF(list_take_first(&ready), struct co_handle, link);

            see(a, CO_CONTAINER_OF(handle, struct item, handle));
        }
    }
    for (int i = 0; i < N_PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    free(a);
}

/* The arena of the loop test, found by its handles. */
static struct arena *loop_arena;

static void on_posted(struct co_handle *handle)
{
    see(loop_arena, CO_CONTAINER_OF(handle, struct item, handle));
    if (loop_arena->n_seen == N_PRODUCERS * N_EACH)
        co_loop_stop(loop_arena->loop);
}

/* A loop that sleeps in its poll is woken by posts of other threads, and runs them all. */
static void test_post_wakes_a_sleeping_loop(void **state)
{
    struct arena *a = arena_new(on_posted);
    struct producer producers[N_PRODUCERS];
    pthread_t threads[N_PRODUCERS];
    struct co_loop_stats stats;

    (void)state;
    loop_arena = a;
    assert_int_equal(co_loop_new(NULL, &a->loop), 0);
    for (int i = 0; i < N_PRODUCERS; i++) {
        producers[i] = (struct producer){ a, i };
        assert_int_equal(pthread_create(&threads[i], NULL, produce, &producers[i]), 0);
    }
    assert_int_equal(co_loop_run(a->loop), 0);
    for (int i = 0; i < N_PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    co_loop_get_stats(a->loop, &stats);
    assert_int_equal(stats.handles_run, N_PRODUCERS * N_EACH);
    assert_true(stats.wakeups <= stats.iterations);
    co_loop_free(a->loop);
    free(a);
}

/* A burst of posts to a sleeping loop writes to its eventfd once. */
static void test_post_burst_costs_one_wake_up(void **state)
{
    struct fixture *f = *state;
    struct item items[100];
    uint64_t count = 0;

    assert_true(inbox_try_sleep(&f->loop->inbox));
    for (int i = 0; i < 100; i++) {
        items[i] = (struct item){ .handle.run = run_nothing };
        co_loop_post(f->loop, &items[i].handle);
    }
    fixture_run_idle(f);
    assert_int_equal(fixture_stats(f).handles_run, 100);
    assert_int_equal(fixture_stats(f).wakeups, 1);
    assert_int_equal(read(f->loop->wake_fd, &count, sizeof(count)), sizeof(count));
    assert_int_equal(count, 1);
}

/* A post to a loop that is awake costs no system call. */
static void test_post_to_an_awake_loop_writes_nothing(void **state)
{
    struct fixture *f = *state;
    struct item item = { .handle.run = run_nothing };
    uint64_t count;

    co_loop_post(f->loop, &item.handle);
    fixture_run_idle(f);
    assert_int_equal(fixture_stats(f).handles_run, 1);
    assert_int_equal(read(f->loop->wake_fd, &count, sizeof(count)), -1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drain_keeps_order),
        cmocka_unit_test(test_drain_of_an_empty_inbox),
        cmocka_unit_test(test_sleep_protocol_in_every_order),
        cmocka_unit_test(test_post_from_many_threads),
        cmocka_unit_test(test_post_wakes_a_sleeping_loop),
        cmocka_unit_test_setup_teardown(test_post_burst_costs_one_wake_up, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_post_to_an_awake_loop_writes_nothing,
                                        fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
