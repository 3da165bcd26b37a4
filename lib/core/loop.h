/*
 * What the runtime knows of a loop, and the descriptors it watches. Only loop.c meets
 * libevent; nothing here shows it.
 *
 * Thread: the loop's, unless said.
 */
#ifndef CORE_LOOP_H
#define CORE_LOOP_H

#include <corod/loop.h>

#include "base/check.h"
#include "base/list.h"
#include "core/inbox.h"
#include "core/stack.h"
#include "core/timer.h"

/* What is watched for, and reported: libevent's own values, which loop.c checks. */
enum {
    WATCH_READ = 0x02,
    WATCH_WRITE = 0x04,
    WATCH_EOF = 0x80, /* the peer has closed its side (EPOLLRDHUP) */
};

/* Room for a struct event; its true size is checked when a loop is made. */
enum { EVENT_BYTES = 128 };

struct watch;
typedef void (*watch_fn)(struct watch *watch, int events);

/*
 * A registered descriptor: edge-triggered, both directions at once, added to the kernel once.
 * @ready is called from the poll with WATCH_READ, WATCH_WRITE and WATCH_EOF.
 */
struct watch {
    _Alignas(8) unsigned char event[EVENT_BYTES];
    struct co_loop *loop;
    watch_fn ready;
};

/* Registers @fd. Returns 0 or -errno. The watch must not move until watch_remove(). */
int watch_add(struct watch *watch, struct co_loop *loop, int fd, int events,
              watch_fn ready);

/* Ends it. Before the descriptor is closed. */
void watch_remove(struct watch *watch);

/* What is put on a loop by lib/net, and freed with it. */
struct loop_extra {
    void (*free)(struct loop_extra *extra);
};

/* Steps that a task may take without suspending before others have their turn. */
enum { LOOP_BUDGET = 64 };

struct co_loop {
    struct event_base *base;
    struct co_list ready;   /* handles of the next batch */
    struct co_list batch;   /* the rest of the one that is running */
    struct context context; /* of co_loop_run() while a task runs */
    uint64_t control;       /* floating-point control of the same */
    struct co_task *running;
    int budget;
    bool is_running;
    bool is_stopping;
    bool is_late;     /* now is of before the poll: who is called first sets it */
    co_time armed_at; /* when timer_fd will end a sleep; CO_NEVER: it will not */
    co_time now;
    co_time trim_at; /* next look at idle stacks; CO_NEVER: there are none to release */
    const struct co_clock *clock;
    const struct co_log_sink *sink;
    void *user;
    struct timer_heap timers;
    struct stack_pool stacks;
    struct loop_extra *extra;
    struct co_loop_stats stats;
    int wake_fd; /* an eventfd: written to by who posts to a sleeping loop */
    struct watch wake;
    int timer_fd; /* a timerfd: ends a sleep when the next deadline comes */
    struct watch timer;
    /* Last: on a cache line that other threads write. */
    _Alignas(64) struct inbox inbox;
};

/* The loop that runs on this thread. The library's only variable. */
extern _Thread_local struct co_loop *loop_current
    __attribute__((tls_model("initial-exec")));

/* Fails when the loop runs on another thread. A loop that does not run may be set up. */
static inline void loop_check_owner(const struct co_loop *loop)
{
    CO_CHECK(loop_current == loop || !loop->is_running);
}

#endif
