/*
 * co_run(): a whole program around one task.
 */
#include "core/task.h"

struct runner {
    struct co_handle main_ended;
    struct co_loop *loop;
};

static void on_main_ended(struct co_handle *handle)
{
    co_loop_stop(CO_CONTAINER_OF(handle, struct runner, main_ended)->loop);
}

int co_run(co_task_fn main, void *arg)
{
    struct runner runner = { .main_ended.run = on_main_ended };
    struct co_task *task = NULL;
    int r;

    if (loop_current)
        return CO_ESTATE;
    r = co_loop_new(NULL, &runner.loop);
    if (r < 0)
        return r;
    r = co_task_spawn(runner.loop, NULL, main, arg, &task);
    if (r == 0) {
        co_future_on_done(&task->done, &runner.main_ended);
        (void)co_loop_run(runner.loop); /* cannot fail: checked above */
        r = task->done.result;
        co_task_free(task);
    }
    co_loop_free(runner.loop);
    return r;
}
