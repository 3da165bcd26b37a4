/* Tests of daemon/reload.c: a new generation as a whole, or the old one goes on. */
#include "test.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon_fixture.h"
#include "fault.h"
#include "listen.h"

/* ---- in a daemon ---- */

#define LISTENER "[listener:web]\naddress = 127.0.0.1:0\nprotocol = p\n"
#define PROBE    "[protocol:p]\nplugin = probe\n"
#define ONE      "[server]\nworkers = 2\n" LISTENER PROBE "text = one\n"

static void reload(struct child_daemon *d, const char *ini)
{
    child_daemon_configure(d, ini);
    child_daemon_signal(d, SIGHUP);
}

static void stop(struct child_daemon *d)
{
    child_daemon_signal(d, SIGTERM);
    assert_int_equal(child_daemon_wait(d), 0);
}

static void ask(int client, const char *question, const char *answer)
{
    client_send(client, question);
    client_expect(client, answer);
}

/* Asks for the text until it is @text: what came with the reload's message may still be the
 * old one's. Then it stays. */
static void await_text(int client, const char *text)
{
    char line[64] = "";

    for (int i = 0; strcmp(line, text) != 0; i++) {
        assert_true(i < 1000);
        client_send(client, "text\n");
        client_read_line(client, line, sizeof(line));
    }
    client_send(client, "text\n");
    client_read_line(client, line, sizeof(line));
    assert_string_equal(line, text);
}

/* Parked connections and new ones get the new keys, the one that runs when it parks. */
static void test_reload_of_a_good_config(void **state)
{
    struct child_daemon *d = *state;
    struct co_addr addr = child_daemon_serve(d, ONE);
    int parked = client_connect(&addr), running = client_connect(&addr), fresh;

    ask(parked, "text\n", "one\n");
    ask(running, "hold\n", "holding\n");
    reload(d, "[server]\nworkers = 2\n" LISTENER PROBE "text = two\n");
    line_await(&d->lines, "reloaded: generation 2");
    await_text(parked, "two");
    ask(running, "bye\n", "bye\n");
    await_text(running, "two");
    fresh = client_connect(&addr);
    await_text(fresh, "two");
    close(parked);
    close(running);
    close(fresh);
    stop(d);
}

/* Limits and the log's level hold at once. */
static void test_reload_sets_limits(void **state)
{
    struct child_daemon *d = *state;
    struct co_addr addr = child_daemon_serve(d, ONE);
    int first = client_connect(&addr), second;

    ask(first, "text\n", "one\n");
    reload(d, "[server]\nworkers = 2\nlog_level = debug\n" LISTENER
              "max_connections = 1\nlinger_timeout = 0\n" PROBE);
    line_await(&d->lines, "reloaded: generation 2");
    second = client_connect(&addr);
    client_expect_end(second);
    line_await(&d->lines, "connection limit reached (max_connections of the listener)");
    client_send(first, "close\n");
    client_expect_end(first);
    line_await(&d->lines, "closed: ok"); /* at debug level */
    close(first);
    close(second);
    reload(d, "[server]\nworkers = 2\nmax_connections = 1\n" LISTENER PROBE);
    line_await(&d->lines, "reloaded: generation 3");
    first = client_connect(&addr);
    await_text(first, "probe");
    second = client_connect(&addr);
    client_expect_end(second);
    close(first);
    close(second);
    stop(d);
}

/* Each reason for which the old configuration goes on, and how it is told. */
static void test_reload_that_fails(void **state)
{
    static const struct {
        const char *ini, *message;
    } cases[] = {
        { "[server]\nworkers = 2\n" LISTENER PROBE "txet = two\n", "txet" },
        { "[server]\nlog_level = loud\n" LISTENER PROBE "text = two\n", "loud" },
        { LISTENER "[protocol:p]\nplugin = absent\n", "no plugin \"absent\"" },
        { LISTENER "[protocol:p]\nplugin = other_abi\n", "built for plugin ABI" },
        { LISTENER PROBE "text = two\nfail = yes\n",
          "reload: [protocol:p] plugin probe: told to fail" },
        { "", "reload: " },
    };
    struct child_daemon *d = *state;
    struct co_addr addr = child_daemon_serve(d, ONE);
    int client = client_connect(&addr);

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        reload(d, cases[i].ini);
        line_await(&d->lines, cases[i].message);
        line_await(&d->lines, "reload failed");
        ask(client, "text\n", "one\n");
    }
    unlink(d->path);
    child_daemon_signal(d, SIGHUP);
    line_await(&d->lines, "No such file or directory");
    ask(client, "text\n", "one\n");
    reload(d, LISTENER PROBE "text = two\n");
    line_await(&d->lines, "reloaded: generation 2");
    await_text(client, "two");
    close(client);
    stop(d);
}

/* What needs a restart is said; the rest is taken. */
static void test_reload_of_keys_that_need_a_restart(void **state)
{
    struct child_daemon *d = *state;
    struct co_addr addr = child_daemon_serve(d, ONE);
    int client;

    reload(d, "[server]\nworkers = 1\n[listener:web]\naddress = unix:@corod-never\n"
              "protocol = p\n" PROBE "text = two\nstart = other\n");
    line_await(&d->lines, "reload: [server] workers: takes effect at the next restart");
    line_await(&d->lines, "reload: [listener:web] address: takes effect");
    line_await(&d->lines, "reload: [protocol:p] start: takes effect");
    line_await(&d->lines, "reloaded: generation 2");
    client = client_connect(&addr);
    await_text(client, "two");
    close(client);
    stop(d);
}

/* A config that has none of the running listeners does not end with its reload. */
static void test_reload_that_renames_all_listeners(void **state)
{
    static const char renamed[] =
        "[listener:new]\naddress = 127.0.0.1:0\nprotocol = p\n" PROBE "text = two\n";
    struct child_daemon *d = *state;
    struct co_addr addr = child_daemon_serve(d, ONE);
    int client = client_connect(&addr);

    for (int i = 2; i < 5; i++) {
        char line[64];

        reload(d, renamed);
        (void)snprintf(line, sizeof(line), "reloaded: generation %d", i);
        line_await(&d->lines, line);
        ask(client, "text\n", "one\n");
    }
    close(client);
    stop(d);
}

/* Connections of a plugin that the listener has no more end with it; new ones get the other. */
static void test_reload_with_another_plugin(void **state)
{
    struct child_daemon *d = *state;
    struct co_addr addr = child_daemon_serve(d, ONE);
    int old = client_connect(&addr), new;

    ask(old, "text\n", "one\n");
    reload(d, LISTENER "[protocol:p]\nplugin = greet\n");
    line_await(&d->lines, "reloaded: generation 2");
    new = client_connect(&addr);
    client_expect(new, "hello\n");
    ask(old, "text\n", "one\n");
    close(old);
    close(new);
    stop(d);
}

/* Reloads under traffic lose no connection and no answer. */
static void test_reload_under_traffic(void **state)
{
    struct child_daemon *d = *state;
    struct co_addr addr = child_daemon_serve(d, ONE);
    int clients[8];
    char line[64];

    for (size_t i = 0; i < N_ELEMENTS(clients); i++)
        clients[i] = client_connect(&addr);
    for (int round = 0; round < 20; round++) {
        child_daemon_signal(d, SIGHUP);
        for (int j = 0; j < 20; j++) {
            for (size_t i = 0; i < N_ELEMENTS(clients); i++)
                client_send(clients[i], "text\n");
            for (size_t i = 0; i < N_ELEMENTS(clients); i++)
                client_expect(clients[i], "one\n");
        }
        (void)snprintf(line, sizeof(line), "reloaded: generation %d", round + 2);
        line_await(&d->lines, line);
    }
    for (size_t i = 0; i < N_ELEMENTS(clients); i++)
        close(clients[i]);
    stop(d);
}

/* ---- in the fixture ---- */

static char path[256];

static int setup(void **state)
{
    const char *folder = getenv("TMPDIR");
    int fd;

    (void)snprintf(path, sizeof(path), "%s/corod-XXXXXX", folder ? folder : "/tmp");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return daemon_setup(state);
}

static int teardown(void **state)
{
    unlink(path);
    return daemon_teardown(state);
}

static void write_config(const char *ini)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(ini, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static const struct config_source *source(void)
{
    static struct config_source source;

    source = (struct config_source){ .path = path, .plugins = talk_plugins };
    return &source;
}

struct failing_reload {
    struct supervisor *s;
    unsigned n;
};

static int run_reload(void *arg)
{
    struct failing_reload *reload = arg;

    if (reload->n > 0)
        fault_after(reload->n);
    supervisor_await_reload(reload->s);
    fault_off();
    return 0;
}

/* Reloads with the n-th allocation failing; 0: none. */
static void reload_failing(struct daemon_fixture *f, unsigned n)
{
    struct failing_reload reload = { &f->s, n };

    daemon_call(f, run_reload, &reload);
}

/* Each allocation may fail: either the old generation goes on whole, or the new one does. */
static void test_reload_without_memory(void **state)
{
    struct daemon_fixture *f = *state;
    struct generation *before;
    unsigned n = 0, n_failed = 0;
    int client;

    daemon_start(f, DAEMON_INI, 2);
    f->s.source = source();
    client = daemon_connect(f, 0);
    write_config(DAEMON_LISTENER("web", "a") DAEMON_PROTOCOL("a", "talk", "two"));
    do {
        before = f->s.generation;
        reload_failing(f, ++n);
        n_failed += f->s.generation == before;
        assert_true(f->s.generation != before || fault_hit());
        daemon_sync(f);
        client_send(client, "w");
        client_expect(client, f->s.n_generations > 0 ? "w:two:1\n" : "w:one:1\n");
        client_send(client, "c");
        client_expect(client, f->s.n_generations > 0 ? "c:two:1\n" : "c:one:1\n");
        close(client);
        client = daemon_connect(f, 0);
        (void)line_count(&f->lines, "");
    } while (fault_hit());
    assert_true(n_failed > 20);
    close(client);
}

/* The sockets get what their connections inherit. */
static void test_reload_sets_options_of_sockets(void **state)
{
    struct config_listener_options opt = { .backlog = 1, .nodelay = true };
    struct daemon_fixture *f = *state;
    struct acceptor acceptor = { .fd = -1 };
    int value;
    socklen_t len = sizeof(value);

    daemon_start(f, DAEMON_INI, 1);
    f->s.source = source();
    assert_int_equal(co_addr_parse("127.0.0.1:0", &acceptor.addr), 0);
    acceptor.fd = listen_open(&acceptor.addr, &opt);
    f->s.listeners[0].acceptors = &acceptor;
    f->s.listeners[0].n_acceptors = 1;
    write_config(
        DAEMON_LISTENER("web", "a") "nodelay = no\n" DAEMON_PROTOCOL("a", "talk", "one"));
    reload_failing(f, 0);
    assert_int_equal(getsockopt(acceptor.fd, IPPROTO_TCP, TCP_NODELAY, &value, &len), 0);
    assert_int_equal(value, 0);
    f->s.listeners[0].acceptors = NULL;
    f->s.listeners[0].n_acceptors = 0;
    close(acceptor.fd);
}

/* A drain is no time for a reload. */
static void test_reload_in_a_drain(void **state)
{
    struct daemon_fixture *f = *state;
    struct generation *before;

    daemon_start(f, DAEMON_INI, 1);
    f->s.source = source();
    before = f->s.generation;
    write_config(DAEMON_INI);
    f->s.is_draining = true;
    reload_failing(f, 0);
    line_await(&f->lines, "reload: not now");
    assert_ptr_equal(f->s.generation, before);
}

int main(void)
{
#define DAEMON_TEST(name) \
    cmocka_unit_test_setup_teardown(name, child_daemon_setup, child_daemon_teardown)
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        DAEMON_TEST(test_reload_of_a_good_config),
        DAEMON_TEST(test_reload_sets_limits),
        DAEMON_TEST(test_reload_that_fails),
        DAEMON_TEST(test_reload_of_keys_that_need_a_restart),
        DAEMON_TEST(test_reload_that_renames_all_listeners),
        DAEMON_TEST(test_reload_with_another_plugin),
        DAEMON_TEST(test_reload_under_traffic),
        TEST(test_reload_without_memory),
        TEST(test_reload_sets_options_of_sockets),
        TEST(test_reload_in_a_drain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
