/*
 * The fixture of the library's unit tests.
 */
#include "fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test.h"

#include "fault.h"
#include "net/stream.h"

/* More than any test needs; one that goes on for ever ends here. */
enum { STEPS_MAX = 1000000, TCP_BUFFER = 8192 };

/* A loop that finds a signal stack allocates none: its runs make no heap call. */
static void have_signal_stack(void)
{
    static char bytes[65536];
    const stack_t ours = { .ss_sp = bytes, .ss_size = sizeof(bytes) };
    stack_t now;

    assert_int_equal(sigaltstack(NULL, &now), 0);
    if (now.ss_flags & SS_DISABLE)
        assert_int_equal(sigaltstack(&ours, NULL), 0);
}

int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct co_loop_config config = { .clock = &f->clock.clock };

    assert_non_null(f);
    have_signal_stack();
    loop_current = NULL; /* a test that failed inside a run has left its loop */
    f->peer.fd = -1;
    f->n_fds = count_fds();
    co_virtual_clock_init(&f->clock, FIXTURE_START);
    assert_int_equal(co_loop_new(&config, &f->loop), 0);
    f->n_watches = f->loop->stats.n_watches;
    *state = f;
    return 0;
}

static void free_tasks(struct fixture *f)
{
    for (int i = 0; i < f->n_tasks; i++)
        co_task_free(f->tasks[i]);
    f->n_tasks = 0;
}

static const struct co_task *first_alive(const struct fixture *f)
{
    for (int i = 0; i < f->n_tasks; i++) {
        if (co_task_state(f->tasks[i]) != CO_TASK_DONE)
            return f->tasks[i];
    }
    return NULL;
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    fault_off();
    if (f->loop->is_running) {
        /* A test failed inside a task, and nothing can be unwound. */
        loop_current = NULL;
        return 0;
    }
    fixture_run_idle(f);
    if (first_alive(f))
        fail_msg("a task is left that awaits %s", co_task_awaits(first_alive(f)));
    if (f->stream)
        co_stream_abort(f->stream);
    peer_close(&f->peer);
    fixture_run_idle(f);
    free_tasks(f);
    assert_int_equal(f->loop->stats.n_tasks, 0);
    assert_int_equal(f->loop->stats.n_watches, f->n_watches);
    if (f->loop->extra)
        assert_int_equal(
            CO_CONTAINER_OF(f->loop->extra, struct net_loop, extra)->streams.n_used, 0);
    co_loop_free(f->loop);
    assert_int_equal(count_fds(), f->n_fds);
    free(f);
    return 0;
}

/* ---- running ---- */

struct co_task *fixture_spawn(struct fixture *f, co_task_fn fn, void *arg)
{
    static const struct co_task_attr attr = { .name = "fixture" };

    assert_true(f->n_tasks < FIXTURE_TASKS);
    assert_int_equal(co_task_spawn(f->loop, &attr, fn, arg, &f->tasks[f->n_tasks]), 0);
    return f->tasks[f->n_tasks++];
}

/* One iteration; a stop before the run also keeps the clock from jumping. */
static void step(struct fixture *f)
{
    co_loop_stop(f->loop);
    assert_int_equal(co_loop_run(f->loop), 0);
}

void fixture_run_idle(struct fixture *f)
{
    for (int i = 0; i < STEPS_MAX; i++) {
        uint64_t before = f->loop->stats.handles_run;

        step(f);
        /* Polled, nothing to run, and no timer that is due. */
        if (f->loop->stats.handles_run == before && list_is_empty(&f->loop->ready) &&
            timer_heap_next(&f->loop->timers) > f->clock.now)
            return;
    }
    fail_msg("the loop does not become idle");
}

void fixture_pass_ms(struct fixture *f, int64_t ms)
{
    co_time end = f->clock.now + ms * CO_MSEC;

    fixture_run_idle(f);
    for (int i = 0; timer_heap_next(&f->loop->timers) <= end; i++) {
        assert_true(i < STEPS_MAX);
        f->clock.now = timer_heap_next(&f->loop->timers);
        fixture_run_idle(f);
    }
    f->clock.now = end;
    fixture_run_idle(f);
}

static void run_to_end(struct fixture *f)
{
    fixture_run_idle(f);
    for (int i = 0; first_alive(f); i++) {
        co_time next = timer_heap_next(&f->loop->timers);

        if (next == CO_NEVER || i == STEPS_MAX)
            fail_msg("a task awaits %s, and nothing wakes it",
                     co_task_awaits(first_alive(f)));
        f->clock.now = next;
        fixture_run_idle(f);
    }
}

void fixture_run(struct fixture *f)
{
    run_to_end(f);
    free_tasks(f);
}

int fixture_call(struct fixture *f, co_task_fn fn, void *arg)
{
    struct co_task *task = fixture_spawn(f, fn, arg);
    int result;

    run_to_end(f);
    result = task->done.result;
    free_tasks(f);
    return result;
}

/* ---- connections ---- */

int fixture_socketpair(struct peer *peer)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    *peer = (struct peer){ .fd = fds[1], .ours = fds[0] };
    return fds[0];
}

int fixture_tcp_pair(struct peer *peer)
{
    static const int size = TCP_BUFFER, yes = 1;
    struct sockaddr_in addr = { .sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(addr);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fd;

    assert_true(listener >= 0);
    setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    assert_int_equal(bind(listener, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &len), 0);
    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    setsockopt(peer->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    assert_int_equal(connect(peer->fd, (struct sockaddr *)&addr, len), 0);
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    assert_true(fd >= 0);
    peer->ours = fd;
    peer->is_tcp = true;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    close(listener);
    return fd;
}

void fixture_open_stream(struct fixture *f, const struct co_stream_limits *limits)
{
    int fd = fixture_socketpair(&f->peer);

    assert_int_equal(co_stream_open(f->loop, fd, limits, &f->stream), 0);
}

void fixture_open_tcp_stream(struct fixture *f, const struct co_stream_limits *limits)
{
    int fd = fixture_tcp_pair(&f->peer);

    assert_int_equal(co_stream_open(f->loop, fd, limits, &f->stream), 0);
}

/* Waits for an event that is on its way; nothing else would bring it. */
static void await_event(int fd, short event)
{
    struct pollfd p = { .fd = fd, .events = event };

    assert_true(poll(&p, 1, 10000) == 1);
}

void peer_await_input(struct peer *peer)
{
    await_event(peer->fd, POLLIN);
}

void peer_send_bytes(struct peer *peer, const void *data, size_t len)
{
    /* Not send(), which tests make fail. */
    ssize_t n = sendto(peer->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);

    assert_int_equal(n, (ssize_t)len);
    if (peer->is_tcp)
        await_event(peer->ours, POLLIN);
}

void peer_send(struct peer *peer, const char *text)
{
    peer_send_bytes(peer, text, strlen(text));
}

ssize_t peer_read(struct peer *peer, void *buf, size_t size)
{
    /* Not recv(), which tests make fail. */
    ssize_t n = recvfrom(peer->fd, buf, size, MSG_DONTWAIT, NULL, NULL);

    return n < 0 ? -errno : n;
}

size_t peer_drain(struct peer *peer)
{
    char rubbish[65536];
    size_t sum = 0;
    ssize_t n;

    while ((n = peer_read(peer, rubbish, sizeof(rubbish))) > 0)
        sum += (size_t)n;
    return sum;
}

void peer_shutdown(struct peer *peer)
{
    assert_int_equal(shutdown(peer->fd, SHUT_WR), 0);
    if (peer->is_tcp)
        await_event(peer->ours, POLLRDHUP);
}

void peer_close(struct peer *peer)
{
    if (peer->fd < 0)
        return;
    close(peer->fd);
    peer->fd = -1;
    /* If our end is closed already that is an event too. */
    if (peer->is_tcp)
        await_event(peer->ours, POLLRDHUP);
}

void peer_reset(struct peer *peer)
{
    static const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

    assert_int_equal(
        setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    peer_close(peer);
}

/* ---- facts ---- */

void assert_bytes_equal(struct co_bytes bytes, const char *text)
{
    assert_int_equal(bytes.len, strlen(text));
    assert_memory_equal(bytes.data, text, bytes.len);
}

unsigned fixture_idle_blocks(const struct fixture *f)
{
    return CO_CONTAINER_OF(f->loop->extra, struct net_loop, extra)->blocks.n_idle;
}

struct co_loop_stats fixture_stats(const struct fixture *f)
{
    struct co_loop_stats stats;

    co_loop_get_stats(f->loop, &stats);
    return stats;
}

/* ---- child processes ---- */

static _Noreturn void child_main(void (*fn)(void *arg), void *arg, int err)
{
    static const int deadly[] = { SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL };
    static const struct rlimit no_core = { 0, 0 };

    /* The sanitizers and cmocka catch these. */
    for (size_t i = 0; i < N_ELEMENTS(deadly); i++)
        signal(deadly[i], SIG_DFL);
    setrlimit(RLIMIT_CORE, &no_core);
    dup2(err, STDERR_FILENO);
    fn(arg);
    _exit(0);
}

struct child_result child_run(void (*fn)(void *arg), void *arg)
{
    struct child_result result = { .signal = 0 };
    size_t len = 0;
    int fds[2], status;
    ssize_t n;
    pid_t pid;

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        child_main(fn, arg, fds[1]);
    close(fds[1]);
    do {
        char rest[512];
        size_t room = sizeof(result.text) - 1 - len;

        n = read(fds[0], room ? result.text + len : rest, room ? room : sizeof(rest));
        len += n > 0 && room ? (size_t)n : 0;
    } while (n > 0);
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    result.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    return result;
}
