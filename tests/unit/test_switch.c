/*
 * Tests of the switch between contexts, whichever implementation is linked in: only
 * core/switch.h is used.
 */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "core/switch.h"
#include "float_control.h"

enum { STACK_BYTES = 128 << 10, N_CONTEXTS = 20 };

/*
 * The sanitizers are told about switches by core/stack.c, which is not used here: functions
 * that run on other stacks are left out.
 */
#if defined(__clang__) || __GNUC__ >= 11
#define ON_OTHER_STACK __attribute__((no_sanitize("address", "thread", "undefined")))
#else
#define ON_OTHER_STACK
#endif

struct routine {
    void *context;
    char *stack;
    int id;
    int n_steps;
    double sum;
    struct routine *next; /* whom it switches to; NULL: main */
    unsigned control;     /* floating-point control that it sets and expects to keep */
    bool is_kept;
};

static void *main_context;
static int trace[200];
static int n_trace;

static struct routine *make(int id, void (*entry)(void *))
{
    struct routine *r = calloc(1, sizeof(*r));

    r->id = id;
    r->stack = aligned_alloc(64, STACK_BYTES);
    assert_non_null(r->stack);
    r->context = switch_prepare(r->stack + STACK_BYTES, entry, r);
    return r;
}

static void drop(struct routine *r)
{
    free(r->stack);
    free(r);
}

ON_OTHER_STACK static void leave(struct routine *r)
{
    switch_to(&r->context, r->next ? r->next->context : main_context);
}

ON_OTHER_STACK static void step_for_ever(void *arg)
{
    struct routine *r = arg;

    for (;;) {
        trace[n_trace++] = r->id;
        r->n_steps++;
        leave(r);
    }
}

/* The first switch calls entry with its argument; later ones go on where it left. */
static void test_switch_to_begins_and_goes_on(void **state)
{
    struct routine *r = make(1, step_for_ever);

    (void)state;
    n_trace = 0;
    assert_int_equal(r->n_steps, 0);
    for (int i = 1; i <= 5; i++) {
        switch_to(&main_context, r->context);
        assert_int_equal(r->n_steps, i);
    }
    drop(r);
}

/* Contexts that switch to each other run in just that order. */
static void test_switch_to_runs_in_order(void **state)
{
    struct routine *r[N_CONTEXTS];

    (void)state;
    n_trace = 0;
    for (int i = 0; i < N_CONTEXTS; i++)
        r[i] = make(i, step_for_ever);
    for (int i = 0; i + 1 < N_CONTEXTS; i++)
        r[i]->next = r[i + 1];
    for (int round = 0; round < 5; round++)
        switch_to(&main_context, r[0]->context);
    assert_int_equal(n_trace, 5 * N_CONTEXTS);
    for (int i = 0; i < n_trace; i++)
        assert_int_equal(trace[i], i % N_CONTEXTS);
    for (int i = 0; i < N_CONTEXTS; i++)
        drop(r[i]);
}

/* Deep frames of two contexts that alternate at every level do not disturb each other. */
ON_OTHER_STACK static long descend(struct routine *r, int depth)
{
    volatile long local = r->id * 1000 + depth;
    long below;

    leave(r);
    below = depth > 0 ? descend(r, depth - 1) : 0;
    leave(r);
    return below + local;
}

ON_OTHER_STACK static void descend_for_ever(void *arg)
{
    struct routine *r = arg;

    for (;;) {
        r->sum = (double)descend(r, 200);
        r->n_steps++;
    }
}

/* Frames of many levels keep their values across switches at each level. */
static void test_switch_to_in_deep_frames(void **state)
{
    struct routine *a = make(1, descend_for_ever), *b = make(2, descend_for_ever);

    (void)state;
    while (a->n_steps == 0 || b->n_steps == 0) {
        switch_to(&main_context, a->context);
        switch_to(&main_context, b->context);
    }
    assert_int_equal((long)a->sum, 201 * 1000 + 200 * 201 / 2);
    assert_int_equal((long)b->sum, 201 * 2000 + 200 * 201 / 2);
    drop(a);
    drop(b);
}

/* Many values that live across a switch, more than there are registers. */
ON_OTHER_STACK static long mix(struct routine *r, long seed)
{
    long a = seed, b = seed * 3, c = seed * 5, d = seed * 7, e = seed * 11, f = seed * 13;
    double x = (double)seed, y = x * 2, z = x * 3;

    for (int i = 0; i < 50; i++) {
        leave(r);
        a += b ^ (long)x;
        b += c ^ (long)y;
        c += d ^ (long)z;
        d += e;
        e += f;
        f += a;
        x += y;
        y += z / 2;
        z += x / 4;
        if (x > 1e15)
            x = y = z = 1;
    }
    return a ^ b ^ c ^ d ^ e ^ f;
}

ON_OTHER_STACK static void mix_for_ever(void *arg)
{
    struct routine *r = arg;

    for (;;) {
        r->sum = (double)(mix(r, r->id) & 0xfffffff);
        r->n_steps++;
    }
}

/* Callee-saved registers belong to a context: alternating gives what running alone gives. */
static void test_switch_to_keeps_registers(void **state)
{
    struct routine *alone = make(77, mix_for_ever);
    struct routine *r[4];

    (void)state;
    while (alone->n_steps == 0)
        switch_to(&main_context, alone->context);
    for (int i = 0; i < 4; i++)
        r[i] = make(i == 3 ? 77 : i, mix_for_ever);
    while (r[3]->n_steps == 0) {
        for (int i = 0; i < 4; i++)
            switch_to(&main_context, r[i]->context);
    }
    assert_true(r[3]->sum == alone->sum);
    for (int i = 0; i < 4; i++)
        drop(r[i]);
    drop(alone);
}

ON_OTHER_STACK static void set_rounding(void *arg)
{
    struct routine *r = arg;

    r->is_kept = rounding_get() == ROUND_NEAREST;
    rounding_set(r->control);
    for (;;) {
        leave(r);
        r->is_kept &= rounding_get() == r->control;
        r->n_steps++;
    }
}

/* The rounding mode belongs to a context; a new one has its maker's. */
static void test_switch_into_keeps_rounding(void **state)
{
    static const enum rounding modes[] = { ROUND_1, ROUND_2, ROUND_TO_ZERO,
                                           ROUND_NEAREST };
    struct routine *r[4];

    (void)state;
    for (int i = 0; i < 4; i++) {
        r[i] = make(i, set_rounding);
        r[i]->control = modes[i];
    }
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 4; i++) {
            switch_into(&main_context, &r[i]->context, switch_control_now());
            assert_true(r[i]->is_kept);
            assert_int_equal(rounding_get(), ROUND_NEAREST);
        }
    }
    for (int i = 0; i < 4; i++)
        drop(r[i]);
}

/* A context takes the rounding mode of who prepares it, not of who first resumes it. */
static void test_switch_prepare_takes_the_makers_rounding(void **state)
{
    struct routine *r;

    (void)state;
    r = make(0, set_rounding);
    r->control = ROUND_1;
    rounding_set(ROUND_2);
    switch_into(&main_context, &r->context, switch_control_now());
    assert_int_equal(rounding_get(), ROUND_2);
    rounding_set(ROUND_NEAREST);
    assert_true(r->is_kept);
    drop(r);
}

#if defined(__x86_64__)

static unsigned x87_get(void)
{
    uint16_t word;

    __asm__ volatile("fnstcw %0" : "=m"(word));
    return word;
}

ON_OTHER_STACK static void set_controls(void *arg)
{
    struct routine *r = arg;
    uint16_t word = (uint16_t)(0x037f & ~0x0300u); /* single precision */
    uint16_t now;

    mxcsr_set(r->control);
    __asm__ volatile("fldcw %0" : : "m"(word));
    r->is_kept = true;
    for (;;) {
        leave(r);
        __asm__ volatile("fnstcw %0" : "=m"(now));
        r->is_kept &= now == word && (mxcsr_get() & 0xffc0u) == (r->control & 0xffc0u);
        r->n_steps++;
    }
}

/* Every control bit of MXCSR and the x87 control word belong to a context. */
static void test_switch_into_keeps_control_words(void **state)
{
    static const unsigned bits[] = { 0x8000, 0x0040, 0x6000, 0x2000, 0x4000 };
    const unsigned mxcsr = mxcsr_get() & 0xffc0u, x87 = x87_get();

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(bits); i++) {
        struct routine *r = make(0, set_controls);

        r->control = mxcsr | bits[i];
        for (int round = 0; round < 3; round++) {
            switch_into(&main_context, &r->context, switch_control_now());
            assert_true(r->is_kept);
            assert_int_equal(mxcsr_get() & 0xffc0u, mxcsr);
            assert_int_equal(x87_get(), x87);
        }
        drop(r);
    }
}

#endif

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_switch_to_begins_and_goes_on),
        cmocka_unit_test(test_switch_to_runs_in_order),
        cmocka_unit_test(test_switch_to_in_deep_frames),
        cmocka_unit_test(test_switch_to_keeps_registers),
        cmocka_unit_test(test_switch_into_keeps_rounding),
        cmocka_unit_test(test_switch_prepare_takes_the_makers_rounding),
#if defined(__x86_64__)
        cmocka_unit_test(test_switch_into_keeps_control_words),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
