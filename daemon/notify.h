/**
 * The service manager: state sent to systemd, sockets and the watchdog taken from it.
 * Without a service manager everything here does nothing and succeeds.
 *
 * Thread: the supervisor's.
 */
#ifndef COROD_DAEMON_NOTIFY_H
#define COROD_DAEMON_NOTIFY_H

#include <corod/address.h>
#include <corod/base.h>

/* ---- telling (sd_notify(3)) ---- */

/*
 * Each returns 1 when the message was sent, 0 when there is nobody to tell, or -errno. A
 * failure is worth a log line and no more.
 */

/** The service is up, or has finished a reload. */
int notify_ready(void);

/** A reload begins; notify_ready() ends it. */
int notify_reloading(void);

/** The service begins to stop. */
int notify_stopping(void);

/** One line for `systemctl status`. Control characters become spaces; cut at 511 bytes.
 */
int notify_status(const char *fmt, ...) CO_PRINTF(1, 2);

/** The service fails, for this reason: an error code of either kind. */
int notify_error(int error);

/** Start, reload or stop may take this much longer from now; to be repeated as needed. */
int notify_extend_timeout(co_time by);

/** The service is alive. To be sent at less than notify_watchdog_interval(). */
int notify_watchdog(void);

/** The time without notify_watchdog() after which the service is killed; 0 when off. */
co_time notify_watchdog_interval(void);

/* ---- sockets that were passed (sd_listen_fds(3)) ---- */

/** A descriptor that came with the process; close-on-exec and non-blocking. */
struct notify_socket {
    int fd;              /* -1 once it has been given out */
    const char *name;    /* FileDescriptorName=, "unknown" by default; borrowed */
    bool is_listener;    /* a stream socket that listens; nothing else is given out */
    struct co_addr addr; /* where it is bound; len is 0 when unknown */
};

/** All of them, in the order of the socket units. Zeroed, it is an empty set. */
struct notify_sockets {
    struct notify_socket *items;
    char **names; /* what the items' names point to; NULL at the end */
    size_t n;
};

/** What a socket is wanted for. */
struct notify_want {
    const char *name;           /* of the listener section */
    const struct co_addr *addr; /* one of its addresses */
    int fd; /* set to -1 by the caller; the socket found, the caller's */
};

/** Called for a socket that nobody wanted, before it is closed. */
typedef void (*notify_unused_fn)(void *ctx, const struct notify_socket *socket);

/**
 * Takes the sockets that were passed to this process, and LISTEN_FDS from the
 * environment: a second call, and a child, gets none.
 *
 * @out_sockets  ended by notify_sockets_fini(); written on success only
 *
 * Returns 0, also when there are none, or -ENOMEM or -errno; the process then does not
 * know what it was passed, and should end.
 */
CO_MUST_CHECK int notify_take_sockets(struct notify_sockets *out_sockets);

/**
 * Gives sockets out: first where name and address fit, then by name alone (the socket
 * unit overrules the configured address), then by address alone. All wants of a config
 * are given at once, so that none takes what fits another better. Each socket is given
 * once.
 *
 * @wants  shape: wants[n]; those whose fd is not -1 are left as they are
 *
 * Returns how many were served.
 */
size_t notify_sockets_match(struct notify_sockets *sockets, struct notify_want *wants,
                            size_t n);

/**
 * Closes what was not given out and frees the set, which is empty then.
 *
 * @on_unused  called for each socket that is closed; NULL for none
 */
void notify_sockets_fini(struct notify_sockets *sockets, notify_unused_fn on_unused,
                         void *ctx);

#endif
