/*
 * The queue of output.
 */
#include <errno.h>
#include <string.h>

#include "base/check.h"
#include "net/outq.h"

void outq_init(struct outq *q, co_time now)
{
    *q = (struct outq){ .progress = now };
    list_init(&q->waiters);
}

static size_t tail_room(const struct outq *q)
{
    return q->tail ? q->tail->room - q->tail->end : 0;
}

/* Takes blocks for @need more bytes behind the tail's room. Returns the chain, or NULL. */
static struct block *take_chain(struct block_pool *pool, size_t need)
{
    struct block *first = NULL, *last = NULL;

    while (need > 0) {
        struct block *block = block_take(pool, 0);

        if (!block)
            break;
        if (last)
            last->next = block;
        else
            first = block;
        last = block;
        need -= need < block->room ? need : block->room;
    }
    if (need == 0)
        return first;
    while (first) {
        struct block *next = first->next;

        block_give(pool, first);
        first = next;
    }
    return NULL;
}

/* Copies as much as the block has room for; returns how much. */
static size_t fill(struct block *block, const char *data, size_t len)
{
    size_t room = block->room - block->end;
    size_t n = len < room ? len : room;

    memcpy(block->data + block->end, data, n);
    block->end += (uint32_t)n;
    return n;
}

int outq_append(struct outq *q, struct block_pool *pool, const void *data, size_t len)
{
    const char *from = data;
    struct block *more = NULL;

    if (len > tail_room(q)) {
        /* All memory first, so that a failure leaves nothing half done. */
        more = take_chain(pool, len - tail_room(q));
        if (!more)
            return -ENOMEM;
    }
    q->size += len;
    if (q->tail) {
        size_t n = fill(q->tail, from, len);

        from += n;
        len -= n;
        q->tail->next = more;
    } else {
        q->head = more;
    }
    for (; more; more = more->next) {
        size_t n = fill(more, from, len);

        from += n;
        len -= n;
        q->tail = more;
    }
    CO_ASSERT(len == 0);
    return 0;
}

int outq_peek(const struct outq *q, struct iovec *iov, int max)
{
    int n = 0;

    for (struct block *b = q->head; b && n < max; b = b->next)
        iov[n++] =
            (struct iovec){ .iov_base = b->data + b->start, .iov_len = block_filled(b) };
    return n;
}

void outq_consume(struct outq *q, struct block_pool *pool, size_t n)
{
    CO_ASSERT(n <= q->size);
    q->size -= n;
    while (q->head && n >= block_filled(q->head)) {
        struct block *block = q->head;

        n -= block_filled(block);
        q->head = block->next;
        if (!q->head)
            q->tail = NULL;
        block_give(pool, block);
    }
    CO_ASSERT(n == 0 || q->head);
    if (n > 0)
        q->head->start += (uint32_t)n;
}

void outq_clear(struct outq *q, struct block_pool *pool)
{
    outq_consume(q, pool, q->size);
}
