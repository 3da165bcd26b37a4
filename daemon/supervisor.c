/*
 * The supervisor: start, signals, drain, end.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

#include "check.h"
#include "listen.h"
#include "notify.h"
#include "supervisor.h"

static const co_time cut_grace =
    CO_SECOND; /* twice: to heed the cut, and to see failure */

/* ---- listeners ---- */

static struct supervisor *supervisor_current(void)
{
    return co_loop_user(co_loop_current());
}

static int open_acceptor(struct supervisor *s, const struct config_listener *config,
                         struct listener *l, size_t i, int passed_fd)
{
    struct acceptor *acceptor = &l->acceptors[i];
    char text[CO_ADDR_TEXT_MAX];
    int r = passed_fd;

    acceptor->listener = l;
    acceptor->addr = config->addrs[i];
    if (passed_fd >= 0) {
        acceptor->is_passed = true;
        listen_set_options(passed_fd, &config->opt);
    } else {
        r = listen_open(&acceptor->addr, &config->opt);
    }
    if (r >= 0) {
        acceptor->fd = r;
        r = listen_address(acceptor->fd, &acceptor->addr);
    }
    co_addr_format(&acceptor->addr.sa, acceptor->addr.len, text, sizeof(text));
    if (r < 0)
        logger_write(s->log, CO_LOG_ERROR, NULL, "listener %s: cannot listen on %s: %s%s",
                     l->name, text, co_strerror(r), listen_hint(r));
    else
        logger_write(s->log, CO_LOG_INFO, NULL, "listener %s: listening on %s%s", l->name,
                     text, passed_fd >= 0 ? " (socket passed)" : "");
    return r;
}

static int make_listeners(struct supervisor *s, const struct config *config)
{
    s->listeners = calloc(config->n_listeners, sizeof(struct listener));
    if (!s->listeners)
        return -ENOMEM;
    s->n_listeners = config->n_listeners;
    for (size_t i = 0; i < s->n_listeners; i++) {
        struct listener *l = &s->listeners[i];

        l->admission = &s->admission;
        l->index = i;
        l->max_connections = config->listeners[i].opt.max_connections;
        l->name = strdup(config->listeners[i].name);
        l->acceptors = calloc(config->listeners[i].n_addrs, sizeof(struct acceptor));
        if (!l->name || !l->acceptors)
            return -ENOMEM;
        l->n_acceptors = config->listeners[i].n_addrs;
        for (size_t j = 0; j < l->n_acceptors; j++)
            l->acceptors[j].fd = -1;
    }
    return 0;
}

static void log_unused_socket(void *ctx, const struct notify_socket *socket)
{
    struct supervisor *s = ctx;

    logger_write(s->log, CO_LOG_WARNING, NULL,
                 "socket \"%s\" was passed, but no listener "
                 "has that name or address: closed",
                 socket->name);
}

/* Opens all sockets, in the order of the config, with those that were passed. */
static int open_sockets(struct supervisor *s, const struct config *config)
{
    struct notify_sockets passed = { 0 };
    struct notify_want *wants;
    size_t n = 0, k = 0;
    int r = notify_take_sockets(&passed);

    for (size_t i = 0; i < s->n_listeners; i++)
        n += s->listeners[i].n_acceptors;
    CHECK(n > 0);
    wants = calloc(n, sizeof(*wants));
    if (!wants)
        r = -ENOMEM;
    if (r < 0)
        goto out;
    for (size_t i = 0; i < s->n_listeners; i++) {
        for (size_t j = 0; j < s->listeners[i].n_acceptors; j++)
            wants[k++] = (struct notify_want){ .name = s->listeners[i].name,
                                               .addr = &config->listeners[i].addrs[j],
                                               .fd = -1 };
    }
    notify_sockets_match(&passed, wants, n);
    k = 0;
    for (size_t i = 0; i < s->n_listeners; i++) {
        for (size_t j = 0; j < s->listeners[i].n_acceptors; j++, k++) {
            int fd =
                open_acceptor(s, &config->listeners[i], &s->listeners[i], j, wants[k].fd);

            if (fd < 0)
                r = fd;
        }
    }
out:
    notify_sockets_fini(&passed, log_unused_socket, s);
    free(wants);
    return r;
}

/* ---- workers ---- */

static void on_over(struct co_handle *message)
{
    struct conn *conn = CO_CONTAINER_OF(message, struct conn, message);
    struct supervisor *s = supervisor_current();

    admission_on_over(&s->admission, conn, &s->listeners[conn_service(conn)->listener]);
}

static void on_settled(struct co_handle *settled)
{
    admission_on_settled(&supervisor_current()->admission,
                         CO_CONTAINER_OF(settled, struct worker, settled));
}

/* The @n-th CPU of the set, counted round; -1 when the set is empty. */
static int nth_cpu(const cpu_set_t *allowed, unsigned n)
{
    int count = CPU_COUNT(allowed);

    if (count == 0)
        return -1;
    n %= (unsigned)count;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, allowed) && n-- == 0)
            return cpu;
    }
    return -1;
}

static int start_workers(struct supervisor *s, const struct config_server *server)
{
    struct service **services;
    cpu_set_t allowed;
    int r = 0;

    CPU_ZERO(&allowed);
    (void)sched_getaffinity(0, sizeof(allowed), &allowed);
    s->n_workers = server->workers ? server->workers : (size_t)CPU_COUNT(&allowed);
    if (s->n_workers == 0)
        s->n_workers = 1;
    s->workers = calloc(s->n_workers, sizeof(struct worker));
    s->has_answered = calloc(s->n_workers, sizeof(bool));
    s->admission.loads = calloc(s->n_workers, sizeof(uint32_t));
    services = calloc(s->n_listeners, sizeof(struct service *));
    if (!s->workers || !s->has_answered || !s->admission.loads || !services)
        r = -ENOMEM;
    for (size_t i = 0; i < s->n_listeners && r == 0; i++)
        services[i] = s->listeners[i].service;
    for (size_t i = 0; i < s->n_workers && r == 0; i++) {
        int cpu = server->pin_workers ? nth_cpu(&allowed, (unsigned)i) : -1;

        s->n_workers_started = i + 1;
        s->has_answered[i] = true;
        r = worker_start(&s->workers[i], &s->setup, (unsigned)i, cpu, services);
    }
    free(services);
    s->admission.workers = s->workers;
    s->admission.n_workers = s->n_workers;
    if (r < 0)
        logger_write(s->log, CO_LOG_ERROR, NULL, "cannot start the workers: %s",
                     co_strerror(r));
    return r;
}

/* Gives an order, a handle at this offset in struct worker, to each that runs. */
static void post_to_workers(struct supervisor *s, size_t offset)
{
    for (size_t i = 0; i < s->n_workers_started; i++) {
        struct worker *worker = &s->workers[i];

        if (worker->is_started)
            co_loop_post(worker->loop,
                         (struct co_handle *)(void *)((char *)worker + offset));
    }
}

static void stop_workers(struct supervisor *s)
{
    post_to_workers(s, offsetof(struct worker, stop));
    for (size_t i = 0; i < s->n_workers_started; i++)
        worker_join(&s->workers[i]);
    s->n_workers_started = 0;
}

/* ---- signals ---- */

static void on_stop_signal(struct supervisor *s, uint32_t signo)
{
    const char *name = signo == SIGINT ? "SIGINT" : "SIGTERM";

    if (co_future_set(&s->stop, 0, NULL) == 0) {
        logger_write(s->log, CO_LOG_NOTICE, NULL, "%s: draining %llu connections", name,
                     (unsigned long long)s->admission.n_conns);
        return;
    }
    logger_write(s->log, CO_LOG_WARNING, NULL, "%s again: %llu connections are cut", name,
                 (unsigned long long)s->admission.n_conns);
    logger_stop(s->log);
    _exit(EXIT_FAILURE);
}

static int signal_main(void *arg)
{
    struct supervisor *s = arg;
    struct signalfd_siginfo info;
    int r;

    for (;;) {
        r = co_watch_await(s->signals, CO_READ, CO_NEVER);
        if (r < 0)
            return r;
        while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
            if (info.ssi_signo == SIGHUP)
                supervisor_await_reload(s);
            else
                on_stop_signal(s, info.ssi_signo);
        }
        co_watch_clear(s->signals, CO_READ);
    }
}

static int start_signals(struct supervisor *s)
{
    static const struct co_task_attr attr = { .name = "signals", .stack_size = 262144 };
    sigset_t set;
    int r;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->signal_fd < 0)
        return -errno;
    r = co_watch_new(s->loop, s->signal_fd, CO_READ, &s->signals);
    if (r < 0)
        return r;
    return co_task_spawn(s->loop, &attr, signal_main, s, &s->signal_task);
}

/* ---- the end ---- */

/* Waits for the last connection to be over, so long at the most. */
static void await_empty(struct supervisor *s, co_time span)
{
    int result;

    if (s->admission.n_conns > 0)
        (void)!co_future_await(&s->empty, co_after_ms(span / CO_MSEC), &result);
}

/* Lets connections end by themselves, then cuts what is left. */
static void await_drained(struct supervisor *s)
{
    struct admission *a = &s->admission;
    co_time timeout = s->generation->config->server.drain_timeout;
    uint64_t before, left;

    s->is_draining = true;
    (void)notify_stopping();
    for (size_t i = 0; i < s->n_listeners; i++) {
        for (size_t j = 0; j < s->listeners[i].n_acceptors; j++)
            acceptor_await_stop(&s->listeners[i].acceptors[j]);
        service_set_stale(s->listeners[i].service);
    }
    before = a->n_conns;
    a->empty = &s->empty;
    post_to_workers(s, offsetof(struct worker, drain));
    await_empty(s, timeout);
    left = a->n_conns;
    if (left > 0) {
        post_to_workers(s, offsetof(struct worker, cut));
        await_empty(s, cut_grace);
    }
    if (a->n_conns > 0) {
        /* Those that say good-bye to a peer that does not listen. */
        post_to_workers(s, offsetof(struct worker, fail));
        await_empty(s, cut_grace);
    }
    logger_write(s->log, CO_LOG_NOTICE, NULL,
                 "drained: %llu connections ended by themselves, %llu were cut",
                 (unsigned long long)(before - left), (unsigned long long)left);
    if (a->n_conns > 0) {
        /* A plugin that does not heed its cancellation holds a worker: no clean end. */
        logger_write(s->log, CO_LOG_ERROR, NULL, "%llu connections do not end: giving up",
                     (unsigned long long)a->n_conns);
        logger_stop(s->log);
        _exit(EXIT_FAILURE);
    }
}

static void free_listeners(struct supervisor *s)
{
    /* All before any is awaited: after a failed start none may take a connection. */
    for (size_t i = 0; i < s->n_listeners; i++) {
        for (size_t j = 0; j < s->listeners[i].n_acceptors; j++) {
            if (s->listeners[i].acceptors[j].task)
                co_task_cancel(s->listeners[i].acceptors[j].task);
        }
    }
    for (size_t i = 0; i < s->n_listeners; i++) {
        struct listener *l = &s->listeners[i];

        for (size_t j = 0; j < l->n_acceptors; j++)
            acceptor_await_stop(&l->acceptors[j]);
        if (l->service)
            service_unref(l->service);
        free(l->acceptors);
        free(l->name);
    }
    free(s->listeners);
}

/* ---- the start ---- */

static int start_generation(struct supervisor *s, struct config *config)
{
    char err[512];
    int r =
        generation_new(s->loop, config, conn_describe, err, sizeof(err), &s->generation);

    if (r < 0) {
        logger_write(s->log, CO_LOG_ERROR, NULL, "%s", err);
        config_free(config);
        if (r != -ENOMEM)
            s->exit_status = EX_CONFIG; /* the plugin does not like its section */
        return r;
    }
    s->generation->number = ++s->n_generations;
    for (size_t i = 0; i < s->n_listeners; i++) {
        s->listeners[i].service = service_ref(&s->generation->services[i]);
        s->listeners[i].service->listener = i;
    }
    return 0;
}

/* As many descriptors as may be had; says so when they are fewer than the config wants. */
static void raise_descriptor_limit(struct supervisor *s, uint64_t max_connections)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < max_connections + 64)
        logger_write(
            s->log, CO_LOG_WARNING, NULL,
            "max_connections = %llu needs more descriptors than the limit of %llu "
            "(LimitNOFILE, ulimit -n)",
            (unsigned long long)max_connections, (unsigned long long)limit.rlim_cur);
}

static int start_acceptors(struct supervisor *s)
{
    int r = 0;

    for (size_t i = 0; i < s->n_listeners; i++) {
        for (size_t j = 0; j < s->listeners[i].n_acceptors && r >= 0; j++)
            r = acceptor_start(s->loop, &s->listeners[i].acceptors[j]);
    }
    return r;
}

/* Everything up to the first accept. What fails has been logged, or is here. */
static int start(struct supervisor *s, struct config *config)
{
    static const struct co_task_attr attr = { .name = "health" };
    const struct config_server *server = &config->server;
    int r = make_listeners(s, config);

    raise_descriptor_limit(s, server->max_connections);
    s->admission.max_connections = server->max_connections;
    s->admission.backoff = server->accept_backoff;
    s->admission.reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (r >= 0)
        r = open_sockets(s, config);
    if (r < 0) {
        config_free(config);
        return r;
    }
    r = start_generation(s, config);
    if (r >= 0)
        r = start_workers(s, server);
    if (r >= 0)
        r = start_acceptors(s);
    if (r >= 0)
        r = co_task_spawn(s->loop, &attr, health_main, s, &s->health_task);
    return r;
}

static int supervisor_main(void *arg)
{
    struct supervisor *s = arg;
    int result;
    int r = start(s, s->first_config);

    if (r < 0) {
        logger_write(s->log, CO_LOG_ERROR, NULL, "cannot start: %s", co_strerror(r));
        (void)notify_error(r);
        if (s->exit_status == EXIT_SUCCESS)
            s->exit_status = EXIT_FAILURE;
    } else {
        logger_write(s->log, CO_LOG_NOTICE, NULL, "corod %s: %zu workers, ready",
                     COROD_VERSION, s->n_workers);
        (void)notify_ready();
        while (co_future_await(&s->stop, CO_NEVER, &result) < 0)
            ;
        await_drained(s);
    }
    await_end_of_task(&s->health_task);
    await_end_of_task(&s->signal_task);
    free_listeners(s);
    stop_workers(s);
    if (s->generation)
        generation_release(s->generation);
    co_loop_stop(s->loop);
    return 0;
}

static void supervisor_close(struct supervisor *s)
{
    co_watch_free(s->signals);
    if (s->signal_fd >= 0)
        close(s->signal_fd);
    /* One iteration more: the last holds on services have been posted to the loop. */
    co_loop_stop(s->loop);
    (void)co_loop_run(s->loop);
    co_loop_free(s->loop);
    if (s->admission.reserve_fd >= 0)
        close(s->admission.reserve_fd);
    conn_pool_fini(&s->admission.pool);
    free(s->admission.loads);
    free(s->has_answered);
    free(s->workers);
}

int supervisor_run(const struct config_source *source, struct config *config,
                   struct logger *log)
{
    static const struct co_task_attr attr = { .name = "supervisor",
                                              .stack_size = 262144 };
    struct supervisor s = { .log = log,
                            .source = source,
                            .first_config = config,
                            .n_generations = 0,
                            .signal_fd = -1,
                            .exit_status = EXIT_FAILURE };
    struct co_loop_config loop_config = { .sink = logger_sink(log), .user = &s };
    int r = co_loop_new(&loop_config, &s.loop);

    s.admission = (struct admission){ .log = log,
                                      .next_id = 1,
                                      .reserve_fd = -1,
                                      .full_limit.period = 10 * CO_SECOND,
                                      .exhausted_limit.period = 10 * CO_SECOND };
    if (r < 0) {
        logger_write(log, CO_LOG_ERROR, NULL, "cannot make the event loop: %s",
                     co_strerror(r));
        config_free(config);
        return EXIT_FAILURE;
    }
    co_future_init(&s.stop, s.loop);
    co_future_init(&s.empty, s.loop);
    s.setup.log = log;
    s.setup.supervisor = s.loop;
    s.setup.on_over = on_over;
    s.setup.on_pong = health_on_pong;
    s.setup.on_settled = on_settled;
    s.setup.n_listeners = config->n_listeners;
    r = start_signals(&s);
    if (r >= 0)
        r = co_task_spawn(s.loop, &attr, supervisor_main, &s, NULL);
    if (r >= 0) {
        s.exit_status = EXIT_SUCCESS;
        (void)co_loop_run(s.loop);
    } else {
        logger_write(log, CO_LOG_ERROR, NULL, "cannot start: %s", co_strerror(r));
        config_free(config);
        if (s.signal_task) {
            co_task_cancel(s.signal_task); /* not begun: it never runs */
            co_task_detach(s.signal_task);
        }
    }
    supervisor_close(&s);
    return s.exit_status;
}
