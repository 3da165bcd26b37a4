/*
 * Checks of our own invariants: CO_CHECK stays on in release, CO_ASSERT is for hot paths and
 * debug builds. Never for input of peers, files or plugins.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

/*
 * Ends the process with a message that names the place, what did not hold, and the running
 * task (core/report.c). Any thread.
 */
_Noreturn void check_failed(const char *what, const char *file, int line,
                            const char *function);

#define CO_CHECK(condition)                                         \
    do {                                                            \
        if (__builtin_expect(!(condition), 0))                      \
            check_failed(#condition, __FILE__, __LINE__, __func__); \
    } while (0)

#ifdef NDEBUG
#define CO_ASSERT(condition) ((void)sizeof(!(condition)))
#else
#define CO_ASSERT(condition) CO_CHECK(condition)
#endif

/* On it: one function with its caller, so that nothing is saved in between. */
#define HOT_INLINE static inline __attribute__((always_inline))

/* Off the hot path: kept out of its callers, which need no registers saved for it then. */
#define COLD __attribute__((cold, noinline))

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

#endif
