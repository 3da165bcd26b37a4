/*
 * The context switch: one implementation is compiled, switch_x86_64.S, switch_aarch64.S or
 * switch_ucontext.c. Callee-saved registers and floating-point control only.
 *
 * Thread: any; a context is resumed on the thread that it was suspended on.
 */
#ifndef CORE_SWITCH_H
#define CORE_SWITCH_H

#include <corod/base.h>

#include "base/check.h"

/*
 * Makes a context that will call entry(arg) on the stack that ends at @top (aligned to 16),
 * with the caller's floating-point control. entry never returns. What switch_to() needs of
 * the stack lies below @top.
 */
void *switch_prepare(void *top, void (*entry)(void *), void *arg);

/*
 * Suspends the caller, whose context goes to *save, and resumes @load. Floating-point control
 * (rounding and the like) is saved and not loaded: that is up to switch_into().
 */
void switch_to(void **save, void *load);

/*
 * The calling thread's floating-point control, and that of a suspended context, in a form to
 * be compared. Without a switch of our own both are 0: the system's restores it by itself.
 */
#if defined(CO_SWITCH_X86_64)
/* The control bits of MXCSR; in the upper half the x87 control word. */
#define CONTROL_MASK UINT64_C(0x0000ffff0000ffc0)

HOT_INLINE uint64_t switch_control(const void *sp)
{
    uint64_t saved;

    __builtin_memcpy(&saved, sp, sizeof(saved));
    return saved & CONTROL_MASK;
}

/* Writes the thread's control to where a context keeps its own. */
HOT_INLINE void switch_save_control(void *sp)
{
    __asm__ volatile("stmxcsr (%0)\n\tfnstcw 4(%0)" : : "r"(sp) : "memory");
}

HOT_INLINE void switch_load_control(uint64_t control)
{
    __asm__ volatile("ldmxcsr (%0)\n\tfldcw 4(%0)" : : "r"(&control), "m"(control));
}
#elif defined(CO_SWITCH_AARCH64)
HOT_INLINE uint64_t switch_control(const void *sp)
{
    uint64_t saved;

    __builtin_memcpy(&saved, sp, sizeof(saved));
    return saved;
}

HOT_INLINE void switch_save_control(void *sp)
{
    uint64_t fpcr;

    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    __builtin_memcpy(sp, &fpcr, sizeof(fpcr));
}

HOT_INLINE void switch_load_control(uint64_t control)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(control));
}
#else
HOT_INLINE uint64_t switch_control(const void *sp)
{
    (void)sp;
    return 0;
}

HOT_INLINE void switch_save_control(void *sp)
{
    (void)sp;
}

HOT_INLINE void switch_load_control(uint64_t control)
{
    (void)control;
}
#endif

HOT_INLINE uint64_t switch_control_now(void)
{
    uint64_t now = 0;

    switch_save_control(&now);
    return switch_control(&now);
}

/*
 * Resumes *other with its own floating-point control. On return *other is where it was
 * suspended again, and the thread's control is @own, the caller's. Always inline: a sanitizer
 * must not see it begin on one stack and end on another.
 */
HOT_INLINE void switch_into(void **save, void **other, uint64_t own)
{
    if (__builtin_expect(switch_control(*other) != own, 0))
        switch_load_control(switch_control(*other));
    switch_to(save, *other);
    if (__builtin_expect(switch_control(*other) != own, 0))
        switch_load_control(own);
}

#endif
