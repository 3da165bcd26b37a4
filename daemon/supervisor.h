/*
 * The supervisor: the main thread. It owns the listening sockets, the workers, the config
 * generations and the service manager's wishes, and runs from the first listen to the last
 * close.
 *
 * Thread: the main one.
 */
#ifndef SUPERVISOR_H
#define SUPERVISOR_H

#include "acceptor.h"
#include "config.h"
#include "generation.h"
#include "logger.h"
#include "worker.h"

struct supervisor {
    struct co_loop *loop;
    struct logger *log;
    const struct config_source *source; /* read again by a reload */
    struct config *first_config;        /* what it starts with */
    struct generation *generation; /* the newest, held also when no listener is in it */
    unsigned n_generations;
    struct listener *listeners;
    size_t n_listeners;
    struct worker_setup setup;
    struct worker *workers;
    bool *has_answered; /* [n_workers]: the last ping */
    size_t n_workers;
    size_t n_workers_started;
    struct admission admission;
    struct co_future stop;  /* set by the first SIGTERM or SIGINT */
    struct co_future empty; /* set when a drain has come to its end */
    struct co_watch *signals;
    int signal_fd;
    struct co_task *signal_task;
    struct co_task *health_task;
    co_time pinged_at; /* when the pings were posted that are awaited */
    struct log_limit stuck_limit;
    bool is_draining;
    int exit_status;
};

/*
 * Serves until a signal ends it.
 *
 * @source  where the config came from, for reloads; outlives the call
 * @config  the first generation; owned by the supervisor
 * @log     outlives the call
 *
 * Returns the exit status: 0 after a drain, 1 when it could not start.
 */
int supervisor_run(const struct config_source *source, struct config *config,
                   struct logger *log);

/*
 * reload.c: makes a new generation from the source and swaps, or logs why not. Suspends: until
 * every worker serves by the new one.
 */
void supervisor_await_reload(struct supervisor *s);

/* health.c: the task that pings the workers, feeds the watchdog and tells the status. */
int health_main(void *arg);

/* health.c: a worker's answer to its ping (worker_setup.on_pong). */
void health_on_pong(struct co_handle *pong);

#endif
