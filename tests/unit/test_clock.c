/* Tests of lib/base/clock.c: the real clock and the virtual one. */
#include "test.h"

#include <time.h>

#include <corod/clock.h>

/* The real clock is the system's monotonic one, and cannot jump. */
static void test_real_follows_the_system(void **state)
{
    const struct co_clock *clock = co_clock_real();
    struct timespec before, after;
    co_time now;

    (void)state;
    clock_gettime(CLOCK_MONOTONIC, &before);
    now = clock->now(clock->ctx);
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(before.tv_sec * CO_SECOND + before.tv_nsec <= now);
    assert_true(now <= after.tv_sec * CO_SECOND + after.tv_nsec);
    assert_null(clock->jump);
    assert_ptr_equal(co_clock_real(), clock);
}

/* A virtual clock stands still until it is moved, jumps forward and never back. */
static void test_virtual_moves_only_forward(void **state)
{
    static const struct {
        co_time to, now;
    } cases[] = {
        { 100, 100 }, { 150, 150 },      { 150, 150 },
        { 120, 150 }, { CO_NEVER, 150 }, { CO_NEVER - 1, CO_NEVER - 1 },
    };
    struct co_virtual_clock vc;

    (void)state;
    co_virtual_clock_init(&vc, 100);
    assert_int_equal(vc.clock.now(vc.clock.ctx), 100);
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        vc.clock.jump(vc.clock.ctx, cases[i].to);
        assert_int_equal(vc.clock.now(vc.clock.ctx), cases[i].now);
    }
    vc.now = 5; /* its owner may do as he likes */
    assert_int_equal(vc.clock.now(vc.clock.ctx), 5);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_follows_the_system),
        cmocka_unit_test(test_virtual_moves_only_forward),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
