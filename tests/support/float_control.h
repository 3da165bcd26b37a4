/**
 * The rounding direction of floating-point arithmetic, without libm: the part of a task's
 * floating-point control that tests change.
 */
#ifndef COROD_FLOAT_CONTROL_H
#define COROD_FLOAT_CONTROL_H

enum rounding { ROUND_NEAREST, ROUND_1, ROUND_2, ROUND_TO_ZERO };

#if defined(__x86_64__)

#include <xmmintrin.h>

static inline enum rounding rounding_get(void)
{
    return (enum rounding)((_mm_getcsr() >> 13) & 3);
}

static inline void rounding_set(enum rounding rounding)
{
    _mm_setcsr((_mm_getcsr() & ~(3u << 13)) | (unsigned)rounding << 13);
}

#elif defined(__aarch64__)

static inline enum rounding rounding_get(void)
{
    unsigned long fpcr;

    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return (enum rounding)((fpcr >> 22) & 3);
}

static inline void rounding_set(enum rounding rounding)
{
    unsigned long fpcr;

    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    fpcr = (fpcr & ~(3ul << 22)) | (unsigned long)rounding << 22;
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr));
}

#else
#error "no access to the rounding direction of this processor"
#endif

#endif
