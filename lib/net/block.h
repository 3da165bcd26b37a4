/*
 * Blocks of bytes: what input is read into and output waits in. A loop lends them, streams
 * give them back as soon as they are empty, so an idle stream holds none.
 *
 * Thread: the loop's.
 */
#ifndef NET_BLOCK_H
#define NET_BLOCK_H

#include <corod/loop.h>

#include "base/check.h"
#include "base/sanitizer.h"

/* Of the usual block; data of a block of BLOCK_BYTES in all. */
enum { BLOCK_BYTES = 16384, BLOCK_ROOM = BLOCK_BYTES - 32 };

struct block {
    struct block *next;
    co_time since; /* input: when its first byte came */
    uint32_t start;
    uint32_t end;
    uint32_t room; /* bytes in data */
    uint32_t unused;
    char data[]; /* [room]; [start, end) are filled */
};

_Static_assert(sizeof(struct block) + BLOCK_ROOM == BLOCK_BYTES, "BLOCK_ROOM");

/* Idle blocks of one loop. */
struct block_pool {
    struct block *idle;
    uint32_t n_idle;
};

/* Makes an empty block with @room bytes or more; NULL when out of memory. */
COLD struct block *block_new(size_t room);

/* Takes an empty block with @room bytes or more; NULL when out of memory. */
static inline struct block *block_take(struct block_pool *pool, size_t room)
{
    struct block *block = pool->idle;

    if (UNLIKELY(room > BLOCK_ROOM || !block))
        return block_new(room);
    pool->idle = block->next;
    pool->n_idle--;
    memory_unpoison(block->data, block->room);
    block->next = NULL;
    block->start = block->end = 0;
    return block;
}

/* Gives a block back. NULL is fine. */
void block_give(struct block_pool *pool, struct block *block);

/* Frees all idle blocks. */
void block_pool_fini(struct block_pool *pool);

static inline uint32_t block_filled(const struct block *block)
{
    return block->end - block->start;
}

#endif
