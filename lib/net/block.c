/*
 * The pool of blocks: usual ones are kept up to a number, larger ones go back to the heap.
 */
#include <stdlib.h>

#include "net/block.h"

enum { MAX_IDLE = 64 };

struct block *block_new(size_t room)
{
    struct block *block;

    if (room <= BLOCK_ROOM)
        room = BLOCK_ROOM;
    else if (room > UINT32_MAX - BLOCK_BYTES)
        return NULL;
    block = malloc(sizeof(*block) + room);
    if (!block)
        return NULL;
    *block = (struct block){ .room = (uint32_t)room };
    return block;
}

void block_give(struct block_pool *pool, struct block *block)
{
    if (!block)
        return;
    if (block->room > BLOCK_ROOM || pool->n_idle == MAX_IDLE) {
        free(block);
        return;
    }
    memory_poison(block->data, block->room);
    block->next = pool->idle;
    pool->idle = block;
    pool->n_idle++;
}

void block_pool_fini(struct block_pool *pool)
{
    while (pool->idle) {
        struct block *next = pool->idle->next;

        free(pool->idle);
        pool->idle = next;
    }
    pool->n_idle = 0;
}
