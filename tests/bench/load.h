/**
 * The load generator's threads: each runs its share of the connections on its own epoll
 * and checks every byte that comes back.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "histogram.h"

enum load_mode {
    LOAD_PINGPONG, /* a message (or `depth` of them) in flight on each connection */
    LOAD_CHURN,    /* connect, one round trip, close, and again */
    LOAD_IDLE,     /* open, one round trip, hold */
};

struct load_config {
    enum load_mode mode;
    uint16_t port;
    uint32_t n_conns; /* of all threads; in churn, connections alive at a time */
    uint32_t n_threads;
    uint32_t size;  /* bytes a message */
    uint32_t depth; /* messages in flight a connection */
    uint64_t count; /* round trips in all, exactly; 0: until the time is over */
    int64_t warmup_ns;
    int64_t measure_ns;
    bool rotates; /* the next message goes to the connection that waited longest */
};

struct load_conn;

/** One thread and what it found; written by that thread, read when it is joined. */
struct load_thread {
    const struct load_config *config;
    const char *pattern; /* what is sent; see load_pattern_new() */
    pthread_barrier_t *barrier;
    pthread_t thread;
    uint32_t index;

    struct load_conn *conns;
    uint32_t n_conns;
    uint32_t n_opened;  /* connections that have had their first answer */
    uint32_t n_started; /* connections that were connected, or failed to */
    uint32_t next_id;   /* churn: of the next connection */
    uint32_t cursor;    /* rotation: the connection that is next */
    int epoll_fd;
    char *buf;

    bool is_opening;      /* the first round trip of each connection is not counted */
    bool is_sending;      /* false: answers in flight are awaited, no more is sent */
    uint64_t tickets;     /* round trips that may still be started */
    uint64_t n_in_flight; /* messages without an answer */
    int64_t measure_from, measure_until, stopped_at;

    uint64_t n_answered; /* all counted round trips, of the warm-up too */
    uint64_t n_measured; /* those in the measured time */
    uint64_t n_connects; /* churn: connections closed in the measured time */
    uint64_t n_errors;
    char first_error[128];
    struct histogram latency; /* ns, of the measured time */
};

/**
 * Makes the bytes that all messages are cut from: random, of a prime period, so that a
 * byte lost, doubled or of another connection shows. Freed with free(). Ends the process
 * when out of memory.
 */
char *load_pattern_new(void);

/**
 * Opens this thread's connections, drives them and leaves them open. A thread function.
 *
 * @arg  struct load_thread with config, pattern, barrier and index set
 */
void *load_thread_run(void *arg);

/** Connections that the server has closed or sent unasked bytes on. After the run. */
uint32_t load_thread_count_lost(const struct load_thread *t);

/** Closes the connections and frees what the thread has allocated. */
void load_thread_fini(struct load_thread *t);

/** Monotonic time, ns. */
int64_t load_now(void);

#endif
