/*
 * Tests of config_build.c: section names, and the configuration as a whole.
 */
#include "config_build.h"

#include <string.h>

#include "config_fixture.h"

#define A_40 "aaaaaaaaaabbbbbbbbbbccccccccccdddddddddd"

/* Sections of no kind are reported even when they are empty, names are checked. */
static void test_config_build_reports_sections(void **state)
{
    static const struct config_case cases[] = {
        { "", "t.ini: there is no section [listener:NAME]\n" },
        { "[server]\n", "t.ini: there is no section [listener:NAME]\n" },
        { A_LISTENER "[sever]\n", "t.ini:4: [sever]: unknown section, did you mean "
                                  "[server]?\n" },
        { A_LISTENER "[Server]\nx = 1\n",
          "t.ini:4: [Server]: unknown section, did you mean "
          "[server]?\n" },
        { A_LISTENER "[server:x]\n", "t.ini:4: [server:x]: unknown section, did you mean "
                                     "[server]?\n" },
        { A_LISTENER "[listner:web]\n",
          "t.ini:4: [listner:web]: unknown section, did you "
          "mean [listener:web]?\n" },
        { A_LISTENER "[protocols:x]\n",
          "t.ini:4: [protocols:x]: unknown section, did you "
          "mean [protocol:x]?\n" },
        { A_LISTENER "[web]\n", "t.ini:4: [web]: unknown section, there are [server], "
                                "[listener:NAME] and [protocol:NAME]\n" },
        { A_LISTENER "[]\n", "t.ini:4: []: unknown section, there are [server], "
                             "[listener:NAME] and [protocol:NAME]\n" },
        { "[listener]\naddress = 127.0.0.1:0\nprotocol = hello\n",
          "t.ini:1: [listener]: has no name, write [listener:NAME]\n" },
        { A_LISTENER "[protocol:]\nplugin = hello\n",
          "t.ini:4: [protocol:]: has no name, write [protocol:NAME]\n" },
        { A_LISTENER "[protocol:a b]\nplugin = hello\n",
          "t.ini:4: [protocol:a b]: a name is 1 to 40 letters, digits, '.', '_' and "
          "'-'\n" },
        { A_LISTENER "[protocol:" A_40 "e]\nplugin = hello\n",
          "t.ini:4: [protocol:" A_40
          "e]: a name is 1 to 40 letters, digits, '.', '_' and '-'\n" },
        { A_LISTENER "[protocol:" A_40 "]\nplugin = hello\n", "" },
        { A_LISTENER "[listener:A-b_c.9]\naddress = 127.0.0.1:0\nprotocol = hello\n",
          "" },
    };

    (void)state;
    config_fixture_check(cases, N_ELEMENTS(cases));
}

/* All that a small file does not say has its default, and everything is linked. */
static void test_config_build_fills_the_whole(void **state)
{
    struct config *config = config_fixture_load(
        "[server]\nlog_level = debug\n\n" A_LISTENER
        "[protocol:one]\nplugin = files\nroot = /srv\n"
        "[listener:b]\naddress = *:80, [::]:80\naddress = unix:@b\nprotocol = one\n",
        NULL);
    const struct config_listener *b = &config->listeners[1];

    (void)state;
    assert_int_equal(config->server.log_level, 4);
    assert_int_equal(config_log_level(config), CO_LOG_DEBUG);
    assert_int_equal(config->server.max_connections, 10000);
    assert_int_equal(config->n_listeners, 2);
    assert_int_equal(config->n_protocols, 2);
    assert_string_equal(config->protocols[0].name, "one");
    assert_string_equal(config->protocols[0].opt.plugin, "files");
    assert_int_equal(config->protocols[0].line, 7);
    assert_string_equal(config->protocols[1].name, "hello");
    assert_int_equal(config->protocols[1].line, 0);
    assert_ptr_equal(config->listeners[0].protocol, &config->protocols[1]);
    assert_ptr_equal(b->protocol, &config->protocols[0]);
    assert_int_equal(b->line, 10);
    assert_int_equal(b->n_addrs, 3);
    assert_int_equal(b->addrs[0].sa.sa_family, AF_INET);
    assert_int_equal(b->addrs[1].sa.sa_family, AF_INET6);
    assert_int_equal(b->addrs[2].sa.sa_family, AF_UNIX);
    assert_int_equal(fake_plugins_open(), 2);
    config_free(config);
    assert_int_equal(fake_plugins_open(), 0);
    config_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_build_reports_sections),
        cmocka_unit_test(test_config_build_fills_the_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
