/* wire_bf16.c - rounds and packs; compiled for each level of the CPU.
 *
 * bf16 keeps the exponent and 7 bits of the mantissa; rounding is to the nearest, ties to even, by
 * adding half of what is cut off (one less when the kept part is even). Infinities stay, and
 * overflow gives an infinity. A NaN stays a NaN: the upper bits of its payload are kept and the
 * quiet bit is set, since rounding could carry the payload away. Frames may be unaligned: loads and
 * stores go through memcpy, which compiles to plain moves.
 */
#include "wire_bf16.h"

#include <string.h>

static uint16_t bf16_of(uint32_t bits) {
    uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    uint32_t quiet = (bits >> 16) | 0x40u;
    return (uint16_t)((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

static void pack_bf16(const float *values, size_t n, uint8_t *out) {
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        uint16_t half = bf16_of(bits);
        memcpy(out + 2 * i, &half, sizeof half);
    }
}

static void unpack_bf16(const uint8_t *bytes, size_t n, float *out) {
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, bytes + 2 * i, sizeof half);
        uint32_t bits = (uint32_t)half << 16;
        memcpy(&out[i], &bits, sizeof bits);
    }
}

const struct wire_bf16 LEVEL(wire_bf16) = {pack_bf16, unpack_bf16};
