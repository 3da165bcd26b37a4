/*
 * A connection, from its acceptance to its end.
 *
 * Threads: made by the supervisor, which admits it and posts it to a worker; from then on
 * the worker's alone, until it posts it back, over, to be counted off and used again.
 */
#ifndef CONN_H
#define CONN_H

#include <corod/plugin.h>

#include "generation.h"

struct listener;
struct worker;

/*
 *   NEW ──adopted──► WAITING ──input──► RUNNING ──CO_CLOSE──► CLOSING ──flushed──► OVER
 *                       └◄─── CO_PARK ─────┘
 *
 * A connection that the server greets first goes from NEW to RUNNING; a time limit or a drain
 * takes one that waits to CLOSING; OVER is posted to the supervisor.
 */
enum conn_state {
    CONN_NEW,     /* with the supervisor, or on its way to a worker */
    CONN_WAITING, /* no task, no stack: the stream calls when there is input */
    CONN_RUNNING, /* a task is in serve() */
    CONN_CLOSING, /* the stream sends its last bytes */
    CONN_OVER,    /* on its way back */
};

struct conn {
    struct co_conn pub; /* what the plugin sees; pub.service is &service.pub */
    union {
        struct co_handle message; /* NEW and OVER: in an inbox */
        struct {
            struct co_list link;  /* in worker->conns */
            struct co_task *task; /* RUNNING: the one that serves it */
        };
    };
    int fd;          /* NEW: the socket */
    uint8_t state;   /* enum conn_state */
    bool was_active; /* serve() has been called */
    uint16_t worker; /* index of its worker */
};

/* The service that a connection holds. */
static inline struct service *conn_service(const struct conn *conn)
{
    /* pub is its first member; plugins see it const. */
    return (struct service *)(uintptr_t)conn->pub.service;
}

/* The message with which a worker takes over a connection: conn->message.run. */
void conn_adopt(struct co_handle *message);

/* Ends a connection that is waiting, unless it has input, which is served first; others
 * end by themselves once the worker drains. */
void conn_drain(struct conn *conn);

/* Ends a connection for good: its task is cancelled, or its last input and output dropped. */
void conn_cut(struct conn *conn);

/* For one that has been cut and goes on awaiting its peer: its stream fails. */
void conn_fail(struct conn *conn);

/* Serves a waiting connection by @service from now on. The hold is the caller's to count. */
void conn_move_service(struct conn *conn, struct service *service);

/* Describes the connection for crash reports (co_describe_fn; @arg is a struct conn). */
void conn_describe(void *arg, char *buf, size_t size);

#endif
