/*
 * Tests of config_fill.c: keys that are unknown, repeated, missing or bad.
 */
#include "config_fill.h"

#include <string.h>

#include "config_fixture.h"

#define FILES "[protocol:f]\nplugin = files\nroot = /x\n"

/* A key must be one that its section has; the hint names what was meant, or its section. */
static void test_config_fill_reports_unknown_keys(void **state)
{
    static const struct config_case cases[] = {
        { A_LISTENER "idle_timeot = 5s\n", "t.ini:4: [listener:a]: unknown key "
                                           "\"idle_timeot\", did you mean "
                                           "\"idle_timeout\"?\n" },
        { A_LISTENER "[server]\nwrokers = 5\n",
          "t.ini:5: [server]: unknown key \"wrokers\", did you mean \"workers\"?\n" },
        { A_LISTENER "[server]\nidle_timeout = 5s\n",
          "t.ini:5: [server]: unknown key \"idle_timeout\", it belongs to "
          "[listener:NAME]\n" },
        { A_LISTENER "workers = 5\n",
          "t.ini:4: [listener:a]: unknown key \"workers\", it belongs to [server]\n" },
        { A_LISTENER "colour = red\n",
          "t.ini:4: [listener:a]: unknown key \"colour\"\n" },
        { A_LISTENER FILES "rot = /y\n",
          "t.ini:7: [protocol:f]: unknown key \"rot\", did you mean \"root\"?\n" },
        { A_LISTENER FILES "plugins = y\n",
          "t.ini:7: [protocol:f]: unknown key \"plugins\", did you mean \"plugin\"?\n" },
        { A_LISTENER "[protocol:p]\nplugin = plain\ncolour = red\n",
          "t.ini:6: [protocol:p]: unknown key \"colour\"\n" },
    };

    (void)state;
    config_fixture_check(cases, N_ELEMENTS(cases));
}

/* A key is given once, but for lists, whose values add up. */
static void test_config_fill_reports_repeated_keys(void **state)
{
    static const struct config_case cases[] = {
        { A_LISTENER "backlog = 5\nbacklog = 5\n",
          "t.ini:5: [listener:a] backlog: is there twice, first at line 4\n" },
        { A_LISTENER "backlog = 5\nnodelay = no\nbacklog = 6\nbacklog = x\n",
          "t.ini:6: [listener:a] backlog: is there twice, first at line 4\n"
          "t.ini:7: [listener:a] backlog: is there twice, first at line 4\n"
          "t.ini:7: [listener:a] backlog: \"x\" is not a number\n" },
        { A_LISTENER FILES "index = a\nindex = b\n", "" },
    };

    (void)state;
    config_fixture_check(cases, N_ELEMENTS(cases));
}

/* A required key is missed at the section's header; an empty value does not do. */
static void test_config_fill_reports_missing_keys(void **state)
{
    static const struct config_case cases[] = {
        { "[listener:a]\n", "t.ini:1: [listener:a] address: is required\n"
                            "t.ini:1: [listener:a] protocol: is required\n" },
        { "[listener:a]\naddress =\nprotocol =\n",
          "t.ini:2: [listener:a] address: has no value\n"
          "t.ini:3: [listener:a] protocol: has no value\n" },
        { A_LISTENER "[protocol:f]\n", "t.ini:4: [protocol:f] plugin: is required\n" },
        { A_LISTENER "[protocol:f]\nplugin = files\n",
          "t.ini:4: [protocol:f] root: is required\n" },
    };

    (void)state;
    config_fixture_check(cases, N_ELEMENTS(cases));
}

/* Bad values are reported with the range in the key's unit, each at its own line. */
static void test_config_fill_reports_bad_values(void **state)
{
    static const struct config_case cases[] = {
        { A_LISTENER "[server]\nworkers = 1025\nmax_connections = 0\nlog_level = inof\n"
                     "pin_workers = maybe\naccept_backoff = 1ms\ndrain_timeout = 30\n",
          "t.ini:5: [server] workers: \"1025\" is out of range 0..1024\n"
          "t.ini:6: [server] max_connections: \"0\" is out of range 1..10000000\n"
          "t.ini:7: [server] log_level: \"inof\" is none of error, warning, notice, "
          "info, "
          "debug, did you mean \"info\"?\n"
          "t.ini:8: [server] pin_workers: \"maybe\" is neither yes nor no\n"
          "t.ini:9: [server] accept_backoff: \"1ms\" is out of range 10ms..10s\n"
          "t.ini:10: [server] drain_timeout: \"30\" has no unit (ms, s, m, h, d)\n" },
        { A_LISTENER "idle_timeout = 8d\nhigh_water = 1\nread_limit = 65m\nbacklog = 0\n"
                     "max_connections = none\n",
          "t.ini:4: [listener:a] idle_timeout: \"8d\" is out of range 0..7d\n"
          "t.ini:5: [listener:a] high_water: \"1\" is out of range 1k..1g\n"
          "t.ini:6: [listener:a] read_limit: \"65m\" is out of range 256..64m\n"
          "t.ini:7: [listener:a] backlog: \"0\" is out of range 1..65535\n"
          "t.ini:8: [listener:a] max_connections: \"none\" is not a number or "
          "unlimited\n" },
        { A_LISTENER FILES "cache = 1x\nmode = own\nindex = a,,b\n",
          "t.ini:7: [protocol:f] cache: \"1x\" is not a size (bytes, or with k, m, g)\n"
          "t.ini:8: [protocol:f] mode: \"own\" is none of read, write\n"
          "t.ini:9: [protocol:f] index: \"a,,b\" has an empty item\n" },
    };

    (void)state;
    config_fixture_check(cases, N_ELEMENTS(cases));
}

/* A list that is given does not keep its default; an empty one is empty. */
static void test_config_fill_lists_replace_the_default(void **state)
{
    static const struct {
        const char *text;
        size_t n;
    } cases[] = {
        { A_LISTENER FILES, 2 },
        { A_LISTENER FILES "index = x\n", 1 },
        { A_LISTENER FILES "index = x\nindex = y, z\n", 3 },
        { A_LISTENER FILES "index =\n", 0 },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct config *config = config_fixture_load(cases[i].text, NULL);
        const struct fake_files *files = config->protocols[0].options;

        assert_int_equal(files->index.n, cases[i].n);
        assert_int_equal(files->cache, 1 << 20);
        config_free(config);
    }
}

/* Names of listeners and protocols. */
static void test_config_fill_is_name(void **state)
{
    (void)state;
    assert_true(config_fill_is_name("web-1.example_ORG"));
    assert_false(config_fill_is_name(""));
    assert_false(config_fill_is_name("a/b"));
    assert_false(config_fill_is_name("ü"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_fill_reports_unknown_keys),
        cmocka_unit_test(test_config_fill_reports_repeated_keys),
        cmocka_unit_test(test_config_fill_reports_missing_keys),
        cmocka_unit_test(test_config_fill_reports_bad_values),
        cmocka_unit_test(test_config_fill_lists_replace_the_default),
        cmocka_unit_test(test_config_fill_is_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
