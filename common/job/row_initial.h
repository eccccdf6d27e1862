/* row_initial.h - the initial values of a row: a pure function of seed and key. */
#pragma once

#include <stdint.h>

/* out[dim], dim at most DIM_MAX: normals with standard deviation `scale`, from (seed, key hash).
 * A row of a smaller dim is the beginning of a larger one. */
void row_initial(uint64_t seed, uint64_t key_hash, float scale, uint32_t dim, float *out);
