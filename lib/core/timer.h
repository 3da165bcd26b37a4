/*
 * Timers of one loop: a binary heap of the callers' co_timers, ordered by time, then by the
 * order they were started in. Thread: the loop's.
 */
#ifndef CORE_TIMER_H
#define CORE_TIMER_H

#include <corod/loop.h>

struct timer_heap {
    struct co_timer **items; /* [n], from index 0; a timer knows its index + 1 */
    uint32_t n;
    uint32_t capacity;
    uint32_t next_seq;
};

/* Frees the heap; timers still in it become stopped. */
void timer_heap_fini(struct timer_heap *heap);

/* Adds or moves a timer. Returns 0 or -ENOMEM (never when it is started already). */
int timer_heap_start(struct timer_heap *heap, struct co_timer *timer, co_time at);

/* Takes a timer out; a stopped one is fine. */
void timer_heap_stop(struct timer_heap *heap, struct co_timer *timer);

/* The earliest time, CO_NEVER when empty. */
static inline co_time timer_heap_next(const struct timer_heap *heap)
{
    return heap->n > 0 ? heap->items[0]->at : CO_NEVER;
}

/*
 * Fires every timer whose time is @now or before, in order. A timer that a callback starts
 * waits for the next call, even if its time has come.
 */
void timer_heap_fire(struct timer_heap *heap, co_time now);

#endif
