/*
 * Doubly linked rings of members (struct co_list). A head is a ring of its own; an idle
 * member has next == NULL. No allocation, no thread.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <corod/base.h>

static inline void list_init(struct co_list *head)
{
    head->next = head->prev = head;
}

static inline bool list_is_empty(const struct co_list *head)
{
    return head->next == head;
}

static inline bool list_is_linked(const struct co_list *item)
{
    return item->next != NULL;
}

static inline void list_add_tail(struct co_list *head, struct co_list *item)
{
    item->next = head;
    item->prev = head->prev;
    head->prev->next = item;
    head->prev = item;
}

/* Takes the item out of whatever ring it is in, and makes it idle. */
static inline void list_remove(struct co_list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    item->next = item->prev = NULL;
}

/* Takes the first item of a ring that is not empty. */
static inline struct co_list *list_take_first(struct co_list *head)
{
    struct co_list *item = head->next;

    list_remove(item);
    return item;
}

/* Moves all items of @from, in order, to the end of @to. */
static inline void list_splice_tail(struct co_list *to, struct co_list *from)
{
    if (list_is_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#endif
