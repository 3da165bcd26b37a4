/*
 * Connections that wait to be used: made by chunks, so that one costs no more than its size,
 * and given back to the heap at the end.
 *
 * Thread: the supervisor's.
 */
#ifndef CONN_POOL_H
#define CONN_POOL_H

#include "conn.h"

struct conn_chunk;

struct conn_pool {
    struct conn *free; /* linked by link.next */
    struct conn_chunk *chunks;
};

/* Takes a connection, all zero (CONN_NEW); NULL when out of memory. */
struct conn *conn_pool_take(struct conn_pool *pool);

/* Gives one back. */
void conn_pool_give(struct conn_pool *pool, struct conn *conn);

/* Frees the memory of all, taken or not. */
void conn_pool_fini(struct conn_pool *pool);

#endif
