/*
 * Stacks: arenas, guards, pools, and the sanitizers' view of a switch.
 *
 * An arena is one mapping that holds stacks of one class side by side. Each stack begins (at
 * its low end) with a guard page. MADV_GUARD_INSTALL makes it fault without splitting the
 * mapping; on kernels before 6.13 mprotect() does, which costs two mappings a stack and so
 * is limited; the rest carry a pattern that is compared at every switch.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(start, end) 0
#define VALGRIND_STACK_DEREGISTER(id)       ((void)(id))
#endif

#include "base/check.h"
#include "core/stack.h"
#include "core/switch.h"

#ifdef HAVE_ASAN
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef HAVE_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

enum {
    TRIM_AT_ONCE = 1024, /* bounds the time of one trim */
    CANARY_WORDS = 8,
};

static const size_t class_sizes[STACK_CLASSES] = { 16 << 10, 64 << 10, 256 << 10 };
static const uint32_t arena_stacks[STACK_CLASSES] = { 64, 32, 8 };
static const uint64_t canary = 0x7e57ab1e0ddba115;

struct stack_arena {
    struct stack_arena *next;
    char *mapping;
    size_t size;
    uint32_t n;
    struct {
        struct stack stack;
        unsigned valgrind_id;
    } slots[];
};

void stack_pool_init(struct stack_pool *pool, uint32_t max_mprotect)
{
    *pool = (struct stack_pool){ .max_mprotect = max_mprotect };
    for (int i = 0; i < STACK_CLASSES; i++)
        pool->classes[i].size = class_sizes[i];
}

static void arena_free(struct stack_arena *arena)
{
    for (uint32_t i = 0; i < arena->n; i++) {
        VALGRIND_STACK_DEREGISTER(arena->slots[i].valgrind_id);
#ifdef HAVE_TSAN
        __tsan_destroy_fiber(arena->slots[i].stack.fiber);
#endif
    }
    munmap(arena->mapping, arena->size);
    free(arena);
}

void stack_pool_fini(struct stack_pool *pool)
{
    CO_CHECK(pool->n_used == 0);
    while (pool->arenas) {
        struct stack_arena *next = pool->arenas->next;

        arena_free(pool->arenas);
        pool->arenas = next;
    }
    for (int i = 0; i < STACK_CLASSES; i++)
        free(pool->classes[i].idle);
}

static void canary_write(struct stack *stack)
{
    uint64_t *words = (uint64_t *)(void *)(stack->base + STACK_GUARD_BYTES);

    for (int i = 0; i < CANARY_WORDS; i++)
        words[i] = canary;
}

bool stack_canary_is_whole(const struct stack *stack)
{
    const uint64_t *words =
        (const uint64_t *)(const void *)(stack->base + STACK_GUARD_BYTES);

    for (int i = 0; i < CANARY_WORDS; i++) {
        if (words[i] != canary)
            return false;
    }
    return true;
}

/* Guards a new stack in the best way that is left. Always succeeds. */
static void guard_install(struct stack_pool *pool, struct stack *stack)
{
    if (!pool->no_markers) {
        if (madvise(stack->base, STACK_GUARD_BYTES, MADV_GUARD_INSTALL) == 0) {
            stack->guard = STACK_GUARD_MARKER;
            return;
        }
        pool->no_markers = true;
    }
    if (pool->n_mprotect < pool->max_mprotect &&
        mprotect(stack->base, STACK_GUARD_BYTES, PROT_NONE) == 0) {
        pool->n_mprotect++;
        stack->guard = STACK_GUARD_MPROTECT;
        return;
    }
    stack->guard = STACK_GUARD_CANARY;
    canary_write(stack);
}

/* Maps one more arena and puts its stacks into the pool. Returns 0 or -ENOMEM. */
COLD static int grow(struct stack_pool *pool, unsigned class)
{
    struct stack_class *c = &pool->classes[class];
    uint32_t n = arena_stacks[class];
    struct stack **idle = realloc(c->idle, (c->n_all + n) * sizeof(*idle));
    struct stack_arena *arena;

    if (!idle)
        return -ENOMEM;
    c->idle = idle;
    arena = calloc(1, sizeof(*arena) + n * sizeof(arena->slots[0]));
    if (!arena)
        return -ENOMEM;
    arena->size = n * c->size;
    arena->mapping = mmap(NULL, arena->size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (arena->mapping == MAP_FAILED) {
        free(arena);
        return -ENOMEM;
    }
    /* A huge page for a stack of which one page is used would waste the rest. */
    (void)madvise(arena->mapping, arena->size, MADV_NOHUGEPAGE);
    arena->n = n;
    arena->next = pool->arenas;
    pool->arenas = arena;
    c->n_all += n;
    for (uint32_t i = n; i-- > 0;) {
        struct stack *stack = &arena->slots[i].stack;

        *stack = (struct stack){ .base = arena->mapping + i * c->size,
                                 .size = c->size,
                                 .class = (uint8_t) class };
        arena->slots[i].valgrind_id =
            VALGRIND_STACK_REGISTER(stack->base, stack->base + stack->size);
#ifdef HAVE_TSAN
        stack->fiber = __tsan_create_fiber(0);
#endif
        guard_install(pool, stack);
        c->idle[c->n_idle++] = stack;
    }
    /* New stacks have no pages yet, but for those with a canary. */
    c->n_cold = c->n_idle;
    return 0;
}

int stack_take_slow(struct stack_pool *pool, struct stack_class *c)
{
    if (c->n_idle == 0) {
        int r = grow(pool, (unsigned)(c - pool->classes));

        if (r < 0)
            return r;
    }
    /* One more is in use than at any time since the last trim. */
    c->lowest = c->n_idle - 1;
    if (c->n_cold > c->lowest)
        c->n_cold = c->lowest;
    pool->is_to_trim = true;
    return 0;
}

static void release_pages(const struct stack *stack)
{
    size_t keep = STACK_GUARD_BYTES;

    if (stack->guard == STACK_GUARD_CANARY)
        keep += 4096;
    /* A guard stays: MADV_DONTNEED spares markers, and begins above the guard page. */
    (void)madvise(stack->base + keep, stack->size - keep, MADV_DONTNEED);
}

void stack_pool_trim(struct stack_pool *pool)
{
    pool->is_to_trim = false;
    for (int i = 0; i < STACK_CLASSES; i++) {
        struct stack_class *c = &pool->classes[i];
        uint32_t spare = c->lowest > STACK_KEEP_WARM ? c->lowest - STACK_KEEP_WARM : 0;
        uint32_t until =
            c->n_cold + TRIM_AT_ONCE < spare ? c->n_cold + TRIM_AT_ONCE : spare;

        while (c->n_cold < until) {
            c->idle[c->n_cold]->is_primed = false;
            release_pages(c->idle[c->n_cold++]);
        }
        c->lowest = c->n_idle;
        if (c->n_idle > c->n_cold + STACK_KEEP_WARM)
            pool->is_to_trim = true;
    }
}

void stack_pool_each(const struct stack_pool *pool,
                     void (*fn)(const struct stack *stack, void *ctx), void *ctx)
{
    for (const struct stack_arena *a = pool->arenas; a; a = a->next) {
        for (uint32_t i = 0; i < a->n; i++) {
            if (a->slots[i].stack.is_primed)
                fn(&a->slots[i].stack, ctx);
        }
    }
}

void context_init(struct context *context, struct stack *stack, void *top,
                  void (*entry)(void *), void *arg)
{
    *context = (struct context){ .sp = switch_prepare(top, entry, arg) };
#ifdef HAVE_ASAN
    context->bottom = stack->base;
    context->size = stack->size;
#endif
#ifdef HAVE_TSAN
    context->fiber = stack->fiber;
#endif
    (void)stack;
}

#if defined(HAVE_ASAN) || defined(HAVE_TSAN)

/*
 * Tells the sanitizers of a switch that is about to happen. Inline always: a function of its
 * own would be seen to end on another stack than it began on.
 */
HOT_INLINE void announce(struct context *from, const struct context *to, bool is_last)
{
#ifdef HAVE_ASAN
    __sanitizer_start_switch_fiber(is_last ? NULL : &from->fake_stack, to->bottom,
                                   to->size);
#else
    (void)is_last;
#endif
#ifdef HAVE_TSAN
    from->fiber = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
}

static void arrived(const struct context *back)
{
#ifdef HAVE_ASAN
    __sanitizer_finish_switch_fiber(back->fake_stack, NULL, NULL);
#else
    (void)back;
#endif
}

void context_enter(struct context *from, struct context *to, uint64_t control)
{
    announce(from, to, false);
    switch_into(&from->sp, &to->sp, control);
    arrived(from);
}

void context_leave(struct context *from, struct context *to, bool is_last)
{
    announce(from, to, is_last);
    switch_to(&from->sp, to->sp);
    arrived(from);
}

void context_entered(struct context *from)
{
#ifdef HAVE_ASAN
    /* Where the loop's own stack lies is learnt here, for the way back. */
    __sanitizer_finish_switch_fiber(NULL, &from->bottom, &from->size);
#else
    (void)from;
#endif
}

#endif
