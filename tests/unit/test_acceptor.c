/* Tests of daemon/acceptor.c: accepting, limits, running out of descriptors. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon_fixture.h"
#include "fault.h"
#include "listen.h"

#define TWO_LISTENERS         \
    DAEMON_LISTENER("x", "a") \
    "max_connections = 2\n" DAEMON_LISTENER("y", "a") DAEMON_PROTOCOL("a", "talk", "one")

/* Makes the listener's one acceptor, on an address. Returns where it is. */
static struct co_addr listen_on(struct daemon_fixture *f, size_t listener,
                                const char *text)
{
    static const struct config_listener_options opt = { .backlog = 200 };
    struct listener *l = &f->s.listeners[listener];

    l->acceptors = calloc(1, sizeof(struct acceptor));
    l->n_acceptors = 1;
    l->acceptors[0] = (struct acceptor){ .listener = l };
    assert_int_equal(co_addr_parse(text, &l->acceptors[0].addr), 0);
    l->acceptors[0].fd = listen_open(&l->acceptors[0].addr, &opt);
    assert_true(l->acceptors[0].fd >= 0);
    assert_int_equal(listen_address(l->acceptors[0].fd, &l->acceptors[0].addr), 0);
    assert_int_equal(acceptor_start(f->s.loop, &l->acceptors[0]), 0);
    return l->acceptors[0].addr;
}

/* Starts workers and the acceptor of the first listener. */
static struct co_addr serve(struct daemon_fixture *f, const char *ini, size_t n_workers)
{
    daemon_start(f, ini, n_workers);
    return listen_on(f, 0, "127.0.0.1:0");
}

static uint64_t n_decided(const struct daemon_fixture *f)
{
    return f->s.admission.n_accepted + f->s.admission.n_refused;
}

/* Connects, and lets the daemon decide. */
static int connect_and_decide(struct daemon_fixture *f, const struct co_addr *addr)
{
    uint64_t before = n_decided(f);
    int fd = client_connect(addr);

    daemon_until(f, n_decided(f) > before);
    return fd;
}

static void close_all(const int *fds, size_t n)
{
    for (size_t i = 0; i < n; i++)
        close(fds[i]);
}

/* What is accepted is served; its lines in the log say where it came from. */
static void test_accept(void **state)
{
    struct daemon_fixture *f = *state;
    struct co_addr addr = serve(f, DAEMON_INI, 1);
    int client = connect_and_decide(f, &addr);

    client_send(client, "c");
    client_expect(client, "c:one:1\n");
    client_expect_end(client);
    daemon_until(f, f->s.admission.n_conns == 0);
    assert_int_equal(f->s.admission.n_accepted, 1);
    assert_int_equal(f->s.admission.n_refused, 0);
    line_await(&f->lines, "web conn 1 127.0.0.1:");
    close(client);
}

/* A Unix socket's clients have no address. */
static void test_accept_on_a_unix_socket(void **state)
{
    struct daemon_fixture *f = *state;
    struct co_addr addr;
    char text[100];
    int client;

    (void)snprintf(text, sizeof(text), "unix:@corod-test-%d", (int)getpid());
    daemon_start(f, DAEMON_INI, 1);
    addr = listen_on(f, 0, text);
    client = connect_and_decide(f, &addr);
    client_send(client, "c");
    client_expect(client, "c:one:1\n");
    line_await(&f->lines, "web conn 1 unix:");
    close(client);
}

/* More than one batch is accepted whole, each with an id of its own. */
static void test_accept_many(void **state)
{
    enum { MANY = 150 };
    struct daemon_fixture *f = *state;
    struct co_addr addr = serve(f, DAEMON_INI, 1);
    int clients[MANY];

    for (size_t i = 0; i < MANY; i++)
        clients[i] = client_connect(&addr);
    daemon_until(f, n_decided(f) == MANY);
    assert_int_equal(f->s.admission.n_conns, MANY);
    assert_int_equal(f->s.admission.next_id, MANY + 1);
    close_all(clients, MANY);
    daemon_until(f, f->s.admission.n_conns == 0);
}

/* [server] max_connections is exact, over all listeners; one line tells of refusals. */
static void test_limit_of_the_server(void **state)
{
    struct daemon_fixture *f = *state;
    struct co_addr addr = serve(f, DAEMON_INI, 1);
    int clients[6];

    f->s.admission.max_connections = 3;
    for (size_t i = 0; i < N_ELEMENTS(clients); i++)
        clients[i] = client_connect(&addr);
    daemon_until(f, n_decided(f) == N_ELEMENTS(clients));
    assert_int_equal(f->s.admission.n_accepted, 3);
    assert_int_equal(f->s.admission.n_refused, 3);
    for (size_t i = 0; i < 3; i++) {
        client_send(clients[i], "p");
        client_expect(clients[i], "p:one:1\n");
        client_expect_end(clients[i + 3]);
    }
    logger_write(f->s.log, CO_LOG_INFO, NULL, "end");
    line_await(&f->lines,
               "web: connection limit reached ([server] max_connections): refused 1");
    assert_non_null(strstr(line_await(&f->lines, ""), "end"));
    close_all(clients, N_ELEMENTS(clients));
}

/* A listener's limit is its own: the other goes on. */
static void test_limit_of_a_listener(void **state)
{
    struct daemon_fixture *f = *state;
    struct co_addr x = serve(f, TWO_LISTENERS, 1);
    struct co_addr y = listen_on(f, 1, "127.0.0.1:0");
    int clients[6];

    for (size_t i = 0; i < N_ELEMENTS(clients); i++)
        clients[i] = connect_and_decide(f, i < 3 ? &x : &y);
    assert_int_equal(f->s.listeners[0].n_conns, 2);
    assert_int_equal(f->s.listeners[1].n_conns, 3);
    assert_int_equal(f->s.admission.n_conns, 5);
    client_expect_end(clients[2]);
    line_await(&f->lines,
               "x: connection limit reached (max_connections of the listener)");
    close_all(clients, N_ELEMENTS(clients));
}

/* A client that saw the end of one connection finds room for the next. */
static void test_no_false_refusal(void **state)
{
    struct daemon_fixture *f = *state;
    struct co_addr addr = serve(f, DAEMON_INI, 2);

    f->s.admission.max_connections = 1;
    for (int i = 0; i < 300; i++) {
        int client = connect_and_decide(f, &addr);

        assert_int_equal(f->s.admission.n_refused, 0);
        client_send(client, "c");
        client_expect(client, "c:one:1\n");
        client_expect_end(client);
        close(client);
    }
}

/* The least loaded worker gets the next, and equals take turns. */
static void test_least_loaded_worker(void **state)
{
    struct daemon_fixture *f = *state;
    struct co_addr addr = serve(f, DAEMON_INI, 3);
    const uint32_t *loads = f->s.admission.loads;
    int clients[9];

    for (size_t i = 0; i < 6; i++)
        clients[i] = connect_and_decide(f, &addr);
    assert_int_equal(loads[0], 2);
    assert_int_equal(loads[1], 2);
    assert_int_equal(loads[2], 2);
    /* The second of each three went to worker 2. */
    close(clients[1]);
    close(clients[4]);
    daemon_until(f, f->s.admission.n_conns == 4);
    assert_int_equal(loads[1], 0);
    for (size_t i = 6; i < 9; i++)
        clients[i] = connect_and_decide(f, &addr);
    assert_true(loads[1] >= 2);
    assert_int_equal(loads[0] + loads[1] + loads[2], 7);
    for (size_t i = 0; i < N_ELEMENTS(clients); i++) {
        if (i != 1 && i != 4)
            close(clients[i]);
    }
}

/* An error that concerns one connection does not keep the next from being accepted. */
static void test_passing_errors(void **state)
{
    static const int errors[] = { ECONNABORTED, EINTR, EPROTO, EPERM, ETIMEDOUT };
    struct daemon_fixture *f = *state;
    struct co_addr addr = serve(f, DAEMON_INI, 1);

    for (size_t i = 0; i < N_ELEMENTS(errors); i++) {
        int client = client_connect(&addr);

        fault_arm(FAULT_FD, 1, errors[i]);
        daemon_until(f, n_decided(f) == i + 1);
        assert_true(fault_hit());
        close(client);
    }
    assert_int_equal(f->s.admission.n_accepted, N_ELEMENTS(errors));
    assert_int_equal(line_count(&f->lines, "cannot accept"), 0);
}

/* Leaves the process no descriptor more than it has. Returns the limit before. */
static struct rlimit exhaust_descriptors(void)
{
    struct rlimit before, limit;
    int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);

    close(lowest);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = before;
    limit.rlim_cur = (rlim_t)lowest;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    return before;
}

/* Valgrind has a limit of its own: it accepts, then closes and says EMFILE. */
static bool is_under_valgrind(void)
{
    const char *preload = getenv("LD_PRELOAD");

    return preload && strstr(preload, "vgpreload");
}

/* Without descriptors clients are refused, not left hanging; with some again, served. */
static void test_no_descriptors_left(void **state)
{
    struct daemon_fixture *f = *state;
    struct co_addr addr = serve(f, DAEMON_INI, 1);
    struct rlimit before;
    int clients[4];

    if (is_under_valgrind()) {
        print_message("valgrind has a limit of its own\n");
        return;
    }
    f->s.admission.reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (size_t i = 0; i < 3; i++)
        clients[i] = client_connect(&addr);
    before = exhaust_descriptors();
    daemon_until(f, f->s.admission.n_refused == 3);
    for (size_t i = 0; i < 3; i++)
        client_expect_end(clients[i]);
    assert_int_equal(f->s.admission.n_accepted, 0);
    assert_true(f->s.admission.reserve_fd >= 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    line_await(&f->lines,
               "cannot accept: Too many open files; refused 3, pausing for 10 ms");
    clients[3] = connect_and_decide(f, &addr);
    client_send(clients[3], "p");
    client_expect(clients[3], "p:one:1\n");
    close_all(clients, N_ELEMENTS(clients));
}

/* The same, once: those in the backlog are refused by way of the reserve. */
static void test_no_descriptor_for_a_moment(void **state)
{
    struct daemon_fixture *f = *state;
    struct co_addr addr = serve(f, DAEMON_INI, 1);
    int clients[4];

    f->s.admission.reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (size_t i = 0; i < 3; i++)
        clients[i] = client_connect(&addr);
    fault_arm(FAULT_FD, 1, EMFILE);
    daemon_until(f, n_decided(f) == 3);
    fault_off();
    assert_int_equal(f->s.admission.n_refused, 3);
    assert_true(f->s.admission.reserve_fd >= 0);
    line_await(&f->lines,
               "cannot accept: Too many open files; refused 3, pausing for 10 ms");
    clients[3] = connect_and_decide(f, &addr);
    assert_int_equal(f->s.admission.n_accepted, 1);
    close_all(clients, N_ELEMENTS(clients));
}

/* A failure that lasts is tried again after each pause, and told of once a period. */
static void test_a_lasting_failure_is_told_once(void **state)
{
    struct daemon_fixture *f = *state;
    struct co_addr addr = serve(f, DAEMON_INI, 1);
    co_time begin;
    int client;

    daemon_step(f, 0);
    begin = co_loop_now(f->s.loop);
    client = client_connect(&addr);
    fault_arm_from(FAULT_FD, 1, ENOBUFS);
    daemon_until(f, fault_count(FAULT_FD) >= 6);
    /* Each try but the last was followed by a pause of 10 ms and took two calls at most. */
    assert_true(co_loop_now(f->s.loop) - begin >= 2 * 10 * CO_MSEC);
    fault_off();
    daemon_until(f, f->s.admission.n_accepted == 1);
    logger_write(f->s.log, CO_LOG_INFO, NULL, "end");
    line_await(&f->lines, "cannot accept: No buffer space available; refused 0");
    assert_non_null(strstr(line_await(&f->lines, ""), "end"));
    close(client);
}

/* Without memory for a connection it is refused, with the reason. */
static void test_no_memory_for_a_connection(void **state)
{
    struct daemon_fixture *f = *state;
    struct co_addr addr = serve(f, DAEMON_INI, 1);
    int clients[2];

    clients[0] = client_connect(&addr);
    fault_after(1);
    daemon_until(f, n_decided(f) == 1);
    fault_off();
    client_expect_end(clients[0]);
    line_await(&f->lines, "web: out of memory: refused 1");
    clients[1] = connect_and_decide(f, &addr);
    assert_int_equal(f->s.admission.n_accepted, 1);
    assert_int_equal(f->s.admission.n_refused, 1);
    close_all(clients, 2);
}

static int stop_first(void *arg)
{
    struct supervisor *s = arg;

    acceptor_await_stop(&s->listeners[0].acceptors[0]);
    return 0;
}

static bool has_backlog(int fd)
{
    struct pollfd pfd = { .fd = fd, .events = POLLIN };

    return poll(&pfd, 1, 0) == 1;
}

/* Waits until a connection has been taken and its admission not been decided. */
static int stop_while_it_decides(void *arg)
{
    struct supervisor *s = arg;
    struct acceptor *acceptor = &s->listeners[0].acceptors[0];

    while (has_backlog(acceptor->fd)) {
        if (co_await_yield() < 0)
            return -1;
    }
    acceptor_await_stop(acceptor);
    return 0;
}

/* A stop that finds the acceptor waiting for room ends it all the same. */
static void test_stop_while_full(void **state)
{
    struct daemon_fixture *f = *state;
    struct co_addr addr = serve(f, DAEMON_INI, 1);
    int clients[2];

    f->s.admission.max_connections = 1;
    clients[0] = connect_and_decide(f, &addr);
    clients[1] = client_connect(&addr);
    daemon_call(f, stop_while_it_decides, &f->s);
    assert_int_equal(f->s.admission.n_refused, 1);
    client_expect_end(clients[1]);
    client_send(clients[0], "p");
    client_expect(clients[0], "p:one:1\n");
    close_all(clients, 2);
}

struct blocker {
    struct co_handle handle;
    sem_t is_blocking, may_go;
};

static void block(struct co_handle *handle)
{
    struct blocker *b = CO_CONTAINER_OF(handle, struct blocker, handle);

    sem_post(&b->is_blocking);
    sem_wait(&b->may_go);
}

/* One that waits behind another for the workers' answers is stopped, and does not go on. */
static void test_stop_while_another_is_full(void **state)
{
    struct daemon_fixture *f = *state;
    struct blocker b = { .handle.run = block };
    struct co_addr x = serve(f, TWO_LISTENERS, 1);
    struct co_addr y = listen_on(f, 1, "127.0.0.1:0");
    int clients[4];

    f->s.admission.max_connections = 1;
    clients[0] = connect_and_decide(f, &x);
    sem_init(&b.is_blocking, 0, 0);
    sem_init(&b.may_go, 0, 0);
    co_loop_post(f->s.workers[0].loop, &b.handle);
    sem_wait(&b.is_blocking);
    /* The other asks, and has one more to decide on at once; the first waits for it. */
    clients[1] = client_connect(&y);
    clients[2] = client_connect(&y);
    daemon_until(f, f->s.admission.settling);
    clients[3] = client_connect(&x);
    daemon_until(f, !has_backlog(f->s.listeners[0].acceptors[0].fd));
    daemon_call(f, stop_first, &f->s);
    assert_int_equal(f->s.listeners[0].acceptors[0].fd, -1);
    sem_post(&b.may_go);
    daemon_until(f, n_decided(f) == 4);
    daemon_sync(f);
    sem_destroy(&b.is_blocking);
    sem_destroy(&b.may_go);
    close_all(clients, 4);
}

/* The number that says that no question is out is none of a question. */
static void test_settle_round_goes_round(void **state)
{
    struct daemon_fixture *f = *state;
    struct co_addr addr = serve(f, DAEMON_INI, 1);
    int clients[2];

    f->s.admission.max_connections = 1;
    f->s.admission.settle_round = UINT_MAX;
    clients[0] = connect_and_decide(f, &addr);
    clients[1] = connect_and_decide(f, &addr);
    assert_int_equal(f->s.admission.n_refused, 1);
    assert_int_equal(f->s.admission.settle_round, 1);
    close_all(clients, 2);
}

/* A stop closes the socket: nobody can connect any more. */
static void test_stop_closes_the_socket(void **state)
{
    struct daemon_fixture *f = *state;
    struct co_addr addr = serve(f, DAEMON_INI, 1);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    daemon_call(f, stop_first, &f->s);
    assert_int_equal(f->s.listeners[0].acceptors[0].fd, -1);
    assert_int_equal(connect(fd, &addr.sa, addr.len), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
    daemon_call(f, stop_first, &f->s); /* once more does nothing */
}

/* A stop in a pause does not wait for its end. */
static void test_stop_in_a_pause(void **state)
{
    struct daemon_fixture *f = *state;
    struct co_addr addr = serve(f, DAEMON_INI, 1);
    int client;

    f->s.admission.backoff = 3600 * CO_SECOND;
    client = client_connect(&addr);
    fault_arm_from(FAULT_FD, 1, ENFILE);
    daemon_until(f, fault_hit());
    line_await(&f->lines, "cannot accept: Too many open files in system");
    daemon_call(f, stop_first, &f->s);
    fault_off();
    close(client);
}

/* The file of a Unix socket goes with it, unless it was passed by the service manager. */
static void test_stop_removes_a_unix_socket(void **state)
{
    struct daemon_fixture *f = *state;
    char path[64], text[80];

    (void)snprintf(path, sizeof(path), "/tmp/corod-acceptor-%d", (int)getpid());
    (void)snprintf(text, sizeof(text), "unix:%s", path);
    daemon_start(f, TWO_LISTENERS, 1);
    listen_on(f, 0, text);
    assert_int_equal(access(path, F_OK), 0);
    daemon_call(f, stop_first, &f->s);
    assert_int_equal(access(path, F_OK), -1);

    free(f->s.listeners[0].acceptors);
    listen_on(f, 0, text);
    f->s.listeners[0].acceptors[0].is_passed = true;
    daemon_call(f, stop_first, &f->s);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(unlink(path), 0);
}

/* A descriptor that cannot be watched is an error, and what was begun can be stopped. */
static void test_start_on_a_bad_descriptor(void **state)
{
    struct daemon_fixture *f = *state;
    struct listener *l;

    daemon_start(f, DAEMON_INI, 1);
    l = &f->s.listeners[0];
    l->acceptors = calloc(1, sizeof(struct acceptor));
    l->n_acceptors = 1;
    l->acceptors[0].fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(acceptor_start(f->s.loop, &l->acceptors[0]), -EPERM);
    daemon_call(f, stop_first, &f->s);
    assert_int_equal(l->acceptors[0].fd, -1);
}

static int await_empty(void *arg)
{
    struct supervisor *s = arg;
    int result;

    return co_future_await(&s->empty, CO_NEVER, &result);
}

/* Who waits for the last connection hears of it. */
static void test_empty_is_told(void **state)
{
    struct daemon_fixture *f = *state;
    int clients[2];

    daemon_start(f, DAEMON_INI, 1);
    co_future_init(&f->s.empty, f->s.loop);
    f->s.admission.empty = &f->s.empty;
    clients[0] = daemon_connect(f, 0);
    clients[1] = daemon_connect(f, 0);
    close(clients[0]);
    daemon_until(f, f->s.admission.n_conns == 1);
    assert_false(f->s.empty.is_done);
    close(clients[1]);
    daemon_call(f, await_empty, &f->s);
    assert_int_equal(f->s.admission.n_conns, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, daemon_setup, daemon_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_accept),
        TEST(test_accept_on_a_unix_socket),
        TEST(test_accept_many),
        TEST(test_limit_of_the_server),
        TEST(test_limit_of_a_listener),
        TEST(test_no_false_refusal),
        TEST(test_least_loaded_worker),
        TEST(test_passing_errors),
        TEST(test_no_descriptors_left),
        TEST(test_no_descriptor_for_a_moment),
        TEST(test_a_lasting_failure_is_told_once),
        TEST(test_no_memory_for_a_connection),
        TEST(test_stop_while_full),
        TEST(test_stop_while_another_is_full),
        TEST(test_settle_round_goes_round),
        TEST(test_stop_closes_the_socket),
        TEST(test_stop_in_a_pause),
        TEST(test_stop_removes_a_unix_socket),
        TEST(test_start_on_a_bad_descriptor),
        TEST(test_empty_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
