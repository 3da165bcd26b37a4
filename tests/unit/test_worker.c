/* Tests of daemon/worker.c: the thread, its orders, renewal. */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon_fixture.h"
#include "fault.h"

#define NEXT       DAEMON_LISTENER("web", "a") DAEMON_PROTOCOL("a", "talk", "two")
#define NEXT_OTHER DAEMON_LISTENER("web", "a") DAEMON_PROTOCOL("a", "other", "two")

/* Something that a worker runs for a test. */
struct errand {
    struct co_handle handle;
    sigset_t mask;
    char name[16];
};

static void look_around(struct co_handle *handle)
{
    struct errand *errand = CO_CONTAINER_OF(handle, struct errand, handle);

    pthread_sigmask(SIG_SETMASK, NULL, &errand->mask);
    pthread_getname_np(pthread_self(), errand->name, sizeof(errand->name));
}

static void run_on(struct daemon_fixture *f, size_t worker, struct co_handle *handle)
{
    co_loop_post(f->s.workers[worker].loop, handle);
    daemon_sync(f);
}

/* Workers are named by number, and signals are not theirs. */
static void test_start_makes_a_quiet_named_thread(void **state)
{
    struct daemon_fixture *f = *state;
    struct errand errand = { .handle.run = look_around };

    daemon_start(f, DAEMON_INI, 2);
    run_on(f, 1, &errand.handle);
    assert_string_equal(errand.name, "corod-2");
    assert_int_equal(sigismember(&errand.mask, SIGTERM), 1);
    assert_int_equal(sigismember(&errand.mask, SIGHUP), 1);
    pthread_sigmask(SIG_SETMASK, NULL, &errand.mask);
    assert_int_equal(sigismember(&errand.mask, SIGTERM), 0);
}

/* One more worker beside those of the fixture. */
struct lone {
    struct daemon_fixture *f;
    struct worker worker;
    int cpu;
};

static int start_and_join(void *ctx)
{
    struct lone *lone = ctx;
    struct supervisor *s = &lone->f->s;
    int r =
        worker_start(&lone->worker, &s->setup, 6, lone->cpu, &s->listeners[0].service);

    if (r == 0)
        co_loop_post(lone->worker.loop, &lone->worker.stop);
    worker_join(&lone->worker);
    return r;
}

/* A start that fails leaves something that can be joined, and no hold. */
static void test_start_without_memory(void **state)
{
    struct lone lone = { .f = *state, .cpu = -1 };
    struct service *service;

    daemon_start(lone.f, DAEMON_INI, 1);
    service = lone.f->s.listeners[0].service;
    assert_int_equal(fault_walk(start_and_join, &lone), 1);
    assert_int_equal(atomic_load(&service->refs), 3); /* generation, listener, worker 0 */
    worker_join(&lone.worker);
}

static int first_cpu(void)
{
    cpu_set_t set;
    int cpu = 0;

    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    while (!CPU_ISSET(cpu, &set))
        cpu++;
    return cpu;
}

/* A pinned worker stays on its CPU. */
static void test_start_on_a_cpu(void **state)
{
    struct lone lone = { .f = *state, .cpu = first_cpu() };
    struct supervisor *s = &lone.f->s;
    cpu_set_t set;

    daemon_start(lone.f, DAEMON_INI, 1);
    assert_int_equal(
        worker_start(&lone.worker, &s->setup, 6, lone.cpu, &s->listeners[0].service), 0);
    assert_int_equal(pthread_getaffinity_np(lone.worker.thread, sizeof(set), &set), 0);
    assert_int_equal(CPU_COUNT(&set), 1);
    assert_true(CPU_ISSET(lone.cpu, &set));
    co_loop_post(lone.worker.loop, &lone.worker.stop);
    worker_join(&lone.worker);
}

/* A CPU that is not there is no reason not to serve. */
static void test_start_on_a_cpu_that_is_not_there(void **state)
{
    struct lone lone = { .f = *state, .cpu = CPU_SETSIZE - 1 };

    daemon_start(lone.f, DAEMON_INI, 1);
    assert_int_equal(start_and_join(&lone), 0);
    line_await(&lone.f->lines, "worker 7 cannot stay on CPU 1023: Invalid argument");
}

/* A parked connection is served by the new instance, with the data it had. */
static void test_renewal_moves_parked_connections(void **state)
{
    struct daemon_fixture *f = *state;
    int parked, fresh;

    daemon_start(f, DAEMON_INI, 1);
    parked = daemon_connect(f, 0);
    fresh = daemon_connect(f, 0);
    client_send(parked, "p");
    client_expect(parked, "p:one:1\n");
    daemon_renew(f, NEXT);
    client_send(parked, "p");
    client_expect(parked, "p:two:2\n");
    client_send(fresh, "p");
    client_expect(fresh, "p:two:1\n");
    daemon_until(f, atomic_load(&talk_counts.n_unopened) == 1);
    close(parked);
    close(fresh);
}

/* One that runs keeps its instance until it parks, and its generation lives so long. */
static void test_renewal_leaves_running_connections(void **state)
{
    struct daemon_fixture *f = *state;
    int client;

    daemon_start(f, DAEMON_INI, 1);
    client = daemon_connect(f, 0);
    client_send(client, "w");
    client_expect(client, "w:one:1\n");
    daemon_renew(f, NEXT);
    client_send(client, "w");
    client_expect(client, "w:one:1\n");
    daemon_sync(f);
    assert_int_equal(atomic_load(&talk_counts.n_unopened), 0);
    client_send(client, "p");
    client_expect(client, "p:one:1\n");
    daemon_until(f, atomic_load(&talk_counts.n_unopened) == 1);
    client_send(client, "p");
    client_expect(client, "p:two:2\n");
    close(client);
}

/* One that finds input when it parks goes on in its task, and in its generation. */
static void test_renewal_waits_for_a_wait(void **state)
{
    struct daemon_fixture *f = *state;
    int client;

    daemon_start(f, DAEMON_INI, 1);
    client = daemon_connect(f, 0);
    client_send(client, "w");
    client_expect(client, "w:one:1\n");
    daemon_renew(f, NEXT);
    client_send(client, "pw");
    client_expect(client, "p:one:1\nw:one:2\n");
    daemon_sync(f);
    assert_int_equal(atomic_load(&talk_counts.n_unopened), 0);
    client_send(client, "p");
    client_expect(client, "p:one:2\n");
    daemon_until(f, atomic_load(&talk_counts.n_unopened) == 1);
    close(client);
}

/* A connection ends with the plugin that it began with, whose data it has. */
static void test_renewal_by_another_plugin(void **state)
{
    struct daemon_fixture *f = *state;
    int old, new;

    daemon_start(f, DAEMON_INI, 1);
    old = daemon_connect(f, 0);
    client_send(old, "p");
    client_expect(old, "p:one:1\n");
    daemon_renew(f, NEXT_OTHER);
    new = daemon_connect(f, 0);
    client_send(new, "p");
    client_expect(new, "p:two:1\n");
    client_send(old, "p");
    client_expect(old, "p:one:2\n");
    client_send(old, "p");
    client_expect(old, "p:one:3\n");
    close(old);
    daemon_until(f, atomic_load(&talk_counts.n_unopened) == 1);
    close(new);
}

/* One that was on its way during the renewal is served by the newest. */
static void test_renewal_overtakes_a_connection(void **state)
{
    struct daemon_fixture *f = *state;
    struct service *old, *newest;
    int client;

    daemon_start(f, DAEMON_INI, 1);
    old = service_ref(f->s.listeners[0].service);
    daemon_renew(f, NEXT);
    newest = f->s.listeners[0].service;
    f->s.listeners[0].service = old;
    client = daemon_connect(f, 0);
    f->s.listeners[0].service = newest;
    service_unref(old);
    client_send(client, "p");
    client_expect(client, "p:two:1\n");
    daemon_until(f, atomic_load(&talk_counts.n_unopened) == 1);
    close(client);
}

/* The limits of the new generation hold for parked connections. */
static void test_renewal_sets_limits(void **state)
{
    struct daemon_fixture *f = *state;
    int client;

    daemon_start(f, DAEMON_INI, 1);
    client = daemon_connect(f, 0);
    daemon_sync(f);
    daemon_renew(f, "[listener:web]\naddress = 127.0.0.1:0\nprotocol = a\n"
                    "idle_timeout = 30ms\n" DAEMON_PROTOCOL("a", "talk", "two"));
    client_expect_end(client);
    daemon_until(f, f->s.admission.n_conns == 0);
    close(client);
}

/* Listeners are renewed each by its own. */
static void test_renewal_keeps_listeners_apart(void **state)
{
    struct daemon_fixture *f = *state;
    int first, second;

    daemon_start(f,
                 DAEMON_LISTENER("x", "a") DAEMON_LISTENER("y", "b") DAEMON_PROTOCOL(
                     "a", "talk", "xone") DAEMON_PROTOCOL("b", "talk", "yone"),
                 1);
    first = daemon_connect(f, 0);
    second = daemon_connect(f, 1);
    daemon_renew(f, DAEMON_LISTENER("x", "a") DAEMON_LISTENER("y", "b") DAEMON_PROTOCOL(
                        "a", "talk", "xtwo") DAEMON_PROTOCOL("b", "talk", "ytwo"));
    client_send(first, "p");
    client_expect(first, "p:xtwo:1\n");
    client_send(second, "p");
    client_expect(second, "p:ytwo:1\n");
    close(first);
    close(second);
}

struct complaint {
    struct co_handle handle;
    struct worker *worker;
};

static void complain(struct co_handle *handle)
{
    struct worker *worker = CO_CONTAINER_OF(handle, struct complaint, handle)->worker;

    for (int i = 0; i < 5; i++)
        worker_log_limited(worker, "trouble %d", i);
}

/* A worker in trouble says so once a period. */
static void test_log_limited(void **state)
{
    struct daemon_fixture *f = *state;
    struct complaint complaint = { .handle.run = complain };

    daemon_start(f, DAEMON_INI, 1);
    complaint.worker = &f->s.workers[0];
    run_on(f, 0, &complaint.handle);
    logger_write(f->s.log, CO_LOG_INFO, NULL, "end");
    line_await(&f->lines, "worker 1: trouble 0 (0 like it before)");
    assert_non_null(strstr(line_await(&f->lines, ""), "end"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, daemon_setup, daemon_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_start_makes_a_quiet_named_thread),
        TEST(test_start_without_memory),
        TEST(test_start_on_a_cpu),
        TEST(test_start_on_a_cpu_that_is_not_there),
        TEST(test_renewal_moves_parked_connections),
        TEST(test_renewal_leaves_running_connections),
        TEST(test_renewal_waits_for_a_wait),
        TEST(test_renewal_by_another_plugin),
        TEST(test_renewal_overtakes_a_connection),
        TEST(test_renewal_sets_limits),
        TEST(test_renewal_keeps_listeners_apart),
        TEST(test_log_limited),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
