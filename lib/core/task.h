/*
 * A task from the inside: how it suspends and who resumes it.
 *
 * Thread: the loop's.
 */
#ifndef CORE_TASK_H
#define CORE_TASK_H

#include <corod/future.h>
#include <corod/task.h>

#include "core/loop.h"

/* The state of what is left of a task on an idle stack. */
enum { TASK_IDLE = 0xff };

/*
 * Lies at the top of its own stack. When the stack is given back it stays there, idle, and
 * the next task on that stack finds the fields that are the same for all.
 */
struct co_task {
    struct co_handle handle; /* in the ready queue, or in the list of what is awaited */
    struct context context;
    struct co_loop *loop;
    struct stack *stack;
    const struct co_task_attr *attr;
    co_task_fn fn;
    void *arg;
    struct co_future done;
    struct co_future *awaited; /* what a cancellation is passed on to */
    struct co_timer deadline;
    const char *awaits; /* what it is suspended in, a static string */
    co_time since;
    const void *spawn_site; /* code address that spawned it */
    int wake;               /* what task_suspend() returns */
    int result;             /* of the future that was awaited */
    uint8_t state;          /* enum co_task_state, or TASK_IDLE */
    union {
        struct {
            bool is_detached;
            bool is_started;
            bool is_cancelled;  /* cancellation to be delivered at the next await */
            bool is_passed_on;  /* cancellation was passed on to `awaited` */
            bool is_passing_on; /* … and is being so right now */
            bool is_returned;   /* the body has ended */
        };
        uint64_t flags; /* all of them */
    };
};

/* The run function of every task's handle. */
void task_step(struct co_handle *handle);

/*
 * Suspends @task, the caller's own. Before, the caller has put the task where its waker will
 * find it: its handle into a list, or a pointer to it.
 *
 * Returns what task_wake() was given, -ETIMEDOUT, CO_ECANCELLED or -ENOMEM (no room for the
 * timer). The handle is in no list any more.
 */
int task_suspend(struct co_task *task, const char *awaits, co_time deadline);

/* Makes a suspended task ready; of several wake-ups the first counts. Others: nothing. */
void task_wake(struct co_task *task, int result);

/*
 * Takes one step from the running task's budget and yields when it is used up. Called by
 * awaits that may return without suspending. Returns 0 or CO_ECANCELLED.
 */
int task_spend_slow(struct co_loop *loop);

static inline int task_spend(struct co_loop *loop)
{
    if (LIKELY(--loop->budget > 0))
        return 0;
    return task_spend_slow(loop);
}

/* Fails when a task of the loop has not been freed. */
void task_check_none(const struct co_loop *loop);

/* Ends the process: a task is misused in a way that cannot go on. */
_Noreturn void task_fail_alive(const struct co_task *task, const char *what);

#endif
