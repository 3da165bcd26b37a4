/**
 * The event loop: asyncio's loop in C. One a thread; it runs handles in FIFO order, fires
 * timers, watches descriptors and resumes tasks.
 *
 *     struct co_loop *loop;
 *     if (co_loop_new(NULL, &loop) < 0)
 *         return 1;
 *     co_task_spawn(loop, NULL, serve, NULL, NULL);
 *     co_loop_run(loop);
 *     co_loop_free(loop);
 *
 * Thread: unless a function says "any thread", it is called on the loop's own thread, which
 * is the one that made it until co_loop_run() is called elsewhere. This is checked, in
 * release too, and a breach aborts.
 */
#ifndef COROD_LOOP_H
#define COROD_LOOP_H

#include <corod/base.h>
#include <corod/clock.h>
#include <corod/error.h>
#include <corod/log.h>

CO_BEGIN_DECLS

struct co_loop;
struct co_task;
struct co_handle;
struct co_timer;

typedef void (*co_handle_fn)(struct co_handle *handle);
typedef void (*co_timer_fn)(struct co_timer *timer);

/**
 * A callback that the loop will run once. A member of the caller's struct, found again with
 * CO_CONTAINER_OF. Zeroed, it is idle; while it is queued it must not move or go away.
 */
struct co_handle {
    struct co_list link;
    co_handle_fn run;
};

/** A one-shot timer, a member of the caller's struct. Zeroed, it is stopped. */
struct co_timer {
    co_time at;
    uint32_t index; /* place in the loop's heap, from 1; 0 is stopped */
    uint32_t seq;   /* FIFO among equal times */
    co_timer_fn fire;
};

/** What a loop is made with. All zero is a sound default. */
struct co_loop_config {
    const struct co_clock *clock;   /* NULL: co_clock_real() */
    const struct co_log_sink *sink; /* NULL: stderr; must outlive the loop */
    void *user;                     /* co_loop_user() */
    uint32_t max_mprotect_guards; /* 0: 8192; stacks guarded by mprotect, then canaries */
};

/** Counters of one loop since it was made; written by the loop's thread only. */
struct co_loop_stats {
    uint64_t iterations;    /* polls of the descriptors */
    uint64_t handles_run;   /* callbacks and task steps */
    uint64_t wakeups;       /* eventfd writes by other threads that ended a sleep */
    uint32_t n_tasks;       /* tasks that have not been freed */
    uint32_t n_timers;      /* timers started */
    uint32_t n_watches;     /* descriptors registered */
    uint32_t n_stacks;      /* stacks in use */
    uint32_t n_stacks_idle; /* stacks in the pool */
};

/**
 * Makes a loop.
 *
 * @config    copied; NULL for the defaults
 * @out_loop  the loop, owned by the caller; co_loop_free() ends it
 *
 * Returns 0, -ENOMEM, -EMFILE, -ENFILE, or -ENOSYS when the installed libevent does not fit.
 */
CO_API CO_MUST_CHECK int co_loop_new(const struct co_loop_config *config,
                                     struct co_loop **out_loop);

/**
 * Ends a loop that is not running. Tasks must have ended, streams must be freed; a leftover
 * task aborts and is named. Timers and handles still queued are forgotten. NULL is fine.
 */
CO_API void co_loop_free(struct co_loop *loop);

/**
 * Runs the loop until co_loop_stop(). Called before, the stop makes it run one iteration.
 *
 * Returns 0, or CO_ESTATE when a loop already runs on this thread, or this one elsewhere.
 */
CO_API int co_loop_run(struct co_loop *loop);

/** Makes co_loop_run() return once the current batch of handles has run. asyncio: stop(). */
CO_API void co_loop_stop(struct co_loop *loop);

/** The loop that runs on the calling thread, or NULL. Any thread. */
CO_API struct co_loop *co_loop_current(void);

/** The time the current iteration began; constant within an iteration. asyncio: time(). */
CO_API co_time co_loop_now(const struct co_loop *loop);

/** The `user` of the loop's config. */
CO_API void *co_loop_user(const struct co_loop *loop);

/**
 * A deadline @ms milliseconds after the current loop's now, for the `await` functions.
 * Called in a running loop only (checked).
 */
CO_API co_time co_after_ms(int64_t ms);

/**
 * Queues a handle to run in the loop's next batch, after those queued before it.
 * asyncio: call_soon().
 *
 * @handle  idle, `run` is set; it may be queued again from its own callback
 */
CO_API void co_loop_call_soon(struct co_loop *loop, struct co_handle *handle);

/** Takes a handle out of the queue; it will not run. Idle handles are fine. */
CO_API void co_handle_cancel(struct co_handle *handle);

/**
 * Queues a handle from any thread, FIFO for each thread, and wakes the loop if it sleeps: a
 * burst costs one wake-up. asyncio: call_soon_threadsafe(). Once posted the handle belongs
 * to the loop's thread and cannot be cancelled. Any thread, also a signal handler's.
 *
 * @handle  idle, `run` is set
 */
CO_API void co_loop_post(struct co_loop *loop, struct co_handle *handle);

/**
 * Starts a timer, or moves one that is started. asyncio: call_at(). Timers of equal time
 * fire in the order they were started. A time in the past fires in the next iteration.
 *
 * @timer  `fire` is set; must stay in place until it fires or is stopped
 * @at     loop time, ns
 *
 * Returns 0, or -ENOMEM, which leaves the timer stopped (never for one already started).
 */
CO_API CO_MUST_CHECK int co_timer_start(struct co_loop *loop, struct co_timer *timer,
                                        co_time at);

/** Stops a timer; a stopped one is fine. */
CO_API void co_timer_stop(struct co_loop *loop, struct co_timer *timer);

/** Whether the timer will fire. */
static inline bool co_timer_is_started(const struct co_timer *timer)
{
    return timer->index != 0;
}

/** A copy of the loop's counters. Loop thread. */
CO_API void co_loop_get_stats(const struct co_loop *loop,
                              struct co_loop_stats *out_stats);

/* ---- descriptors ---- */

struct co_watch;

enum co_events {
    CO_READ = 1,
    CO_WRITE = 2,
};

/**
 * Registers a descriptor with the loop, for co_watch_await(). Edge-triggered: after a wait
 * returns, the caller reads (or accepts, or writes) until EAGAIN, and then clears.
 *
 * @fd         non-blocking; stays the caller's, who keeps it open until the watch is freed
 * @events     CO_READ, CO_WRITE or both
 * @out_watch  owned by the caller; co_watch_free()
 *
 * Returns 0, -ENOMEM, -ENOSPC, or what epoll_ctl() says (-EPERM for a regular file).
 */
CO_API CO_MUST_CHECK int co_watch_new(struct co_loop *loop, int fd, int events,
                                      struct co_watch **out_watch);

/** Ends a watch that no task awaits. NULL is fine. */
CO_API void co_watch_free(struct co_watch *watch);

/** Says that the descriptor gave EAGAIN for @events: the next wait suspends. */
CO_API void co_watch_clear(struct co_watch *watch, int events);

/**
 * Suspends until the descriptor is ready for one of @events. asyncio: add_reader(), as an
 * await. One task at a time.
 *
 * Returns the ready events (> 0), or
 *   -ETIMEDOUT      deadline passed
 *   CO_ECANCELLED   task cancelled
 *   -EBUSY          another task awaits this watch
 *   CO_ENOTASK      not called in a task
 *
 * Suspends: yes.
 */
CO_API CO_MUST_CHECK int co_watch_await(struct co_watch *watch, int events,
                                        co_time deadline);

CO_END_DECLS

#endif
