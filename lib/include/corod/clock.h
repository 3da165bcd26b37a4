/**
 * The clock of a loop, as an interface: the real one, or one that a test moves by hand.
 */
#ifndef COROD_CLOCK_H
#define COROD_CLOCK_H

#include <corod/base.h>

CO_BEGIN_DECLS

/**
 * Where a loop gets its time from. The real clock leaves `jump` NULL. With a virtual clock
 * the loop never sleeps: when nothing is ready it calls `jump` with the time of its next
 * timer (CO_NEVER when there is none), and goes on.
 */
struct co_clock {
    co_time (*now)(void *ctx);
    void (*jump)(void *ctx, co_time to);
    void *ctx;
};

/** The system's monotonic clock (CLOCK_MONOTONIC). Static; any thread. */
CO_API const struct co_clock *co_clock_real(void);

/** A virtual clock in the caller's storage; set `clock` into the loop's config. */
struct co_virtual_clock {
    struct co_clock clock;
    co_time now;
};

/**
 * Starts a virtual clock at time @start.
 *
 * @vc     the caller's storage; must outlive the loop that uses it
 * @start  first value of now, ns
 */
CO_API void co_virtual_clock_init(struct co_virtual_clock *vc, co_time start);

CO_END_DECLS

#endif
