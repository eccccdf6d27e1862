/* rng.h - counter-based random numbers: a value depends only on (seed, a, b), not on the order of
 * calls. The mixer is the 64-bit finaliser of SplitMix64 (Steele, Lea, Flood 2014), applied to each
 * word in turn. All functions are pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

static inline uint64_t rng_mix(uint64_t x) {
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}
static inline uint64_t rng_u64(uint64_t seed, uint64_t a, uint64_t b) {
    return rng_mix(rng_mix(rng_mix(seed) ^ a) ^ b);
}
/* Uniform in (0,1), never 0 or 1: 53 bits, centred. */
static inline double rng_unit(uint64_t seed, uint64_t a, uint64_t b) {
    return ((double)(rng_u64(seed, a, b) >> 11) + 0.5) * 0x1p-53;
}
/* Uniform in [0, n), n > 0 (multiply-shift; bias below 2^-32 for n < 2^32). */
static inline uint64_t rng_below(uint64_t seed, uint64_t a, uint64_t b, uint64_t n) {
    return (uint64_t)(((unsigned __int128)rng_u64(seed, a, b) * n) >> 64);
}
/* Standard normal (Box-Muller on two units of the same counter). */
double rng_normal(uint64_t seed, uint64_t a, uint64_t b);

/* Fills perm[0..n) with a permutation of 0..n-1 that depends on (seed, a, b) alone (Fisher-Yates).
 */
void rng_permutation(uint64_t seed, uint64_t a, uint64_t b, uint32_t *perm, size_t n);
