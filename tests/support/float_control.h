/**
 * The rounding direction of floating-point arithmetic, without libm: the part of a task's
 * floating-point control that tests change.
 */
#ifndef COROD_FLOAT_CONTROL_H
#define COROD_FLOAT_CONTROL_H

enum rounding { ROUND_NEAREST, ROUND_1, ROUND_2, ROUND_TO_ZERO };

#if defined(__x86_64__)

/* Not the intrinsics: compilers take two readings with a switch between them for one. */
static inline unsigned mxcsr_get(void)
{
    unsigned mxcsr;

    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr) : : "memory");
    return mxcsr;
}

static inline void mxcsr_set(unsigned mxcsr)
{
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr) : "memory");
}

static inline enum rounding rounding_get(void)
{
    return (enum rounding)((mxcsr_get() >> 13) & 3);
}

static inline void rounding_set(enum rounding rounding)
{
    mxcsr_set((mxcsr_get() & ~(3u << 13)) | (unsigned)rounding << 13);
}

#elif defined(__aarch64__)

static inline enum rounding rounding_get(void)
{
    unsigned long fpcr;

    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr) : : "memory");
    return (enum rounding)((fpcr >> 22) & 3);
}

static inline void rounding_set(enum rounding rounding)
{
    unsigned long fpcr;

    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr) : : "memory");
    fpcr = (fpcr & ~(3ul << 22)) | (unsigned long)rounding << 22;
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr) : "memory");
}

#else
#error "no access to the rounding direction of this processor"
#endif

#endif
