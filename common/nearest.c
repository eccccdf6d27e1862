#include "nearest.h"

#include <stdint.h>
#include <string.h>

#define NAME_BYTES 128u /* of which two names are compared */

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Levenshtein distance, one row of the matrix at a time. */
size_t nearest_distance(const char *a, const char *b) {
    size_t row[NAME_BYTES + 1];
    const size_t na = least(strlen(a), NAME_BYTES), nb = least(strlen(b), NAME_BYTES);
    for (size_t j = 0; j <= nb; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= na; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            const size_t substitute = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = least(substitute, least(row[j], row[j - 1]) + 1);
        }
    }
    return row[nb];
}

struct nearest nearest_of(const char *asked) {
    return (struct nearest){.asked = asked, .name = "", .distance = SIZE_MAX};
}

void nearest_try(struct nearest *n, const char *name) {
    const size_t d = nearest_distance(n->asked, name);
    if (d < n->distance) {
        n->distance = d;
        n->name = name;
    }
}
