/*
 * Workers.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "worker.h"

struct worker *worker_current(void)
{
    return co_loop_user(co_loop_current());
}

/* ---- membership ---- */

void worker_add(struct worker *worker, struct conn *conn)
{
    conn->task = NULL;
    conn->link.next = &worker->conns;
    conn->link.prev = worker->conns.prev;
    worker->conns.prev->next = &conn->link;
    worker->conns.prev = &conn->link;
}

void worker_remove(struct worker *worker, struct conn *conn)
{
    conn->link.prev->next = conn->link.next;
    conn->link.next->prev = conn->link.prev;
    conn->message = (struct co_handle){ .run = worker->setup->on_over };
    co_loop_post(worker->setup->supervisor, &conn->message);
}

/* Calls @fn for every connection; it may remove the one it is called with, no other. */
static void for_each_conn(struct worker *worker, void (*fn)(struct conn *conn))
{
    struct co_list *next;

    for (struct co_list *l = worker->conns.next; l != &worker->conns; l = next) {
        next = l->next;
        fn(CO_CONTAINER_OF(l, struct conn, link));
    }
}

/* ---- services ---- */

void worker_renew(struct worker *worker, struct conn *conn)
{
    struct service *old = conn_service(conn);
    struct service *newest = worker->services[old->listener];

    /* What a plugin keeps in conn->data is its own: another one's connections end with the
     * plugin that they began with. */
    if (newest == old || newest->plugin != old->plugin)
        return;
    conn_move_service(conn, service_ref(newest));
    service_unref(old);
}

/* Those that run keep theirs until they park or end. */
static void renew_waiting(struct conn *conn)
{
    if (conn->state == CONN_WAITING)
        worker_renew(worker_current(), conn);
}

void worker_take_renewal(struct co_handle *message)
{
    struct worker_renewal *renewal =
        CO_CONTAINER_OF(message, struct worker_renewal, message);
    struct worker *worker = worker_current();

    for (size_t i = 0; i < worker->setup->n_listeners; i++) {
        service_unref(worker->services[i]);
        worker->services[i] = renewal->services[i];
    }
    free(renewal);
    for_each_conn(worker, renew_waiting);
}

/* ---- orders ---- */

static void on_ping(struct co_handle *handle)
{
    struct worker *worker = CO_CONTAINER_OF(handle, struct worker, ping);

    co_loop_post(worker->setup->supervisor, &worker->pong);
}

static void on_settle(struct co_handle *handle);

static void on_settle_polled(struct co_handle *handle)
{
    struct worker *worker = CO_CONTAINER_OF(handle, struct worker, settle);

    handle->run = on_settle;
    co_loop_post(worker->setup->supervisor, &worker->settled);
}

/* What had come when this was posted may be in the poll after this one: it is waited for. */
static void on_settle(struct co_handle *handle)
{
    handle->run = on_settle_polled;
    co_loop_call_soon(worker_current()->loop, handle);
}

static void on_drain(struct co_handle *handle)
{
    struct worker *worker = CO_CONTAINER_OF(handle, struct worker, drain);

    worker->is_draining = true;
    for_each_conn(worker, conn_drain);
}

static void on_cut(struct co_handle *handle)
{
    struct worker *worker = CO_CONTAINER_OF(handle, struct worker, cut);

    worker->is_cutting = true;
    for_each_conn(worker, conn_cut);
}

static void on_fail(struct co_handle *handle)
{
    for_each_conn(CO_CONTAINER_OF(handle, struct worker, fail), conn_fail);
}

static void on_stop(struct co_handle *handle)
{
    co_loop_stop(CO_CONTAINER_OF(handle, struct worker, stop)->loop);
}

/* ---- the thread ---- */

static void *thread_main(void *arg)
{
    struct worker *worker = arg;

    CHECK(co_loop_run(worker->loop) == 0);
    return NULL;
}

/* Starts the thread with its name, its CPU and no signals but faults. Returns 0 or -errno. */
static int start_thread(struct worker *worker)
{
    static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL };
    sigset_t all, before;
    char name[16];
    int r;

    /* A blocked fault ends the process at once, without its handler's report. */
    sigfillset(&all);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&worker->thread, NULL, thread_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r > 0)
        return -r;
    worker->is_started = true;
    snprintf(name, sizeof(name), "corod-%u", worker->index + 1);
    pthread_setname_np(worker->thread, name);
    if (worker->cpu >= 0) {
        cpu_set_t cpus;

        CPU_ZERO(&cpus);
        CPU_SET(worker->cpu, &cpus);
        r = pthread_setaffinity_np(worker->thread, sizeof(cpus), &cpus);
        if (r > 0)
            logger_write(worker->setup->log, CO_LOG_WARNING, NULL,
                         "worker %u cannot stay on CPU %d: %s", worker->index + 1,
                         worker->cpu, co_strerror(-r));
    }
    return 0;
}

int worker_start(struct worker *worker, const struct worker_setup *setup, unsigned index,
                 int cpu, struct service *const *services)
{
    struct co_loop_config config = { .sink = logger_sink(setup->log), .user = worker };
    int r;

    *worker = (struct worker){
        .setup = setup,
        .index = index,
        .cpu = cpu,
        .limit.period = 10 * CO_SECOND,
        .ping.run = on_ping,
        .pong.run = setup->on_pong,
        .settle.run = on_settle,
        .settled.run = setup->on_settled,
        .drain.run = on_drain,
        .cut.run = on_cut,
        .fail.run = on_fail,
        .stop.run = on_stop,
    };
    worker->conns.next = worker->conns.prev = &worker->conns;
    worker->services = calloc(setup->n_listeners, sizeof(struct service *));
    if (!worker->services)
        return -ENOMEM;
    r = co_loop_new(&config, &worker->loop);
    if (r < 0)
        return r;
    for (size_t i = 0; i < setup->n_listeners; i++)
        worker->services[i] = service_ref(services[i]);
    return start_thread(worker);
}

void worker_join(struct worker *worker)
{
    if (worker->is_started)
        pthread_join(worker->thread, NULL);
    for (size_t i = 0; worker->services && worker->loop && i < worker->setup->n_listeners;
         i++)
        service_unref(worker->services[i]);
    co_loop_free(worker->loop);
    free(worker->services);
    worker->loop = NULL;
    worker->services = NULL;
    worker->is_started = false;
}

void worker_log_limited(struct worker *worker, const char *fmt, ...)
{
    uint32_t suppressed;
    char text[256];
    va_list args;

    if (!log_limit_pass(&worker->limit, co_loop_now(worker->loop), &suppressed))
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    logger_write(worker->setup->log, CO_LOG_ERROR, NULL,
                 "worker %u: %s (%u like it before)", worker->index + 1, text,
                 suppressed);
}
