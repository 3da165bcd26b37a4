/*
 * Health: every worker is pinged; the service manager's watchdog is fed only while all of
 * them answer, and is told what goes on.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "notify.h"
#include "supervisor.h"

void health_on_pong(struct co_handle *pong)
{
    struct supervisor *s = co_loop_user(co_loop_current());
    struct worker *worker = CO_CONTAINER_OF(pong, struct worker, pong);

    s->has_answered[worker->index] = true;
    worker->is_silent = false;
}

/* Names the workers that have not answered, if there are any. Returns how many. */
static size_t name_silent(const struct supervisor *s, char *buf, size_t size)
{
    size_t n = 0, len = 0;

    for (size_t i = 0; i < s->n_workers; i++) {
        if (s->has_answered[i])
            continue;
        co_text_append(buf, size, &len, n++ > 0 ? ", " : "");
        co_text_append_u64(buf, size, &len, i + 1);
    }
    return n;
}

/* Those that have not answered for too long get no new connections, and are named. */
static void handle_silent(struct supervisor *s, const char *names, co_time now)
{
    uint32_t suppressed;

    if (now - s->pinged_at < 2 * CO_SECOND)
        return;
    for (size_t i = 0; i < s->n_workers; i++)
        s->workers[i].is_silent = !s->has_answered[i];
    if (log_limit_pass(&s->stuck_limit, now, &suppressed))
        logger_write(s->log, CO_LOG_ERROR, NULL,
                     "worker %s has not answered for %llu ms: a handler does not return",
                     names, (unsigned long long)((now - s->pinged_at) / CO_MSEC));
}

static void ping_all(struct supervisor *s, co_time now)
{
    s->pinged_at = now;
    for (size_t i = 0; i < s->n_workers; i++) {
        s->has_answered[i] = false;
        co_loop_post(s->workers[i].loop, &s->workers[i].ping);
    }
}

static void tell_status(const struct supervisor *s, char *last, size_t size)
{
    const struct admission *a = &s->admission;
    char text[200];

    snprintf(text, sizeof(text), "%s: %llu connections, %llu accepted, %llu refused",
             s->is_draining ? "draining" : "serving", (unsigned long long)a->n_conns,
             (unsigned long long)a->n_accepted, (unsigned long long)a->n_refused);
    if (strcmp(text, last) == 0)
        return;
    snprintf(last, size, "%s", text);
    (void)notify_status("%s", text);
}

int health_main(void *arg)
{
    struct supervisor *s = arg;
    co_time watchdog = notify_watchdog_interval();
    co_time interval =
        watchdog > 0 && watchdog / 4 < CO_SECOND ? watchdog / 4 : CO_SECOND;
    char last[200] = "";
    char names[64] = "";
    int r;

    s->stuck_limit.period = 10 * CO_SECOND;
    do {
        co_time now = co_loop_now(s->loop);

        if (name_silent(s, names, sizeof(names)) == 0) {
            if (watchdog > 0)
                (void)notify_watchdog();
            ping_all(s, now);
        } else {
            handle_silent(s, names, now);
        }
        if (s->is_draining)
            (void)notify_extend_timeout(3 * interval);
        tell_status(s, last, sizeof(last));
        r = co_await_sleep(now + interval);
        if (r == -ENOMEM) /* for the timer; health goes on */
            r = co_await_yield();
    } while (r == 0);
    return r;
}
