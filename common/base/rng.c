#include "rng.h"

#include <math.h>

/* Both units come from this counter, so no other (a, b) shares them. */
double rng_normal(uint64_t seed, uint64_t a, uint64_t b) {
    uint64_t word = rng_u64(seed, a, b);
    double u = ((double)(word >> 11) + 0.5) * 0x1p-53;
    double v = ((double)(rng_mix(word) >> 11) + 0.5) * 0x1p-53;
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

void rng_permutation(uint64_t seed, uint64_t a, uint64_t b, uint32_t *perm, size_t n) {
    uint64_t key = rng_u64(seed, a, b);
    for (size_t i = 0; i < n; i++) {
        perm[i] = (uint32_t)i;
    }
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)rng_below(key, i, 0, i);
        uint32_t swap = perm[i - 1];
        perm[i - 1] = perm[j];
        perm[j] = swap;
    }
}
