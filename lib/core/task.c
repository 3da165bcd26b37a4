/*
 * Tasks. The states, and who moves a task along:
 *
 *              spawn                          batch
 *                └──► READY ───────────────────────────────► RUNNING ──► DONE
 *                       ▲                                       │     returns
 *                       │ task_wake()                           │ task_suspend()
 *                       └───────────────── SUSPENDED ◄──────────┘
 *
 * task_wake() is called by what is awaited, by the deadline's timer and by a cancellation;
 * the first one takes the task out of where it waits, so the others find it READY.
 */
#include <errno.h>

#include "core/task.h"

static const struct co_task_attr default_attr = { .name = "task" };

static void on_deadline(struct co_timer *timer)
{
    task_wake(CO_CONTAINER_OF(timer, struct co_task, deadline), -ETIMEDOUT);
}

static struct co_task *task_on(const struct stack *stack)
{
    return (struct co_task *)(void *)(stack_top(stack) -
                                      ((sizeof(struct co_task) + 15) & ~15UL));
}

/* One after the other runs the bodies of all tasks that are made on this stack. */
static _Noreturn void task_main(void *arg)
{
    struct co_task *task = arg;

    context_entered(&task->loop->context);
    for (;;) {
        task->wake = task->fn(task->arg);
        task->is_returned = true;
        context_leave(&task->context, &task->loop->context, true);
    }
}

/* Makes what stays as it is from one task of a stack to the next. */
COLD static void task_prime(struct co_task *task, struct co_loop *loop,
                            struct stack *stack)
{
    stack->is_primed = true;
    task->handle = (struct co_handle){ .run = task_step };
    task->loop = loop;
    task->stack = stack;
    task->deadline = (struct co_timer){ .fire = on_deadline };
    task->awaited = NULL;
    task->awaits = NULL;
    co_future_init(&task->done, loop);
    task->done.is_task = true;
    context_init(&task->context, stack, task, task_main, task);
}

/* Makes a task in state READY that is in no queue. Returns 0, -ENOMEM or -E2BIG. */
HOT_INLINE int task_new(struct co_loop *loop, const struct co_task_attr *attr,
                        co_task_fn fn, void *arg, struct co_task **out_task)
{
    struct stack *stack;
    struct co_task *task;
    int r = stack_take(&loop->stacks, attr->stack_size, &stack);

    if (UNLIKELY(r < 0))
        return r;
    task = task_on(stack);
    if (UNLIKELY(!stack->is_primed) || UNLIKELY(!context_reuse(&task->context)))
        task_prime(task, loop, stack);
    task->attr = attr;
    task->fn = fn;
    task->arg = arg;
    task->done.is_done = false;
    task->state = CO_TASK_READY;
    task->flags = 0;
    *out_task = task;
    return 0;
}

int co_task_spawn(struct co_loop *loop, const struct co_task_attr *attr, co_task_fn fn,
                  void *arg, struct co_task **out_task)
{
    struct co_task *task;
    int r;

    loop_check_owner(loop);
    r = task_new(loop, attr ? attr : &default_attr, fn, arg, &task);
    if (r < 0)
        return r;
    task->spawn_site = __builtin_return_address(0);
    list_add_tail(&loop->ready, &task->handle.link);
    if (out_task)
        *out_task = task;
    else
        task->is_detached = true;
    return 0;
}

static void task_release(struct co_task *task)
{
    task->state = TASK_IDLE;
    stack_give(&task->loop->stacks, task->stack);
}

COLD static void log_error(const struct co_task *task, int result)
{
    co_log(CO_LOG_DEBUG, "task %s ended with %s", co_task_name(task), co_errname(result));
}

COLD static void task_done(struct co_task *task, int result)
{
    task->state = CO_TASK_DONE;
    /* Cannot fail: nobody else completes a task's future. */
    (void)co_future_set(&task->done, result, NULL);
}

/* The body has ended, or was never begun. */
HOT_INLINE void task_finish(struct co_task *task, int result)
{
    /* Nobody can know of a detached task's end but by what waits for it. */
    if (UNLIKELY(!task->is_detached || !list_is_empty(&task->done.waiters)))
        task_done(task, result);
    if (!task->is_detached)
        return;
    if (UNLIKELY(result < 0 && result != CO_ECANCELLED))
        log_error(task, result);
    task_release(task);
}

/* Runs a task until it suspends or ends. @control: the caller's, for context_enter(). */
HOT_INLINE void resume(struct co_loop *loop, struct co_task *task, uint64_t control)
{
    task->state = CO_TASK_RUNNING;
    loop->running = task;
    loop->budget = LOOP_BUDGET;
    context_enter(&loop->context, &task->context, control);
    if (UNLIKELY(task->stack->guard == STACK_GUARD_CANARY) &&
        !stack_canary_is_whole(task->stack))
        task_fail_alive(task, "has overflowed its stack");
    loop->running = NULL;
    if (task->is_returned)
        task_finish(task, task->is_cancelled ? CO_ECANCELLED : task->wake);
}

void task_step(struct co_handle *handle)
{
    struct co_task *task = CO_CONTAINER_OF(handle, struct co_task, handle);

    if (UNLIKELY(!task->is_started)) {
        if (task->is_cancelled) {
            task_finish(task, CO_ECANCELLED);
            return;
        }
        task->is_started = true;
    }
    resume(task->loop, task, task->loop->control);
}

/* A task that starts another waits in the loop's place until that one suspends. */
COLD static void resume_nested(struct co_loop *loop, struct co_task *task)
{
    struct co_task *outer = loop->running;
    struct context context = loop->context;
    int budget = loop->budget;

    resume(loop, task, switch_control_now());
    loop->context = context;
    loop->running = outer;
    loop->budget = budget;
}

int co_task_start(const struct co_task_attr *attr, co_task_fn fn, void *arg,
                  struct co_task **out_task)
{
    struct co_loop *loop = loop_current;
    struct co_task *task;
    int r;

    CO_CHECK(loop);
    r = task_new(loop, attr ? attr : &default_attr, fn, arg, &task);
    if (UNLIKELY(r < 0))
        return r;
    task->spawn_site = __builtin_return_address(0);
    task->is_detached = true;
    task->is_started = true;
    if (out_task)
        *out_task = task;
    if (LIKELY(!loop->running))
        resume(loop, task, loop->control);
    else
        resume_nested(loop, task);
    return 0;
}

/* What the await returns that the task is back from. */
static int woken(struct co_task *task)
{
    int r = task->wake;

    if (UNLIKELY(r == -ETIMEDOUT) && task->awaited) {
        /* What is awaited goes on, which CO_ECANCELLED would deny: the cancellation, if there
         * was one, waits for the next await. */
        task->is_cancelled |= task->is_passed_on;
        task->is_passed_on = false;
        return r;
    }
    if (task->is_passed_on) {
        /* What was awaited is over. Cancelled itself, it cancels us; if it made a result of
         * the cancellation, we get that (b028). */
        task->is_passed_on = false;
        if (r == 0 && task->result == CO_ECANCELLED)
            r = CO_ECANCELLED;
    }
    if (UNLIKELY(task->is_cancelled)) {
        /* It came after the wake-up, which is not lost: what was awaited keeps its state. */
        task->is_cancelled = false;
        r = CO_ECANCELLED;
    }
    return r;
}

int task_suspend(struct co_task *task, const char *awaits, co_time deadline)
{
    struct co_loop *loop = task->loop;
    int r;

    CO_ASSERT(loop->running == task);
    if (deadline != CO_NEVER) {
        r = timer_heap_start(&loop->timers, &task->deadline, deadline);
        if (r < 0) {
            co_handle_cancel(&task->handle);
            return r;
        }
    }
    task->state = CO_TASK_SUSPENDED;
    task->awaits = awaits;
    task->since = loop->now;
    if (UNLIKELY(task->is_cancelled)) {
        /* Asked for while it ran: it takes effect now, by the same way. */
        task->is_cancelled = false;
        co_task_cancel(task);
    }
    context_leave(&task->context, &loop->context, false);
    task->awaits = NULL;
    if (deadline != CO_NEVER)
        timer_heap_stop(&loop->timers, &task->deadline);
    return woken(task);
}

void task_wake(struct co_task *task, int result)
{
    if (task->state != CO_TASK_SUSPENDED)
        return;
    co_handle_cancel(&task->handle);
    task->state = CO_TASK_READY;
    task->wake = result;
    list_add_tail(&task->loop->ready, &task->handle.link);
}

int task_spend_slow(struct co_loop *loop)
{
    if (loop->running)
        return co_await_yield();
    /* Callbacks cannot yield. */
    loop->budget = LOOP_BUDGET;
    return 0;
}

void co_task_detach(struct co_task *task)
{
    loop_check_owner(task->loop);
    CO_CHECK(task->state != CO_TASK_DONE && !task->is_detached);
    task->is_detached = true;
}

void co_task_free(struct co_task *task)
{
    if (!task)
        return;
    loop_check_owner(task->loop);
    if (task->state != CO_TASK_DONE)
        task_fail_alive(task, "is freed before it has ended");
    task_release(task);
}

static void check_idle(const struct stack *stack, void *ctx)
{
    const struct co_task *task = task_on(stack);

    (void)ctx;
    if (task->state != TASK_IDLE)
        task_fail_alive(task, "is not freed while its loop is");
}

void task_check_none(const struct co_loop *loop)
{
    stack_pool_each(&loop->stacks, check_idle, NULL);
}

struct co_task *co_task_current(void)
{
    return loop_current ? loop_current->running : NULL;
}

const char *co_task_name(const struct co_task *task)
{
    return task->attr->name ? task->attr->name : default_attr.name;
}

enum co_task_state co_task_state(const struct co_task *task)
{
    return task->state;
}

const char *co_task_awaits(const struct co_task *task)
{
    return task->awaits;
}

/* Passes a cancellation on to what the task awaits. Returns false when that is done. */
static bool pass_on_cancel(struct co_task *task, struct co_future *f)
{
    bool is_passed_on;

    if (!f->is_task)
        return co_future_cancel(f);
    /* In a ring of tasks that await each other it comes back here: then it ends here. */
    task->is_passing_on = true;
    is_passed_on = co_task_cancel(CO_CONTAINER_OF(f, struct co_task, done));
    task->is_passing_on = false;
    return is_passed_on;
}

bool co_task_cancel(struct co_task *task)
{
    loop_check_owner(task->loop);
    if (task->state == CO_TASK_DONE)
        return false;
    if (task->state != CO_TASK_SUSPENDED)
        task->is_cancelled = true;
    else if (task->awaited && !task->is_passing_on && pass_on_cancel(task, task->awaited))
        task->is_passed_on = true;
    else
        task_wake(task, CO_ECANCELLED);
    return true;
}

int co_task_await(struct co_task *task, co_time deadline, int *out_result)
{
    struct co_task *self = co_task_current();

    if (self == task && self)
        return -EDEADLK;
    return co_future_await(&task->done, deadline, out_result);
}

int co_await_sleep(co_time until)
{
    struct co_task *task = co_task_current();
    int r;

    if (!task)
        return CO_ENOTASK;
    r = task_suspend(task, "sleep", until);
    return r == -ETIMEDOUT ? 0 : r;
}

int co_await_yield(void)
{
    struct co_task *task = co_task_current();

    if (!task)
        return CO_ENOTASK;
    /* It waits in the ready queue itself: nothing else wakes it. */
    task->state = CO_TASK_READY;
    task->wake = 0;
    list_add_tail(&task->loop->ready, &task->handle.link);
    context_leave(&task->context, &task->loop->context, false);
    return woken(task);
}
