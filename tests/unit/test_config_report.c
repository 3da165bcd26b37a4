/*
 * Tests of config_report.c: how errors are placed, ordered, bounded and shown.
 */
#include "config_report.h"

#include <stdlib.h>
#include <string.h>

#include "config_fixture.h"
#include "fault.h"
#include "test.h"

/* Each kind of place has its own prefix. */
static void test_config_report_add_places(void **state)
{
    static const struct {
        struct config_place place;
        const char *text;
    } cases[] = {
        { { "f.ini", 3, "server", "workers" }, "f.ini:3: [server] workers: bad 7\n" },
        { { "f.ini", 3, "server", NULL }, "f.ini:3: [server]: bad 7\n" },
        { { "f.ini", 3, NULL, NULL }, "f.ini:3: bad 7\n" },
        { { "f.ini", 0, NULL, NULL }, "f.ini: bad 7\n" },
        { { NULL, 1, "server", "workers" }, "--set server.workers: bad 7\n" },
        { { NULL, 1, "server", NULL }, "--set server: bad 7\n" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct config_report report = { .n = 0 };
        char *text;

        assert_false(config_report_has_errors(&report));
        config_report_add(&report, &cases[i].place, "bad %d", 7);
        assert_true(config_report_has_errors(&report));
        text = config_fixture_print(&report);
        assert_string_equal(text, cases[i].text);
        free(text);
        config_report_fini(&report);
        assert_false(config_report_has_errors(&report));
    }
}

/* Lines come first and in order, then the file as a whole, then --set; else as found. */
static void test_config_report_print_is_sorted(void **state)
{
    static const struct {
        struct config_place place;
        const char *message;
    } errors[] = {
        { { NULL, 2, "b", "k" }, "6" },  { { "f", 0, NULL, NULL }, "4" },
        { { "f", 9, NULL, NULL }, "3" }, { { NULL, 1, "a", "k" }, "5" },
        { { "f", 2, "s", NULL }, "1" },  { { "f", 2, "s", NULL }, "2" },
    };
    struct config_report report = { .n = 0 };
    char *text;

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(errors); i++)
        config_report_add(&report, &errors[i].place, "%s", errors[i].message);
    text = config_fixture_print(&report);
    assert_string_equal(text, "f:2: [s]: 1\nf:2: [s]: 2\nf:9: 3\nf: 4\n"
                              "--set a.k: 5\n--set b.k: 6\n");
    free(text);
    config_report_fini(&report);
}

/* The first 100 errors are kept, the others counted. */
static void test_config_report_add_is_bounded(void **state)
{
    static const char end[] = "f:100: x\n… and 3 more\n";
    struct config_report report = { .n = 0 };
    char *text;

    (void)state;
    for (unsigned i = 1; i <= CONFIG_REPORT_MAX + 3; i++)
        config_report_add(&report, &(struct config_place){ .file = "f", .line = i }, "x");
    assert_int_equal(report.n, 100);
    text = config_fixture_print(&report);
    assert_string_equal(text + strlen(text) - strlen(end), end);
    free(text);
    config_report_fini(&report);
}

/* Control characters of the file cannot reach a terminal; UTF-8 passes. */
static void test_config_report_add_replaces_controls(void **state)
{
    struct config_report report = { .n = 0 };

    (void)state;
    config_report_add(&report, &(struct config_place){ .file = "f" }, "a\x1b[2J\n\x7fü");
    assert_string_equal(report.errors[0].text, "f: a?[2J??ü");
    config_report_fini(&report);
}

/* A text of any length is cut, wherever it is too long. */
static void test_config_report_add_cuts(void **state)
{
    struct config_report report = { .n = 0 };
    char *name = malloc(3001);

    (void)state;
    assert_non_null(name);
    memset(name, 'a', 3000);
    name[3000] = '\0';
    config_report_add(&report, &(struct config_place){ .file = "f" }, "%s", name);
    config_report_add(&report, &(struct config_place){ .file = name }, "x");
    config_report_add(&report, &(struct config_place){ .file = name, .line = 1 }, "x");
    config_report_add(&report, &(struct config_place){ .section = name }, "x");
    config_report_add(&report, &(struct config_place){ .file = "f", .section = name },
                      "x");
    for (size_t i = 0; i < report.n; i++)
        assert_int_equal(strlen(report.errors[i].text), 1023);
    free(name);
    config_report_fini(&report);
}

/* An error that cannot be kept for want of memory still counts. */
static void test_config_report_add_without_memory(void **state)
{
    struct config_report report = { .n = 0 };
    char *text;

    (void)state;
    fault_after(1);
    config_report_add(&report, &(struct config_place){ .file = "f" }, "x");
    fault_off();
    assert_true(fault_hit());
    assert_true(config_report_has_errors(&report));
    text = config_fixture_print(&report);
    assert_string_equal(text, "… and 1 more\n");
    free(text);
    config_report_fini(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_report_add_places),
        cmocka_unit_test(test_config_report_print_is_sorted),
        cmocka_unit_test(test_config_report_add_is_bounded),
        cmocka_unit_test(test_config_report_add_replaces_controls),
        cmocka_unit_test(test_config_report_add_cuts),
        cmocka_unit_test(test_config_report_add_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
