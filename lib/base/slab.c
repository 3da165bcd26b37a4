/*
 * Pools of equal objects. Under AddressSanitizer an object that is in the pool is poisoned,
 * so a use after its end is found as with malloc.
 */
#include <stdlib.h>

#include "base/check.h"
#include "base/sanitizer.h"
#include "base/slab.h"

enum { CHUNK_BYTES = 16384, CHUNK_HEAD = 16 };

void slab_init(struct slab *slab, size_t size)
{
    CO_CHECK(size >= sizeof(void *) && size <= CHUNK_BYTES - CHUNK_HEAD);
    *slab = (struct slab){ .size = (size + 7) & ~(size_t)7 };
}

void slab_fini(struct slab *slab)
{
    CO_CHECK(slab->n_used == 0);
    while (slab->chunks) {
        void *next = *(void **)slab->chunks;

        memory_unpoison(slab->chunks, CHUNK_BYTES);
        free(slab->chunks);
        slab->chunks = next;
    }
    slab->free = NULL;
}

static void push_free(struct slab *slab, void *object)
{
    *(void **)object = slab->free;
    slab->free = object;
    memory_poison(object, slab->size);
}

static bool grow(struct slab *slab)
{
    char *chunk = malloc(CHUNK_BYTES);
    size_t n = (CHUNK_BYTES - CHUNK_HEAD) / slab->size;

    if (!chunk)
        return false;
    *(void **)(void *)chunk = slab->chunks;
    slab->chunks = chunk;
    /* Backwards, so that objects are taken in the order of their addresses. */
    while (n-- > 0)
        push_free(slab, chunk + CHUNK_HEAD + n * slab->size);
    return true;
}

void *slab_take(struct slab *slab)
{
    void *object;

    if (UNLIKELY(!slab->free) && !grow(slab))
        return NULL;
    object = slab->free;
    memory_unpoison(object, slab->size);
    slab->free = *(void **)object;
    slab->n_used++;
    return object;
}

void slab_give(struct slab *slab, void *object)
{
    slab->n_used--;
    push_free(slab, object);
}
