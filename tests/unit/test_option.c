/*
 * Tests of option.c: values of every type from text and back, and the words of every
 * message.
 */
#include "option.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "test.h"

struct values {
    bool boolean;
    uint64_t count, words, size;
    co_time wait;
    char *text, *said, *needed;
    int level;
    struct co_strings list, items;
};

static const char *const words[] = { "auto", "all", NULL };
static const char *const levels[] = { "error", "info", "debug", NULL };

#define AT(field) offsetof(struct values, field)

enum { BOOLEAN, COUNT, WORDS, SIZE, WAIT, TEXT, SAID, NEEDED, LEVEL, LIST, ITEMS };

static const struct co_option table[] = {
    [BOOLEAN] = { "boolean", CO_OPT_BOOL, AT(boolean), .def = "yes" },
    [COUNT] = { "count", CO_OPT_UINT, AT(count), .def = "7", .min = 1, .max = 1024 },
    [WORDS] = { "words", CO_OPT_UINT, AT(words), .def = "all", .names = words },
    [SIZE] = { "size", CO_OPT_SIZE, AT(size), .def = "64k", .min = 1024, .max = 1 << 30 },
    [WAIT] = { "wait", CO_OPT_DURATION, AT(wait), .def = "90s", .min = 10 * CO_MSEC,
               .max = 86400 * CO_SECOND },
    [TEXT] = { "text", CO_OPT_STRING, AT(text), .def = NULL },
    [SAID] = { "said", CO_OPT_STRING, AT(said), .def = "hello" },
    [NEEDED] = { "needed", CO_OPT_STRING, AT(needed), .flags = CO_OPT_REQUIRED },
    [LEVEL] = { "level", CO_OPT_ENUM, AT(level), .def = "info", .names = levels },
    [LIST] = { "list", CO_OPT_LIST, AT(list), .def = "a, b" },
    [ITEMS] = { "items", CO_OPT_LIST, AT(items), .flags = CO_OPT_REQUIRED },
    { .key = NULL },
};

/* Numbers without bounds of their own. */
static const struct co_option free_count = { "n", CO_OPT_UINT, AT(count), .def = NULL };
static const struct co_option free_size = { "n", CO_OPT_SIZE, AT(size), .def = NULL };
static const struct co_option free_wait = { "n", CO_OPT_DURATION, AT(wait), .def = NULL };
static const struct co_option low_count = { "n", CO_OPT_UINT, AT(count), .min = 5 };

static char *write_value(const struct co_option *option, const struct values *values)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    option_write(option, values, out);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* A good value is stored, and written with the largest unit that is exact. */
static void test_option_parse_then_write(void **state)
{
    static const struct {
        const struct co_option *option;
        const char *text, *written;
    } cases[] = {
        { &table[BOOLEAN], "yes", "yes" },
        { &table[BOOLEAN], "On", "yes" },
        { &table[BOOLEAN], "1", "yes" },
        { &table[BOOLEAN], "TRUE", "yes" },
        { &table[BOOLEAN], "no", "no" },
        { &table[BOOLEAN], "false", "no" },
        { &table[BOOLEAN], "off", "no" },
        { &table[BOOLEAN], "0", "no" },
        { &table[COUNT], "1", "1" },
        { &table[COUNT], "0001024", "1024" },
        { &table[WORDS], "auto", "auto" },
        { &table[WORDS], "1", "all" },
        { &table[WORDS], "2", "2" },
        { &table[SIZE], "1024", "1k" },
        { &table[SIZE], "1025", "1025" },
        { &table[SIZE], "2K", "2k" },
        { &table[SIZE], "1024k", "1m" },
        { &table[SIZE], "1536k", "1536k" },
        { &table[SIZE], "1g", "1g" },
        { &free_size, "0", "0" },
        { &table[WAIT], "10ms", "10ms" },
        { &table[WAIT], "1500ms", "1500ms" },
        { &table[WAIT], "60s", "1m" },
        { &table[WAIT], "90m", "90m" },
        { &table[WAIT], "24h", "1d" },
        { &free_wait, "0", "0" },
        { &free_wait, "0s", "0" },
        { &free_wait, "106751d", "106751d" },
        { &free_count, "18446744073709551614", "18446744073709551614" },
        { &table[TEXT], "", "" },
        { &table[TEXT], "a = b, c", "a = b, c" },
        { &table[LEVEL], "error", "error" },
        { &table[LEVEL], "debug", "debug" },
        { &table[LIST], "", "" },
        { &table[LIST], "x", "x" },
        { &table[LIST], "x ,\ty,z", "x, y, z" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct values values = { .count = 0 };
        char err[OPTION_ERR_MAX] = "";
        char *written;

        assert_int_equal(option_parse(cases[i].option, cases[i].text, &values, err), 0);
        assert_string_equal(err, "");
        written = write_value(cases[i].option, &values);
        assert_string_equal(written, cases[i].written);
        free(written);
        option_free_all(table, &values);
    }
}

/* A bad value leaves the field alone, and the message says what is wrong with it. */
static void test_option_parse_complains(void **state)
{
    static const struct {
        const struct co_option *option;
        const char *text, *err;
    } cases[] = {
        { &table[BOOLEAN], "maybe", "\"maybe\" is neither yes nor no" },
        { &table[BOOLEAN], "", "has no value" },
        { &table[COUNT], "abc", "\"abc\" is not a number" },
        { &table[COUNT], "", "has no value" },
        { &table[COUNT], "1k", "\"1k\" is not a number" },
        { &table[COUNT], "1.5", "\"1.5\" is not a number" },
        { &table[COUNT], "+1", "\"+1\" is not a number" },
        { &table[COUNT], "-", "\"-\" is not a number" },
        { &table[COUNT], "0", "\"0\" is out of range 1..1024" },
        { &table[COUNT], "1025", "\"1025\" is out of range 1..1024" },
        { &table[COUNT], "-1", "\"-1\" is out of range 1..1024" },
        { &table[COUNT], "99999999999999999999999",
          "\"99999999999999999999999\" is out of range 1..1024" },
        { &table[WORDS], "abc", "\"abc\" is not a number or auto, all" },
        { &table[SIZE], "64kb", "\"64kb\" is not a size (bytes, or with k, m, g)" },
        { &table[SIZE], "1023", "\"1023\" is out of range 1k..1g" },
        { &table[SIZE], "2g", "\"2g\" is out of range 1k..1g" },
        { &table[SIZE], "18014398509481984k",
          "\"18014398509481984k\" is out of range 1k..1g" },
        { &table[WAIT], "30", "\"30\" has no unit (ms, s, m, h, d)" },
        { &table[WAIT], "30x", "\"30x\" is not a duration (ms, s, m, h, d)" },
        { &table[WAIT], "5M", "\"5M\" is not a duration (ms, s, m, h, d)" },
        { &table[WAIT], "1.5s", "\"1.5s\" is not a duration (ms, s, m, h, d)" },
        { &table[WAIT], "s", "\"s\" is not a duration (ms, s, m, h, d)" },
        { &table[WAIT], "0", "\"0\" is out of range 10ms..1d" },
        { &table[WAIT], "25h", "\"25h\" is out of range 10ms..1d" },
        { &table[WAIT], "18446744073709551615d",
          "\"18446744073709551615d\" is out of range 10ms..1d" },
        { &free_count, "18446744073709551615", "\"18446744073709551615\" is too large" },
        { &free_count, "-5", "\"-5\" is out of range, the least is 0" },
        { &low_count, "4", "\"4\" is out of range, the least is 5" },
        { &low_count, "18446744073709551616", "\"18446744073709551616\" is too large" },
        { &free_size, "17179869184g", "\"17179869184g\" is too large" },
        { &free_wait, "106752d", "\"106752d\" is too large" },
        { &table[NEEDED], "", "has no value" },
        { &table[LEVEL], "inof",
          "\"inof\" is none of error, info, debug, "
          "did you mean \"info\"?" },
        { &table[LEVEL], "loud", "\"loud\" is none of error, info, debug" },
        { &table[LIST], "a,,b", "\"a,,b\" has an empty item" },
        { &table[LIST], "a, ", "\"a, \" has an empty item" },
        { &table[LIST], ",a", "\",a\" has an empty item" },
        { &table[ITEMS], "", "has no value" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct values values, before;
        char err[OPTION_ERR_MAX] = "";

        memset(&values, 0, sizeof(values));
        before = values;
        assert_int_equal(option_parse(cases[i].option, cases[i].text, &values, err),
                         -EINVAL);
        assert_string_equal(err, cases[i].err);
        assert_memory_equal(&values, &before, sizeof(values));
    }
}

/* A type from a newer plugin is refused. */
static void test_option_parse_unknown_type(void **state)
{
    const struct co_option option = { "new", (enum co_option_type)99, 0, .def = NULL };
    struct values values = { .count = 0 };
    char err[OPTION_ERR_MAX];

    (void)state;
    assert_int_equal(option_parse(&option, "1", &values, err), -EINVAL);
    assert_string_equal(err, "is of unknown type 99");
}

/* A long value is cut in the message, and a message never overruns. */
static void test_option_parse_cuts_long_values(void **state)
{
    char text[600], err[OPTION_ERR_MAX];
    struct values values = { .count = 0 };

    (void)state;
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(option_parse(&table[LEVEL], text, &values, err), -EINVAL);
    assert_int_equal(strcspn(err + 1, "\""), 64);
}

/* Defaults go through the same parser; options without one stay zero. */
static void test_option_set_default_of_each_type(void **state)
{
    struct values values = { .count = 0 };
    char err[OPTION_ERR_MAX];

    (void)state;
    for (const struct co_option *option = table; option->key; option++)
        assert_int_equal(option_set_default(option, &values, err), 0);
    assert_true(values.boolean);
    assert_int_equal(values.count, 7);
    assert_int_equal(values.words, 1);
    assert_int_equal(values.size, 65536);
    assert_int_equal(values.wait, 90 * CO_SECOND);
    assert_null(values.text);
    assert_string_equal(values.said, "hello");
    assert_int_equal(values.level, 1);
    assert_int_equal(values.list.n, 2);
    assert_string_equal(values.list.items[1], "b");
    assert_int_equal(values.items.n, 0);
    option_free_all(table, &values);
    assert_null(values.said);
    assert_null(values.list.items);
}

/* An empty string is NULL, but for an option that has a default and so is never NULL. */
static void test_option_parse_empty_string(void **state)
{
    struct values values = { .count = 0 };
    char err[OPTION_ERR_MAX];

    (void)state;
    assert_int_equal(option_parse(&table[TEXT], "x", &values, err), 0);
    assert_int_equal(option_parse(&table[TEXT], "", &values, err), 0);
    assert_null(values.text);
    assert_int_equal(option_parse(&table[SAID], "", &values, err), 0);
    assert_string_equal(values.said, "");
    option_free_all(table, &values);
}

/* A list grows by each value; a bad one adds nothing. */
static void test_option_parse_list_appends(void **state)
{
    struct values values = { .count = 0 };
    char err[OPTION_ERR_MAX];

    (void)state;
    assert_int_equal(option_parse(&table[LIST], "a,b", &values, err), 0);
    assert_int_equal(option_parse(&table[LIST], "c", &values, err), 0);
    assert_int_equal(option_parse(&table[LIST], "d,,", &values, err), -EINVAL);
    assert_int_equal(option_list(&table[LIST], &values)->n, 3);
    assert_string_equal(values.list.items[2], "c");
    option_free_all(table, &values);
}

/* Each type is equal to itself, and differs when its value does. */
static void test_option_equal_of_each_type(void **state)
{
    static const struct {
        int row;
        const char *a, *b;
    } cases[] = {
        { BOOLEAN, "yes", "no" }, { COUNT, "1", "2" },         { SIZE, "1k", "2k" },
        { WAIT, "1s", "2s" },     { TEXT, "x", "y" },          { TEXT, "x", "" },
        { TEXT, "", "x" },        { LEVEL, "error", "debug" }, { LIST, "a", "a,b" },
        { LIST, "a,b", "a,c" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        const struct co_option *option = &table[cases[i].row];
        struct values a = { .count = 0 }, b = { .count = 0 }, c = { .count = 0 };
        char err[OPTION_ERR_MAX];

        assert_int_equal(option_parse(option, cases[i].a, &a, err), 0);
        assert_int_equal(option_parse(option, cases[i].a, &b, err), 0);
        assert_int_equal(option_parse(option, cases[i].b, &c, err), 0);
        assert_true(option_equal(option, &a, &b));
        assert_false(option_equal(option, &a, &c));
        option_free_all(table, &a);
        option_free_all(table, &b);
        option_free_all(table, &c);
    }
}

/* Options are found by their exact key; there may be no table at all. */
static void test_option_find_by_key(void **state)
{
    (void)state;
    assert_ptr_equal(option_find(table, "size"), &table[SIZE]);
    assert_null(option_find(table, "Size"));
    assert_null(option_find(NULL, "size"));
    option_free_all(NULL, NULL);
}

static int parse_all(void *ctx)
{
    struct values values = { .count = 0 };
    char err[OPTION_ERR_MAX];
    int r = 0;

    (void)ctx;
    for (const struct co_option *option = table; option->key && r == 0; option++)
        r = option_set_default(option, &values, err);
    if (r == 0)
        r = option_parse(&table[LIST], "c,d,e", &values, err);
    if (r < 0 && values.list.n > 0)
        assert_int_equal(values.list.n, 2);
    option_free_all(table, &values);
    return r;
}

/* Each allocation may fail: what was read before stays, nothing leaks. */
static void test_option_parse_without_memory(void **state)
{
    (void)state;
    assert_int_equal(fault_walk(parse_all, NULL), 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_option_parse_then_write),
        cmocka_unit_test(test_option_parse_complains),
        cmocka_unit_test(test_option_parse_unknown_type),
        cmocka_unit_test(test_option_parse_cuts_long_values),
        cmocka_unit_test(test_option_set_default_of_each_type),
        cmocka_unit_test(test_option_parse_empty_string),
        cmocka_unit_test(test_option_parse_list_appends),
        cmocka_unit_test(test_option_equal_of_each_type),
        cmocka_unit_test(test_option_find_by_key),
        cmocka_unit_test(test_option_parse_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
