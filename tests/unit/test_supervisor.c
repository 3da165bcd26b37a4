/* Tests of daemon/supervisor.c: start, signals, drain, end. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon_fixture.h"
#include "fault.h"
#include "listen.h"

#define SERVER(keys)   "[server]\nworkers = 2\n" keys
#define LISTENER(keys) "[listener:web]\naddress = 127.0.0.1:0\nprotocol = p\n" keys
#define PROBE          "[protocol:p]\nplugin = probe\ntext = one\n"

static void ask(int client, const char *question, const char *answer)
{
    client_send(client, question);
    client_expect(client, answer);
}

static void assert_refused(const struct co_addr *addr)
{
    int fd = socket(addr->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, &addr->sa, addr->len), -1);
    assert_true(errno == ECONNREFUSED || errno == ENOENT);
    close(fd);
}

/* It starts, serves, and ends with 0 when told to, by either signal. */
static void test_run_until_a_signal(void **state)
{
    static const struct {
        int signo;
        const char *line;
    } cases[] = {
        { SIGTERM, "SIGTERM: draining 1 connections" },
        { SIGINT, "SIGINT: draining 1 connections" },
    };
    struct child_daemon *d = *state;

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct co_addr addr = child_daemon_serve(d, SERVER("") LISTENER("") PROBE);
        int client = client_connect(&addr);

        ask(client, "text\n", "one\n");
        child_daemon_signal(d, cases[i].signo);
        line_await(&d->lines, cases[i].line);
        client_expect_end(client);
        close(client);
        line_await(&d->lines, "drained: 1 connections ended by themselves, 0 were cut");
        assert_int_equal(child_daemon_wait(d), 0);
        assert_refused(&addr);
        close(d->lines.fd);
        d->lines = (struct line_reader){ .fd = -1 };
    }
}

/* All listeners and addresses are open, and each serves its own protocol. */
static void test_run_of_many_listeners(void **state)
{
    struct child_daemon *d = *state;
    struct co_addr addrs[3];
    int client;

    child_daemon_start(d,
                       SERVER("") "[listener:web]\naddress = 127.0.0.1:0, 127.0.0.1:0\n"
                                  "protocol = p\n[listener:hi]\naddress = 127.0.0.1:0\n"
                                  "protocol = greet\n" PROBE);
    for (size_t i = 0; i < N_ELEMENTS(addrs); i++)
        addrs[i] = child_daemon_address(line_await(&d->lines, "listening on "));
    line_await(&d->lines, "2 workers, ready");
    for (size_t i = 0; i < N_ELEMENTS(addrs); i++) {
        client = client_connect(&addrs[i]);
        if (i < 2)
            ask(client, "text\n", "one\n");
        else
            client_expect(client, "hello\n");
        close(client);
    }
    child_daemon_signal(d, SIGTERM);
    assert_int_equal(child_daemon_wait(d), 0);
}

/* Connections are spread over the workers. */
static void test_run_uses_all_workers(void **state)
{
    struct child_daemon *d = *state;
    struct co_addr addr = child_daemon_serve(d, SERVER("") LISTENER("") PROBE);
    int first = client_connect(&addr), second = client_connect(&addr);

    ask(first, "thread\n", "corod-1\n");
    ask(second, "thread\n", "corod-2\n");
    close(first);
    close(second);
    child_daemon_signal(d, SIGTERM);
    assert_int_equal(child_daemon_wait(d), 0);
}

/* A drain closes the listeners at once, and lets the one that is served finish. */
static void test_drain_lets_finish(void **state)
{
    struct child_daemon *d = *state;
    struct co_addr addr = child_daemon_serve(d, SERVER("") LISTENER("") PROBE);
    int waiting = client_connect(&addr), served = client_connect(&addr);

    ask(served, "hold\n", "holding\n");
    ask(waiting, "text\n", "one\n");
    child_daemon_signal(d, SIGTERM);
    client_expect_end(waiting);
    close(waiting);
    assert_refused(&addr);
    assert_true(client_is_quiet(served));
    ask(served, "last\n", "last\n");
    client_expect_end(served);
    close(served);
    line_await(&d->lines, "drained: 2 connections ended by themselves, 0 were cut");
    assert_int_equal(child_daemon_wait(d), 0);
}

/* What does not end within the drain is cut, and a client that stays does not hold it. */
static void test_drain_cuts(void **state)
{
    struct child_daemon *d = *state;
    struct co_addr addr = child_daemon_serve(
        d, SERVER("drain_timeout = 0\n") LISTENER("linger_timeout = 1h\n") PROBE);
    int waits = client_connect(&addr), holds = client_connect(&addr);

    ask(waits, "wait\n", "waiting\n");
    ask(holds, "hold\n", "holding\n");
    child_daemon_signal(d, SIGTERM);
    line_await(&d->lines, "drained: 0 connections ended by themselves, 2 were cut");
    assert_int_equal(child_daemon_wait(d), 0);
    client_expect_end(holds);
    close(waits);
    close(holds);
}

/* A plugin that does not heed its cancellation cannot keep the daemon from ending. */
static void test_drain_gives_up(void **state)
{
    struct child_daemon *d = *state;
    struct co_addr addr = child_daemon_serve(
        d, SERVER("drain_timeout = 0\n") "[listener:web]\naddress = "
                                         "127.0.0.1:0\nprotocol = stubborn\n");
    int client = client_connect(&addr);

    ask(client, "x", "staying\n");
    child_daemon_signal(d, SIGTERM);
    line_await(&d->lines, "1 connections do not end: giving up");
    assert_int_equal(child_daemon_wait(d), 1);
    close(client);
}

/* A second signal ends it at once. */
static void test_second_signal(void **state)
{
    struct child_daemon *d = *state;
    struct co_addr addr = child_daemon_serve(d, SERVER("") LISTENER("") PROBE);
    int client = client_connect(&addr);

    ask(client, "hold\n", "holding\n");
    child_daemon_signal(d, SIGTERM);
    line_await(&d->lines, "SIGTERM: draining");
    child_daemon_signal(d, SIGINT);
    line_await(&d->lines, "SIGINT again: 1 connections are cut");
    assert_int_equal(child_daemon_wait(d), 1);
    client_expect_end(client);
    close(client);
}

/* A port that is taken: who and where is said, and what was open is closed again. */
static void test_start_on_a_taken_port(void **state)
{
    static const struct config_listener_options opt = { .backlog = 1 };
    struct child_daemon *d = *state;
    char ini[1024], path[64], taken_text[CO_ADDR_TEXT_MAX], want[256];
    struct co_addr taken, opened;
    int fd;

    assert_int_equal(co_addr_parse("127.0.0.1:0", &taken), 0);
    fd = listen_open(&taken, &opt);
    assert_int_equal(listen_address(fd, &taken), 0);
    co_addr_format(&taken.sa, taken.len, taken_text, sizeof(taken_text));
    (void)snprintf(path, sizeof(path), "/tmp/corod-supervisor-%d", (int)getpid());
    (void)snprintf(
        ini, sizeof(ini),
        LISTENER("") "[listener:file]\naddress = unix:%s\n"
                     "protocol = p\n[listener:late]\naddress = %s\nprotocol = p\n" PROBE,
        path, taken_text);
    child_daemon_start(d, ini);
    opened = child_daemon_address(line_await(&d->lines, "listener web: listening on"));
    (void)snprintf(want, sizeof(want),
                   "listener late: cannot listen on %s: Address already "
                   "in use (another process",
                   taken_text);
    line_await(&d->lines, want);
    line_await(&d->lines, "cannot start: Address already in use");
    assert_int_equal(child_daemon_wait(d), 1);
    assert_refused(&opened);
    assert_int_equal(access(path, F_OK), -1);
    close(fd);
}

/* A plugin that does not open: nothing is served. */
static void test_start_with_a_plugin_that_fails(void **state)
{
    struct child_daemon *d = *state;

    child_daemon_start(d, LISTENER("") PROBE "fail = yes\n");
    line_await(&d->lines, "[protocol:p] plugin probe: told to fail");
    line_await(&d->lines, "cannot start: Invalid argument");
    assert_int_equal(child_daemon_wait(d), 78);
}

/* More connections than descriptors are told of, and served as far as they go. */
static void test_start_with_few_descriptors(void **state)
{
    struct child_daemon *d = *state;
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_max > 9000000) {
        print_message("no limit of descriptors here\n");
        skip();
    }
    child_daemon_start(d, SERVER("max_connections = 10000000\n") LISTENER("") PROBE);
    line_await(&d->lines,
               "max_connections = 10000000 needs more descriptors than the limit");
    line_await(&d->lines, "ready");
    child_daemon_signal(d, SIGTERM);
    assert_int_equal(child_daemon_wait(d), 0);
}

/* ---- in this process ---- */

/* Calls that the library fails for want of memory: the n-th next one, 0 for none. */
static unsigned fail_call;
static bool was_call_hit;

static bool must_fail_call(void)
{
    if (fail_call == 0 || --fail_call > 0)
        return false;
    was_call_hit = true;
    return true;
}

int __real_co_task_spawn(struct co_loop *loop, const struct co_task_attr *attr,
                         co_task_fn fn, void *arg, struct co_task **out_task);
int __wrap_co_task_spawn(struct co_loop *loop, const struct co_task_attr *attr,
                         co_task_fn fn, void *arg, struct co_task **out_task);
int __real_co_watch_new(struct co_loop *loop, int fd, int events,
                        struct co_watch **out_watch);
int __wrap_co_watch_new(struct co_loop *loop, int fd, int events,
                        struct co_watch **out_watch);

int __wrap_co_task_spawn(struct co_loop *loop, const struct co_task_attr *attr,
                         co_task_fn fn, void *arg, struct co_task **out_task)
{
    return must_fail_call() ? -ENOMEM
                            : __real_co_task_spawn(loop, attr, fn, arg, out_task);
}

int __wrap_co_watch_new(struct co_loop *loop, int fd, int events,
                        struct co_watch **out_watch)
{
    return must_fail_call() ? -ENOMEM : __real_co_watch_new(loop, fd, events, out_watch);
}

/* A whole run, from a start to the end by a signal that is there already. */
struct run {
    enum fault_kind kind; /* FAULT_N_KINDS: calls of the library */
    struct logger *log;
    struct line_reader lines;
    bool is_hit;
};

static int run_once(struct run *run, unsigned n)
{
    static const struct config_source source = { .path = "t.ini" };
    struct config *config = daemon_config(DAEMON_LISTENER("x", "a") DAEMON_LISTENER(
        "y", "a") DAEMON_PROTOCOL("a", "talk", "one") "[server]\nworkers = 2\n");
    int n_fds, status;

    /* The log thread at work has a file of libc's open for a moment, that of the time zone. */
    logger_write(run->log, CO_LOG_INFO, NULL, "before");
    line_await(&run->lines, "before");
    n_fds = count_fds();
    assert_int_equal(raise(SIGTERM), 0);
    was_call_hit = false;
    if (run->kind == FAULT_N_KINDS)
        fail_call = n;
    else
        fault_arm(run->kind, n, run->kind == FAULT_FD ? EMFILE : ENOMEM);
    status = supervisor_run(&source, config, run->log);
    fault_off();
    fail_call = 0;
    run->is_hit = run->kind == FAULT_N_KINDS ? was_call_hit : fault_hit();
    logger_write(run->log, CO_LOG_INFO, NULL, "after");
    line_await(&run->lines, "after");
    assert_int_equal(count_fds(), n_fds);
    assert_int_equal(talk_plugins_open(), 0);
    assert_int_equal(atomic_load(&talk_counts.n_opened),
                     atomic_load(&talk_counts.n_unopened));
    return status;
}

/* Each call that can fail may fail: the run ends with 1, or 0 when it went without. */
static void test_run_with_failures(void **state)
{
    static const struct {
        enum fault_kind kind;
        unsigned n_failed;
    } cases[] = { { FAULT_FD, 2 }, { FAULT_ALLOC, 10 }, { FAULT_N_KINDS, 8 } };
    struct run run = { 0 };
    sigset_t term, before, pending;
    struct rlimit limit;
    int fds[2];

    (void)state;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &before);
    getrlimit(RLIMIT_NOFILE, &limit);
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    run.lines.fd = fds[0];
    assert_int_equal(logger_new(CO_LOG_INFO, fds[1], &run.log), 0);
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        unsigned n_failed = 0, n = 0;

        run.kind = cases[i].kind;
        do {
            int status = run_once(&run, ++n);

            assert_true(status == 0 || (status == 1 && run.is_hit));
            n_failed += status == 1;
        } while (run.is_hit);
        assert_true(n_failed >= cases[i].n_failed);
        assert_true(n > 1);
    }
    logger_free(run.log);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(sigpending(&pending), 0);
    if (sigismember(&pending, SIGTERM))
        (void)sigwaitinfo(&term, NULL);
    setrlimit(RLIMIT_NOFILE, &limit);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

int main(void)
{
#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, child_daemon_setup, child_daemon_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_run_until_a_signal),
        TEST(test_run_of_many_listeners),
        TEST(test_run_uses_all_workers),
        TEST(test_drain_lets_finish),
        TEST(test_drain_cuts),
        TEST(test_drain_gives_up),
        TEST(test_second_signal),
        TEST(test_start_on_a_taken_port),
        TEST(test_start_with_a_plugin_that_fails),
        TEST(test_start_with_few_descriptors),
        cmocka_unit_test(test_run_with_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
