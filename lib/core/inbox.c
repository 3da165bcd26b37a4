/*
 * The inbox. Ordering, in full:
 *
 * - A handle's contents are published by the compare-and-swap in inbox_post() (release) and
 *   read after the exchange in inbox_drain() (acquire).
 * - Sleeping: the loop stores is_asleep = true and then loads head; a producer stores head
 *   and then loads is_asleep. All four are sequentially consistent, so at least one of them
 *   sees the other's store: either the loop does not sleep, or the producer wakes it.
 */
#include "core/inbox.h"
#include "base/list.h"

bool inbox_post(struct inbox *inbox, struct co_handle *handle)
{
    struct co_handle *old = atomic_load_explicit(&inbox->head, memory_order_relaxed);

    do {
        handle->link.next = (struct co_list *)(void *)old;
    } while (!atomic_compare_exchange_weak_explicit(
        &inbox->head, &old, handle, memory_order_seq_cst, memory_order_relaxed));
    /* The load keeps the common case, a loop that is awake, from writing to the line. */
    return atomic_load_explicit(&inbox->is_asleep, memory_order_seq_cst) &&
           atomic_exchange_explicit(&inbox->is_asleep, false, memory_order_seq_cst);
}

bool inbox_try_sleep(struct inbox *inbox)
{
    atomic_store_explicit(&inbox->is_asleep, true, memory_order_seq_cst);
    if (atomic_load_explicit(&inbox->head, memory_order_seq_cst) == NULL)
        return true;
    inbox_awake(inbox);
    return false;
}

void inbox_drain(struct inbox *inbox, struct co_list *ready)
{
    struct co_handle *newest =
        atomic_exchange_explicit(&inbox->head, NULL, memory_order_acquire);
    struct co_list *after = ready;

    /* Newest first: each goes in front of the one before it, at the end of the queue. */
    while (newest) {
        struct co_handle *next = (struct co_handle *)(void *)newest->link.next;
        struct co_list *item = &newest->link;

        item->next = after;
        item->prev = after->prev;
        after->prev->next = item;
        after->prev = item;
        after = item;
        newest = next;
    }
}
