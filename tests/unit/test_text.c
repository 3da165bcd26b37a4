/* Tests of lib/base/text.c: text into a fixed buffer. */
#include "test.h"

#include <string.h>

#include <corod/task.h>

/* Pieces are appended one behind the other, always with a NUL. */
static void test_append_joins_pieces(void **state)
{
    char buf[32] = "";
    size_t len = 0;

    (void)state;
    co_text_append(buf, sizeof(buf), &len, "conn ");
    co_text_append_u64(buf, sizeof(buf), &len, 42);
    co_text_append(buf, sizeof(buf), &len, "");
    co_text_append(buf, sizeof(buf), &len, "!");
    assert_string_equal(buf, "conn 42!");
    assert_int_equal(len, 8);
}

/* Text is cut to the buffer, and nothing behind it is touched. */
static void test_append_is_cut_to_size(void **state)
{
    (void)state;
    for (size_t size = 0; size <= 8; size++) {
        char buf[12];
        size_t len = 0;

        memset(buf, '#', sizeof(buf));
        co_text_append(buf, size, &len, "abc");
        co_text_append(buf, size, &len, "def");
        co_text_append_u64(buf, size, &len, 123);
        assert_int_equal(buf[size], '#');
        assert_int_equal(len, size > 0 ? size - 1 : 0);
        assert_memory_equal(buf, "abcdef12", len);
        if (size > 0)
            assert_int_equal(buf[len], '\0');
    }
}

/* Numbers are decimal, from the least to the largest. */
static void test_append_u64_is_decimal(void **state)
{
    static const struct {
        uint64_t value;
        const char *text;
    } cases[] = {
        { 0, "0" },
        { 9, "9" },
        { 10, "10" },
        { 1000000, "1000000" },
        { UINT64_MAX, "18446744073709551615" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        char buf[32];
        size_t len = 0;

        co_text_append_u64(buf, sizeof(buf), &len, cases[i].value);
        assert_string_equal(buf, cases[i].text);
        assert_int_equal(len, strlen(cases[i].text));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append_joins_pieces),
        cmocka_unit_test(test_append_is_cut_to_size),
        cmocka_unit_test(test_append_u64_is_decimal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
