/*
 * Stacks of tasks: three classes, carved from arenas, each with a guard below it; a LIFO pool
 * for each class; and the switch between two contexts with the hooks that sanitizers need.
 *
 * Thread: the loop's.
 */
#ifndef CORE_STACK_H
#define CORE_STACK_H

#include <errno.h>

#include <corod/base.h>

#include "base/check.h"
#include "base/sanitizer.h"
#include "core/switch.h"

enum stack_guard {
    STACK_GUARD_NONE = 0,
    STACK_GUARD_MARKER,   /* MADV_GUARD_INSTALL: faults, and splits no mapping */
    STACK_GUARD_MPROTECT, /* faults; two mappings a stack, so their number is limited */
    STACK_GUARD_CANARY,   /* does not fault: a pattern, checked at every switch */
};

enum {
    STACK_CLASSES = 3,
    STACK_GUARD_BYTES = 4096,
    STACK_KEEP_WARM = 16, /* idle stacks a class that keep their pages */
};

struct stack {
    char *base; /* lowest address, where the guard is */
    size_t size;
    uint8_t class;
    uint8_t guard;  /* enum stack_guard */
    bool is_primed; /* holds the context of an ended task, ready to run the next */
#ifdef HAVE_TSAN
    void *fiber;
#endif
};

/* A suspended flow of control: a task's, or the loop's own. */
struct context {
    void *sp;
#ifdef HAVE_ASAN
    void *fake_stack;
    const void *bottom;
    size_t size;
#endif
#ifdef HAVE_TSAN
    void *fiber;
#endif
};

struct stack_class {
    size_t size;
    struct stack **idle; /* [n_idle]; the last is hottest, the first n_cold released */
    uint32_t n_idle;
    uint32_t n_cold;
    uint32_t n_all;  /* also the capacity of idle */
    uint32_t lowest; /* least n_idle since the last trim; never less than n_cold */
};

struct stack_arena;

struct stack_pool {
    struct stack_class classes[STACK_CLASSES];
    struct stack_arena *arenas;
    uint32_t max_mprotect;
    uint32_t n_mprotect;
    uint32_t n_used;
    bool is_to_trim; /* stacks have been used that stack_pool_trim() may release */
    bool no_markers; /* the kernel has no MADV_GUARD_INSTALL */
};

/* Starts an empty pool. @max_mprotect: how many stacks may be guarded by mprotect(). */
void stack_pool_init(struct stack_pool *pool, uint32_t max_mprotect);

/* Unmaps everything. No stack may be in use (checked). */
void stack_pool_fini(struct stack_pool *pool);

/* stack_take() where no stack is idle, or fewer are than have been since the last trim. */
COLD int stack_take_slow(struct stack_pool *pool, struct stack_class *class);

/*
 * Takes a stack of at least @size bytes, guard included (0: 64 KiB). Returns 0, -ENOMEM, or
 * -E2BIG above the largest class.
 */
static inline int stack_take(struct stack_pool *pool, size_t size,
                             struct stack **out_stack)
{
    struct stack_class *c = pool->classes;

    if (size == 0)
        size = 64 << 10;
    while (UNLIKELY(size > c->size)) {
        if (++c == pool->classes + STACK_CLASSES)
            return -E2BIG;
    }
    if (UNLIKELY(c->n_idle <= c->lowest)) {
        int r = stack_take_slow(pool, c);

        if (r < 0)
            return r;
    }
    *out_stack = c->idle[--c->n_idle];
    pool->n_used++;
    return 0;
}

/* Gives a stack back. Its pages keep what they hold while is_primed is left set. */
static inline void stack_give(struct stack_pool *pool, struct stack *stack)
{
    struct stack_class *c = &pool->classes[stack->class];

    memory_unpoison(stack->base + STACK_GUARD_BYTES, stack->size - STACK_GUARD_BYTES);
    c->idle[c->n_idle++] = stack;
    pool->n_used--;
    /* It may have been in use for longer than the trims looked on. */
    if (c->n_idle > c->n_cold + STACK_KEEP_WARM)
        pool->is_to_trim = true;
}

/*
 * Gives the pages of idle stacks back to the system: of those that no task needed since the
 * last call, but for a few, at most 1,024 a class and call. Clears is_to_trim when none are
 * left that a later call may release.
 */
void stack_pool_trim(struct stack_pool *pool);

/* Calls @fn for each stack that is_primed: one that a task is on, or was. */
void stack_pool_each(const struct stack_pool *pool,
                     void (*fn)(const struct stack *stack, void *ctx), void *ctx);

/* One past the highest address. */
static inline char *stack_top(const struct stack *stack)
{
    return stack->base + stack->size;
}

/* Whether an address that faulted lies in the stack's guard. */
static inline bool stack_guard_has(const struct stack *stack, const void *addr)
{
    const char *p = addr;

    return p >= stack->base && p < stack->base + STACK_GUARD_BYTES;
}

/* Whether the guard pattern is whole. Only for STACK_GUARD_CANARY. */
bool stack_canary_is_whole(const struct stack *stack);

/*
 * Makes @context start entry(arg) on @stack, below @top, which lies in the stack and is
 * aligned to 16. entry never returns; its first act is stack_entered().
 */
void context_init(struct context *context, struct stack *stack, void *top,
                  void (*entry)(void *), void *arg);

/*
 * Makes the context of an ended task, which is_primed says is there, run the next one.
 * Returns false when it must be made anew by context_init().
 */
static inline bool context_reuse(struct context *context)
{
#if defined(HAVE_ASAN) || defined(CO_SWITCH_UCONTEXT)
    (void)context;
    return false; /* an ended fiber is gone for good; a ucontext keeps its float control */
#else
    switch_save_control(context->sp);
    return true;
#endif
}

#if defined(HAVE_ASAN) || defined(HAVE_TSAN)
/* Resumes *to from *from until it leaves; @control: the caller's, as switch_control_now(). */
void context_enter(struct context *from, struct context *to, uint64_t control);
/* Suspends *from and goes back to *to, which entered it. @is_last: *from never comes back. */
void context_leave(struct context *from, struct context *to, bool is_last);
/* To be called first by a context's entry function; @from is who entered it. */
void context_entered(struct context *from);
#else
static inline void context_enter(struct context *from, struct context *to,
                                 uint64_t control)
{
    switch_into(&from->sp, &to->sp, control);
}
static inline void context_leave(struct context *from, struct context *to, bool is_last)
{
    (void)is_last;
    switch_to(&from->sp, to->sp);
}
static inline void context_entered(struct context *from)
{
    (void)from;
}
#endif

#endif
