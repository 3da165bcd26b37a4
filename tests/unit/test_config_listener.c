/*
 * Tests of config_listener.c: addresses, and what concerns two keys.
 */
#include "config_listener.h"

#include <arpa/inet.h>
#include <string.h>

#include "config_fixture.h"

#define WITH(addresses) "[listener:a]\nprotocol = hello\naddress = " addresses "\n"
#define FORMS           "(HOST:PORT, [HOST]:PORT, *:PORT, unix:PATH, unix:@NAME)\n"
#define A_50            "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee"

/* What is no address is reported at its line, and the others are still read. */
static void test_config_listener_reports_addresses(void **state)
{
    static const struct config_case cases[] = {
        { WITH("localhost:80"),
          "t.ini:3: [listener:a] address: \"localhost:80\" is not an "
          "address " FORMS },
        { WITH("127.0.0.1:1, 80\naddress = 127.0.0.1:99999"),
          "t.ini:3: [listener:a] address: \"80\" is not an address " FORMS
          "t.ini:4: [listener:a] address: \"127.0.0.1:99999\" has a port above 65535\n" },
        { WITH("unix:/" A_50 A_50 "abcdefgh"),
          "t.ini:3: [listener:a] address: \"unix:/" A_50 A_50
          "abcdefgh\" is too long for a Unix socket\n" },
    };

    (void)state;
    config_fixture_check(cases, N_ELEMENTS(cases));
}

/* An address is taken once, by one listener; a port that the kernel chooses is never taken. */
static void test_config_listener_reports_taken_addresses(void **state)
{
    static const struct config_case cases[] = {
        { WITH("127.0.0.1:1, 127.0.0.1:2, 127.0.0.1:1"),
          "t.ini:3: [listener:a] address: \"127.0.0.1:1\" is there twice\n" },
        { WITH("*:1\naddress = 0.0.0.0:1"),
          "t.ini:4: [listener:a] address: \"0.0.0.0:1\" is there twice\n" },
        { WITH("unix:/a") "[listener:b]\naddress = unix:/b, unix:/a\nprotocol = hello\n",
          "t.ini:5: [listener:b] address: \"unix:/a\" is an address of [listener:a] "
          "already\n" },
        { WITH("127.0.0.1:0, 127.0.0.1:0, [::1]:0, [::1]:0"), "" },
        { WITH("127.0.0.1:1, 127.0.0.2:1, [::1]:1, unix:a, unix:@a"), "" },
    };

    (void)state;
    config_fixture_check(cases, N_ELEMENTS(cases));
}

/* The low-water mark is not above the high one; a bad value draws no second error. */
static void test_config_listener_checks_water_marks(void **state)
{
    static const struct config_case cases[] = {
        { A_LISTENER "low_water = 65k\n",
          "t.ini:4: [listener:a] low_water: is above high_water\n" },
        { A_LISTENER "high_water = 4k\nlow_water = 5k\n",
          "t.ini:5: [listener:a] low_water: is above high_water\n" },
        { A_LISTENER "high_water = 4k\nlow_water = 4k\n", "" },
        { A_LISTENER "high_water = 4\nlow_water = 5k\n",
          "t.ini:4: [listener:a] high_water: \"4\" is out of range 1k..1g\n" },
        { A_LISTENER "low_water = -1\n",
          "t.ini:4: [listener:a] low_water: \"-1\" is out of range 0..1g\n" },
    };

    (void)state;
    config_fixture_check(cases, N_ELEMENTS(cases));
}

/* TCP knows keepalive times in whole seconds. */
static void test_config_listener_checks_keepalive(void **state)
{
    static const struct config_case cases[] = {
        { A_LISTENER "keepalive = 500ms\n",
          "t.ini:4: [listener:a] keepalive: \"500ms\" is not in whole seconds\n" },
        { A_LISTENER "keepalive = 10h\n",
          "t.ini:4: [listener:a] keepalive: \"10h\" is out of range 0..9h\n" },
        { A_LISTENER "keepalive = 0\n", "" },
        { A_LISTENER "keepalive = 1000ms\n", "" },
        { A_LISTENER "keepalive = 9h\n", "" },
    };

    (void)state;
    config_fixture_check(cases, N_ELEMENTS(cases));
}

/* A listener's defaults; the low-water mark follows the high one. */
static void test_config_listener_defaults(void **state)
{
    struct config *config = config_fixture_load(A_LISTENER, NULL);
    const struct config_listener_options *opt = &config->listeners[0].opt;

    (void)state;
    assert_int_equal(opt->max_connections, 0);
    assert_int_equal(opt->idle_timeout, 60 * CO_SECOND);
    assert_int_equal(opt->read_timeout, 30 * CO_SECOND);
    assert_int_equal(opt->write_timeout, 30 * CO_SECOND);
    assert_int_equal(opt->linger_timeout, 2 * CO_SECOND);
    assert_int_equal(opt->backlog, 1024);
    assert_true(opt->nodelay);
    assert_int_equal(opt->keepalive, 0);
    assert_false(opt->reuse_port);
    assert_int_equal(opt->high_water, 65536);
    assert_int_equal(opt->low_water, 16384);
    assert_int_equal(opt->read_limit, 65536);
    assert_string_equal(config->listeners[0].name, "a");
    assert_int_equal(ntohs(config->listeners[0].addrs[0].in.sin_port), 7000);
    config_free(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_listener_reports_addresses),
        cmocka_unit_test(test_config_listener_reports_taken_addresses),
        cmocka_unit_test(test_config_listener_checks_water_marks),
        cmocka_unit_test(test_config_listener_checks_keepalive),
        cmocka_unit_test(test_config_listener_defaults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
