/* Tests of daemon/health.c: pings, the watchdog, the status. */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon_fixture.h"

/* The service manager's end of NOTIFY_SOCKET. */
static int notify_fd;
static char last_status[512];
static struct co_task *task;

static int setup(void **state)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    socklen_t len = sizeof(addr);
    char path[sizeof(addr.sun_path) + 1];

    (void)daemon_setup_virtual(state);
    notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* The kernel chooses an abstract name, which systemd writes with '@'. */
    assert_int_equal(bind(notify_fd, (struct sockaddr *)&addr, sizeof(sa_family_t)), 0);
    assert_int_equal(getsockname(notify_fd, (struct sockaddr *)&addr, &len), 0);
    (void)snprintf(path, sizeof(path), "@%.*s",
                   (int)(len - offsetof(struct sockaddr_un, sun_path) - 1),
                   addr.sun_path + 1);
    setenv("NOTIFY_SOCKET", path, 1);
    setenv("WATCHDOG_USEC", "8000000", 1);
    last_status[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    struct daemon_fixture *f = *state;

    if (task) {
        co_task_cancel(task);
        daemon_until(f, co_task_state(task) == CO_TASK_DONE);
        co_task_free(task);
        task = NULL;
    }
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    close(notify_fd);
    return daemon_teardown(state);
}

/* Workers, and the task of health, which has had its first round. */
static void start(struct daemon_fixture *f, size_t n_workers)
{
    daemon_start(f, DAEMON_INI, n_workers);
    assert_int_equal(co_task_spawn(f->s.loop, NULL, health_main, &f->s, &task), 0);
    daemon_step(f, 0);
}

/* Takes what the service manager was sent. Returns how often the watchdog was fed. */
static unsigned receive(void)
{
    char text[512];
    unsigned n = 0;
    ssize_t len;

    while ((len = recv(notify_fd, text, sizeof(text) - 1, 0)) >= 0) {
        text[len] = '\0';
        n += strcmp(text, "WATCHDOG=1") == 0;
        if (strncmp(text, "STATUS=", 7) == 0)
            (void)snprintf(last_status, sizeof(last_status), "%s", text + 7);
    }
    return n;
}

/* Lets time pass, and a round begin if it is due. */
static void pass(struct daemon_fixture *f, co_time span)
{
    f->clock.now += span;
    daemon_step(f, 0);
    daemon_step(f, 0);
}

static void await_answers(struct daemon_fixture *f)
{
    for (size_t i = 0; i < f->s.n_workers; i++)
        daemon_until(f, f->s.has_answered[i]);
}

/* A handler that does not return until it is let go. */
struct blocker {
    struct co_handle handle;
    int fds[2];
};

static void block(struct co_handle *handle)
{
    char byte;

    (void)!read(CO_CONTAINER_OF(handle, struct blocker, handle)->fds[0], &byte, 1);
}

static void block_worker(struct daemon_fixture *f, struct blocker *blocker, size_t worker)
{
    blocker->handle.run = block;
    assert_int_equal(pipe2(blocker->fds, O_CLOEXEC), 0);
    co_loop_post(f->s.workers[worker].loop, &blocker->handle);
}

static void unblock(struct blocker *blocker)
{
    assert_int_equal(write(blocker->fds[1], "x", 1), 1);
}

static void close_blocker(struct blocker *blocker)
{
    close(blocker->fds[0]);
    close(blocker->fds[1]);
}

/* Each round in which all have answered feeds the watchdog. */
static void test_watchdog_is_fed_while_all_answer(void **state)
{
    struct daemon_fixture *f = *state;

    start(f, 2);
    assert_int_equal(receive(), 1);
    for (int i = 0; i < 5; i++) {
        await_answers(f);
        pass(f, CO_SECOND - 1);
        assert_int_equal(receive(), 0);
        pass(f, 1);
        assert_int_equal(receive(), 1);
    }
    assert_int_equal(line_count(&f->lines, "has not answered"), 0);
}

/* A short watchdog is fed four times in its interval. */
static void test_watchdog_interval(void **state)
{
    struct daemon_fixture *f = *state;

    setenv("WATCHDOG_USEC", "400000", 1);
    start(f, 1);
    assert_int_equal(receive(), 1);
    for (int i = 0; i < 4; i++) {
        await_answers(f);
        pass(f, 100 * CO_MSEC);
        assert_int_equal(receive(), 1);
    }
}

/* A worker that does not answer is named after two seconds, and the watchdog starves. */
static void test_silent_worker_is_named(void **state)
{
    struct daemon_fixture *f = *state;
    struct blocker blocker;

    start(f, 3);
    await_answers(f);
    assert_int_equal(receive(), 1);
    block_worker(f, &blocker, 1);
    pass(f, CO_SECOND); /* fed, and pinged */
    assert_int_equal(receive(), 1);
    daemon_until(f, f->s.has_answered[0] && f->s.has_answered[2]);
    pass(f, CO_SECOND);
    assert_int_equal(line_count(&f->lines, "has not answered"), 0);
    pass(f, CO_SECOND);
    line_await(&f->lines,
               "worker 2 has not answered for 2000 ms: a handler does not return");
    for (int i = 0; i < 5; i++)
        pass(f, CO_SECOND);
    assert_int_equal(receive(), 0);
    unblock(&blocker);
    await_answers(f);
    pass(f, CO_SECOND);
    assert_int_equal(receive(), 1);
    logger_write(f->s.log, CO_LOG_INFO, NULL, "end");
    assert_non_null(strstr(line_await(&f->lines, ""), "end")); /* said once */
    close_blocker(&blocker);
}

/* Several are named, and said again when the period is over. */
static void test_silent_workers_are_named_again(void **state)
{
    struct daemon_fixture *f = *state;
    struct blocker first, third;

    start(f, 3);
    await_answers(f);
    block_worker(f, &first, 0);
    block_worker(f, &third, 2);
    pass(f, CO_SECOND);
    daemon_until(f, f->s.has_answered[1]);
    pass(f, 2 * CO_SECOND);
    line_await(&f->lines, "worker 1, 3 has not answered for 2000 ms");
    unblock(&third);
    daemon_until(f, f->s.has_answered[2]);
    pass(f, 10 * CO_SECOND);
    line_await(&f->lines, "worker 1 has not answered for 12000 ms");
    unblock(&first);
    await_answers(f);
    close_blocker(&first);
    close_blocker(&third);
}

/* The service manager is told what goes on when it changes, and only then. */
static void test_status_follows_the_counts(void **state)
{
    struct daemon_fixture *f = *state;
    int client;

    start(f, 1);
    (void)receive();
    assert_string_equal(last_status, "serving: 0 connections, 0 accepted, 0 refused");
    last_status[0] = '\0';
    await_answers(f);
    pass(f, CO_SECOND);
    (void)receive();
    assert_string_equal(last_status, "");

    client = daemon_connect(f, 0);
    f->s.admission.n_accepted = 7;
    f->s.admission.n_refused = 3;
    f->s.is_draining = true;
    pass(f, CO_SECOND);
    (void)receive();
    assert_string_equal(last_status, "draining: 1 connections, 7 accepted, 3 refused");
    close(client);
}

/* Without a service manager rounds go on all the same. */
static void test_without_a_service_manager(void **state)
{
    struct daemon_fixture *f = *state;

    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    start(f, 1);
    await_answers(f);
    pass(f, CO_SECOND);
    assert_int_equal(f->s.pinged_at, f->clock.now);
    assert_int_equal(receive(), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_watchdog_is_fed_while_all_answer),
        TEST(test_watchdog_interval),
        TEST(test_silent_worker_is_named),
        TEST(test_silent_workers_are_named_again),
        TEST(test_status_follows_the_counts),
        TEST(test_without_a_service_manager),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
