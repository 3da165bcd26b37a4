/* Tests of lib/core/stack.c: classes, guards, pools, and the switch with its hooks. */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/stack.h"
#include "fault.h"
#include "fixture.h"

enum { MPROTECT_MAX = 1000 };

static int setup(void **state)
{
    struct stack_pool *pool = malloc(sizeof(*pool));

    stack_pool_init(pool, MPROTECT_MAX);
    *state = pool;
    return 0;
}

static int teardown(void **state)
{
    fault_off();
    stack_pool_fini(*state);
    free(*state);
    return 0;
}

static struct stack *take(struct stack_pool *pool, size_t size)
{
    struct stack *stack = NULL;

    assert_int_equal(stack_take(pool, size, &stack), 0);
    return stack;
}

/* Whether any page of the stack above its guard (and canary) is in memory. */
static bool has_pages(const struct stack *stack)
{
    size_t skip = STACK_GUARD_BYTES + (stack->guard == STACK_GUARD_CANARY ? 4096 : 0);
    unsigned char pages[64];
    bool any = false;

    assert_true(stack->size - skip <= sizeof(pages) * 4096);
    assert_int_equal(mincore(stack->base + skip, stack->size - skip, pages), 0);
    for (size_t i = 0; i < (stack->size - skip) / 4096; i++)
        any |= pages[i] & 1;
    return any;
}

/* ---- classes ---- */

/* A size is rounded up to a class; above the largest there is none. */
static void test_take_rounds_up_to_a_class(void **state)
{
    static const struct {
        size_t size, given;
    } cases[] = {
        { 0, 64 << 10 },          { 1, 16 << 10 },
        { 16 << 10, 16 << 10 },   { (16 << 10) + 1, 64 << 10 },
        { 64 << 10, 64 << 10 },   { (64 << 10) + 1, 256 << 10 },
        { 256 << 10, 256 << 10 },
    };
    struct stack *none = NULL;

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct stack *stack = take(*state, cases[i].size);

        assert_int_equal(stack->size, cases[i].given);
        assert_int_equal((uintptr_t)stack_top(stack) % 4096, 0);
        stack_give(*state, stack);
    }
    assert_int_equal(stack_take(*state, (256 << 10) + 1, &none), -E2BIG);
    assert_int_equal(stack_take(*state, SIZE_MAX, &none), -E2BIG);
    assert_null(none);
}

/* The stack given back last is taken first. */
static void test_take_is_last_in_first_out(void **state)
{
    struct stack *a = take(*state, 0), *b = take(*state, 0), *c = take(*state, 0);

    stack_give(*state, b);
    stack_give(*state, a);
    stack_give(*state, c);
    assert_ptr_equal(take(*state, 0), c);
    assert_ptr_equal(take(*state, 0), a);
    assert_ptr_equal(take(*state, 0), b);
    stack_give(*state, a);
    stack_give(*state, b);
    stack_give(*state, c);
}

/* Thousands are alive at once; each is its own memory, whole above the guard. */
static void test_take_thousands(void **state)
{
#ifdef HAVE_TSAN
    enum { N = 1000 }; /* ThreadSanitizer knows no more than 8128 fibers */
#else
    enum { N = 5000 };
#endif
    static struct stack *stacks[N];
    struct stack_pool *pool = *state;

    for (int i = 0; i < N; i++) {
        stacks[i] = take(pool, 1);
        memcpy(stacks[i]->base + STACK_GUARD_BYTES + 4096, &i, sizeof(i));
        memcpy(stack_top(stacks[i]) - sizeof(i), &i, sizeof(i));
    }
    assert_int_equal(pool->n_used, N);
    for (int i = 0; i < N; i++) {
        assert_memory_equal(stacks[i]->base + STACK_GUARD_BYTES + 4096, &i, sizeof(i));
        assert_memory_equal(stack_top(stacks[i]) - sizeof(i), &i, sizeof(i));
        stack_give(pool, stacks[i]);
    }
    assert_int_equal(pool->n_used, 0);
}

static int take_from_a_new_pool(void *ctx)
{
    struct stack_pool pool;
    struct stack *stack = NULL;
    int r;

    (void)ctx;
    stack_pool_init(&pool, 0);
    r = stack_take(&pool, 0, &stack);
    assert_int_equal(stack != NULL, r == 0);
    assert_int_equal(pool.n_used, r == 0);
    if (r == 0)
        stack_give(&pool, stack);
    stack_pool_fini(&pool);
    return r;
}

/* Whatever allocation fails, the pool is whole. */
static void test_take_under_faults(void **state)
{
    (void)state;
    assert_int_equal(fault_walk(take_from_a_new_pool, NULL), 3);
}

/* A pool that is ended while a stack is in use is a bug that is caught. */
static void end_pool_in_use(void *arg)
{
    (void)take(arg, 0);
    stack_pool_fini(arg);
}

static void test_fini_in_use_is_caught(void **state)
{
    assert_int_equal(child_run(end_pool_in_use, *state).signal, SIGABRT);
}

/* ---- guards ---- */

static void write_to_guard(void *arg)
{
    const struct stack *stack = arg;

    *(volatile char *)(stack->base + STACK_GUARD_BYTES - 1) = 1;
}

static void write_above_guard(void *arg)
{
    const struct stack *stack = arg;

    *(volatile char *)(stack->base + STACK_GUARD_BYTES) = 1;
}

static void assert_guard_faults(struct stack *stack)
{
    assert_int_equal(child_run(write_to_guard, stack).signal, SIGSEGV);
    assert_int_equal(child_run(write_above_guard, stack).signal, 0);
    assert_true(stack_guard_has(stack, stack->base));
    assert_true(stack_guard_has(stack, stack->base + STACK_GUARD_BYTES - 1));
    assert_false(stack_guard_has(stack, stack->base + STACK_GUARD_BYTES));
    assert_false(stack_guard_has(stack, stack->base - 1));
}

/* Each class faults just below its usable part. */
static void test_guard_faults(void **state)
{
    static const size_t sizes[] = { 1, 0, 256 << 10 };

    for (size_t i = 0; i < N_ELEMENTS(sizes); i++) {
        struct stack *stack = take(*state, sizes[i]);

        assert_true(stack->guard == STACK_GUARD_MARKER ||
                    stack->guard == STACK_GUARD_MPROTECT);
        assert_guard_faults(stack);
        stack_give(*state, stack);
    }
}

/* Where the kernel has no guard markers, mprotect() guards, and markers are not asked again. */
static void test_guard_falls_back_to_mprotect(void **state)
{
    struct stack_pool *pool = *state;
    struct stack *stack;

    fault_arm_from(FAULT_GUARD, 1, EINVAL);
    stack = take(pool, 0);
    assert_int_equal(fault_count(FAULT_GUARD), 1);
    fault_off();
    assert_int_equal(stack->guard, STACK_GUARD_MPROTECT);
    assert_true(pool->no_markers);
    assert_guard_faults(stack);
    stack_give(pool, stack);
}

/* Above the limit of mprotect(), and when it fails, a canary guards. */
static void test_guard_falls_back_to_a_canary(void **state)
{
    struct stack_pool *pool = *state;
    struct stack *stacks[64];
    int n_mprotect = 0, n_canary = 0;

    pool->max_mprotect = 20;
    fault_arm(FAULT_GUARD, 1, EINVAL);
    for (int i = 0; i < 64; i++) {
        stacks[i] = take(pool, 1);
        n_mprotect += stacks[i]->guard == STACK_GUARD_MPROTECT;
        n_canary += stacks[i]->guard == STACK_GUARD_CANARY;
    }
    assert_int_equal(n_mprotect, 20);
    assert_int_equal(n_canary, 44);
    for (int i = 0; i < 64; i++)
        stack_give(pool, stacks[i]);
    pool->max_mprotect = 1000;
    fault_arm_from(FAULT_MPROTECT, 1, ENOMEM);
    stacks[0] = take(pool, 0);
    assert_int_equal(stacks[0]->guard, STACK_GUARD_CANARY);
    stack_give(pool, stacks[0]);
}

/* Takes a stack that only a canary guards. */
static struct stack *take_with_canary(struct stack_pool *pool, size_t size)
{
    pool->no_markers = true;
    pool->max_mprotect = 0;
    return take(pool, size);
}

/* Any changed byte of the canary is noticed, and no byte above it. */
static void test_canary_notices_each_byte(void **state)
{
    struct stack *stack = take_with_canary(*state, 0);
    char *guard = stack->base + STACK_GUARD_BYTES;

    assert_true(stack_canary_is_whole(stack));
    for (int i = 0; i < 64; i++) {
        guard[i] ^= 1;
        assert_false(stack_canary_is_whole(stack));
        guard[i] ^= 1;
    }
    guard[64] ^= 1;
    assert_true(stack_canary_is_whole(stack));
    stack_give(*state, stack);
}

/* ---- trim ---- */

/* Takes @n stacks, writes to all their pages, and gives them back. */
static void use_stacks(struct stack_pool *pool, struct stack **stacks, int n)
{
    for (int i = 0; i < n; i++) {
        stacks[i] = take(pool, 1);
        memset(stacks[i]->base + STACK_GUARD_BYTES + 4096, 'x',
               stacks[i]->size - STACK_GUARD_BYTES - 4096);
        stacks[i]->is_primed = true;
    }
    for (int i = n; i-- > 0;)
        stack_give(pool, stacks[i]);
}

static int count_with_pages(struct stack **stacks, int n)
{
    int sum = 0;

    for (int i = 0; i < n; i++)
        sum += has_pages(stacks[i]);
    return sum;
}

/* Stacks that nobody needed between two trims lose their pages, but for a few. */
static void test_trim_releases_what_was_not_needed(void **state)
{
    struct stack_pool *pool = *state;
    struct stack *stacks[128];

    use_stacks(pool, stacks, 128);
    assert_true(pool->is_to_trim);
    stack_pool_trim(pool); /* all were needed since the last */
    assert_int_equal(count_with_pages(stacks, 128), 128);
    assert_true(pool->is_to_trim);
    stack_pool_trim(pool);
    assert_int_equal(count_with_pages(stacks, 128), 16);
    assert_false(pool->is_to_trim);
    /* The hottest are the ones that kept theirs. */
    assert_true(has_pages(stacks[0]) && has_pages(stacks[15]));
    assert_true(stacks[15]->is_primed);
    assert_false(stacks[16]->is_primed);
}

/* What was needed since the last trim is kept, and its neighbours in the pool are not. */
static void test_trim_keeps_what_is_needed(void **state)
{
    struct stack_pool *pool = *state;
    struct stack *stacks[128], *again[40];

    use_stacks(pool, stacks, 128);
    stack_pool_trim(pool);
    use_stacks(pool, again, 40);
    stack_pool_trim(pool);
    assert_int_equal(count_with_pages(stacks, 128), 40 + 16);
}

/* Released stacks are as good as new: zeroed, and guarded as before. */
static void test_trim_keeps_guards(void **state)
{
    struct stack_pool *pool = *state;
    struct stack *stacks[64];

    for (int is_canary = 0; is_canary < 2; is_canary++) {
        if (is_canary) {
            pool->no_markers = true;
            pool->max_mprotect = 0;
        }
        use_stacks(pool, stacks, 64);
        stack_pool_trim(pool);
        stack_pool_trim(pool);
        assert_false(has_pages(stacks[63]));
        if (stacks[63]->guard == STACK_GUARD_CANARY)
            assert_true(stack_canary_is_whole(stacks[63]));
        else
            assert_guard_faults(stacks[63]);
        assert_int_equal(stacks[63]->base[stacks[63]->size - 1], 0);
    }
}

/* Stacks that were in use during trims are released too, once they are idle. */
static void test_trim_after_a_long_spike(void **state)
{
    struct stack_pool *pool = *state;
    struct stack *stacks[128];

    use_stacks(pool, stacks, 128);
    for (int i = 0; i < 128; i++)
        stacks[i] = take(pool, 1);
    for (int i = 0; i < 5; i++)
        stack_pool_trim(pool);
    for (int i = 128; i-- > 0;)
        stack_give(pool, stacks[i]);
    for (int i = 0; i < 5 && pool->is_to_trim; i++)
        stack_pool_trim(pool);
    assert_int_equal(count_with_pages(stacks, 128), 16);
}

/* One trim releases at most 1,024 stacks of a class, the next goes on. */
static void test_trim_is_bounded(void **state)
{
    struct stack_pool *pool = *state;
    static struct stack *stacks[2048];
    int n_trims = 0;

    for (int i = 0; i < 2048; i++) {
        stacks[i] = take(pool, 1);
        stacks[i]->is_primed = true;
    }
    for (int i = 2048; i-- > 0;)
        stack_give(pool, stacks[i]);
    while (pool->is_to_trim) {
        stack_pool_trim(pool);
        n_trims++;
    }
    assert_int_equal(n_trims, 3);
    assert_int_equal(pool->classes[0].n_cold, 2048 - 16);
}

static void count_stack(const struct stack *stack, void *ctx)
{
    assert_true(stack->is_primed);
    ++*(int *)ctx;
}

/* Each visits the stacks that hold a context, in whatever class. */
static void test_each_visits_primed_stacks(void **state)
{
    struct stack_pool *pool = *state;
    struct stack *a = take(pool, 1), *b = take(pool, 0);
    int n = 0;

    stack_pool_each(pool, count_stack, &n);
    assert_int_equal(n, 0);
    a->is_primed = b->is_primed = true;
    stack_pool_each(pool, count_stack, &n);
    assert_int_equal(n, 2);
    stack_give(pool, a);
    stack_give(pool, b);
}

/* ---- contexts ---- */

struct routine {
    struct context own, *main;
    int n;
    long sum;
};

static long fib(int n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static _Noreturn void run_routine(void *arg)
{
    struct routine *r = arg;

    context_entered(r->main);
    for (;;) {
        char local[1000];

        memset(local, r->n, sizeof(local));
        r->sum += fib(10) + local[999];
        r->n++;
        context_leave(&r->own, r->main, false);
    }
}

/* Contexts on many stacks take turns, under each sanitizer too. */
static void test_context_enter_takes_turns(void **state)
{
    struct routine r[10];
    struct stack *stacks[10];
    struct context main;

    memset(r, 0, sizeof(r));
    for (int i = 0; i < 10; i++) {
        r[i].main = &main;
        stacks[i] = take(*state, 0);
        context_init(&r[i].own, stacks[i], stack_top(stacks[i]), run_routine, &r[i]);
    }
    for (int round = 1; round <= 20; round++) {
        for (int i = 0; i < 10; i++) {
            context_enter(&main, &r[i].own, switch_control_now());
            assert_int_equal(r[i].n, round);
        }
    }
    for (int i = 0; i < 10; i++) {
        assert_int_equal(r[i].sum, 20 * 55 + 190);
        stack_give(*state, stacks[i]);
    }
}

#define STACK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        STACK_TEST(test_take_rounds_up_to_a_class),
        STACK_TEST(test_take_is_last_in_first_out),
        STACK_TEST(test_take_thousands),
        STACK_TEST(test_take_under_faults),
        STACK_TEST(test_fini_in_use_is_caught),
        STACK_TEST(test_guard_faults),
        STACK_TEST(test_guard_falls_back_to_mprotect),
        STACK_TEST(test_guard_falls_back_to_a_canary),
        STACK_TEST(test_canary_notices_each_byte),
        STACK_TEST(test_trim_releases_what_was_not_needed),
        STACK_TEST(test_trim_keeps_what_is_needed),
        STACK_TEST(test_trim_keeps_guards),
        STACK_TEST(test_trim_after_a_long_spike),
        STACK_TEST(test_trim_is_bounded),
        STACK_TEST(test_each_visits_primed_stacks),
        STACK_TEST(test_context_enter_takes_turns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
