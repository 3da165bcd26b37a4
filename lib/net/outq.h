/*
 * Output that the socket has not taken yet: a chain of blocks, and the tasks that wait for
 * it to shrink. Exists only while there is some.
 *
 * Thread: the loop's.
 */
#ifndef NET_OUTQ_H
#define NET_OUTQ_H

#include <sys/uio.h>

#include "base/list.h"
#include "net/block.h"

struct outq {
    struct block *head, *tail;
    size_t size;            /* bytes in all blocks */
    co_time progress;       /* when the socket last took some */
    struct co_list waiters; /* handles of tasks in await_drain and await_flush */
};

/* Starts an empty queue at time @now. */
void outq_init(struct outq *q, co_time now);

/* Copies bytes to the end. Returns 0, or -ENOMEM with the queue as it was. */
int outq_append(struct outq *q, struct block_pool *pool, const void *data, size_t len);

/* Fills iov[max] with the first bytes; returns how many entries. */
int outq_peek(const struct outq *q, struct iovec *iov, int max);

/* Drops the first @n bytes, which are there. */
void outq_consume(struct outq *q, struct block_pool *pool, size_t n);

/* Drops everything. */
void outq_clear(struct outq *q, struct block_pool *pool);

#endif
