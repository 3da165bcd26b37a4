/**
 * Fault countdown: makes the n-th next allocation or descriptor call of a test fail.
 *
 * A test is linked with tests/support/fault.c and "@tests/support/fault.opts", which
 * routes the calls of all objects linked into the test through the countdown. Calls
 * inside shared libraries (libc's own, cmocka's) are neither counted nor failed.
 *
 *     static int make_thing(void *ctx)
 *     {
 *         struct thing *thing;
 *         int r = thing_new(&thing);
 *         if (r == 0)
 *             thing_free(thing);
 *         return r;
 *     }
 *     …
 *     assert_true(fault_walk(make_thing, NULL) > 0);
 *
 * Thread: the countdown belongs to the calling thread and counts only that thread's
 * calls.
 */
#ifndef COROD_FAULT_H
#define COROD_FAULT_H

#include <stdbool.h>
#include <stddef.h>

/** What is counted. */
enum fault_kind {
    FAULT_ALLOC, /* malloc calloc realloc strdup strndup aligned_alloc posix_memalign mmap
                  */
    FAULT_FD, /* socket socketpair accept4 eventfd timerfd_create epoll_create1 pipe2 dup */
    FAULT_GUARD,    /* madvise(MADV_GUARD_INSTALL); other advice is not counted */
    FAULT_MPROTECT, /* mprotect */
    FAULT_RECV,     /* recv */
    FAULT_SEND,     /* send sendmsg */
    FAULT_N_KINDS,
};

/** The n-th next allocation (from 1) fails with ENOMEM, once. Replaces an earlier
 * countdown. */
void fault_after(unsigned n);

/** The n-th next allocation and all after it fail, until fault_off(). */
void fault_from(unsigned n);

/** The n-th next call of @kind fails with errno @error, once. */
void fault_arm(enum fault_kind kind, unsigned n, int error);

/** Every call of @kind from the n-th on fails with errno @error, until fault_off(). */
void fault_arm_from(enum fault_kind kind, unsigned n, int error);

/** Every send() and sendmsg() takes at most @max bytes, until fault_off(). */
void fault_short_sends(size_t max);

/** Ends the countdowns of all kinds. fault_hit() and fault_count() keep their answers. */
void fault_off(void);

/** Whether a call was made to fail since the last fault_after(), fault_from(),
 * fault_arm(). */
bool fault_hit(void);

/** Calls of @kind that were counted since the countdown was armed. */
unsigned fault_count(enum fault_kind kind);

/** A piece of work that can fail. Leaves nothing behind: frees what it made. */
typedef int (*fault_fn)(void *ctx);

/**
 * Runs @fn with its 1st, 2nd, … allocation failing until a run meets no failure. Fails
 * the test when a run that was hit returns anything but -ENOMEM, or when the last run
 * fails. What leaks is found by the sanitizer or valgrind.
 *
 * Returns how many allocations were made to fail.
 */
unsigned fault_walk(fault_fn fn, void *ctx);

/** As fault_walk(), for calls of @kind that fail with errno @error; runs must give
 * -error. */
unsigned fault_walk_kind(fault_fn fn, void *ctx, enum fault_kind kind, int error);

#endif
