/*
 * The way into a loop from other threads: a lock-free queue of handles (many producers, the
 * loop consumes) and a flag that says whether the loop may be asleep, so that only the first
 * post of a burst pays for a wake-up.
 *
 * Thread: inbox_post() any, also a signal handler; the rest the loop's.
 */
#ifndef CORE_INBOX_H
#define CORE_INBOX_H

#include <stdatomic.h>

#include <corod/loop.h>

struct inbox {
    _Atomic(struct co_handle *) head; /* newest first, linked by link.next */
    atomic_bool is_asleep;
};

/* Puts a handle in. Returns whether the loop must be woken, which is then the caller's job. */
bool inbox_post(struct inbox *inbox, struct co_handle *handle);

/*
 * Says that the loop is about to sleep. Returns false, and does not say so, when something
 * is in the inbox.
 */
bool inbox_try_sleep(struct inbox *inbox);

/* Says that the loop is awake. */
static inline void inbox_awake(struct inbox *inbox)
{
    /* Relaxed: a producer that still sees true writes to the eventfd once in vain. */
    atomic_store_explicit(&inbox->is_asleep, false, memory_order_relaxed);
}

static inline bool inbox_is_empty(struct inbox *inbox)
{
    return atomic_load_explicit(&inbox->head, memory_order_relaxed) == NULL;
}

/* Moves all handles to the end of a ready queue, oldest first. */
void inbox_drain(struct inbox *inbox, struct co_list *ready);

#endif
