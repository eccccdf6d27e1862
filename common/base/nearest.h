/* nearest.h - finds the known name nearest to a misspelt one. */
#pragma once

#include <stddef.h>

/* Keeps the nearest of the names given to nearest_try. A name that differs only in case or in
 * blanks at its ends is nearer than any other. */
struct nearest {
    const char *asked;
    const char *name; /* "" before the first name */
    size_t distance;  /* 0: the same name */
};
/* `asked` and the names given must live as long as the struct. */
struct nearest nearest_of(const char *asked);
void nearest_try(struct nearest *n, const char *name);
/* The number of edits from one name to the other; names are cut at 128 bytes. */
size_t nearest_distance(const char *a, const char *b);
