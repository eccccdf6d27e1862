/* log_sketch.h - estimates how many distinct ids a field has, in 1 KiB (HyperLogLog: Flajolet et
 * al. 2007).
 *
 * An id's hash selects one of 1,024 registers and gives a rank: the number of leading zeros of its
 * other bits, plus 1. A register keeps the largest rank, regardless of the order and number of
 * times in which ids come. So the sketches of several threads can be joined exactly. The standard
 * error of the estimate is 3 %.
 */
#pragma once

#include <stdint.h>

#define SKETCH_BITS      10u
#define SKETCH_REGISTERS (1u << SKETCH_BITS)

struct log_sketch {
    uint8_t rank[SKETCH_REGISTERS];
};

static inline void log_sketch_add(struct log_sketch *s, uint64_t id) {
    uint64_t h = (id + 1) * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
    h ^= h >> 32;
    const uint8_t rank = (uint8_t)(__builtin_clzll(h | 1) + 1);
    uint8_t *at = &s->rank[h & (SKETCH_REGISTERS - 1)];
    *at = rank > *at ? rank : *at;
}
void log_sketch_join(struct log_sketch *to, const struct log_sketch *from);
double log_sketch_count(const struct log_sketch *s);
