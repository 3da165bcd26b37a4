/*
 * Listening sockets: opened with all their options, or taken over from the service manager.
 *
 * Thread: the supervisor's.
 */
#ifndef LISTEN_H
#define LISTEN_H

#include <corod/address.h>

#include "config.h"

/*
 * Opens a non-blocking listening socket. A Unix socket's file that nobody listens on any
 * more is replaced.
 *
 * Returns the descriptor, or -errno: -EADDRINUSE, -EACCES, -EADDRNOTAVAIL, …
 */
int listen_open(const struct co_addr *addr, const struct config_listener_options *opt);

/*
 * Sets what a connection inherits from its listening socket: TCP_NODELAY and keepalive.
 * Failures are of no consequence: Unix sockets have neither.
 */
void listen_set_options(int fd, const struct config_listener_options *opt);

/* Where a socket is bound, with the port that the kernel chose. Returns 0 or -errno. */
int listen_address(int fd, struct co_addr *out_addr);

/* Says in a few words what can be done about an error of listen_open(), or "". */
const char *listen_hint(int error);

#endif
