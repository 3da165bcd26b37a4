/*
 * Tests of nearest.c: distances, and which name is worth a hint.
 */
#include <string.h>

#include "nearest.h"
#include "test.h"

/* Insertions, deletions, replacements and swaps of neighbours each count one. */
static void test_nearest_distance_counts_edits(void **state)
{
    static const struct {
        const char *a, *b;
        size_t distance;
    } cases[] = {
        { "", "", 0 },
        { "", "abc", 3 },
        { "abc", "", 3 },
        { "workers", "workers", 0 },
        { "Workers", "wORKERS", 0 },
        { "workrs", "workers", 1 },
        { "workerss", "workers", 1 },
        { "warkers", "workers", 1 },
        { "wrokers", "workers", 1 },
        { "orwkers", "workers", 2 },
        { "kitten", "sitting", 3 },
        { "ba", "ab", 1 },
        { "ca", "abc", 3 },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++)
        assert_int_equal(nearest_distance(cases[i].a, cases[i].b), cases[i].distance);
}

/* Names beyond 64 bytes have no distance; 64 bytes still do. */
static void test_nearest_distance_of_long_names(void **state)
{
    char a[66], b[66];

    (void)state;
    memset(a, 'a', sizeof(a));
    memset(b, 'b', sizeof(b));
    a[64] = b[64] = '\0';
    assert_int_equal(nearest_distance(a, b), 64);
    a[64] = 'a';
    a[65] = '\0';
    assert_true(nearest_distance(a, b) == SIZE_MAX);
    assert_true(nearest_distance(b, a) == SIZE_MAX);
}

/* The nearest of several is found; what is too far away, or very short, gives no hint. */
static void test_nearest_offer_keeps_the_nearest(void **state)
{
    static const char *const names[] = { "no", "info", "idle_timeout", "read_timeout",
                                         "readtimeout" };
    static const struct {
        const char *wanted, *name;
    } cases[] = {
        { "idle_timeot", "idle_timeout" },
        { "read_timout", "read_timeout" },
        { "readtimout", "readtimeout" },
        { "inof", "info" },
        { "timeout", NULL },
        { "x", NULL },
        { "", NULL },
        { "on", "no" },
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
        struct nearest nearest = { .wanted = cases[i].wanted };

        for (size_t j = 0; j < N_ELEMENTS(names); j++)
            nearest_offer(&nearest, names[j]);
        if (cases[i].name)
            assert_string_equal(nearest.name, cases[i].name);
        else
            assert_null(nearest.name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest_distance_counts_edits),
        cmocka_unit_test(test_nearest_distance_of_long_names),
        cmocka_unit_test(test_nearest_offer_keeps_the_nearest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
