/*
 * Checks of the daemon's own invariants, on in release. Never for input from outside.
 */
#ifndef DAEMON_CHECK_H
#define DAEMON_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (__builtin_expect(!(condition), 0)) {                                         \
            fprintf(stderr, "corod: bug: %s:%d: %s: %s\n", __FILE__, __LINE__, __func__, \
                    #condition);                                                         \
            abort();                                                                     \
        }                                                                                \
    } while (0)

#endif
