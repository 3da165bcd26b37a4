/*
 * A worker: one thread, one loop, the connections that it owns.
 *
 * Threads: worker_start() and worker_join() are the supervisor's. It speaks to a worker by
 * posting the orders below; everything else runs on the worker's thread.
 */
#ifndef WORKER_H
#define WORKER_H

#include <pthread.h>
#include <sched.h>

#include <corod/loop.h>

#include "conn.h"
#include "logger.h"

/* What all workers share and none changes. */
struct worker_setup {
    struct logger *log;
    struct co_loop *supervisor; /* the loop that what follows is posted to */
    co_handle_fn on_over;       /* a struct conn's message: it is over, and yours */
    co_handle_fn on_pong;       /* a struct worker's pong: it has answered its ping */
    co_handle_fn on_settled;    /* a struct worker's settled: the answer to its settle */
    size_t n_listeners;
};

struct worker {
    const struct worker_setup *setup;
    unsigned index; /* from 0; the thread is "corod-1" for 0 */
    pthread_t thread;
    bool is_started;
    bool is_draining;
    bool is_cutting; /* what closes drops its last output */
    int cpu;         /* to stay on; -1: none */
    struct co_loop *loop;
    struct co_list conns;
    struct service **services; /* [n_listeners]: the newest, each held */
    struct log_limit limit;

    /* Orders, posted by the supervisor; each is out once at a time. */
    struct co_handle ping;
    struct co_handle pong; /* the answer */
    struct co_handle settle;
    struct co_handle settled; /* the answer: comes after all that it posted before */
    unsigned settle_round;    /* the supervisor's: which question is out; 0: none */
    bool is_silent; /* the supervisor's: it does not answer, and gets no connections */
    struct co_handle drain;
    struct co_handle cut;
    struct co_handle fail; /* after cut */
    struct co_handle stop;
};

/* A new set of services, made by the supervisor, freed by the worker that takes it. */
struct worker_renewal {
    struct co_handle message;   /* run: worker_take_renewal */
    struct service *services[]; /* [n_listeners], each held for the worker */
};

/*
 * Makes a worker and starts its thread.
 *
 * @services  [n_listeners]; the worker takes a hold of each
 *
 * Returns 0, -ENOMEM, -EAGAIN, or what co_loop_new() says; the worker can be joined anyway.
 */
CO_MUST_CHECK int worker_start(struct worker *worker, const struct worker_setup *setup,
                               unsigned index, int cpu, struct service *const *services);

/* Waits for the thread, which has been told to stop, and frees what the worker has. */
void worker_join(struct worker *worker);

/* The worker of the calling thread. */
struct worker *worker_current(void);

/* Membership of connections. Removing one posts it back to the supervisor. */
void worker_add(struct worker *worker, struct conn *conn);
void worker_remove(struct worker *worker, struct conn *conn);

/* Moves a connection to the newest service of its listener. */
void worker_renew(struct worker *worker, struct conn *conn);

/* run function of struct worker_renewal. */
void worker_take_renewal(struct co_handle *message);

/* Logs an error, one line a period for the whole worker. */
void worker_log_limited(struct worker *worker, const char *fmt, ...) CO_PRINTF(2, 3);

#endif
