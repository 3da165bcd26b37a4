/**
 * The least a coroutine switch can be: the callee-saved registers and a jump, nothing
 * else. The library's switch is measured beside it. x86-64 and aarch64 only.
 */
#ifndef BENCH_BARE_SWITCH_H
#define BENCH_BARE_SWITCH_H

#if defined(__x86_64__) || defined(__aarch64__)
#define HAVE_BARE_SWITCH 1
#else
#define HAVE_BARE_SWITCH 0
#endif

/** Makes a context that begins at entry() on the stack that ends at @top; never returns.
 */
void *bare_prepare(void *top, void (*entry)(void));

/** Suspends the caller, whose context goes to *save, and resumes @load. */
void bare_switch(void **save, void *load);

#endif
