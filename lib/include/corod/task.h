/**
 * Tasks: stackful coroutines on a loop. asyncio's Task.
 *
 *     static int child(void *arg) { return co_await_sleep(co_after_ms(10)); }
 *
 *     struct co_task *t;
 *     int result, r = co_task_spawn(loop, NULL, child, NULL, &t);
 *     if (r == 0)
 *         r = co_task_await(t, CO_NEVER, &result);
 *     co_task_free(t);
 *
 * A task lives at the top of its own stack, so a task that has ended keeps one page until it
 * is freed. Every function that can suspend has `await` in its name.
 *
 * Thread: the loop's thread (checked). A task never moves to another thread.
 */
#ifndef COROD_TASK_H
#define COROD_TASK_H

#include <corod/base.h>
#include <corod/loop.h>

CO_BEGIN_DECLS

typedef int (*co_task_fn)(void *arg);

/**
 * Writes what a task works on into buf[size], NUL-terminated, for crash reports. Runs in a
 * signal handler: reads memory and formats, no more; see co_text_append().
 */
typedef void (*co_describe_fn)(void *arg, char *buf, size_t size);

/** How a task is made. Static or longer-lived than its tasks: it is not copied. */
struct co_task_attr {
    const char *name;        /* shown in logs and reports; NULL: "task" */
    size_t stack_size;       /* bytes, rounded up to 16, 64 or 256 KiB; 0: 64 KiB */
    co_describe_fn describe; /* NULL: the name alone */
};

enum co_task_state {
    CO_TASK_READY,     /* queued, to run in a coming batch */
    CO_TASK_RUNNING,   /* the caller is this task */
    CO_TASK_SUSPENDED, /* in an await */
    CO_TASK_DONE,
};

/**
 * Starts a task; its first step runs in the loop's next batch. asyncio: create_task().
 *
 * @attr      how; NULL for the defaults
 * @fn        the body; its return value is the task's result, negative is an error
 * @out_task  owned by the caller, who awaits it (or cancels and awaits it) and then calls
 *            co_task_free(). NULL: the task frees itself when it ends, and a negative
 *            result other than CO_ECANCELLED is logged at debug level.
 *
 * Returns 0, or -ENOMEM; -E2BIG for a stack above 256 KiB.
 */
CO_API CO_MUST_CHECK int co_task_spawn(struct co_loop *loop,
                                       const struct co_task_attr *attr, co_task_fn fn,
                                       void *arg, struct co_task **out_task);

/**
 * Starts a task of the running loop that frees itself when it ends, and runs it at once,
 * until it suspends or ends. asyncio: eager_start. Others as in co_task_spawn().
 *
 * @out_task  written before the body begins; the task may have ended when this returns
 *
 * Suspends: no; a task that calls this goes on when the new one first suspends.
 */
CO_API CO_MUST_CHECK int co_task_start(const struct co_task_attr *attr, co_task_fn fn,
                                       void *arg, struct co_task **out_task);

/** Gives a task up that has not ended: it frees itself when it ends. */
CO_API void co_task_detach(struct co_task *task);

/** Frees a task that is done. NULL is fine; a task that is not done aborts and is named. */
CO_API void co_task_free(struct co_task *task);

/** The calling task, or NULL in a callback and outside a loop. */
CO_API struct co_task *co_task_current(void);

/** The task's name, from its attributes. */
CO_API const char *co_task_name(const struct co_task *task);

/** Where the task stands. */
CO_API enum co_task_state co_task_state(const struct co_task *task);

/** What the task awaits ("sleep", "stream read", …), or NULL when it is not suspended. */
CO_API const char *co_task_awaits(const struct co_task *task);

/**
 * Asks a task to end: its current or next await returns CO_ECANCELLED, once. A task that
 * awaits another task, or a future, passes the cancellation on, and returns when that has
 * ended. A task that has not run yet never runs its body. asyncio: cancel().
 *
 * Returns false when the task is done already.
 */
CO_API bool co_task_cancel(struct co_task *task);

/**
 * Suspends the calling task until @task has ended.
 *
 * @out_result  the task's result: what fn returned, or CO_ECANCELLED for a task cancelled
 *              before its first step; written on success only
 *
 * Returns 0, or
 *   -ETIMEDOUT      deadline passed; @task goes on
 *   CO_ECANCELLED   the calling task was cancelled, @task with it, and it has ended so
 *   -EDEADLK        @task is the calling task
 *   CO_ENOTASK      not called in a task
 *
 * Suspends: yes.
 */
CO_API CO_MUST_CHECK int co_task_await(struct co_task *task, co_time deadline,
                                       int *out_result);

/**
 * Suspends the calling task until @until.
 *
 * Returns 0 at that time, CO_ECANCELLED, -ENOMEM, or CO_ENOTASK.
 *
 * Suspends: yes, also for a time in the past (it then lets others run). asyncio: sleep().
 */
CO_API CO_MUST_CHECK int co_await_sleep(co_time until);

/**
 * Lets everything that is ready run, then goes on. asyncio: sleep(0).
 *
 * Returns 0, CO_ECANCELLED, or CO_ENOTASK.
 *
 * Suspends: yes.
 */
CO_API CO_MUST_CHECK int co_await_yield(void);

/**
 * Makes a loop, runs @main as a task until it ends, and ends the loop. asyncio: run().
 *
 * Returns what @main returned, or why the loop or the task could not be made.
 *
 * Thread: any that runs no loop.
 */
CO_API CO_MUST_CHECK int co_run(co_task_fn main, void *arg);

/**
 * Catches stack overflows of all tasks in this process: SIGSEGV and SIGBUS in a stack's
 * guard page end the process (abort) with a report on stderr that names the task and what
 * it worked on. Other faults keep their effect. Called once, before threads are started.
 * Loops run on a thread's alternate signal stack of their own from then on.
 *
 * Returns 0 or -errno.
 */
CO_API int co_overflow_install(void);

/** Appends text to buf[size] at *len; async-signal-safe. For co_describe_fn. */
CO_API void co_text_append(char *buf, size_t size, size_t *len, const char *text);

/** Appends a number in decimal, as co_text_append(). */
CO_API void co_text_append_u64(char *buf, size_t size, size_t *len, uint64_t value);

CO_END_DECLS

#endif
