/*
 * Accepting.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <corod/future.h>

#include "acceptor.h"
#include "check.h"

enum {
    BATCH = 64,
    SETTLE_MS =
        250, /* a worker that takes longer is stuck, and is not waited for again */
};

/* ---- admission ---- */

static bool is_full(const struct listener *l)
{
    const struct admission *a = l->admission;

    return a->n_conns >= a->max_connections ||
           (l->max_connections > 0 && l->n_conns >= l->max_connections);
}

static void refuse(struct listener *l, int fd, const char *why)
{
    struct admission *a = l->admission;
    uint32_t suppressed;

    close(fd);
    a->n_refused++;
    if (log_limit_pass(&a->full_limit, co_loop_now(co_loop_current()), &suppressed))
        logger_write(a->log, CO_LOG_WARNING, &(struct log_fields){ .listener = l->name },
                     "%s: refused %u", why, suppressed + 1);
}

/* Whether a connection is better off with worker @w than with @other. */
static bool is_better(const struct admission *a, size_t w, size_t other)
{
    if (a->workers[w].is_silent != a->workers[other].is_silent)
        return a->workers[other].is_silent;
    return a->loads[w] < a->loads[other];
}

/* The worker that has fewest connections, of those that answer if there are any. */
static size_t least_loaded(struct admission *a)
{
    size_t best = a->next_worker;

    CHECK(a->n_workers > 0);
    for (size_t i = 0; i < a->n_workers; i++) {
        size_t w = (a->next_worker + i) % a->n_workers;

        if (is_better(a, w, best))
            best = w;
    }
    a->next_worker = (best + 1) % a->n_workers;
    return best;
}

static void hand_over(struct listener *l, int fd, const struct sockaddr_storage *peer)
{
    struct admission *a = l->admission;
    struct conn *conn = conn_pool_take(&a->pool);
    size_t worker = least_loaded(a);

    if (!conn) {
        refuse(l, fd, "out of memory");
        return;
    }
    conn->pub.id = a->next_id++;
    conn->pub.service = &service_ref(l->service)->pub;
    if (peer->ss_family == AF_UNIX)
        conn->pub.peer.sa.sa_family = AF_UNIX;
    else
        memcpy(&conn->pub.peer, peer, sizeof(conn->pub.peer));
    conn->fd = fd;
    conn->worker = (uint16_t)worker;
    conn->message.run = conn_adopt;
    l->n_conns++;
    a->n_conns++;
    a->n_accepted++;
    a->loads[worker]++;
    co_loop_post(a->workers[worker].loop, &conn->message);
}

/* Asks every worker that has no question out already. A stuck one is asked once. */
static void ask_workers(struct admission *a)
{
    /* 0 is none: to a worker with a round of that number a question would go twice. */
    if (++a->settle_round == 0)
        a->settle_round = 1;
    a->n_unsettled = 0;
    for (size_t i = 0; i < a->n_workers; i++) {
        struct worker *worker = &a->workers[i];

        if (worker->settle_round != 0)
            continue;
        worker->settle_round = a->settle_round;
        a->n_unsettled++;
        co_loop_post(worker->loop, &worker->settle);
    }
}

int admission_await_settled(struct admission *a)
{
    struct co_future settled;
    int result, r = 0;

    /* A question that is out may be older than what we want to know of. */
    while (a->settling && r == 0)
        r = co_future_await(a->settling, CO_NEVER, &result);
    if (r < 0)
        return r;
    co_future_init(&settled, co_loop_current());
    ask_workers(a);
    if (a->n_unsettled == 0)
        return co_await_yield();
    a->settling = &settled;
    r = co_future_await(&settled, co_after_ms(SETTLE_MS), &result);
    a->settling = NULL;
    (void)co_future_set(&settled, 0, NULL); /* for others who wait, after a timeout */
    return r == -ETIMEDOUT || r == -ENOMEM ? 0 : r;
}

void admission_on_settled(struct admission *a, struct worker *worker)
{
    bool is_awaited = worker->settle_round == a->settle_round;

    worker->settle_round = 0;
    if (is_awaited && --a->n_unsettled == 0 && a->settling)
        (void)co_future_set(a->settling, 0, NULL);
}

/*
 * Hands a connection over, or refuses it when there is no room, also after those that are
 * over have been counted off.
 *
 * Returns 0, or CO_ECANCELLED; the connection is dealt with then, too.
 */
static int await_admission(struct listener *l, int fd,
                           const struct sockaddr_storage *peer)
{
    const struct admission *a = l->admission;
    int r = 0;

    if (is_full(l))
        r = admission_await_settled(l->admission);
    if (a->n_conns >= a->max_connections)
        refuse(l, fd, "connection limit reached ([server] max_connections)");
    else if (is_full(l))
        refuse(l, fd, "connection limit reached (max_connections of the listener)");
    else
        hand_over(l, fd, peer);
    return r;
}

void admission_on_over(struct admission *a, struct conn *conn, struct listener *l)
{
    a->loads[conn->worker]--;
    a->n_conns--;
    l->n_conns--;
    service_unref(conn_service(conn));
    conn_pool_give(&a->pool, conn);
    if (a->n_conns == 0 && a->empty)
        (void)co_future_set(a->empty, 0, NULL);
}

/* ---- accepting ---- */

/* Errors of accept() that concern one connection, which is gone: accept(2). */
static bool is_passing(int error)
{
    return error == ECONNABORTED || error == EINTR || error == EPROTO ||
           error == ENETDOWN || error == ENOPROTOOPT || error == EHOSTDOWN ||
           error == ENONET || error == EHOSTUNREACH || error == EOPNOTSUPP ||
           error == ENETUNREACH || error == EPERM || error == ETIMEDOUT;
}

/*
 * No descriptor, or no kernel memory, is left. Those in the backlog are refused by way of the
 * reserve, so that they do not hang; then accepting pauses.
 */
static int await_relief(struct acceptor *acceptor, int error)
{
    struct admission *a = acceptor->listener->admission;
    uint32_t suppressed;
    int n = 0, r;

    if (a->reserve_fd >= 0) {
        close(a->reserve_fd);
        for (; n < BATCH; n++) {
            int fd = accept4(acceptor->fd, NULL, NULL, SOCK_CLOEXEC);

            if (fd < 0)
                break;
            close(fd);
        }
        a->n_refused += (uint64_t)n;
    }
    /* Fails when another thread was faster: then there is no reserve until next time. */
    a->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (log_limit_pass(&a->exhausted_limit, co_loop_now(co_loop_current()), &suppressed))
        logger_write(a->log, CO_LOG_ERROR,
                     &(struct log_fields){ .listener = acceptor->listener->name },
                     "cannot accept: %s; refused %d, pausing for %d ms at a time",
                     co_strerror(-error), n, (int)(a->backoff / CO_MSEC));
    r = co_await_sleep(co_after_ms(a->backoff / CO_MSEC));
    /* No memory for the timer: then the pause is a short one. */
    return r == -ENOMEM ? co_await_yield() : r;
}

/* Accepts what is there, up to a batch. Returns 0, or CO_ECANCELLED. */
static int accept_batch(struct acceptor *acceptor)
{
    struct sockaddr_storage peer;

    for (int i = 0; i < BATCH; i++) {
        socklen_t len = sizeof(peer);
        int fd, r;

        memset(&peer, 0, sizeof(union co_peer));
        fd = accept4(acceptor->fd, (struct sockaddr *)&peer, &len,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            r = await_admission(acceptor->listener, fd, &peer);
            if (r < 0)
                return r;
        } else if (errno == EAGAIN) {
            co_watch_clear(acceptor->watch, CO_READ);
            return 0;
        } else if (!is_passing(errno)) {
            return await_relief(acceptor, errno);
        }
    }
    return co_await_yield();
}

static int acceptor_main(void *arg)
{
    struct acceptor *acceptor = arg;
    int r;

    do {
        r = co_watch_await(acceptor->watch, CO_READ, CO_NEVER);
        if (r > 0)
            r = accept_batch(acceptor);
    } while (r >= 0);
    return r;
}

int acceptor_start(struct co_loop *loop, struct acceptor *acceptor)
{
    static const struct co_task_attr attr = { .name = "acceptor" };
    int r = co_watch_new(loop, acceptor->fd, CO_READ, &acceptor->watch);

    if (r < 0)
        return r;
    return co_task_spawn(loop, &attr, acceptor_main, acceptor, &acceptor->task);
}

void await_end_of_task(struct co_task **task)
{
    int result;

    if (!*task)
        return;
    co_task_cancel(*task);
    /* Nobody cancels the supervisor's task, and there is no deadline. */
    while (co_task_await(*task, CO_NEVER, &result) < 0)
        ;
    co_task_free(*task);
    *task = NULL;
}

void acceptor_await_stop(struct acceptor *acceptor)
{
    await_end_of_task(&acceptor->task);
    co_watch_free(acceptor->watch);
    acceptor->watch = NULL;
    if (acceptor->fd < 0)
        return;
    close(acceptor->fd);
    acceptor->fd = -1;
    if (acceptor->addr.sa.sa_family == AF_UNIX && acceptor->addr.un.sun_path[0] &&
        !acceptor->is_passed)
        unlink(acceptor->addr.un.sun_path);
}
