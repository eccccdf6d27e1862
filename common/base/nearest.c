#include "nearest.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#define NAME_BYTES 128u /* of each name that are compared */

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

/* Equal except for case and for blanks at the ends. */
static bool same_word(const char *a, const char *b) {
    size_t na, nb;
    a += strspn(a, " \t");
    b += strspn(b, " \t");
    for (na = strlen(a); na > 0 && (a[na - 1] == ' ' || a[na - 1] == '\t'); na--) {
    }
    for (nb = strlen(b); nb > 0 && (b[nb - 1] == ' ' || b[nb - 1] == '\t'); nb--) {
    }
    return na == nb && strncasecmp(a, b, na) == 0;
}

void nearest_try(struct nearest *n, const char *name) {
    const size_t d = strcmp(n->asked, name) == 0 ? 0
                     : same_word(n->asked, name) ? 1
                                                 : 1 + nearest_distance(n->asked, name);
    if (d < n->distance) {
        n->distance = d;
        n->name = name;
    }
}
