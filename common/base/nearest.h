/* nearest.h - the known name that a misspelt one is nearest to. */
#pragma once

#include <stddef.h>

/* Keeps the nearest of the names it is shown. One that differs in case or in blanks at its ends
 * only is nearer than any other. */
struct nearest {
    const char *asked;
    const char *name; /* "" before the first */
    size_t distance;  /* 0: that very name */
};
/* The names shown must live as long. */
struct nearest nearest_of(const char *asked);
void nearest_try(struct nearest *n, const char *name);
/* Edits from one to the other; names are cut at 128 bytes. */
size_t nearest_distance(const char *a, const char *b);
