/*
 * Tests of option_check.c: every flaw that a plugin's table can have.
 */
#include "option_check.h"

#include <errno.h>

#include "fault.h"
#include "option.h"
#include "test.h"

static const char *const words[] = { "a", "b", NULL };
static const char *const no_words[] = { NULL };

#define LONG_KEY "a123456789b123456789c123456789d123456789e12345678"

/* A flaw is named with its key; the struct has 16 bytes. */
static void test_option_check_table_names_the_flaw(void **state)
{
    static const struct {
        struct co_option row;
        const char *err;
    } cases[] = {
        { { "", CO_OPT_UINT, 0, .def = NULL },
          "option \"\": the key is not of 1 to 48 letters, digits, '_' and '-'" },
        { { "a b", CO_OPT_UINT, 0, .def = NULL },
          "option \"a b\": the key is not of 1 to 48 letters, digits, '_' and '-'" },
        { { LONG_KEY, CO_OPT_UINT, 0, .def = NULL },
          "option \"" LONG_KEY
          "\": the key is not of 1 to 48 letters, digits, '_' and '-'" },
        { { "k", (enum co_option_type)0, 0, .def = NULL },
          "option \"k\": the type is unknown" },
        { { "k", (enum co_option_type)8, 0, .def = NULL },
          "option \"k\": the type is unknown" },
        { { "k", CO_OPT_UINT, 9, .def = NULL },
          "option \"k\": the field is outside of the struct" },
        { { "k", CO_OPT_LIST, 8, .def = NULL },
          "option \"k\": the field is outside of the struct" },
        { { "k", CO_OPT_BOOL, 16, .def = NULL },
          "option \"k\": the field is outside of the struct" },
        { { "k", CO_OPT_BOOL, SIZE_MAX, .def = NULL },
          "option \"k\": the field is outside of the struct" },
        { { "k", CO_OPT_UINT, 4, .def = NULL },
          "option \"k\": the field is not aligned" },
        { { "k", CO_OPT_ENUM, 2, .def = NULL },
          "option \"k\": the field is not aligned" },
        { { "k", CO_OPT_ENUM, 0, .def = NULL }, "option \"k\": an enum without names" },
        { { "k", CO_OPT_ENUM, 0, .names = no_words },
          "option \"k\": an enum without names" },
        { { "k", CO_OPT_UINT, 0, .min = 2, .max = 1 },
          "option \"k\": the range is empty" },
        { { "k", CO_OPT_UINT, 0, .def = "x" },
          "option \"k\": default \"x\" is not a number" },
        { { "k", CO_OPT_UINT, 0, .min = 1, .max = 9 },
          "option \"k\": default \"0\" is out of range 1..9" },
        { { "k", CO_OPT_DURATION, 0, .def = "5" },
          "option \"k\": default \"5\" has no unit (ms, s, m, h, d)" },
        { { "k", CO_OPT_ENUM, 0, .def = "c", .names = words },
          "option \"k\": default \"c\" is none of a, b" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        const struct co_option table[] = { cases[i].row, { .key = NULL } };
        char err[OPTION_ERR_MAX] = "";

        assert_int_equal(option_check_table(table, 16, err), -EINVAL);
        assert_string_equal(err, cases[i].err);
    }
}

/* A good table passes: fields up to the struct's end, and required keys out of range at
 * 0. */
static void test_option_check_table_passes(void **state)
{
    static const struct co_option table[] = {
        { "list", CO_OPT_LIST, 0, .def = "a,b" },
        { "text", CO_OPT_STRING, 16, .def = "x" },
        { "count", CO_OPT_UINT, 24, .min = 1, .flags = CO_OPT_REQUIRED },
        { "size", CO_OPT_SIZE, 32, .def = "4k" },
        { "wait", CO_OPT_DURATION, 40, .def = NULL },
        { "mode", CO_OPT_ENUM, 48, .names = words },
        { "on", CO_OPT_BOOL, 52, .def = NULL },
        { .key = NULL },
    };
    char err[OPTION_ERR_MAX];

    (void)state;
    assert_int_equal(option_check_table(table, 53, err), 0);
    assert_int_equal(option_check_table(NULL, 0, err), 0);
}

/* The same key twice would make the second one unreachable. */
static void test_option_check_table_finds_twins(void **state)
{
    static const struct co_option table[] = {
        { "a", CO_OPT_BOOL, 0, .def = NULL },
        { "a", CO_OPT_BOOL, 1, .def = NULL },
        { .key = NULL },
    };
    char err[OPTION_ERR_MAX];

    (void)state;
    assert_int_equal(option_check_table(table, 2, err), -EINVAL);
    assert_string_equal(err, "option \"a\": the key is there twice");
}

static int check(void *ctx)
{
    static const struct co_option table[] = {
        { "list", CO_OPT_LIST, 0, .def = "a,b" },
        { "text", CO_OPT_STRING, 16, .def = "x" },
        { .key = NULL },
    };
    char err[OPTION_ERR_MAX];

    (void)ctx;
    return option_check_table(table, 24, err);
}

/* Trying defaults allocates; each allocation may fail. */
static void test_option_check_table_without_memory(void **state)
{
    (void)state;
    assert_int_equal(fault_walk(check, NULL), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_option_check_table_names_the_flaw),
        cmocka_unit_test(test_option_check_table_passes),
        cmocka_unit_test(test_option_check_table_finds_twins),
        cmocka_unit_test(test_option_check_table_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
