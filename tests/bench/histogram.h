/**
 * A log-linear histogram of times: 64 steps to each power of two, so that a value read
 * back is at most 1.6 % above the one that was added. Fixed size, no allocation,
 * mergeable.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_STEP_BITS = 6,
    HISTOGRAM_STEPS = 1 << HISTOGRAM_STEP_BITS,
    HISTOGRAM_BUCKETS = (64 - HISTOGRAM_STEP_BITS + 1) * HISTOGRAM_STEPS,
};

/** All zero is empty. */
struct histogram {
    uint64_t n;
    uint64_t max; /* exact */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/** Adds one value. */
void histogram_add(struct histogram *h, uint64_t value);

/** Adds all values of @from to @into. */
void histogram_merge(struct histogram *into, const struct histogram *from);

/** The value that @share (0..1) of all values do not exceed; 0 when there are none. */
uint64_t histogram_quantile(const struct histogram *h, double share);

#endif
