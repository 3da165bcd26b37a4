/*
 * Edit distance between names (optimal string alignment: Levenshtein plus swaps of
 * neighbours), and the threshold below which a name is worth a hint.
 */
#include "nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define NAME_MAX_BYTES 64

static bool is_same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;

    return least < c ? least : c;
}

size_t nearest_distance(const char *a, const char *b)
{
    /* Rows i - 2, i - 1 and i of the matrix, taken in turn. */
    size_t rows[3][NAME_MAX_BYTES + 1];
    size_t a_len = strlen(a), b_len = strlen(b);

    if (a_len > NAME_MAX_BYTES || b_len > NAME_MAX_BYTES)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *before = rows[(i - 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t change = is_same(a[i - 1], b[j - 1]) ? 0 : 1;

            row[j] = smallest(before[j] + 1, row[j - 1] + 1, before[j - 1] + change);
            if (i > 1 && j > 1 && is_same(a[i - 1], b[j - 2]) &&
                is_same(a[i - 2], b[j - 1]))
                row[j] = smallest(row[j], rows[(i - 2) % 3][j - 2] + 1, SIZE_MAX);
        }
    }
    return rows[a_len % 3][b_len];
}

void nearest_offer(struct nearest *nearest, const char *name)
{
    size_t wanted_len = strlen(nearest->wanted), name_len = strlen(name);
    size_t limit = (wanted_len > name_len ? wanted_len : name_len) / 3;
    size_t distance = nearest_distance(nearest->wanted, name);

    if (distance > (limit > 0 ? limit : 1))
        return;
    /* A name of one or two letters is near to every other one: that is no hint. */
    if (distance >= name_len || distance >= wanted_len)
        return;
    if (nearest->name && nearest->distance <= distance)
        return;
    nearest->name = name;
    nearest->distance = distance;
}
