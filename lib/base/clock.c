/*
 * The two clocks: the system's monotonic one, and a virtual one that jumps.
 */
#include <time.h>

#include <corod/clock.h>

static co_time real_now(void *ctx)
{
    struct timespec ts;

    (void)ctx;
    /* Cannot fail: the clock exists and ts is ours. */
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * CO_SECOND + ts.tv_nsec;
}

const struct co_clock *co_clock_real(void)
{
    static const struct co_clock real = { .now = real_now };

    return &real;
}

static co_time virtual_now(void *ctx)
{
    const struct co_virtual_clock *vc = ctx;

    return vc->now;
}

static void virtual_jump(void *ctx, co_time to)
{
    struct co_virtual_clock *vc = ctx;

    if (to != CO_NEVER && to > vc->now)
        vc->now = to;
}

void co_virtual_clock_init(struct co_virtual_clock *vc, co_time start)
{
    *vc = (struct co_virtual_clock){
        .clock = { .now = virtual_now, .jump = virtual_jump, .ctx = vc },
        .now = start,
    };
}
