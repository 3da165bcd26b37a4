/*
 * A pool of objects of one size, carved from chunks: no overhead an object, no heap call in
 * steady state. Objects go back to the pool; chunks go back to the heap at the end.
 *
 * Thread: one, the owner's.
 */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <corod/base.h>

struct slab {
    size_t size;
    void *free;   /* linked through the objects' first word */
    void *chunks; /* linked through the chunks' first word */
    size_t n_used;
};

/* Starts a pool of objects of @size bytes, aligned to 8. */
void slab_init(struct slab *slab, size_t size);

/* Frees all chunks. Every object must have been given back (checked). */
void slab_fini(struct slab *slab);

/* Takes an object, not cleared; NULL when out of memory. */
void *slab_take(struct slab *slab);

/* Gives an object back. */
void slab_give(struct slab *slab, void *object);

#endif
