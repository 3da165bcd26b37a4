#include "test.h"

/* The test program runs. */
static void test_inbox_links(void **state)
{
    (void)state;
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inbox_links),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
