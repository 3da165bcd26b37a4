/*
 * Futures. Whoever waits is a handle in the future's list: a task's own, or a callback's.
 * Completing moves them to the ready queue in order, as asyncio's call_soon() for each.
 */
#include <errno.h>

#include <corod/future.h>

#include "core/loop.h"
#include "core/task.h"

void co_future_init(struct co_future *f, struct co_loop *loop)
{
    list_init(&f->waiters);
    f->loop = loop;
    f->value = NULL;
    f->result = 0;
    f->is_done = f->is_task = false;
}

int co_future_set(struct co_future *f, int result, void *value)
{
    loop_check_owner(f->loop);
    if (f->is_done)
        return CO_ESTATE;
    f->is_done = true;
    f->result = result;
    f->value = value;
    while (!list_is_empty(&f->waiters)) {
        struct co_list *link = list_take_first(&f->waiters);
        struct co_handle *handle = CO_CONTAINER_OF(link, struct co_handle, link);

        if (handle->run == task_step) {
            struct co_task *task = CO_CONTAINER_OF(handle, struct co_task, handle);

            /* The future may be gone when the task runs: the one before it may own it. */
            task->result = result;
            task_wake(task, 0);
        } else {
            list_add_tail(&f->loop->ready, link);
        }
    }
    return 0;
}

bool co_future_cancel(struct co_future *f)
{
    return co_future_set(f, CO_ECANCELLED, NULL) == 0;
}

void co_future_on_done(struct co_future *f, struct co_handle *handle)
{
    loop_check_owner(f->loop);
    CO_CHECK(!list_is_linked(&handle->link));
    list_add_tail(f->is_done ? &f->loop->ready : &f->waiters, &handle->link);
}

int co_future_await(struct co_future *f, co_time deadline, int *out_result)
{
    struct co_task *task = co_task_current();
    int r = 0;

    if (!task)
        return CO_ENOTASK;
    CO_CHECK(f->loop == task->loop);
    if (f->is_done) {
        task->result = f->result;
    } else {
        list_add_tail(&f->waiters, &task->handle.link);
        task->awaited = f;
        r = task_suspend(task, "future", deadline);
        task->awaited = NULL;
    }
    if (r < 0)
        return r;
    *out_result = task->result;
    return 0;
}
