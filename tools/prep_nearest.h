/* prep_nearest.h - the known name that a misspelt one is nearest to. */
#ifndef TOOLS_PREP_NEAREST_H
#define TOOLS_PREP_NEAREST_H

#include <stddef.h>

/* Keeps the nearest of the names it is shown. */
struct nearest {
    const char *asked;
    const char *name; /* "" before the first */
    size_t distance;
};
struct nearest nearest_of(const char *asked);
void nearest_try(struct nearest *n, const char *name);

#endif
