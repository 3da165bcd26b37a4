/* Tests of daemon/conn.c: the life of a connection on its worker. */
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemon_fixture.h"

#define LIMITED(limits)                                                             \
    "[listener:web]\naddress = 127.0.0.1:0\nprotocol = a\n" limits DAEMON_PROTOCOL( \
        "a", "talk", "one")

static unsigned n_serves(void)
{
    return atomic_load(&talk_counts.n_serves);
}

static unsigned n_closed(void)
{
    return atomic_load(&talk_counts.n_closed);
}

static int last_error(void)
{
    return atomic_load(&talk_counts.last_error);
}

static bool is_over(const struct daemon_fixture *f)
{
    return f->s.admission.n_conns == 0;
}

/* As the supervisor does it. */
static void drain(struct daemon_fixture *f)
{
    for (size_t i = 0; i < f->s.n_listeners; i++)
        service_set_stale(f->s.listeners[i].service);
    daemon_order(f, offsetof(struct worker, drain));
    daemon_sync(f);
}

static void cut(struct daemon_fixture *f)
{
    daemon_order(f, offsetof(struct worker, cut));
    daemon_sync(f);
}

/* A connection that says nothing is not served, and holds no stack. */
static void test_serve_waits_for_the_first_byte(void **state)
{
    struct daemon_fixture *f = *state;
    int client;

    daemon_start(f, DAEMON_INI, 1);
    client = daemon_connect(f, 0);
    daemon_sync(f);
    assert_int_equal(n_serves(), 0);
    client_send(client, "p");
    client_expect(client, "p:one:1\n");
    close(client);
}

/* Bytes that are there before the worker has the connection are served. */
static void test_serve_of_input_that_came_before_the_adoption(void **state)
{
    struct daemon_fixture *f = *state;
    int client, server;

    daemon_start(f, DAEMON_INI, 1);
    client = client_pair(&server);
    client_send(client, "c");
    daemon_hand_over(f, 0, server);
    client_expect(client, "c:one:1\n");
    client_expect_end(client);
    close(client);
}

/* Each message after a park is served anew; the plugin's data is kept. */
static void test_park_keeps_data(void **state)
{
    struct daemon_fixture *f = *state;
    int client;

    daemon_start(f, DAEMON_INI, 1);
    client = daemon_connect(f, 0);
    client_send(client, "p");
    client_expect(client, "p:one:1\n");
    client_send(client, "p");
    client_expect(client, "p:one:2\n");
    assert_int_equal(n_closed(), 0);
    close(client);
    daemon_until(f, is_over(f));
    assert_int_equal(n_closed(), 1);
}

/* A park with input at hand serves again at once. */
static void test_park_with_input_at_hand(void **state)
{
    struct daemon_fixture *f = *state;
    int client;

    daemon_start(f, DAEMON_INI, 1);
    client = daemon_connect(f, 0);
    client_send(client, "ppwpc");
    client_expect(client, "p:one:1\np:one:2\nw:one:3\np:one:3\nc:one:4\n");
    client_expect_end(client);
    close(client);
}

/* A close flushes, ends the connection and gives it back, once. */
static void test_close_ends_the_connection(void **state)
{
    struct daemon_fixture *f = *state;
    int client;

    daemon_start(f, DAEMON_INI, 1);
    client = daemon_connect(f, 0);
    client_send(client, "c");
    client_expect(client, "c:one:1\n");
    client_expect_end(client);
    daemon_until(f, is_over(f));
    daemon_sync(f);
    assert_int_equal(f->s.admission.n_conns, 0);
    assert_int_equal(f->s.listeners[0].n_conns, 0);
    assert_int_equal(f->s.admission.loads[0], 0);
    assert_int_equal(n_closed(), 1);
    close(client);
}

/* The last output is sent however slowly the client reads. */
static void test_close_flushes(void **state)
{
    enum { FLOOD = 1 << 20 };
    struct daemon_fixture *f = *state;
    static char buffer[FLOOD];
    size_t len = 0;
    int client;

    daemon_start(f, DAEMON_INI, 1);
    client = daemon_connect(f, 0);
    client_send(client, "f");
    while (len < FLOOD) {
        ssize_t n = recv(client, buffer, FLOOD - len, 0);

        assert_true(n > 0);
        len += (size_t)n;
    }
    client_expect(client, "f:one:1\n");
    client_expect_end(client);
    close(client);
}

/* A plugin whose server speaks first is called without waiting, and then as any other. */
static void test_on_accept_speaks_first(void **state)
{
    struct daemon_fixture *f = *state;
    int client;

    daemon_start(f, DAEMON_LISTENER("web", "a") DAEMON_PROTOCOL("a", "first", "one"), 1);
    client = daemon_connect(f, 0);
    client_expect(client, "hi:one:1\n");
    client_send(client, "p");
    client_expect(client, "p:one:2\n");
    close(client);
}

/* serve() is told of an end of input, the first time and when parked. */
static void test_end_of_input_is_served(void **state)
{
    static const char *const before[] = { "", "p", "w" };
    struct daemon_fixture *f = *state;

    daemon_start(f, DAEMON_INI, 1);
    for (size_t i = 0; i < N_ELEMENTS(before); i++) {
        int client = daemon_connect(f, 0);
        char reply[16];

        atomic_store(&talk_counts.last_error, 0);
        client_send(client, before[i]);
        if (before[i][0])
            client_read_line(client, reply, sizeof(reply));
        assert_int_equal(shutdown(client, SHUT_WR), 0);
        client_expect_end(client);
        daemon_until(f, is_over(f));
        assert_int_equal(last_error(), CO_EEOF);
        assert_int_equal(n_closed(), i + 1);
        close(client);
    }
}

/* A reset ends the connection in every state. */
static void test_reset(void **state)
{
    static const char *const before[] = { "", "p", "w" };
    struct daemon_fixture *f = *state;

    daemon_start(f, DAEMON_INI, 1);
    for (size_t i = 0; i < N_ELEMENTS(before); i++) {
        int client = daemon_connect(f, 0);
        char reply[16];

        daemon_sync(f);
        client_send(client, before[i]);
        if (before[i][0])
            client_read_line(client, reply, sizeof(reply));
        client_reset(client);
        daemon_until(f, is_over(f));
    }
    assert_int_equal(last_error(), -ECONNRESET);
}

/* One that only ever waited is closed without a call of the plugin. */
static void test_idle_timeout_of_a_waiting_connection(void **state)
{
    struct daemon_fixture *f = *state;
    int client;

    daemon_start(f, LIMITED("idle_timeout = 30ms\n"), 1);
    client = daemon_connect(f, 0);
    client_expect_end(client);
    daemon_until(f, is_over(f));
    assert_int_equal(n_serves(), 0);
    assert_int_equal(n_closed(), 0);
    close(client);
}

/* One that was served once has its data freed when its time is over. */
static void test_idle_timeout_of_a_parked_connection(void **state)
{
    struct daemon_fixture *f = *state;
    int client;

    daemon_start(f, LIMITED("idle_timeout = 100ms\n"), 1);
    client = daemon_connect(f, 0);
    client_send(client, "p");
    client_expect(client, "p:one:1\n");
    client_expect_end(client);
    daemon_until(f, is_over(f));
    assert_int_equal(n_serves(), 1);
    assert_int_equal(n_closed(), 1);
    close(client);
}

/* In a serve() that reads, the limit is the read's error. */
static void test_idle_timeout_in_serve(void **state)
{
    struct daemon_fixture *f = *state;
    int client;

    daemon_start(f, LIMITED("idle_timeout = 100ms\n"), 1);
    client = daemon_connect(f, 0);
    client_send(client, "w");
    client_expect(client, "w:one:1\n");
    client_expect_end(client);
    daemon_until(f, is_over(f));
    assert_int_equal(last_error(), -ETIMEDOUT);
    close(client);
}

/* A drain ends what waits, served before or not. */
static void test_drain_ends_waiting_connections(void **state)
{
    struct daemon_fixture *f = *state;
    int fresh, parked;

    daemon_start(f, DAEMON_INI, 1);
    fresh = daemon_connect(f, 0);
    parked = daemon_connect(f, 0);
    client_send(parked, "p");
    client_expect(parked, "p:one:1\n");
    drain(f);
    client_expect_end(fresh);
    client_expect_end(parked);
    daemon_until(f, is_over(f));
    assert_int_equal(n_closed(), 1);
    close(fresh);
    close(parked);
}

/* What runs goes on through a drain, and ends when it parks. */
static void test_drain_lets_running_connections_finish(void **state)
{
    struct daemon_fixture *f = *state;
    int client;

    daemon_start(f, DAEMON_INI, 1);
    client = daemon_connect(f, 0);
    client_send(client, "w");
    client_expect(client, "w:one:1\n");
    drain(f);
    client_send(client, "w");
    client_expect(client, "w:one:1\n");
    assert_int_equal(f->s.admission.n_conns, 1);
    client_send(client, "p");
    client_expect(client, "p:one:1\n");
    client_expect_end(client);
    daemon_until(f, is_over(f));
    close(client);
}

/* One that arrives during a drain is closed. */
static void test_drain_takes_no_new_connections(void **state)
{
    struct daemon_fixture *f = *state;
    int client;

    daemon_start(f, DAEMON_INI, 1);
    drain(f);
    client = daemon_connect(f, 0);
    client_expect_end(client);
    daemon_until(f, is_over(f));
    close(client);
}

/* A cut cancels what runs, and does not linger with a client that stays. */
static void test_cut_cancels(void **state)
{
    struct daemon_fixture *f = *state;
    int client;

    daemon_start(f, LIMITED("linger_timeout = 1h\n"), 1);
    client = daemon_connect(f, 0);
    client_send(client, "s");
    client_expect(client, "s:one:1\n");
    drain(f);
    assert_int_equal(f->s.admission.n_conns, 1);
    cut(f);
    daemon_until(f, is_over(f));
    assert_int_equal(last_error(), CO_ECANCELLED);
    assert_int_equal(n_closed(), 1);
    close(client);
}

/* A cut drops output that nobody takes, and one that lingers. */
static void test_cut_ends_closing_connections(void **state)
{
    struct daemon_fixture *f = *state;
    int slow, lingering;

    daemon_start(f, LIMITED("linger_timeout = 1h\nwrite_timeout = 0\n"), 1);
    slow = daemon_connect(f, 0);
    lingering = daemon_connect(f, 0);
    client_send(slow, "f");
    client_send(lingering, "c");
    client_expect(lingering, "c:one:1\n");
    client_expect_end(lingering);
    daemon_until(f, n_serves() == 2);
    drain(f);
    assert_int_equal(f->s.admission.n_conns, 2);
    cut(f);
    daemon_until(f, is_over(f));
    assert_int_equal(n_closed(), 2);
    close(slow);
    close(lingering);
}

/* A descriptor that the loop cannot watch is given back and closed; the worker says so. */
static void test_adopt_of_a_bad_descriptor(void **state)
{
    struct daemon_fixture *f = *state;

    daemon_start(f, DAEMON_INI, 1);
    daemon_hand_over(f, 0, open("/dev/null", O_RDWR | O_CLOEXEC));
    daemon_until(f, is_over(f));
    line_await(&f->lines, "cannot take over a connection: Operation not permitted");
    assert_int_equal(n_closed(), 0);
}

/* Without a stack the connection ends; the plugin never hears of it. */
static void test_serve_without_a_stack(void **state)
{
    struct daemon_fixture *f = *state;
    int client;

    daemon_start(f, DAEMON_LISTENER("web", "a") DAEMON_PROTOCOL("a", "huge", "one"), 1);
    client = daemon_connect(f, 0);
    client_send(client, "p");
    client_expect_reset(client);
    daemon_until(f, is_over(f));
    line_await(&f->lines, "cannot serve a connection: Argument list too long");
    assert_int_equal(n_serves(), 0);
    assert_int_equal(n_closed(), 0);
    close(client);
}

/* A crash report says whose connection it was, without the help of libc. */
static void test_describe(void **state)
{
    static const struct {
        const char *peer, *text;
    } cases[] = {
        { "192.0.2.7:1234", "from 192.0.2.7:1234" },
        { "[2001:db8::f]:80", "from [2001:0db8:0000:0000:0000:0000:0000:000f]:80" },
        { "unix:/x", "from unix:" },
    };
    struct daemon_fixture *f = *state;
    struct conn conn = { .pub.id = 42 };
    char want[128], text[128];

    daemon_start(f, DAEMON_INI, 1);
    conn.pub.service = &f->s.listeners[0].service->pub;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct co_addr addr;

        assert_int_equal(co_addr_parse(cases[i].peer, &addr), 0);
        memcpy(&conn.pub.peer, &addr.sa, sizeof(conn.pub.peer));
        conn_describe(&conn, text, sizeof(text));
        (void)snprintf(want, sizeof(want), "plugin talk, listener web, connection 42 %s",
                       cases[i].text);
        assert_string_equal(text, want);
    }
    conn_describe(&conn, text, 12);
    assert_string_equal(text, "plugin talk");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, daemon_setup, daemon_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_serve_waits_for_the_first_byte),
        TEST(test_serve_of_input_that_came_before_the_adoption),
        TEST(test_park_keeps_data),
        TEST(test_park_with_input_at_hand),
        TEST(test_close_ends_the_connection),
        TEST(test_close_flushes),
        TEST(test_on_accept_speaks_first),
        TEST(test_end_of_input_is_served),
        TEST(test_reset),
        TEST(test_idle_timeout_of_a_waiting_connection),
        TEST(test_idle_timeout_of_a_parked_connection),
        TEST(test_idle_timeout_in_serve),
        TEST(test_drain_ends_waiting_connections),
        TEST(test_drain_lets_running_connections_finish),
        TEST(test_drain_takes_no_new_connections),
        TEST(test_cut_cancels),
        TEST(test_cut_ends_closing_connections),
        TEST(test_adopt_of_a_bad_descriptor),
        TEST(test_serve_without_a_stack),
        TEST(test_describe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
