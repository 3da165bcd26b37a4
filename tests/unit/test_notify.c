/* Tests of daemon/notify.c: what is sent to systemd, and the sockets taken from it. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <corod/error.h>

#include "fault.h"
#include "notify.h"

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */

/* ---- telling ---- */

/* The service manager's end of NOTIFY_SOCKET. */
struct fixture {
    int fd;
    char text[1024]; /* what it was sent last */
};

static int setup(void **state)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    struct fixture *f = calloc(1, sizeof(*f));
    socklen_t len = sizeof(addr);
    char path[sizeof(addr.sun_path) + 1];

    f->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(f->fd >= 0);
    /* The kernel chooses an abstract name, which systemd writes with '@'. */
    assert_int_equal(bind(f->fd, (struct sockaddr *)&addr, sizeof(sa_family_t)), 0);
    assert_int_equal(getsockname(f->fd, (struct sockaddr *)&addr, &len), 0);
    (void)snprintf(path, sizeof(path), "@%.*s",
                   (int)(len - offsetof(struct sockaddr_un, sun_path) - 1),
                   addr.sun_path + 1);
    setenv("NOTIFY_SOCKET", path, 1);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    close(f->fd);
    free(f);
    return 0;
}

/* The next datagram as text; "" when there is none. */
static const char *receive(struct fixture *f)
{
    ssize_t n = recv(f->fd, f->text, sizeof(f->text) - 1, 0);

    f->text[n > 0 ? n : 0] = '\0';
    return f->text;
}

/* Each state is one datagram in the form of sd_notify(3). */
static void test_state_is_sent(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(notify_ready(), 1);
    assert_string_equal(receive(f), "READY=1");
    assert_int_equal(notify_stopping(), 1);
    assert_string_equal(receive(f), "STOPPING=1");
    assert_int_equal(notify_watchdog(), 1);
    assert_string_equal(receive(f), "WATCHDOG=1");
    assert_int_equal(notify_extend_timeout(90 * CO_SECOND), 1);
    assert_string_equal(receive(f), "EXTEND_TIMEOUT_USEC=90000000");
    assert_string_equal(receive(f), "");
}

/* A reload carries the monotonic time at which it began, in microseconds. */
static void test_reloading_carries_the_time(void **state)
{
    struct fixture *f = *state;
    const char prefix[] = "RELOADING=1\nMONOTONIC_USEC=";
    struct timespec now;
    long long usec;

    assert_int_equal(notify_reloading(), 1);
    assert_memory_equal(receive(f), prefix, strlen(prefix));
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    usec = strtoll(f->text + strlen(prefix), NULL, 10);
    assert_in_range(usec, (now.tv_sec - 60) * 1000000LL, (now.tv_sec + 1) * 1000000LL);
}

/* A status is one line whatever is in it, so that it cannot set another field. */
static void test_status_is_one_line(void **state)
{
    struct fixture *f = *state;
    char text[2000];

    assert_int_equal(notify_status("%d of %d\nMAINPID=1\x7f\tgr\u00fcn", 3, 4), 1);
    assert_string_equal(receive(f), "STATUS=3 of 4 MAINPID=1  gr\u00fcn");
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(notify_status("%s", text), 1);
    assert_int_equal(strlen(receive(f)), strlen("STATUS=") + 511);
}

/* An errno is passed on; one of the library's own codes, which systemd cannot know, is
 * EIO. */
static void test_error_is_sent_as_errno_and_text(void **state)
{
    struct fixture *f = *state;
    char expected[256];

    assert_int_equal(notify_error(-EADDRINUSE), 1);
    (void)snprintf(expected, sizeof(expected), "STATUS=%s\nERRNO=%d",
                   co_strerror(-EADDRINUSE), EADDRINUSE);
    assert_string_equal(receive(f), expected);
    assert_int_equal(notify_error(CO_ESTATE), 1);
    (void)snprintf(expected, sizeof(expected), "STATUS=%s\nERRNO=%d",
                   co_strerror(CO_ESTATE), EIO);
    assert_string_equal(receive(f), expected);
}

/* Without a service manager, telling does nothing; one that has gone is an error. */
static void test_state_without_a_listener(void **state)
{
    struct fixture *f = *state;

    setenv("NOTIFY_SOCKET", "@corod-test/nobody/is/here", 1);
    assert_int_equal(notify_ready(), -ECONNREFUSED);
    unsetenv("NOTIFY_SOCKET");
    assert_int_equal(notify_ready(), 0);
    assert_int_equal(notify_status("x"), 0);
    assert_string_equal(receive(f), "");
}

/* The interval is what the environment says, if it says it to this process. */
static void test_watchdog_interval_follows_the_environment(void **state)
{
    char pid[32];

    (void)state;
    assert_int_equal(notify_watchdog_interval(), 0);
    setenv("WATCHDOG_USEC", "10000000", 1);
    assert_int_equal(notify_watchdog_interval(), 10 * CO_SECOND);
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(notify_watchdog_interval(), 10 * CO_SECOND);
    setenv("WATCHDOG_PID", "1", 1);
    assert_int_equal(notify_watchdog_interval(), 0);
    setenv("WATCHDOG_PID", pid, 1);
    setenv("WATCHDOG_USEC", "18446744073709551614", 1);
    assert_int_equal(notify_watchdog_interval(), CO_NEVER);
    setenv("WATCHDOG_USEC", "soon", 1);
    assert_int_equal(notify_watchdog_interval(), 0);
}

/* ---- sockets ---- */

/*
 * Passed descriptors begin at 3, where a test runner has its own: each of these tests
 * runs in a child, which lays its sockets there, and ends with 0 or the line that failed.
 */
typedef int (*child_fn)(void);

#define EXPECT(condition)    \
    do {                     \
        if (!(condition))    \
            return __LINE__; \
    } while (0)

static void run_child(child_fn fn)
{
    pid_t pid;
    int status;

    (void)fflush(NULL); /* the child would write it again */
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int line;

        /* cmocka would go on with the next test, in the child. */
        (void)signal(SIGSEGV, SIG_DFL);
        (void)signal(SIGABRT, SIG_DFL);
        line = fn();
        if (line)
            (void)dprintf(2, "test_notify.c:%d does not hold\n", line);
        exit(line != 0); /* not _exit(): leaks are looked for */
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* A bound socket on 127.0.0.1 with a port of the kernel's choice, and its address. */
static int open_socket(int type, bool listens, struct co_addr *out_addr)
{
    int fd = socket(AF_INET, type, 0);
    struct co_addr addr = { .len = sizeof(addr.in) };

    addr.in.sin_family = AF_INET;
    addr.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, &addr.sa, addr.len) < 0 || (listens && listen(fd, 8) < 0) ||
        getsockname(fd, &addr.sa, &addr.len) < 0)
        _exit(2);
    *out_addr = addr;
    return fd;
}

static int open_listener(struct co_addr *out_addr)
{
    return open_socket(SOCK_STREAM, true, out_addr);
}

/* Lays fds[n] to 3 and on, and says so in the environment, as systemd does. */
static void pass(const int *fds, int n, const char *names)
{
    int kept[8];
    char text[32];

    for (int i = 0; i < n; i++)
        kept[i] = fcntl(fds[i], F_DUPFD, 64);
    for (int i = 0; i < n; i++)
        if (dup2(kept[i], FIRST_FD + i) < 0 || close(kept[i]) < 0)
            _exit(2);
    (void)snprintf(text, sizeof(text), "%d", n);
    setenv("LISTEN_FDS", text, 1);
    (void)snprintf(text, sizeof(text), "%d", (int)getpid());
    setenv("LISTEN_PID", text, 1);
    if (names)
        setenv("LISTEN_FDNAMES", names, 1);
}

/* What was reported unused. */
struct unused {
    size_t n;
    int fd[8];
    char name[8][32];
    bool is_listener[8];
};

static void on_unused(void *ctx, const struct notify_socket *s)
{
    struct unused *u = ctx;

    u->fd[u->n] = s->fd;
    u->is_listener[u->n] = s->is_listener;
    (void)snprintf(u->name[u->n++], sizeof(u->name[0]), "%s", s->name);
}

static int take_nothing(void)
{
    struct notify_sockets sockets;

    EXPECT(notify_take_sockets(&sockets) == 0);
    EXPECT(sockets.n == 0);
    notify_sockets_fini(&sockets, NULL, NULL);
    return 0;
}

/* A process that was passed nothing has an empty set. */
static void test_take_without_sockets(void **state)
{
    (void)state;
    run_child(take_nothing);
}

static int take_for_another_process(void)
{
    struct notify_sockets sockets;
    struct co_addr addr;

    pass((int[]){ open_listener(&addr) }, 1, "web");
    setenv("LISTEN_PID", "1", 1);
    EXPECT(notify_take_sockets(&sockets) == 0);
    EXPECT(sockets.n == 0);
    notify_sockets_fini(&sockets, NULL, NULL);
    EXPECT(fcntl(FIRST_FD, F_GETFD) == 0);
    return 0;
}

/* Sockets that were meant for the parent are left alone. */
static void test_take_ignores_another_process(void **state)
{
    (void)state;
    run_child(take_for_another_process);
}

static int take_one(void)
{
    struct notify_sockets sockets;
    struct co_addr addr;

    pass((int[]){ open_listener(&addr) }, 1, "web");
    EXPECT(notify_take_sockets(&sockets) == 0);
    EXPECT(sockets.n == 1 && sockets.items[0].fd == FIRST_FD);
    EXPECT(strcmp(sockets.items[0].name, "web") == 0);
    EXPECT(sockets.items[0].is_listener);
    EXPECT(co_addr_equal(&sockets.items[0].addr, &addr));
    EXPECT(fcntl(FIRST_FD, F_GETFD) & FD_CLOEXEC);
    EXPECT(fcntl(FIRST_FD, F_GETFL) & O_NONBLOCK);
    EXPECT(!getenv("LISTEN_FDS") && !getenv("LISTEN_PID") && !getenv("LISTEN_FDNAMES"));
    notify_sockets_fini(&sockets, NULL, NULL);
    EXPECT(sockets.n == 0 && !sockets.items);
    EXPECT(fcntl(FIRST_FD, F_GETFD) < 0);
    return take_nothing();
}

/* What is taken is close-on-exec and non-blocking, and is passed to nobody else. */
static void test_take_prepares_sockets(void **state)
{
    (void)state;
    run_child(take_one);
}

static int match_best(void)
{
    struct notify_sockets sockets;
    struct co_addr addr[4], other;
    int fds[4];
    struct notify_want wants[4];

    EXPECT(co_addr_parse("127.0.0.1:1", &other) == 0);
    for (int i = 0; i < 4; i++)
        fds[i] = open_listener(&addr[i]);
    pass(fds, 4, "web:web:corod.socket:admin");
    /* The first want fits socket 0 by name, but that is just what the second asked for.
     */
    wants[0] = (struct notify_want){ "web", &other, -1 };
    wants[1] = (struct notify_want){ "web", &addr[0], -1 };
    wants[2] = (struct notify_want){ "mail", &addr[2], -1 };
    wants[3] = (struct notify_want){ "none", &other, -1 };
    EXPECT(notify_take_sockets(&sockets) == 0);
    EXPECT(notify_sockets_match(&sockets, wants, 4) == 3);
    EXPECT(wants[0].fd == FIRST_FD + 1);
    EXPECT(wants[1].fd == FIRST_FD);
    EXPECT(wants[2].fd == FIRST_FD + 2);
    EXPECT(wants[3].fd == -1);
    notify_sockets_fini(&sockets, NULL, NULL);
    EXPECT(fcntl(wants[0].fd, F_GETFD) >= 0);
    EXPECT(fcntl(FIRST_FD + 3, F_GETFD) < 0);
    return 0;
}

/* Name and address count most, then the name, then the address. */
static void test_match_gives_each_want_what_fits_best(void **state)
{
    (void)state;
    run_child(match_best);
}

static int match_twice(void)
{
    struct notify_sockets sockets;
    struct co_addr addr[3];
    struct notify_want wants[2];

    pass((int[]){ open_listener(&addr[0]), open_listener(&addr[1]),
                  open_listener(&addr[2]) },
         3, "web:web:web");
    wants[0] = wants[1] = (struct notify_want){ "web", &addr[0], -1 };
    EXPECT(notify_take_sockets(&sockets) == 0);
    EXPECT(notify_sockets_match(&sockets, wants, 2) == 2);
    EXPECT(wants[0].fd == FIRST_FD && wants[1].fd == FIRST_FD + 1);
    EXPECT(notify_sockets_match(&sockets, wants, 2) == 0);
    EXPECT(wants[0].fd == FIRST_FD && wants[1].fd == FIRST_FD + 1);
    EXPECT(sockets.items[2].fd == FIRST_FD + 2);
    notify_sockets_fini(&sockets, NULL, NULL);
    return 0;
}

/* A socket is given out once, and who has one gets no other. */
static void test_match_gives_a_socket_once(void **state)
{
    (void)state;
    run_child(match_twice);
}

static int match_unfit(void)
{
    struct notify_sockets sockets;
    struct unused unused = { 0 };
    struct co_addr addr;
    struct notify_want want = { "web", &addr, -1 };
    int fds[] = { open("/dev/null", O_RDONLY), open_socket(SOCK_DGRAM, false, &addr),
                  open_socket(SOCK_STREAM, false, &addr) };

    pass(fds, 3, "web:web:web");
    EXPECT(notify_take_sockets(&sockets) == 0);
    EXPECT(notify_sockets_match(&sockets, &want, 1) == 0);
    EXPECT(want.fd == -1);
    notify_sockets_fini(&sockets, on_unused, &unused);
    EXPECT(unused.n == 3 && unused.fd[0] == FIRST_FD);
    for (size_t i = 0; i < 3; i++) {
        EXPECT(strcmp(unused.name[i], "web") == 0 && !unused.is_listener[i]);
        EXPECT(fcntl(FIRST_FD + (int)i, F_GETFD) < 0);
    }
    return 0;
}

/* Only a listening stream socket is given out; whatever else came is reported and closed.
 */
static void test_match_skips_what_does_not_listen(void **state)
{
    (void)state;
    run_child(match_unfit);
}

static int take_closed(void)
{
    struct notify_sockets sockets = { .n = 77 };
    struct co_addr addr;

    pass((int[]){ open_listener(&addr) }, 1, "web");
    close(FIRST_FD);
    EXPECT(notify_take_sockets(&sockets) == -EBADF);
    EXPECT(sockets.n == 77);
    return 0;
}

/* An environment that names a descriptor which is not open is an error. */
static void test_take_fails_for_a_closed_descriptor(void **state)
{
    (void)state;
    run_child(take_closed);
}

static int report_leftovers(void)
{
    struct notify_sockets sockets;
    struct unused unused = { 0 };
    struct co_addr addr[2];
    struct notify_want want = { "a", &addr[0], -1 };

    pass((int[]){ open_listener(&addr[0]), open_listener(&addr[1]) }, 2, NULL);
    EXPECT(notify_take_sockets(&sockets) == 0);
    EXPECT(notify_sockets_match(&sockets, &want, 1) == 1);
    notify_sockets_fini(&sockets, on_unused, &unused);
    EXPECT(unused.n == 1 && unused.fd[0] == FIRST_FD + 1 && unused.is_listener[0]);
    EXPECT(strcmp(unused.name[0], "unknown") == 0);
    EXPECT(fcntl(FIRST_FD + 1, F_GETFD) < 0 && fcntl(FIRST_FD, F_GETFD) >= 0);
    return 0;
}

/* Sockets without a name match by address; one that nobody wants is reported and closed.
 */
static void test_fini_reports_leftovers(void **state)
{
    (void)state;
    run_child(report_leftovers);
}

static int take_without_memory(void)
{
    struct notify_sockets sockets = { .n = 77 };
    struct co_addr addr;

    pass((int[]){ open_listener(&addr) }, 1, "web");
    fault_after(1);
    EXPECT(notify_take_sockets(&sockets) == -ENOMEM);
    fault_off();
    EXPECT(sockets.n == 77);
    return 0;
}

/* Without memory the set is not written. */
static void test_take_fails_without_memory(void **state)
{
    (void)state;
    run_child(take_without_memory);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_state_is_sent),
        TEST(test_reloading_carries_the_time),
        TEST(test_status_is_one_line),
        TEST(test_error_is_sent_as_errno_and_text),
        TEST(test_state_without_a_listener),
        TEST(test_watchdog_interval_follows_the_environment),
        cmocka_unit_test(test_take_without_sockets),
        cmocka_unit_test(test_take_ignores_another_process),
        cmocka_unit_test(test_take_prepares_sockets),
        cmocka_unit_test(test_match_gives_each_want_what_fits_best),
        cmocka_unit_test(test_match_gives_a_socket_once),
        cmocka_unit_test(test_match_skips_what_does_not_listen),
        cmocka_unit_test(test_take_fails_for_a_closed_descriptor),
        cmocka_unit_test(test_fini_reports_leftovers),
        cmocka_unit_test(test_take_fails_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
