/*
 * Tests of config_protocol.c: plugins that are missing, unfit, implied or short of memory.
 */
#include "config_protocol.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_fixture.h"

#define LISTENER_OF(protocol) \
    "[listener:a]\naddress = 127.0.0.1:7000\nprotocol = " protocol

/* The opener's message is shown at the key; keys of an unknown plugin cannot be judged. */
static void test_config_protocol_reports_plugins(void **state)
{
    static const struct config_case cases[] = {
        { LISTENER_OF("p\n[protocol:p]\nplugin = nowhere\ncolour = red\n"),
          "t.ini:5: [protocol:p] plugin: nowhere.so: not found\n" },
        { LISTENER_OF("p\n[protocol:p]\nplugin = old\n"),
          "t.ini:5: [protocol:p] plugin: old.so: has plugin ABI 7, needs 1\n" },
        { LISTENER_OF("p\n[protocol:p]\nplugin = flawed\n"),
          "t.ini:5: [protocol:p] plugin: plugin \"flawed\": option \"far\": the field is "
          "outside of the struct\n" },
        { LISTENER_OF("p\n[protocol:p]\nplugin = greedy\n"),
          "t.ini:5: [protocol:p] plugin: plugin \"greedy\": the key \"plugin\" is the "
          "daemon's\n" },
        { LISTENER_OF("p\n[protocol:p]\nplugin = plain\n"), "" },
        { LISTENER_OF("plain\n"), "" },
    };

    (void)state;
    config_fixture_check(cases, N_ELEMENTS(cases));
}

/* A listener's protocol without a section is a plugin's bare name, and nothing else. */
static void test_config_protocol_reports_unknown_names(void **state)
{
    static const struct config_case cases[] = {
        { LISTENER_OF("nowhere\n"),
          "t.ini:3: [listener:a] protocol: no section "
          "[protocol:nowhere], and as a plugin: nowhere.so: not "
          "found\n" },
        { LISTENER_OF("wbe\n[protocol:web]\nplugin = hello\n"),
          "t.ini:3: [listener:a] protocol: no section [protocol:wbe], did you mean "
          "\"web\"? "
          "And as a plugin: wbe.so: not found\n" },
        { LISTENER_OF("old\n"),
          "t.ini:3: [listener:a] protocol: no section [protocol:old], "
          "and as a plugin: old.so: has plugin ABI 7, needs 1\n" },
        { LISTENER_OF("./hello\n"),
          "t.ini:3: [listener:a] protocol: no section "
          "[protocol:./hello], and as a plugin: not the bare name "
          "of one\n" },
        { LISTENER_OF("files\n"),
          "t.ini:3: [listener:a] protocol: plugin \"files\" needs a "
          "section [protocol:files] with \"root\"\n" },
    };

    (void)state;
    config_fixture_check(cases, N_ELEMENTS(cases));
}

/* Listeners that imply the same plugin share one protocol, with the plugin's defaults. */
static void test_config_protocol_implied_is_shared(void **state)
{
    struct config *config = config_fixture_load(
        A_LISTENER "[listener:b]\naddress = 127.0.0.1:0\nprotocol = hello\n", NULL);
    const struct fake_hello *hello = config->protocols[0].options;

    (void)state;
    assert_int_equal(config->n_protocols, 1);
    assert_ptr_equal(config->listeners[0].protocol, config->listeners[1].protocol);
    assert_string_equal(hello->text, "hello");
    assert_int_equal(hello->times, 1);
    assert_string_equal(config->protocols[0].opt.plugin, "hello");
    assert_ptr_equal(config_protocol_find(config, "hello"), &config->protocols[0]);
    assert_null(config_protocol_find(config, "files"));
    config_free(config);
}

/* A plugin without options has none; the same plugin may serve two protocols. */
static void test_config_protocol_options_are_its_own(void **state)
{
    struct config *config = config_fixture_load(
        LISTENER_OF(
            "x\n[protocol:x]\nplugin = hello\ntext = a\n"
            "[protocol:y]\nplugin = hello\ntext =\n[protocol:z]\nplugin = plain\n"),
        NULL);
    const struct fake_hello *x = config->protocols[0].options;
    const struct fake_hello *y = config->protocols[1].options;

    (void)state;
    assert_string_equal(x->text, "a");
    assert_string_equal(y->text, "");
    assert_ptr_equal(config->protocols[0].plugin, config->protocols[1].plugin);
    assert_null(config->protocols[2].options);
    config_free(config);
}

/* A loader that runs out of memory ends the load, with or without a section. */
static void test_config_protocol_of_starved_loader(void **state)
{
    static const char *const texts[] = {
        LISTENER_OF("starved\n"),
        LISTENER_OF("p\n[protocol:p]\nplugin = starved\n"),
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(texts); i++) {
        struct config *config = NULL;
        char *report;

        assert_int_equal(config_fixture_try(texts[i], NULL, &config, &report), -ENOMEM);
        assert_null(config);
        free(report);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_protocol_reports_plugins),
        cmocka_unit_test(test_config_protocol_reports_unknown_names),
        cmocka_unit_test(test_config_protocol_implied_is_shared),
        cmocka_unit_test(test_config_protocol_options_are_its_own),
        cmocka_unit_test(test_config_protocol_of_starved_loader),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
