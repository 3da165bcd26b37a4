/*
 * The life of a connection on its worker.
 */
#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "conn.h"
#include "worker.h"

/* clang-format off */
#define TO(state) (1u << (state))
static const struct {
    const char *name;
    unsigned next;
} states[] = {
    [CONN_NEW]     = { "new",
                       TO(CONN_WAITING) | TO(CONN_RUNNING) | TO(CONN_CLOSING) | TO(CONN_OVER) },
    [CONN_WAITING] = { "waiting", TO(CONN_RUNNING) | TO(CONN_CLOSING) },
    [CONN_RUNNING] = { "running", TO(CONN_WAITING) | TO(CONN_CLOSING) },
    [CONN_CLOSING] = { "closing", TO(CONN_OVER) },
    [CONN_OVER]    = { "over",    TO(CONN_NEW) },
};
/* clang-format on */

static void conn_move(struct conn *conn, enum conn_state to)
{
    CHECK(states[conn->state].next & TO(to));
    conn->state = (uint8_t)to;
}

/* ---- the end ---- */

/* The stream is gone: the connection goes back to the supervisor. */
static void on_closed(void *arg, int error)
{
    struct conn *conn = arg;
    const struct co_plugin *plugin = conn_service(conn)->plugin;

    conn->pub.stream = NULL;
    if (plugin->closed && conn->was_active)
        plugin->closed(&conn->pub);
    co_conn_log(&conn->pub, CO_LOG_DEBUG, "closed: %s",
                error < 0 ? co_strerror(error) : "ok");
    conn_move(conn, CONN_OVER);
    worker_remove(worker_current(), conn);
}

static void close_stream(struct conn *conn)
{
    conn_move(conn, CONN_CLOSING);
    if (worker_current()->is_cutting)
        co_stream_fail(conn->pub.stream, CO_ECANCELLED);
    co_stream_close(conn->pub.stream, on_closed, conn);
}

/* ---- serving ---- */

static void serve(struct conn *conn);

static void on_input(struct co_stream *s, void *arg)
{
    /* A time limit or a reset while it was parked: there is nothing to serve. */
    if (co_stream_error(s) < 0)
        close_stream(arg);
    else
        serve(arg);
}

/* Lets a connection wait for input without a task. Returns false when it cannot. */
static bool wait_for_input(struct conn *conn)
{
    bool is_stale = service_is_stale(conn_service(conn));

    if (is_stale && worker_current()->is_draining)
        return false;
    if (!co_stream_on_input(conn->pub.stream, on_input, conn))
        return false;
    conn_move(conn, CONN_WAITING);
    /* Not before: a task that goes on serving has its name from the old service. */
    if (is_stale)
        worker_renew(worker_current(), conn);
    return true;
}

/* Whether the stream's input is at an end: there is nothing to serve any more. */
static bool is_at_end(const struct conn *conn)
{
    return co_stream_at_eof(conn->pub.stream) || co_stream_error(conn->pub.stream) < 0;
}

/* Input that the plugin has read so far. */
static uint64_t bytes_read(const struct conn *conn)
{
    struct co_stream_stats stats;

    co_stream_get_stats(conn->pub.stream, &stats);
    return stats.bytes_in - co_stream_buffered(conn->pub.stream);
}

/*
 * Whether serve() shall be called again at once, since it left input. One that was and read
 * nothing would be called for ever, by grace of any client.
 */
static bool may_go_on(struct conn *conn, uint64_t *read_before)
{
    uint64_t read_now = bytes_read(conn);

    if (is_at_end(conn) || worker_current()->is_draining)
        return false;
    if (read_now == *read_before) {
        worker_log_limited(worker_current(),
                           "plugin %s parks and leaves input unread: closed",
                           conn_service(conn)->plugin->name);
        return false;
    }
    *read_before = read_now;
    return true;
}

static int serve_main(void *arg)
{
    struct conn *conn = arg;
    const struct co_plugin *plugin = conn_service(conn)->plugin;
    uint64_t read_before = UINT64_MAX;

    conn->was_active = true;
    while (plugin->serve(&conn->pub) == CO_PARK) {
        if (wait_for_input(conn))
            return 0;
        if (!may_go_on(conn, &read_before))
            break;
    }
    close_stream(conn);
    return 0;
}

static void cannot_serve(struct conn *conn, int error)
{
    worker_log_limited(worker_current(), "cannot serve a connection: %s",
                       co_strerror(error));
    co_stream_fail(conn->pub.stream, error);
    close_stream(conn);
}

/* Serves in a task, which may have ended, and the connection with it, on return. */
static void serve(struct conn *conn)
{
    int r;

    conn_move(conn, CONN_RUNNING);
    r = co_task_start(&conn_service(conn)->task, serve_main, conn, &conn->task);
    if (__builtin_expect(r < 0, 0))
        cannot_serve(conn, r);
}

/* ---- the worker's messages ---- */

void conn_adopt(struct co_handle *message)
{
    struct conn *conn = CO_CONTAINER_OF(message, struct conn, message);
    struct worker *worker = worker_current();
    struct service *service = conn_service(conn);
    int fd = conn->fd;
    int r;

    worker_add(worker, conn);
    r = co_stream_open(worker->loop, fd, &service->limits, &conn->pub.stream);
    if (r < 0) {
        worker_log_limited(worker, "cannot take over a connection: %s", co_strerror(r));
        conn_move(conn, CONN_OVER);
        worker_remove(worker, conn);
        close(fd);
        return;
    }
    worker_renew(worker, conn);
    if (conn_service(conn)->plugin->start == CO_ON_ACCEPT)
        serve(conn);
    else if (!wait_for_input(conn))
        close_stream(conn);
}

/* Whether bytes came to a waiting connection that its loop has not been told of. */
static bool has_unseen_input(const struct conn *conn)
{
    char byte;

    return recv(co_stream_fd(conn->pub.stream), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void end_waiting(struct conn *conn)
{
    co_stream_cancel_on_input(conn->pub.stream);
    close_stream(conn);
}

void conn_drain(struct conn *conn)
{
    if (conn->state != CONN_WAITING)
        return;
    /* Its event is on the way: it is served, and serve_main() ends it then. */
    if (has_unseen_input(conn))
        return;
    end_waiting(conn);
}

void conn_cut(struct conn *conn)
{
    if (conn->state == CONN_RUNNING)
        co_task_cancel(conn->task);
    else if (conn->state == CONN_CLOSING)
        co_stream_abort(conn->pub.stream);
    else
        end_waiting(conn); /* the drain has left it its input, whose event did not come */
}

void conn_fail(struct conn *conn)
{
    if (conn->state == CONN_RUNNING)
        co_stream_fail(conn->pub.stream, CO_ECANCELLED);
}

void conn_move_service(struct conn *conn, struct service *service)
{
    conn->pub.service = &service->pub;
    co_stream_set_limits(conn->pub.stream, &service->limits);
}

/* ---- reports ---- */

static void add_ipv4(const uint8_t *host, char *buf, size_t size, size_t *len)
{
    for (int i = 0; i < 4; i++) {
        co_text_append_u64(buf, size, len, host[i]);
        co_text_append(buf, size, len, i < 3 ? "." : "");
    }
}

/* inet_ntop() may not be called in a signal handler: groups are written out in full. */
static void add_ipv6(const uint8_t *host, char *buf, size_t size, size_t *len)
{
    static const char digits[] = "0123456789abcdef";

    co_text_append(buf, size, len, "[");
    for (int i = 0; i < 16; i++) {
        const char pair[] = { digits[host[i] >> 4], digits[host[i] & 15],
                              i % 2 == 1 && i < 15 ? ':' : '\0', '\0' };

        co_text_append(buf, size, len, pair);
    }
    co_text_append(buf, size, len, "]");
}

static void add_peer(const union co_peer *peer, char *buf, size_t size, size_t *len)
{
    if (peer->sa.sa_family == AF_INET) {
        add_ipv4((const uint8_t *)&peer->in.sin_addr, buf, size, len);
    } else if (peer->sa.sa_family == AF_INET6) {
        add_ipv6((const uint8_t *)&peer->in6.sin6_addr, buf, size, len);
    } else {
        co_text_append(buf, size, len, "unix:");
        return;
    }
    co_text_append(buf, size, len, ":");
    co_text_append_u64(buf, size, len, ntohs(peer->in.sin_port));
}

void conn_describe(void *arg, char *buf, size_t size)
{
    const struct conn *conn = arg;
    size_t len = 0;

    co_text_append(buf, size, &len, "plugin ");
    co_text_append(buf, size, &len, conn_service(conn)->plugin->name);
    co_text_append(buf, size, &len, ", listener ");
    co_text_append(buf, size, &len, conn->pub.service->listener);
    co_text_append(buf, size, &len, ", connection ");
    co_text_append_u64(buf, size, &len, conn->pub.id);
    co_text_append(buf, size, &len, " from ");
    add_peer(&conn->pub.peer, buf, size, &len);
}
