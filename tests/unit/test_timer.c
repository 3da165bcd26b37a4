/* Tests of lib/core/timer.c: the heap of timers, against a sorted model. */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "core/timer.h"
#include "fault.h"

enum { N = 300 };

struct fixture {
    struct timer_heap heap;
    struct item {
        struct co_timer timer;
        int id;
        int n_fired;
        uint64_t started; /* model: order of starting */
    } items[N];
    int fired[4 * N]; /* ids in the order they fired */
    int n_fired;
    uint64_t n_started;
    void (*on_fire)(struct fixture *f, struct item *item);
};

/* Callbacks find the fixture here: a timer knows only its own struct. */
static struct fixture *current;

static void fire(struct co_timer *timer)
{
    struct item *item = CO_CONTAINER_OF(timer, struct item, timer);

    assert_false(co_timer_is_started(timer));
    item->n_fired++;
    current->fired[current->n_fired++] = item->id;
    if (current->on_fire)
        current->on_fire(current, item);
}

static int setup(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    for (int i = 0; i < N; i++)
        f.items[i] = (struct item){ .id = i, .timer.fire = fire };
    current = &f;
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    timer_heap_fini(&f->heap);
    for (int i = 0; i < N; i++)
        assert_false(co_timer_is_started(&f->items[i].timer));
    return 0;
}

static void start(struct fixture *f, int i, co_time at)
{
    assert_int_equal(timer_heap_start(&f->heap, &f->items[i].timer, at), 0);
    f->items[i].started = f->n_started++;
}

/* The order of parents and children, and each timer's own idea of its place. */
static void assert_heap_is_whole(const struct timer_heap *heap)
{
    for (uint32_t i = 0; i < heap->n; i++) {
        const struct co_timer *parent = heap->items[i > 0 ? (i - 1) / 2 : 0];

        assert_int_equal(heap->items[i]->index, i + 1);
        assert_true(parent->at <= heap->items[i]->at);
    }
}

/* An empty heap has no next time, and nothing fires. */
static void test_next_of_an_empty_heap(void **state)
{
    struct fixture *f = *state;

    assert_true(timer_heap_next(&f->heap) == CO_NEVER);
    timer_heap_fire(&f->heap, CO_NEVER);
    assert_int_equal(f->n_fired, 0);
}

/* Timers fire in the order of their times, up to and with now. */
static void test_fire_in_order_of_time(void **state)
{
    static const co_time times[] = { 50, 10, 40, 20, 30, -5, 31 };
    static const int order[] = { 5, 1, 3, 4 };
    struct fixture *f = *state;

    for (int i = 0; i < 7; i++)
        start(f, i, times[i]);
    assert_int_equal(timer_heap_next(&f->heap), -5);
    timer_heap_fire(&f->heap, 30);
    assert_int_equal(f->n_fired, 4);
    assert_memory_equal(f->fired, order, sizeof(order));
    assert_int_equal(timer_heap_next(&f->heap), 31);
}

/* Timers of equal time fire in the order they were started (b005). */
static void test_fire_equal_times_in_order_of_start(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < N; i++)
        start(f, i * 7 % N, 100);
    timer_heap_fire(&f->heap, 100);
    assert_int_equal(f->n_fired, N);
    for (int i = 0; i < N; i++)
        assert_int_equal(f->fired[i], i * 7 % N);
}

/* The order holds while the counter of starts wraps. */
static void test_fire_order_survives_the_counters_wrap(void **state)
{
    struct fixture *f = *state;

    f->heap.next_seq = UINT32_MAX - N / 2;
    for (int i = 0; i < N; i++)
        start(f, i, 100);
    timer_heap_fire(&f->heap, 100);
    assert_int_equal(f->n_fired, N);
    for (int i = 0; i < N; i++)
        assert_int_equal(f->fired[i], i);
}

/* A timer fires however many others have been started and stopped since. */
static void test_fire_after_half_a_turn_of_the_counter(void **state)
{
    struct fixture *f = *state;

    start(f, 0, 1);
    f->heap.next_seq += UINT32_MAX / 2 + 10;
    start(f, 1, 2);
    timer_heap_fire(&f->heap, 2);
    assert_int_equal(f->n_fired, 2);
}

/* A started timer that is started again moves, and goes behind those of its new time. */
static void test_start_moves_a_started_timer(void **state)
{
    static const int order[] = { 1, 2, 0 };
    struct fixture *f = *state;

    start(f, 0, 10);
    start(f, 1, 20);
    start(f, 2, 30);
    start(f, 0, 30);
    assert_int_equal(f->heap.n, 3);
    timer_heap_fire(&f->heap, 30);
    assert_int_equal(f->n_fired, 3);
    assert_memory_equal(f->fired, order, sizeof(order));
}

/* A stopped timer does not fire; stopping it again is fine. */
static void test_stop_takes_a_timer_out(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < N; i++)
        start(f, i, i * 13 % 101);
    for (int i = 0; i < N; i += 2) {
        timer_heap_stop(&f->heap, &f->items[i].timer);
        timer_heap_stop(&f->heap, &f->items[i].timer);
        assert_heap_is_whole(&f->heap);
    }
    timer_heap_fire(&f->heap, 1000);
    assert_int_equal(f->n_fired, N / 2);
    for (int i = 0; i < N; i++)
        assert_int_equal(f->items[i].n_fired, i % 2);
}

static void stop_the_next(struct fixture *f, struct item *item)
{
    if (item->id + 1 < N)
        timer_heap_stop(&f->heap, &f->items[item->id + 1].timer);
}

/* A callback may stop timers that are due in the same round. */
static void test_stop_in_a_callback(void **state)
{
    struct fixture *f = *state;

    f->on_fire = stop_the_next;
    for (int i = 0; i < N; i++)
        start(f, i, i);
    timer_heap_fire(&f->heap, N);
    assert_int_equal(f->n_fired, N / 2);
    for (int i = 0; i < N; i++)
        assert_int_equal(f->items[i].n_fired, i % 2 == 0);
}

static void start_again_at_once(struct fixture *f, struct item *item)
{
    start(f, item->id, 5);
}

/* A timer that a callback starts waits for the next round, even if it is due. */
static void test_start_in_a_callback_waits(void **state)
{
    struct fixture *f = *state;

    f->on_fire = start_again_at_once;
    start(f, 0, 5);
    start(f, 1, 5);
    timer_heap_fire(&f->heap, 10);
    assert_int_equal(f->n_fired, 2);
    timer_heap_fire(&f->heap, 10);
    assert_int_equal(f->n_fired, 4);
    assert_int_equal(f->heap.n, 2);
}

static int grow_heap(void *ctx)
{
    struct fixture *f = ctx;
    int r = 0, n = 0;

    while (n < N && r == 0)
        r = timer_heap_start(&f->heap, &f->items[n++].timer, 1);
    if (r < 0) {
        assert_false(co_timer_is_started(&f->items[n - 1].timer));
        assert_int_equal(f->heap.n, n - 1);
        /* One that is started can always be moved. */
        if (n > 1)
            start(f, 0, 2);
    }
    timer_heap_fini(&f->heap);
    return r;
}

/* Without memory a timer is left stopped, and the heap as it was. */
static void test_start_under_faults(void **state)
{
    assert_int_equal(fault_walk(grow_heap, *state), 4);
}

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245 + 12345;
    return *seed >> 16;
}

/* The id of the model's next timer to fire: the earliest, then the first started; or -1. */
static int model_first(const struct fixture *f, co_time now)
{
    int first = -1;

    for (int i = 0; i < N; i++) {
        const struct item *a = &f->items[i], *b = first < 0 ? a : &f->items[first];

        if (!co_timer_is_started(&a->timer) || a->timer.at > now)
            continue;
        if (first < 0 || a->timer.at < b->timer.at ||
            (a->timer.at == b->timer.at && a->started < b->started))
            first = i;
    }
    return first;
}

/* Fires what is due and compares each with the model. */
static void fire_as_model(struct fixture *f, co_time now)
{
    int expected[N], n = 0, first;
    struct item saved[N];

    memcpy(saved, f->items, sizeof(saved));
    while ((first = model_first(f, now)) >= 0) {
        expected[n++] = first;
        f->items[first].timer.index = 0;
    }
    memcpy(f->items, saved, sizeof(saved));
    f->n_fired = 0;
    timer_heap_fire(&f->heap, now);
    assert_int_equal(f->n_fired, n);
    assert_memory_equal(f->fired, expected, (size_t)n * sizeof(int));
}

/* Random starts, moves, stops and rounds fire as a sorted list would. */
static void test_heap_agrees_with_a_sorted_model(void **state)
{
    struct fixture *f = *state;
    unsigned seed = 7;
    co_time now = 0;

    f->heap.next_seq = UINT32_MAX - 5000;
    for (int step = 0; step < 20000; step++) {
        int i = (int)(next_random(&seed) % N);

        switch (next_random(&seed) % 16) {
        case 0:
            now += next_random(&seed) % 20;
            fire_as_model(f, now);
            break;
        case 1:
        case 2:
        case 3:
        case 4:
            timer_heap_stop(&f->heap, &f->items[i].timer);
            break;
        default:
            start(f, i, now + next_random(&seed) % 50);
        }
        assert_heap_is_whole(&f->heap);
    }
}

#define TIMER_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TIMER_TEST(test_next_of_an_empty_heap),
        TIMER_TEST(test_fire_in_order_of_time),
        TIMER_TEST(test_fire_equal_times_in_order_of_start),
        TIMER_TEST(test_fire_order_survives_the_counters_wrap),
        TIMER_TEST(test_fire_after_half_a_turn_of_the_counter),
        TIMER_TEST(test_start_moves_a_started_timer),
        TIMER_TEST(test_stop_takes_a_timer_out),
        TIMER_TEST(test_stop_in_a_callback),
        TIMER_TEST(test_start_in_a_callback_waits),
        TIMER_TEST(test_start_under_faults),
        TIMER_TEST(test_heap_agrees_with_a_sorted_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
