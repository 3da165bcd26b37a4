/*
 * The context switch: one implementation is compiled, switch_x86_64.S, switch_aarch64.S or
 * switch_ucontext.c. Callee-saved registers and floating-point control only.
 *
 * Thread: any; a context is resumed on the thread that it was suspended on.
 */
#ifndef CORE_SWITCH_H
#define CORE_SWITCH_H

#include <corod/base.h>

/*
 * Makes a context that will call entry(arg) on the stack that ends at @top (aligned to 16).
 * entry never returns. What switch_to() needs of the stack lies below @top.
 */
void *switch_prepare(void *top, void (*entry)(void *), void *arg);

/* Suspends the caller, whose context goes to *save, and resumes @load. */
void switch_to(void **save, void *load);

/*
 * Gives a suspended context the caller's floating-point control, as switch_prepare() does for
 * a new one. Returns false where that cannot be done: then it must be prepared anew.
 */
static inline bool switch_inherit(void *sp)
{
#if defined(CO_SWITCH_X86_64)
    __asm__ volatile("stmxcsr (%0)\n\tfnstcw 4(%0)" : : "r"(sp) : "memory");
    return true;
#elif defined(CO_SWITCH_AARCH64)
    uint64_t fpcr;

    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    *(uint64_t *)sp = fpcr;
    return true;
#else
    (void)sp;
    return false;
#endif
}

#endif
