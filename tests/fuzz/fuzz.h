/**
 * The entry point of every fuzz target: called by libFuzzer, or by replay.c.
 */
#ifndef COROD_FUZZ_H
#define COROD_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/** Ends the run with a finding when a property does not hold. */
#define REQUIRE(condition)                                     \
    do {                                                       \
        if (!(condition)) {                                    \
            (void)fprintf(stderr, "not so: %s\n", #condition); \
            abort();                                           \
        }                                                      \
    } while (0)

/** Runs the target on one input; aborts when a property does not hold. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
