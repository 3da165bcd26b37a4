/*
 * Accepting: one task a listening socket takes connections, admits or refuses them, chooses a
 * worker and hands them over. Limits are exact, since one thread decides.
 *
 * Thread: the supervisor's.
 */
#ifndef ACCEPTOR_H
#define ACCEPTOR_H

#include <corod/future.h>
#include <corod/task.h>

#include "config.h"
#include "conn_pool.h"
#include "generation.h"
#include "logger.h"
#include "worker.h"

/* One listening socket. */
struct acceptor {
    struct listener *listener;
    int fd;
    struct co_addr addr;
    bool is_passed; /* by the service manager, who keeps a Unix socket's file */
    struct co_watch *watch;
    struct co_task *task;
};

/* One [listener:NAME], as it was started with. */
struct listener {
    struct admission *admission;
    char *name;
    size_t index;
    struct service *service;  /* the newest, held */
    uint64_t max_connections; /* 0: no limit of its own */
    uint64_t n_conns;
    struct acceptor *acceptors;
    size_t n_acceptors;
};

/* What all acceptors share: the limits, the counts, the workers. */
struct admission {
    struct logger *log;
    struct worker *workers;
    size_t n_workers;
    uint32_t *loads;    /* [n_workers]: connections that each owns or is about to */
    size_t next_worker; /* where the search for the least loaded one begins */
    struct conn_pool pool;
    uint64_t max_connections;
    uint64_t n_conns;
    uint64_t next_id;
    uint64_t n_accepted;
    uint64_t n_refused;
    co_time backoff;
    int reserve_fd; /* given up for a moment to refuse clients when there are none left */
    struct log_limit full_limit;
    struct log_limit exhausted_limit;
    struct co_future *settling; /* set when all workers have answered; or NULL */
    unsigned settle_round;
    size_t n_unsettled;
    struct co_future *empty; /* set when the last connection is over; NULL: not awaited */
};

/* Starts accepting on a socket. Returns 0, -ENOMEM or -errno. */
CO_MUST_CHECK int acceptor_start(struct co_loop *loop, struct acceptor *acceptor);

/* Cancels a task of the supervisor's, waits for its end and frees it. *task may be NULL, and
 * is afterwards. Suspends: yes. */
void await_end_of_task(struct co_task **task);

/* Ends it and closes the socket. Suspends: until the task has ended. A half-started one is
 * fine. */
void acceptor_await_stop(struct acceptor *acceptor);

/*
 * Waits until each worker has taken what was posted to it, has polled once more, and what it
 * posted by then is counted: a client that closed a connection and comes again finds its
 * place free, although a worker had yet to see the end. A worker that takes longer than 250
 * ms is stuck: it is not waited for, nor asked again before it has answered.
 *
 * Returns 0 or CO_ECANCELLED. Suspends: yes.
 */
CO_MUST_CHECK int admission_await_settled(struct admission *admission);

/* A worker has answered: all that it had posted before is counted. */
void admission_on_settled(struct admission *admission, struct worker *worker);

/* A connection is over: counts it off and takes it back. */
void admission_on_over(struct admission *admission, struct conn *conn,
                       struct listener *l);

#endif
