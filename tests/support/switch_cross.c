/*
 * The switch of another processor, run under an emulator without any library: two contexts
 * take turns, each with registers and a rounding direction of its own. Exit status 0 when
 * both kept theirs.
 */
#include <fenv.h>
#include <stdlib.h>

#include "core/switch.h"

enum { TURNS = 100000, STACK = 65536 };

static void *here, *there;
static long sum;
static double product;

static void body(void *arg)
{
    long step = (long)(intptr_t)arg;
    double x = 1.5;

    fesetround(FE_UPWARD);
    for (;;) {
        x *= 1.0000001;
        product = x;
        sum += step;
        switch_to(&there, here);
        if (fegetround() != FE_UPWARD)
            exit(2);
    }
}

int main(void)
{
    char *stack = aligned_alloc(64, STACK);
    uint64_t own = switch_control_now();
    double y = 2.25;

    if (!stack)
        return 3;
    there = switch_prepare(stack + STACK, body, (void *)(intptr_t)3);
    for (int i = 0; i < TURNS; i++) {
        y += 0.5;
        switch_into(&here, &there, own);
        if (fegetround() != FE_TONEAREST)
            return 4;
    }
    return sum == 3L * TURNS && y == 2.25 + TURNS / 2 && product > 1.515 &&
                   product < 1.516
               ? 0
               : 5;
}
