/*
 * Tests of config_table.c: the rows of config.def are sound.
 */
#include "config_table.h"

#include <string.h>

#include "option.h"
#include "option_check.h"
#include "test.h"

static const struct {
    const struct co_option *rows;
    size_t size;
} tables[] = {
    { config_server_table, sizeof(struct config_server) },
    { config_listener_table, sizeof(struct config_listener_options) },
    { config_protocol_table, sizeof(struct config_protocol_options) },
};

/* The daemon's tables pass the check that plugins must pass: keys, types, defaults, ranges. */
static void test_config_table_is_sound(void **state)
{
    char err[OPTION_ERR_MAX] = "";

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(tables); i++) {
        assert_int_equal(option_check_table(tables[i].rows, tables[i].size, err), 0);
        assert_string_equal(err, "");
    }
}

/* A key either has a default or is required, and its help is a sentence. */
static void test_config_table_is_documented(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(tables); i++) {
        for (const struct co_option *row = tables[i].rows; row->key; row++) {
            bool is_required = row->flags & CO_OPT_REQUIRED;

            assert_true(is_required == !row->def);
            assert_true(strlen(row->help) > 10);
            assert_int_equal(row->help[strlen(row->help) - 1], '.');
        }
    }
}

/* Defaults that other parts rely on. */
static void test_config_table_defaults(void **state)
{
    struct config_server server;
    char err[OPTION_ERR_MAX];

    (void)state;
    memset(&server, 0, sizeof(server));
    for (const struct co_option *row = config_server_table; row->key; row++)
        assert_int_equal(option_set_default(row, &server, err), 0);
    assert_int_equal(server.workers, 0);
    assert_false(server.pin_workers);
    assert_int_equal(server.max_connections, 10000);
    assert_int_equal(server.drain_timeout, 30 * CO_SECOND);
    assert_int_equal(server.log_level, 3);
    assert_int_equal(server.accept_backoff, 100 * CO_MSEC);
    option_free_all(config_server_table, &server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_table_is_sound),
        cmocka_unit_test(test_config_table_is_documented),
        cmocka_unit_test(test_config_table_defaults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
