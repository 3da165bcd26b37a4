/*
 * Reload: the next generation is made whole, plugins opened and all, and then swapped in at
 * once; or nothing changes and the log says why.
 */
#include <errno.h>
#include <stdlib.h>

#include "config_diff.h"
#include "listen.h"
#include "notify.h"
#include "supervisor.h"

static void log_report(struct supervisor *s, const struct config_report *report)
{
    for (size_t i = 0; i < report->n; i++)
        logger_write(s->log, CO_LOG_ERROR, NULL, "reload: %s", report->errors[i].text);
    if (report->n_more > 0)
        logger_write(s->log, CO_LOG_ERROR, NULL, "reload: and %zu more errors",
                     report->n_more);
}

static void log_difference(void *ctx, const char *text)
{
    struct supervisor *s = ctx;

    logger_write(s->log, CO_LOG_WARNING, NULL, "reload: %s", text);
}

static const struct config_listener *find_config(const struct config *config,
                                                 const struct service *service)
{
    return &config->listeners[service - service->generation->services];
}

/* The order for one worker: the newest service of each listener, held. NULL: no memory. */
static struct worker_renewal *make_renewal(struct service *const *newest, size_t n)
{
    struct worker_renewal *renewal =
        malloc(sizeof(*renewal) + n * sizeof(renewal->services[0]));

    if (!renewal)
        return NULL;
    renewal->message = (struct co_handle){ .run = worker_take_renewal };
    for (size_t i = 0; i < n; i++)
        renewal->services[i] = newest[i];
    return renewal;
}

/* Makes the newest services those of the listeners, and sets what else is reloadable. */
static void swap(struct supervisor *s, struct generation *next, struct service **newest,
                 struct worker_renewal **renewals)
{
    const struct config_server *server = &next->config->server;

    for (size_t i = 0; i < s->n_listeners; i++) {
        struct listener *l = &s->listeners[i];
        const struct config_listener *config;

        if (newest[i] == l->service)
            continue;
        config = find_config(next->config, newest[i]);
        l->max_connections = config->opt.max_connections;
        for (size_t j = 0; j < l->n_acceptors; j++)
            listen_set_options(l->acceptors[j].fd, &config->opt);
        service_set_stale(l->service);
        service_unref(l->service);
        l->service = service_ref(newest[i]);
    }
    for (size_t w = 0; w < s->n_workers; w++) {
        for (size_t i = 0; i < s->n_listeners; i++)
            service_ref(newest[i]);
        co_loop_post(s->workers[w].loop, &renewals[w]->message);
    }
    s->admission.max_connections = server->max_connections;
    s->admission.backoff = server->accept_backoff;
    logger_set_level(s->log, config_log_level(next->config));
    generation_release(s->generation);
    s->generation = next;
    next->number = ++s->n_generations;
}

/* Allocates what the swap needs, and swaps. Returns 0 or -ENOMEM. */
static int prepare_and_swap(struct supervisor *s, struct generation *next)
{
    struct service **newest = calloc(s->n_listeners, sizeof(struct service *));
    struct worker_renewal **renewals =
        calloc(s->n_workers, sizeof(struct worker_renewal *));
    int r = newest && renewals ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < s->n_listeners; i++) {
        struct service *found = generation_find(next, s->listeners[i].name);

        newest[i] = found ? found : s->listeners[i].service;
        /* That of an old one is set, and workers read it. */
        if (found)
            found->listener = i;
    }
    for (size_t w = 0; r == 0 && w < s->n_workers; w++) {
        renewals[w] = make_renewal(newest, s->n_listeners);
        if (!renewals[w])
            r = -ENOMEM;
    }
    if (r == 0)
        swap(s, next, newest, renewals);
    else
        for (size_t w = 0; renewals && w < s->n_workers; w++)
            free(renewals[w]);
    free(renewals);
    free(newest);
    return r;
}

/* Loads, checks and swaps. Returns 0, or a negative code when the old config goes on. */
static int reload(struct supervisor *s)
{
    struct config_report report = { 0 };
    struct generation *next = NULL;
    struct config *config = NULL;
    char err[512];
    int r = config_load(s->source, &report, &config);

    log_report(s, &report);
    config_report_fini(&report);
    if (r < 0)
        return r;
    r = generation_new(s->loop, config, conn_describe, err, sizeof(err), &next);
    if (r < 0) {
        logger_write(s->log, CO_LOG_ERROR, NULL, "reload: %s", err);
        config_free(config);
        return r;
    }
    config_diff(s->generation->config, config, log_difference, s);
    r = prepare_and_swap(s, next);
    if (r < 0)
        generation_free(next);
    else /* so that "reloaded" is true of the next request, too */
        (void)!admission_await_settled(&s->admission);
    return r;
}

void supervisor_await_reload(struct supervisor *s)
{
    int r;

    if (s->is_draining || s->stop.is_done || !s->generation) {
        logger_write(s->log, CO_LOG_NOTICE, NULL, "reload: not now");
        return;
    }
    (void)notify_reloading();
    r = reload(s);
    if (r < 0)
        logger_write(s->log, CO_LOG_ERROR, NULL,
                     "reload failed (%s): the old configuration goes on", co_strerror(r));
    else
        logger_write(s->log, CO_LOG_NOTICE, NULL, "reloaded: generation %u",
                     s->generation->number);
    (void)notify_ready();
}
