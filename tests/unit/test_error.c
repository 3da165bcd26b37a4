/* Tests of lib/base/error.c: names and texts of error codes. */
#include "test.h"

#include <errno.h>
#include <string.h>

#include <corod/error.h>

/* Each code of the library has its name and the text of the table. */
static void test_own_codes_are_named(void **state)
{
    (void)state;
#define CHECK_ROW(code, value, text)              \
    assert_int_equal(code, value);                \
    assert_string_equal(co_errname(code), #code); \
    assert_string_equal(co_strerror(code), text);
    CO_ERRORS(CHECK_ROW)
#undef CHECK_ROW
}

/* Codes of the system have the system's names and texts. */
static void test_system_codes_are_named(void **state)
{
    (void)state;
    assert_string_equal(co_errname(-ETIMEDOUT), "ETIMEDOUT");
    assert_string_equal(co_strerror(-ETIMEDOUT), strerror(ETIMEDOUT));
    assert_string_equal(co_errname(-ENOMEM), "ENOMEM");
}

/* Success and codes that do not exist have a name and a text as well. */
static void test_other_codes_are_named(void **state)
{
    static const int unknown[] = { -4095,     -4096, -20000, -20099,
                                   INT32_MIN, 1,     EIO,    INT32_MAX };

    (void)state;
    assert_string_equal(co_errname(0), "OK");
    assert_string_equal(co_strerror(0), "success");
    for (size_t i = 0; i < N_ELEMENTS(unknown); i++) {
        assert_string_equal(co_errname(unknown[i]), "?");
        assert_string_equal(co_strerror(unknown[i]), "unknown error");
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_codes_are_named),
        cmocka_unit_test(test_system_codes_are_named),
        cmocka_unit_test(test_other_codes_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
