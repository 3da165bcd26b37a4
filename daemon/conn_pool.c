/*
 * The pool of connections.
 */
#include <stdlib.h>

#include "conn_pool.h"

enum { CHUNK_CONNS = 128 };

struct conn_chunk {
    struct conn_chunk *next;
    struct conn conns[CHUNK_CONNS];
};

static bool grow(struct conn_pool *pool)
{
    struct conn_chunk *chunk = malloc(sizeof(*chunk));

    if (!chunk)
        return false;
    chunk->next = pool->chunks;
    pool->chunks = chunk;
    for (int i = CHUNK_CONNS; i-- > 0;)
        conn_pool_give(pool, &chunk->conns[i]);
    return true;
}

struct conn *conn_pool_take(struct conn_pool *pool)
{
    struct conn *conn;

    if (!pool->free && !grow(pool))
        return NULL;
    conn = pool->free;
    pool->free = (struct conn *)(void *)conn->link.next;
    *conn = (struct conn){ .fd = -1, .state = CONN_NEW };
    return conn;
}

void conn_pool_give(struct conn_pool *pool, struct conn *conn)
{
    conn->link.next = (struct co_list *)(void *)pool->free;
    pool->free = conn;
}

void conn_pool_fini(struct conn_pool *pool)
{
    while (pool->chunks) {
        struct conn_chunk *next = pool->chunks->next;

        free(pool->chunks);
        pool->chunks = next;
    }
    pool->free = NULL;
}
