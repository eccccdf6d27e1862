/* keys.h - the keys of a bench's requests: distinct and ascending, as in a trainer's batch, and the
 * same in each program that includes this. */
#pragma once

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/base/rng.h"

static inline int keys_upwards(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Draws a rank by inversion of the continuous power law (zipf 0: uniform); a hash spreads the ranks
 * over the ids, which lie below `rows`. */
static inline uint64_t keys_draw_one(uint64_t rows, double zipf, uint64_t a, uint64_t i) {
    if (zipf <= 0) {
        return rng_below(11, a, i, rows);
    }
    const double s = 1.0 - zipf, n = (double)rows;
    const double u = rng_unit(11, a, i);
    const double rank = fabs(s) < 1e-9 ? exp(u * log(n)) : pow(u * (pow(n, s) - 1) + 1, 1 / s);
    return rng_mix((uint64_t)rank) % rows;
}

/* Draws `draws` keys into ids[draws]; returns how many distinct ones are left at its front. */
static inline uint32_t keys_draw(uint64_t rows, double zipf, uint64_t list, uint64_t draws,
                                 uint64_t *ids) {
    uint32_t count = 0;
    for (uint64_t i = 0; i < draws; i++) {
        ids[i] = keys_draw_one(rows, zipf, list, i);
    }
    qsort(ids, draws, sizeof *ids, keys_upwards);
    for (uint64_t i = 0; i < draws; i++) {
        if (count == 0 || ids[i] != ids[count - 1]) {
            ids[count++] = ids[i];
        }
    }
    return count;
}
