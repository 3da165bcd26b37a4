/*
 * Tests of config_diff.c: what a reload announces for the next restart.
 */
#include "config_diff.h"

#include <string.h>

#include "config_fixture.h"

#define B_LISTENER "[listener:b]\naddress = 127.0.0.1:7001\nprotocol = hello\n"

static void append(void *ctx, const char *message)
{
    char *all = ctx;

    (void)strcat(all, message);
    (void)strcat(all, "\n");
}

static void check_diff(const char *before_text, const char *after_text,
                       const char *expected)
{
    struct config *before = config_fixture_load(before_text, NULL);
    struct config *after = config_fixture_load(after_text, NULL);
    char all[2048] = "";

    config_diff(before, after, append, all);
    assert_string_equal(all, expected);
    config_free(before);
    config_free(after);
}

/* Keys that a reload cannot change are named, those that it can are not. */
static void test_config_diff_names_restart_keys(void **state)
{
    (void)state;
    check_diff(A_LISTENER, A_LISTENER, "");
    check_diff(A_LISTENER,
               A_LISTENER "idle_timeout = 5s\nnodelay = no\n[server]\nlog_level = debug\n"
                          "max_connections = 5\n",
               "");
    check_diff(A_LISTENER,
               A_LISTENER "backlog = 5\nreuse_port = yes\naddress = [::1]:1\n"
                          "[server]\nworkers = 5\npin_workers = yes\n",
               "[server] workers: takes effect at the next restart\n"
               "[server] pin_workers: takes effect at the next restart\n"
               "[listener:a] address: takes effect at the next restart\n"
               "[listener:a] backlog: takes effect at the next restart\n"
               "[listener:a] reuse_port: takes effect at the next restart\n");
}

/* Listeners come, go, and get another name while they keep their addresses. */
static void test_config_diff_names_listeners(void **state)
{
    (void)state;
    check_diff(A_LISTENER B_LISTENER, B_LISTENER A_LISTENER, "");
    check_diff(A_LISTENER, A_LISTENER B_LISTENER,
               "[listener:b]: is new, opens at the next restart\n");
    check_diff(A_LISTENER B_LISTENER, B_LISTENER,
               "[listener:a]: is removed, closes at the next restart\n");
    check_diff(A_LISTENER, B_LISTENER,
               "[listener:a]: is removed, closes at the next restart\n"
               "[listener:b]: is new, opens at the next restart\n");
    check_diff(A_LISTENER B_LISTENER,
               A_LISTENER "[listener:c]\naddress = 127.0.0.1:7001\nprotocol = plain\n",
               "[listener:b]: is now [listener:c], takes effect at the next restart\n");
}

/* Keys of plugins are compared too, where the plugin is the same. */
static void test_config_diff_names_plugin_keys(void **state)
{
    (void)state;
    check_diff(A_LISTENER, A_LISTENER "[protocol:hello]\nplugin = hello\ntext = x\n",
               "[protocol:hello] text: takes effect at the next restart\n");
    check_diff(A_LISTENER, A_LISTENER "[protocol:hello]\nplugin = hello\ntimes = 2\n",
               "");
    check_diff(A_LISTENER,
               A_LISTENER "[protocol:hello]\nplugin = files\nroot = /x\ntrace = yes\n",
               "");
    check_diff(A_LISTENER "[protocol:gone]\nplugin = plain\n", A_LISTENER, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_diff_names_restart_keys),
        cmocka_unit_test(test_config_diff_names_listeners),
        cmocka_unit_test(test_config_diff_names_plugin_keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
