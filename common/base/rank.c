/* rank.c - radix sort, least significant digit first.
 *
 * One pass over the rows counts the digits at all positions. Then each position whose digit differs
 * between rows takes one stable scatter into the other buffer. A digit has 11 bits, so that its
 * 2048 counters stay in the first-level cache. */
#include "rank.h"

#include <stdbool.h>

#include "mem.h"

#define DIGIT_BITS 11
#define DIGITS     6 /* 6 * 11 >= 64 */
#define RADIX      (1u << DIGIT_BITS)

static inline uint32_t digit_of(uint64_t key, uint32_t digit) {
    return (uint32_t)(key >> (digit * DIGIT_BITS)) & (RADIX - 1);
}

static void count_digits(const struct ranked *rows, size_t n, size_t (*count)[RADIX]) {
    for (size_t i = 0; i < n; i++) {
        for (uint32_t d = 0; d < DIGITS; d++) {
            count[d][digit_of(rows[i].key, d)]++;
        }
    }
}

/* Turns the counts into the first position of each digit value. */
static void positions(size_t *count) {
    size_t at = 0;
    for (uint32_t v = 0; v < RADIX; v++) {
        size_t here = count[v];
        count[v] = at;
        at += here;
    }
}

static void scatter(const struct ranked *from, size_t n, uint32_t digit, size_t *position,
                    struct ranked *to) {
    for (size_t i = 0; i < n; i++) {
        to[position[digit_of(from[i].key, digit)]++] = from[i];
    }
}

enum status rank_sort(struct ranked *rows, size_t n) {
    if (n < 2) {
        return OK;
    }
    size_t(*count)[RADIX] = NULL;
    struct ranked *other = NULL, *from = rows;
    enum status status;
    TRY_OUT(mem_array(&count, DIGITS));
    TRY_OUT(mem_array(&other, n));
    count_digits(rows, n, count);
    struct ranked *to = other;
    for (uint32_t d = 0; d < DIGITS; d++) {
        if (count[d][digit_of(from[0].key, d)] == n) {
            continue;
        }
        positions(count[d]);
        scatter(from, n, d, count[d], to);
        struct ranked *swap = from;
        from = to;
        to = swap;
    }
    if (from != rows) {
        memcpy(rows, from, n * sizeof *rows);
    }
out:
    mem_free(&other);
    mem_free(&count);
    return status;
}
