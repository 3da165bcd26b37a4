/*
 * co_watch: a descriptor of the user's that tasks can wait for.
 */
#include <errno.h>
#include <stdlib.h>

#include "core/loop.h"
#include "core/task.h"

struct co_watch {
    struct watch watch;
    int ready;   /* events that have come and were not cleared */
    int awaited; /* events that the waiting task wants */
    struct co_task *task;
};

static void on_ready(struct watch *base, int events)
{
    struct co_watch *watch = CO_CONTAINER_OF(base, struct co_watch, watch);

    watch->ready |= (events & (WATCH_READ | WATCH_EOF) ? CO_READ : 0) |
                    (events & WATCH_WRITE ? CO_WRITE : 0);
    if (watch->task && (watch->ready & watch->awaited))
        task_wake(watch->task, 0);
}

int co_watch_new(struct co_loop *loop, int fd, int events, struct co_watch **out_watch)
{
    struct co_watch *watch = calloc(1, sizeof(*watch));
    int r;

    loop_check_owner(loop);
    if (!watch)
        return -ENOMEM;
    r = watch_add(
        &watch->watch, loop, fd,
        (events & CO_READ ? WATCH_READ : 0) | (events & CO_WRITE ? WATCH_WRITE : 0),
        on_ready);
    if (r < 0) {
        free(watch);
        return r;
    }
    *out_watch = watch;
    return 0;
}

void co_watch_free(struct co_watch *watch)
{
    if (!watch)
        return;
    loop_check_owner(watch->watch.loop);
    CO_CHECK(!watch->task);
    watch_remove(&watch->watch);
    free(watch);
}

void co_watch_clear(struct co_watch *watch, int events)
{
    watch->ready &= ~events;
}

int co_watch_await(struct co_watch *watch, int events, co_time deadline)
{
    struct co_task *task = co_task_current();
    int r = 0;

    if (!task)
        return CO_ENOTASK;
    loop_check_owner(watch->watch.loop);
    r = task_spend(watch->watch.loop);
    if (r < 0)
        return r;
    /* Not before: to spend may be to let another take the place. */
    if (watch->task)
        return -EBUSY;
    watch->task = task;
    watch->awaited = events;
    while (r == 0 && !(watch->ready & events))
        r = task_suspend(task, "descriptor", deadline);
    watch->task = NULL;
    return r < 0 ? r : watch->ready & events;
}
