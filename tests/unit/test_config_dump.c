/*
 * Tests of config_dump.c: what is written, and that reading it again gives the same.
 */
#include "config_dump.h"

#include <stdlib.h>
#include <string.h>

#include "config_fixture.h"
#include "option.h"

#define A_50      "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee"
#define VALUE_193 A_50 A_50 A_50 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeee"

/* Every section and key is there, with the value in effect. */
static void test_config_dump_writes_everything(void **state)
{
    struct config *config = config_fixture_load(
        "[protocol:f]\nplugin = files\nroot = /x ; y\npause = 90s\n" A_LISTENER
        "address = [::1]:7000\nhigh_water = 1024k\n",
        NULL);
    char *text = config_fixture_dump(config);

    (void)state;
    assert_string_equal(text, "[server]\n"
                              "workers = auto\n"
                              "pin_workers = no\n"
                              "max_connections = 10000\n"
                              "drain_timeout = 30s\n"
                              "log_level = info\n"
                              "accept_backoff = 100ms\n"
                              "\n[listener:a]\n"
                              "address = 127.0.0.1:7000\n"
                              "address = [::1]:7000\n"
                              "protocol = hello\n"
                              "max_connections = unlimited\n"
                              "idle_timeout = 1m\n"
                              "read_timeout = 30s\n"
                              "write_timeout = 30s\n"
                              "linger_timeout = 2s\n"
                              "backlog = 1024\n"
                              "nodelay = yes\n"
                              "keepalive = 0\n"
                              "reuse_port = no\n"
                              "high_water = 1m\n"
                              "low_water = 256k\n"
                              "read_limit = 64k\n"
                              "\n[protocol:f]\n"
                              "plugin = files\n"
                              "root = /x\n"
                              "index = a.html\n"
                              "index = b.html\n"
                              "cache = 1m\n"
                              "pause = 90s\n"
                              "mode = read\n"
                              "trace = no\n"
                              "\n[protocol:hello]\n"
                              "plugin = hello\n"
                              "text = hello\n"
                              "times = 1\n");
    free(text);
    config_free(config);
}

static void check_same_options(const struct co_option *options, const void *a,
                               const void *b)
{
    for (; options && options->key; options++)
        assert_true(option_equal(options, a, b));
}

static void check_same(const struct config *a, const struct config *b)
{
    check_same_options(config_server_table, &a->server, &b->server);
    assert_int_equal(a->n_listeners, b->n_listeners);
    for (size_t i = 0; i < a->n_listeners; i++) {
        check_same_options(config_listener_table, &a->listeners[i].opt,
                           &b->listeners[i].opt);
        assert_string_equal(a->listeners[i].name, b->listeners[i].name);
        assert_int_equal(a->listeners[i].n_addrs, b->listeners[i].n_addrs);
    }
    assert_int_equal(a->n_protocols, b->n_protocols);
    for (size_t i = 0; i < a->n_protocols; i++) {
        assert_ptr_equal(a->protocols[i].plugin, b->protocols[i].plugin);
        assert_string_equal(a->protocols[i].name, b->protocols[i].name);
        check_same_options(a->protocols[i].plugin->options, a->protocols[i].options,
                           b->protocols[i].options);
    }
}

/* The dump of a config loads to the same config, and that one's dump is the same text. */
static void test_config_dump_round_trips(void **state)
{
    static const char *const texts[] = {
        A_LISTENER,
        "\xef\xbb\xbf[server]\r\nworkers=3\r\n" A_LISTENER "keepalive = 60s\n",
        A_LISTENER "[protocol:hello]\nplugin = hello\ntext =\n",
        A_LISTENER "[protocol:hello]\nplugin = hello\ntext =;x;y\ntimes = 3\n",
        A_LISTENER "[protocol:hello]\nplugin = hello\ntext=" VALUE_193 "\n",
        A_LISTENER "[protocol:hello]\nplugin = hello\ntext = [a]=b: \"c\" #d\n",
        A_LISTENER "[protocol:f]\nplugin = files\nroot=;\nindex =\nmode = write\n"
                   "trace = on\npause = 1500ms\ncache = 1537\n",
        A_LISTENER "[protocol:f]\nplugin = files\nroot = /\nindex =;a,;b,#c, [d]\n",
        "[listener:z]\naddress = unix:@x y, *:0, *:0\nprotocol = plain\n" A_LISTENER
        "max_connections = 7\nlow_water = 1\n",
    };
    static const char *const sets[] = { "server.log_level=error",
                                        "listener:s.address=*:1",
                                        "listener:s.protocol=hello", NULL };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
        struct config *first = config_fixture_load(texts[i], sets);
        char *first_text = config_fixture_dump(first);
        struct config *second = config_fixture_load(first_text, NULL);
        char *second_text = config_fixture_dump(second);

        assert_string_equal(first_text, second_text);
        check_same(first, second);
        free(first_text);
        free(second_text);
        config_free(first);
        config_free(second);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_dump_writes_everything),
        cmocka_unit_test(test_config_dump_round_trips),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
