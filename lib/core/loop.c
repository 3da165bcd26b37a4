/*
 * The event loop around one libevent base.
 *
 * An iteration: poll descriptors (their callbacks queue handles), fire timers (the same),
 * then run the handles that were ready by then, one batch; what they queue waits for the
 * next. libevent has no hooks around its poll, so each iteration is one call of
 * event_base_loop() and all queues are ours. Its own timers would cost three clock readings
 * an iteration: deadlines end a sleep by a timerfd instead, which is set only when the next
 * deadline is earlier than what it is set to, and never read.
 */
#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/log_sink.h"
#include "core/loop.h"
#include "core/report.h"
#include "core/task.h"

_Static_assert(sizeof(struct event) <= EVENT_BYTES, "EVENT_BYTES is too small");
_Static_assert(WATCH_READ == EV_READ && WATCH_WRITE == EV_WRITE && WATCH_EOF == EV_CLOSED,
               "events are passed on as libevent has them");

enum { DEFAULT_MPROTECT_GUARDS = 8192 };
static const co_time trim_period = CO_SECOND;

_Thread_local struct co_loop *loop_current;

/* ---- descriptors ---- */

static struct event *watch_event(struct watch *watch)
{
    return (struct event *)(void *)watch->event;
}

/* Reads the clock: once an iteration, as soon as the poll has ended. */
static void set_now(struct co_loop *loop)
{
    loop->now = loop->clock->now(loop->clock->ctx);
    loop->is_late = false;
}

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    struct watch *watch = arg;

    (void)fd;
    if (watch->loop->is_late)
        set_now(watch->loop);
    watch->ready(watch, what);
}

int watch_add(struct watch *watch, struct co_loop *loop, int fd, int events,
              watch_fn ready)
{
    short what = (short)(events | EV_ET | EV_PERSIST);

    watch->loop = loop;
    watch->ready = ready;
    errno = 0;
    if (event_assign(watch_event(watch), loop->base, fd, what, on_event, watch) < 0 ||
        event_add(watch_event(watch), NULL) < 0) {
        watch->loop = NULL;
        return errno > 0 ? -errno : -ENOMEM;
    }
    loop->stats.n_watches++;
    return 0;
}

void watch_remove(struct watch *watch)
{
    /* Cannot fail in a way that matters: the event leaves libevent's tables first. */
    (void)event_del(watch_event(watch));
    watch->loop->stats.n_watches--;
}

/* ---- making and ending ---- */

static void on_wake(struct watch *watch, int events)
{
    /* Edge-triggered and never read: the count saturates after 2^64 - 2 wake-ups. */
    (void)events;
    watch->loop->stats.wakeups++;
}

static void on_timer(struct watch *watch, int events)
{
    /* Its purpose was to end the poll; edge-triggered, it need not be read. */
    (void)events;
    watch->loop->armed_at = CO_NEVER;
}

static struct event_base *base_new(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    if (!config)
        return NULL;
    /* Our loop belongs to one thread, and reads the clock itself. Edges and hang-ups are what
     * the transports are written for. */
    if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0 &&
        event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME) == 0 &&
        event_config_require_features(config, EV_FEATURE_ET | EV_FEATURE_EARLY_CLOSE) ==
            0)
        base = event_base_new_with_config(config);
    event_config_free(config);
    return base;
}

/* Everything of a loop that can fail. */
static int loop_open(struct co_loop *loop)
{
    int r;

    if (event_get_struct_event_size() > EVENT_BYTES)
        return -ENOSYS;
    errno = 0;
    loop->base = base_new();
    if (!loop->base)
        return errno > 0 ? -errno : -ENOMEM;
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd < 0)
        return -errno;
    r = watch_add(&loop->wake, loop, loop->wake_fd, WATCH_READ, on_wake);
    if (r < 0)
        return r;
    loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (loop->timer_fd < 0)
        return -errno;
    return watch_add(&loop->timer, loop, loop->timer_fd, WATCH_READ, on_timer);
}

static void loop_init(struct co_loop *loop, const struct co_loop_config *config)
{
    *loop = (struct co_loop){
        .clock = config->clock ? config->clock : co_clock_real(),
        .sink = config->sink ? config->sink : log_sink_stderr(),
        .user = config->user,
        .trim_at = CO_NEVER,
        .armed_at = CO_NEVER,
        .wake_fd = -1,
        .timer_fd = -1,
    };
    list_init(&loop->ready);
    list_init(&loop->batch);
    stack_pool_init(&loop->stacks, config->max_mprotect_guards
                                       ? config->max_mprotect_guards
                                       : DEFAULT_MPROTECT_GUARDS);
    loop->now = loop->clock->now(loop->clock->ctx);
}

int co_loop_new(const struct co_loop_config *config, struct co_loop **out_loop)
{
    static const struct co_loop_config defaults = { 0 };
    struct co_loop *loop = aligned_alloc(64, sizeof(*loop));
    int r;

    if (!loop)
        return -ENOMEM;
    loop_init(loop, config ? config : &defaults);
    r = loop_open(loop);
    if (r < 0) {
        co_loop_free(loop);
        return r;
    }
    *out_loop = loop;
    return 0;
}

/* Handles that are still queued become idle: their owners may cancel or queue them again. */
static void forget_handles(struct co_loop *loop)
{
    struct co_list *item, *next;

    inbox_drain(&loop->inbox, &loop->ready);
    for (item = loop->ready.next; item != &loop->ready; item = next) {
        next = item->next;
        item->next = item->prev = NULL;
    }
}

void co_loop_free(struct co_loop *loop)
{
    if (!loop)
        return;
    CO_CHECK(!loop->is_running);
    task_check_none(loop);
    if (loop->extra)
        loop->extra->free(loop->extra);
    forget_handles(loop);
    if (loop->wake.loop)
        watch_remove(&loop->wake);
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    if (loop->timer.loop)
        watch_remove(&loop->timer);
    if (loop->timer_fd >= 0)
        close(loop->timer_fd);
    if (loop->base)
        event_base_free(loop->base);
    timer_heap_fini(&loop->timers);
    stack_pool_fini(&loop->stacks);
    free(loop);
}

/* ---- running ---- */

/* Sets the timerfd so that a sleep ends when our next deadline comes. */
static void arm_timer(struct co_loop *loop, co_time next)
{
    struct itimerspec spec = { 0 };
    co_time at;

    /* One that comes too early costs one empty iteration; moving it at every change of the
     * next deadline would cost more. */
    if (loop->armed_at <= next)
        return;
    /* The loop's clock may be another than the system's: what counts is the distance. */
    at = next - loop->clock->now(loop->clock->ctx);
    if (at < 1)
        at = 1;
    spec.it_value.tv_sec = at / CO_SECOND;
    spec.it_value.tv_nsec = at % CO_SECOND;
    /* Cannot fail: the descriptor is ours and the time is valid. */
    CO_CHECK(timerfd_settime(loop->timer_fd, 0, &spec, NULL) == 0);
    loop->armed_at = next;
}

/* Whether the poll may block: nothing is ready, and no post has come meanwhile. */
static bool may_sleep(struct co_loop *loop, co_time next)
{
    return list_is_empty(&loop->ready) && !loop->is_stopping && next > loop->now &&
           inbox_try_sleep(&loop->inbox);
}

static void poll_descriptors(struct co_loop *loop)
{
    co_time next = timer_heap_next(&loop->timers);
    int flags = EVLOOP_ONCE;

    if (loop->clock->jump) {
        flags |= EVLOOP_NONBLOCK;
    } else {
        if (loop->trim_at < next)
            next = loop->trim_at;
        if (may_sleep(loop, next))
            arm_timer(loop, next);
        else
            flags |= EVLOOP_NONBLOCK;
    }
    loop->is_late = true;
    /* Fails only when epoll itself does: a bug of ours, such as a closed descriptor. */
    CO_CHECK(event_base_loop(loop->base, flags) >= 0);
    inbox_awake(&loop->inbox);
    if (!inbox_is_empty(&loop->inbox))
        inbox_drain(&loop->inbox, &loop->ready);
    if (loop->clock->jump && list_is_empty(&loop->ready) && !loop->is_stopping) {
        loop->clock->jump(loop->clock->ctx, timer_heap_next(&loop->timers));
        loop->is_late = true;
    }
    loop->stats.iterations++;
}

static void run_batch(struct co_loop *loop)
{
    list_splice_tail(&loop->batch, &loop->ready);
    while (!list_is_empty(&loop->batch)) {
        struct co_handle *handle =
            CO_CONTAINER_OF(list_take_first(&loop->batch), struct co_handle, link);

        loop->stats.handles_run++;
        handle->run(handle);
    }
}

/* Gives idle stacks back, a period after a spike, and again while there are any. */
static void trim_stacks(struct co_loop *loop)
{
    if (loop->trim_at == CO_NEVER) {
        loop->trim_at = loop->now + trim_period;
    } else if (loop->now >= loop->trim_at) {
        stack_pool_trim(&loop->stacks);
        loop->trim_at = loop->stacks.is_to_trim ? loop->now + trim_period : CO_NEVER;
    }
}

int co_loop_run(struct co_loop *loop)
{
    struct alt_stack alt;

    if (loop_current || loop->is_running)
        return CO_ESTATE;
    alt_stack_enter(&alt);
    loop_current = loop;
    loop->is_running = true;
    loop->control = switch_control_now();
    do {
        poll_descriptors(loop);
        if (loop->is_late)
            set_now(loop);
        timer_heap_fire(&loop->timers, loop->now);
        run_batch(loop);
        if (UNLIKELY(loop->stacks.is_to_trim))
            trim_stacks(loop);
    } while (!loop->is_stopping);
    loop->is_stopping = false;
    loop->is_running = false;
    loop_current = NULL;
    alt_stack_leave(&alt);
    return 0;
}

void co_loop_stop(struct co_loop *loop)
{
    loop_check_owner(loop);
    loop->is_stopping = true;
}

struct co_loop *co_loop_current(void)
{
    return loop_current;
}

co_time co_loop_now(const struct co_loop *loop)
{
    return loop->now;
}

void *co_loop_user(const struct co_loop *loop)
{
    return loop->user;
}

co_time co_after_ms(int64_t ms)
{
    CO_CHECK(loop_current);
    if (ms < -(loop_current->now / CO_MSEC))
        return 0; /* in the past, like any other */
    if (ms > (CO_NEVER - loop_current->now) / CO_MSEC)
        return CO_NEVER;
    return loop_current->now + ms * CO_MSEC;
}

const struct co_log_sink *log_sink_current(void)
{
    return loop_current ? loop_current->sink : log_sink_stderr();
}

/* ---- handles and timers ---- */

void co_loop_call_soon(struct co_loop *loop, struct co_handle *handle)
{
    loop_check_owner(loop);
    CO_CHECK(!list_is_linked(&handle->link));
    list_add_tail(&loop->ready, &handle->link);
}

void co_handle_cancel(struct co_handle *handle)
{
    if (list_is_linked(&handle->link))
        list_remove(&handle->link);
}

void co_loop_post(struct co_loop *loop, struct co_handle *handle)
{
    static const uint64_t one = 1;

    if (inbox_post(&loop->inbox, handle)) {
        int saved = errno;

        /* Cannot fail: the counter is far from full, and a signal does not interrupt it. */
        (void)!write(loop->wake_fd, &one, sizeof(one));
        errno = saved;
    }
}

int co_timer_start(struct co_loop *loop, struct co_timer *timer, co_time at)
{
    loop_check_owner(loop);
    /* One that starts itself again in the past would keep the others from their turn. */
    return timer_heap_start(&loop->timers, timer, at > loop->now ? at : loop->now);
}

void co_timer_stop(struct co_loop *loop, struct co_timer *timer)
{
    loop_check_owner(loop);
    timer_heap_stop(&loop->timers, timer);
}

void co_loop_get_stats(const struct co_loop *loop, struct co_loop_stats *out_stats)
{
    *out_stats = loop->stats;
    out_stats->n_tasks = loop->stacks.n_used;
    out_stats->n_timers = loop->timers.n;
    out_stats->n_stacks = loop->stacks.n_used;
    out_stats->n_stacks_idle = 0;
    for (int i = 0; i < STACK_CLASSES; i++)
        out_stats->n_stacks_idle += loop->stacks.classes[i].n_idle;
}
