/**
 * "did you mean": finds the known name that a misspelt one probably stands for. Any
 * thread.
 *
 *     struct nearest nearest = { .wanted = "idle_timeot" };
 *     for each known name
 *         nearest_offer(&nearest, name);
 *     if (nearest.name)
 *         …did you mean nearest.name…
 */
#ifndef NEAREST_H
#define NEAREST_H

#include <stddef.h>

/** A search. Set `wanted`, zero the rest, offer the candidates, read `name`. */
struct nearest {
    const char *wanted;
    const char *name; /* borrowed from the candidates; NULL: none is near enough */
    size_t distance;
};

/**
 * Offers a candidate; the first of the nearest wins. Near enough is a distance of a third
 * of the longer name's length, and at least 1.
 */
void nearest_offer(struct nearest *nearest, const char *name);

/**
 * How many bytes must be inserted, deleted, replaced or swapped with their neighbour to
 * turn one name into the other; the case of ASCII letters does not count. SIZE_MAX when
 * either is longer than 64 bytes.
 */
size_t nearest_distance(const char *a, const char *b);

#endif
