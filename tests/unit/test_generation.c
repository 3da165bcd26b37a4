/* Tests of daemon/generation.c: plugin instances, services, holds. */
#include "test.h"

#include <errno.h>
#include <string.h>

#include "daemon_fixture.h"
#include "fault.h"

#define TWO_LISTENERS                                                          \
    "[listener:web]\naddress = 127.0.0.1:0\nprotocol = a\nidle_timeout = 5s\n" \
    "read_timeout = 6s\nwrite_timeout = 7s\nlinger_timeout = 8s\n"             \
    "high_water = 9000\nlow_water = 1000\nread_limit = 3000\n"                 \
    "[listener:other]\naddress = 127.0.0.1:0\nprotocol = b\n"                  \
    "[listener:third]\naddress = 127.0.0.1:0\nprotocol = a\n" DAEMON_PROTOCOL( \
        "a", "talk", "one") DAEMON_PROTOCOL("b", "other", "two")

static unsigned n_opened(void)
{
    return atomic_load(&talk_counts.n_opened);
}

static unsigned n_closed(void)
{
    return atomic_load(&talk_counts.n_unopened);
}

/* One instance a protocol, whatever number of listeners it has; closed once with the last. */
static void test_new_opens_one_instance_a_protocol(void **state)
{
    struct daemon_fixture *f = *state;
    struct generation *g = daemon_generation(f, TWO_LISTENERS);

    assert_int_equal(n_opened(), 2);
    assert_ptr_equal(g->services[0].pub.instance, g->services[2].pub.instance);
    assert_ptr_not_equal(g->services[0].pub.instance, g->services[1].pub.instance);
    assert_int_equal(n_closed(), 0);
    generation_release(g);
    daemon_step(f, 0);
    assert_int_equal(n_closed(), 2);
    assert_int_equal(talk_plugins_open(), 0);
}

/* Each service has the names, limits and task of its own listener and plugin. */
static void test_new_fills_services(void **state)
{
    struct daemon_fixture *f = *state;
    struct generation *g = f->s.generation = daemon_generation(f, TWO_LISTENERS);
    const struct service *web = &g->services[0], *other = &g->services[1];

    assert_string_equal(web->pub.listener, "web");
    assert_string_equal(web->pub.protocol, "a");
    assert_string_equal(other->pub.protocol, "b");
    assert_string_equal(web->task.name, "talk");
    assert_string_equal(other->task.name, "other");
    assert_int_equal(web->task.stack_size, 65536);
    assert_ptr_equal(web->task.describe, conn_describe);
    assert_int_equal(web->limits.idle_timeout, 5 * CO_SECOND);
    assert_int_equal(web->limits.read_timeout, 6 * CO_SECOND);
    assert_int_equal(web->limits.write_timeout, 7 * CO_SECOND);
    assert_int_equal(web->limits.linger_timeout, 8 * CO_SECOND);
    assert_int_equal(web->limits.high_water, 9000);
    assert_int_equal(web->limits.low_water, 1000);
    assert_int_equal(web->limits.read_limit, 3000);
    assert_int_equal(other->limits.idle_timeout, 60 * CO_SECOND);
    assert_false(service_is_stale(&g->services[0]));
}

/* A service is found by the name of its listener. */
static void test_find(void **state)
{
    struct daemon_fixture *f = *state;
    struct generation *g = f->s.generation = daemon_generation(f, TWO_LISTENERS);

    assert_ptr_equal(generation_find(g, "other"), &g->services[1]);
    assert_ptr_equal(generation_find(g, "third"), &g->services[2]);
    assert_null(generation_find(g, "thir"));
    assert_null(generation_find(g, ""));
}

/* The generation lives as long as one hold on one of its services. */
static void test_unref_of_the_last_hold_ends_the_generation(void **state)
{
    struct daemon_fixture *f = *state;
    struct generation *g = daemon_generation(f, TWO_LISTENERS);
    struct service *held = service_ref(&g->services[1]);

    generation_release(g);
    daemon_step(f, 0);
    assert_int_equal(n_closed(), 0);
    assert_int_equal(g->n_alive, 1);
    service_ref(held);
    service_unref(held);
    daemon_step(f, 0);
    assert_int_equal(n_closed(), 0);
    service_unref(held);
    assert_int_equal(n_closed(), 0); /* not here: the supervisor's loop does it */
    daemon_step(f, 0);
    assert_int_equal(n_closed(), 2);
}

/* A plugin that does not open is quoted, or its error is; those opened before are closed. */
static void test_new_unwinds_when_a_plugin_fails(void **state)
{
    static const struct {
        const char *tag, *err;
    } cases[] = {
        { "two", "[protocol:b] plugin other: cannot talk as two" },
        { "mute", "[protocol:b] plugin other: Permission denied" },
    };
    struct daemon_fixture *f = *state;
    char ini[1024], err[256];

    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct generation *g = NULL;
        struct config *config;

        (void)snprintf(ini, sizeof(ini),
                       DAEMON_INI "[protocol:b]\nplugin = other\ntag = %s\n"
                                  "fail = yes\n",
                       cases[i].tag);
        config = daemon_config(ini);
        assert_int_equal(generation_new(f->s.loop, config, NULL, err, sizeof(err), &g),
                         -EACCES);
        assert_string_equal(err, cases[i].err);
        assert_null(g);
        assert_int_equal(n_opened(), i + 1);
        assert_int_equal(n_closed(), i + 1);
        config_free(config); /* it is still ours */
    }
}

static int make_generation(void *ctx)
{
    struct daemon_fixture *f = ctx;
    struct generation *g;
    char err[256] = "";
    int r = generation_new(f->s.loop, f->s.first_config, NULL, err, sizeof(err), &g);

    if (r == 0) {
        f->s.first_config = NULL;
        generation_release(g);
        daemon_step(f, 0);
    } else {
        assert_string_equal(err, co_strerror(r));
    }
    return r;
}

/* Each allocation may fail; the config stays the caller's, no instance stays open. */
static void test_new_without_memory(void **state)
{
    struct daemon_fixture *f = *state;

    f->s.first_config = daemon_config(TWO_LISTENERS);
    assert_int_equal(fault_walk(make_generation, f), 3);
    assert_null(f->s.first_config);
}

/* For a mere check there is no loop: the caller frees it, whatever is held. */
static void test_free_without_a_loop(void **state)
{
    struct generation *g;
    char err[256];

    (void)state;
    assert_int_equal(
        generation_new(NULL, daemon_config(TWO_LISTENERS), NULL, err, sizeof(err), &g),
        0);
    service_unref(&g->services[0]);
    generation_free(g);
    generation_free(NULL);
    assert_int_equal(n_closed(), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, daemon_setup, daemon_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_new_opens_one_instance_a_protocol),
        TEST(test_new_fills_services),
        TEST(test_find),
        TEST(test_unref_of_the_last_hold_ends_the_generation),
        TEST(test_new_unwinds_when_a_plugin_fails),
        TEST(test_new_without_memory),
        TEST(test_free_without_a_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
