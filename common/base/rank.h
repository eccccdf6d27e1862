/* rank.h - sorts rows by score; every exact AUC uses it.
 *
 * A score's bits become an unsigned key of the same order: a negative score has all bits flipped,
 * any other only the sign bit; -0 counts as 0. Keys of floats and doubles are both 64 bits wide.
 * The radix sort skips the digits that all rows share, so floats cost as much as 32-bit keys.
 */
#pragma once

#include "status.h"
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct ranked {
    uint64_t key;
    uint64_t tag; /* chosen by the caller: a label, an index, a group */
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

/* Sorts by key, ascending and stable, in O(n). Needs 16 more bytes per row while it runs.
 * ERR_MEMORY. */
enum status rank_sort(struct ranked *rows, size_t n);
