/* rank.h - rows in order of their score: the sort under every exact AUC.
 *
 * A score's bits are mapped to an unsigned key of the same order (negative: all bits flipped,
 * otherwise the sign bit), -0 counts as 0. Keys of floats and doubles are both 64 bits wide; a
 * radix sort skips the digits that all rows share, so floats cost what 32 bits cost.
 */
#pragma once

#include "status.h"
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct ranked {
    uint64_t key;
    uint64_t tag; /* the caller's: a label, an index, a group */
};

static inline uint64_t rank_key_f32(float score) {
    uint32_t bits;
    float x = score + 0.0f; /* -0 becomes 0 */
    memcpy(&bits, &x, sizeof bits);
    return (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
}
static inline uint64_t rank_key_f64(double score) {
    uint64_t bits;
    double x = score + 0.0;
    memcpy(&bits, &x, sizeof bits);
    return (bits >> 63) != 0 ? ~bits : bits | (1ull << 63);
}

/* Sorts by key, ascending and stable, in O(n). Another 16 bytes a row meanwhile. ERR_MEMORY. */
enum status rank_sort(struct ranked *rows, size_t n);
