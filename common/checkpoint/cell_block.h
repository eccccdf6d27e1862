/* cell_block.h - the codes of cell_code.h for a block of LANES numbers in registers.
 *
 * For levelled files alone (common/cpu/level.h): the size of a block is that of the level, which
 * shows in no result. Every function is inlined; the vectors are the compiler's, whose comparisons
 * give masks of ones. Where GCC makes many instructions of what the CPU has as one, that one is
 * named.
 *
 * Cells are coded without a branch, with integers and one addition of floats, so that each machine
 * gives the same bytes.
 *
 * A code is cut out of the bits of a float. With the exponent of the lowest full binade in `low`,
 * the bits of a number above it, less those of `low`, are its code followed by 20 bits that are cut
 * off; random 20 bits added before make the rounding. Below that binade codes are even steps:
 * adding `low` to the number brings it into the lowest binade, whose mantissa is that of even
 * steps. */
#pragma once

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#define BLOCK_INLINE static inline __attribute__((always_inline, unused))

#if defined(__AVX512BW__)
#define LANES 16u
#define BLOCK_STEPS                                                                                \
    { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 }
#else
#define LANES 8u
#define BLOCK_STEPS                                                                                \
    { 0, 1, 2, 3, 4, 5, 6, 7 }
#endif
#define CUT_BITS   20 /* of an f32's mantissa, below a code's 3 bits */
#define CUT_MASK   ((1u << CUT_BITS) - 1)
#define BINADE     (1 << 23)
#define SCALE_MIN  34u /* cell_code.h */
#define SCALE_MAX  254u
#define SIZE_MASK  0x7fffffff
#define INFINITE   0x7f800000
#define BF16_TOP   0x7f7fffff
#define SIGNED_TOP 15 /* highest exponent of a code with a sign, and of one without */
#define PLAIN_TOP  31

typedef int32_t block_i32 __attribute__((vector_size(4 * LANES)));
typedef uint32_t block_u32 __attribute__((vector_size(4 * LANES)));
typedef float block_f32 __attribute__((vector_size(4 * LANES)));
typedef uint16_t block_u16 __attribute__((vector_size(2 * LANES)));
typedef uint8_t block_u8 __attribute__((vector_size(LANES)));

/* Where the block that begins at cell i of n begins: the last one lies over the one before it, and
 * gives the same codes again. n >= LANES. */
BLOCK_INLINE size_t block_at(size_t i, size_t n) {
    return i + LANES <= n ? i : n - LANES;
}

/* --- what the CPU has ------------------------------------------------------------------------- */

#if defined(__AVX512BW__)

/* a < b ? x : y. */
BLOCK_INLINE block_i32 block_less(block_i32 a, block_i32 b, block_i32 x, block_i32 y) {
    return (block_i32)_mm512_mask_mov_epi32(
        (__m512i)y, _mm512_cmplt_epi32_mask((__m512i)a, (__m512i)b), (__m512i)x);
}
BLOCK_INLINE block_i32 block_min(block_i32 a, block_i32 b) {
    return (block_i32)_mm512_min_epi32((__m512i)a, (__m512i)b);
}
BLOCK_INLINE block_i32 block_max(block_i32 a, block_i32 b) {
    return (block_i32)_mm512_max_epi32((__m512i)a, (__m512i)b);
}
BLOCK_INLINE int32_t block_largest(block_i32 a) {
    return _mm512_reduce_max_epi32((__m512i)a);
}
BLOCK_INLINE block_f32 block_root(block_f32 x) {
    return (block_f32)_mm512_sqrt_ps((__m512)x);
}
BLOCK_INLINE block_i32 block_of_bytes(const uint8_t *bytes) {
    return (block_i32)_mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)bytes));
}
BLOCK_INLINE void block_to_bytes(block_i32 a, uint8_t *bytes) {
    _mm_storeu_si128((void *)bytes, _mm512_cvtepi32_epi8((__m512i)a));
}

#elif defined(__AVX2__)

BLOCK_INLINE block_i32 block_less(block_i32 a, block_i32 b, block_i32 x, block_i32 y) {
    return (block_i32)_mm256_blendv_epi8((__m256i)y, (__m256i)x,
                                         _mm256_cmpgt_epi32((__m256i)b, (__m256i)a));
}
BLOCK_INLINE block_i32 block_min(block_i32 a, block_i32 b) {
    return (block_i32)_mm256_min_epi32((__m256i)a, (__m256i)b);
}
BLOCK_INLINE block_i32 block_max(block_i32 a, block_i32 b) {
    return (block_i32)_mm256_max_epi32((__m256i)a, (__m256i)b);
}
BLOCK_INLINE int32_t block_largest(block_i32 a) {
    const __m128i four =
        _mm_max_epi32(_mm256_castsi256_si128((__m256i)a), _mm256_extracti128_si256((__m256i)a, 1));
    const __m128i two = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}
BLOCK_INLINE block_f32 block_root(block_f32 x) {
    return (block_f32)_mm256_sqrt_ps((__m256)x);
}
BLOCK_INLINE block_i32 block_of_bytes(const uint8_t *bytes) {
    return (block_i32)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)bytes));
}

#else

BLOCK_INLINE block_i32 block_less(block_i32 a, block_i32 b, block_i32 x, block_i32 y) {
    const block_i32 less = a < b;
    return (x & less) | (y & ~less);
}
BLOCK_INLINE block_i32 block_min(block_i32 a, block_i32 b) {
    return block_less(a, b, a, b);
}
BLOCK_INLINE block_i32 block_max(block_i32 a, block_i32 b) {
    return block_less(a, b, b, a);
}
BLOCK_INLINE int32_t block_largest(block_i32 a) {
    int32_t largest = a[0];
    for (size_t i = 1; i < LANES; i++) {
        largest = a[i] > largest ? a[i] : largest;
    }
    return largest;
}
BLOCK_INLINE block_f32 block_root(block_f32 x) {
    float in[LANES], out[LANES];
    memcpy(in, &x, sizeof in);
    for (size_t i = 0; i < LANES; i++) {
        out[i] = sqrtf(in[i]);
    }
    memcpy(&x, out, sizeof x);
    return x;
}
typedef uint64_t block_u64 __attribute__((vector_size(4 * LANES)));
typedef uint8_t block_pieces __attribute__((vector_size(4 * LANES)));
BLOCK_INLINE block_i32 block_of_bytes(const uint8_t *bytes) {
    uint64_t eight;
    memcpy(&eight, bytes, sizeof eight);
    const block_pieces all = (block_pieces)(block_u64){eight}; /* 0 from byte 8 on */
    return (block_i32)__builtin_shufflevector(all, all, 0, 8, 8, 8, 1, 8, 8, 8, 2, 8, 8, 8, 3, 8, 8,
                                              8, 4, 8, 8, 8, 5, 8, 8, 8, 6, 8, 8, 8, 7, 8, 8, 8);
}

#endif
#if !defined(__AVX512BW__)
typedef uint8_t block_parts __attribute__((vector_size(4 * LANES)));
BLOCK_INLINE void block_to_bytes(block_i32 a, uint8_t *bytes) {
    const block_parts all = (block_parts)a;
    const block_u8 narrow = __builtin_shufflevector(all, all, 0, 4, 8, 12, 16, 20, 24, 28);
    memcpy(bytes, &narrow, sizeof narrow);
}
#endif

/* --- every level ------------------------------------------------------------------------------ */

BLOCK_INLINE block_f32 block_load(const void *floats) {
    block_f32 x;
    memcpy(&x, floats, sizeof x);
    return x;
}

/* 32 random bits for each of the cells from `place` on, mixed twice with a multiplication (the
 * constants are those of Wellons' lowbias32). */
BLOCK_INLINE block_u32 block_random(uint64_t key, uint32_t place) {
    static const block_u32 steps = BLOCK_STEPS;
    block_u32 x = steps * 0x9e3779b9u + ((uint32_t)key + place * 0x9e3779b9u);
    x = (x ^ (x >> 16)) * 0x7feb352du;
    x ^= (uint32_t)(key >> 32);
    x = (x ^ (x >> 15)) * 0x846ca68bu;
    return x ^ (x >> 16);
}

BLOCK_INLINE block_f32 bf16_get_block(const uint8_t *cells) {
    block_u16 codes;
    memcpy(&codes, cells, sizeof codes);
    return (block_f32)(__builtin_convertvector(codes, block_u32) << 16);
}

BLOCK_INLINE void bf16_put_block(block_f32 x, bool has_sign, uint64_t key, uint32_t place,
                                 uint8_t *out) {
    const block_i32 bits = (block_i32)x, size = bits & SIZE_MASK, none = {0};
    /* Of a NaN this may wrap, and is not taken. */
    const block_i32 up = (block_i32)((block_u32)size + (block_random(key, place) >> 16));
    const block_i32 rounded = block_min(up, BF16_TOP + none) >> 16;
    /* A NaN keeps a bit of its mantissa. */
    const block_i32 other = size >> 16 | block_less(INFINITE + none, size, 0x40 + none, none);
    const block_i32 code = block_less(size, INFINITE + none, rounded, other);
    const block_i32 lifted = has_sign ? code : block_max(code, block_min(size, 1 + none));
    const block_u16 narrow =
        __builtin_convertvector((block_u32)lifted | ((block_u32)bits >> 31) << 15, block_u16);
    memcpy(out, &narrow, sizeof narrow);
}

/* The exponent of the largest cell, whose bits without sign are given; one more if its code would
 * be rounded beyond the top. */
BLOCK_INLINE uint32_t u8_scale(uint32_t largest) {
    const uint32_t scale = (largest + CUT_MASK) >> 23;
    return scale < SCALE_MIN ? SCALE_MIN : scale > SCALE_MAX ? SCALE_MAX : scale;
}

/* The bits of the lowest full binade: exponent 1 of a code. */
BLOCK_INLINE int32_t u8_low(bool has_sign, uint32_t scale) {
    return ((int32_t)scale - (has_sign ? SIGNED_TOP : PLAIN_TOP) + 1) * BINADE;
}

BLOCK_INLINE void u8_put_block(block_f32 x, bool has_sign, uint32_t scale, uint64_t key,
                               uint32_t place, uint8_t *out) {
    const block_i32 bits = (block_i32)x, size = bits & SIZE_MASK, none = {0};
    const block_i32 low = u8_low(has_sign, scale) + none;
    const block_i32 lifted = (block_i32)((block_f32)size + (block_f32)low) - low;
    const block_i32 at = block_less(size, low, lifted, size - low + BINADE);
    const block_i32 random = (block_i32)(block_random(key, place) & CUT_MASK);
    const int32_t most = (has_sign ? SIGNED_TOP : PLAIN_TOP) * 8 + 7;
    const block_i32 code = block_min((at + random) >> CUT_BITS, most + none);
    block_to_bytes(has_sign ? code | ((bits >> 24) & 0x80)
                            : block_max(code, block_min(size, 1 + none)), /* not 0 stays so */
                   out);
}

BLOCK_INLINE block_f32 u8_get_block(const uint8_t *codes, bool has_sign, uint32_t scale) {
    const block_i32 code = block_of_bytes(codes), none = {0};
    const block_i32 low = u8_low(has_sign, scale) + none;
    const block_i32 at = (has_sign ? code & 0x7f : code) << CUT_BITS;
    const block_i32 even = (block_i32)((block_f32)(low + at) - (block_f32)low);
    const block_i32 size = block_less(at, BINADE + none, even, at + low - BINADE);
    return (block_f32)(has_sign ? size | (block_i32)((block_u32)(code & 0x80) << 24) : size);
}
