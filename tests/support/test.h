/**
 * What every unit test includes instead of <cmocka.h>, which needs these headers before
 * it, in this order.
 */
#ifndef COROD_TEST_H
#define COROD_TEST_H

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <dirent.h>
#include <stdint.h>

#include <cmocka.h>
/* clang-format on */

/** Number of elements of an array, for cases[] tables. */
#define N_ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/** Descriptors that this process has open, one of them for the counting. */
static inline int count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    assert_non_null(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n;
}

#endif
