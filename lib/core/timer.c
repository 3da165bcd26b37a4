/*
 * The timer heap.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "core/timer.h"

static bool is_before(const struct co_timer *a, const struct co_timer *b)
{
    if (a->at != b->at)
        return a->at < b->at;
    /* The counter may wrap: compare by distance. */
    return (int32_t)(a->seq - b->seq) < 0;
}

static void place(struct timer_heap *heap, uint32_t i, struct co_timer *timer)
{
    heap->items[i] = timer;
    timer->index = i + 1;
}

static void sift_up(struct timer_heap *heap, uint32_t i, struct co_timer *timer)
{
    while (i > 0 && is_before(timer, heap->items[(i - 1) / 2])) {
        place(heap, i, heap->items[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    place(heap, i, timer);
}

static void sift_down(struct timer_heap *heap, uint32_t i, struct co_timer *timer)
{
    for (;;) {
        uint32_t child = 2 * i + 1;

        if (child >= heap->n)
            break;
        if (child + 1 < heap->n && is_before(heap->items[child + 1], heap->items[child]))
            child++;
        if (!is_before(heap->items[child], timer))
            break;
        place(heap, i, heap->items[child]);
        i = child;
    }
    place(heap, i, timer);
}

/* Finds the place of a timer that belongs at or around @i. */
static void sift(struct timer_heap *heap, uint32_t i, struct co_timer *timer)
{
    if (i > 0 && is_before(timer, heap->items[(i - 1) / 2]))
        sift_up(heap, i, timer);
    else
        sift_down(heap, i, timer);
}

void timer_heap_fini(struct timer_heap *heap)
{
    for (uint32_t i = 0; i < heap->n; i++)
        heap->items[i]->index = 0;
    free(heap->items);
    *heap = (struct timer_heap){ 0 };
}

static int grow(struct timer_heap *heap)
{
    uint32_t capacity = heap->capacity ? heap->capacity * 2 : 64;
    struct co_timer **items = realloc(heap->items, capacity * sizeof(struct co_timer *));

    if (!items)
        return -ENOMEM;
    heap->items = items;
    heap->capacity = capacity;
    return 0;
}

int timer_heap_start(struct timer_heap *heap, struct co_timer *timer, co_time at)
{
    CO_CHECK(timer->fire);
    if (timer->index == 0 && heap->n == heap->capacity && grow(heap) < 0)
        return -ENOMEM;
    timer->at = at;
    timer->seq = heap->next_seq++;
    if (timer->index == 0)
        sift_up(heap, heap->n++, timer);
    else
        sift(heap, timer->index - 1, timer);
    return 0;
}

void timer_heap_stop(struct timer_heap *heap, struct co_timer *timer)
{
    uint32_t i = timer->index - 1;
    struct co_timer *last;

    if (timer->index == 0)
        return;
    CO_CHECK(i < heap->n && heap->items[i] == timer);
    timer->index = 0;
    last = heap->items[--heap->n];
    if (last != timer)
        sift(heap, i, last);
}

void timer_heap_fire(struct timer_heap *heap, co_time now)
{
    uint32_t limit = heap->next_seq;

    /* Those started by callbacks have a seq from limit on, up to next_seq: told by that span,
     * since the counter may have gone round by half while an old timer waited. One that comes
     * to the top, due already, ends this round; the rest is due in the next iteration. */
    while (heap->n > 0 && heap->items[0]->at <= now &&
           heap->items[0]->seq - limit >= heap->next_seq - limit) {
        struct co_timer *timer = heap->items[0];

        timer_heap_stop(heap, timer);
        timer->fire(timer);
    }
}
