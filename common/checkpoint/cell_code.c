/* cell_code.c - see cell_code.h for the codes.
 *
 * Cells are coded in blocks of LANES without a branch. They use integers and one addition of
 * floats, so that each machine gives the same bytes.
 *
 * A code is cut out of the bits of a float. With the exponent of the lowest full binade in `low`,
 * the bits of a number above it, less those of `low`, are its code followed by 20 bits that are cut
 * off; random 20 bits added before make the rounding. Below that binade codes are even steps:
 * adding `low` to the number brings it into the lowest binade, whose mantissa is that of even
 * steps. */
#include "cell_code.h"

#include <string.h>

#define LANES      8u
#define CUT_BITS   20 /* of an f32's mantissa, below a code's 3 bits */
#define CUT_MASK   ((1u << CUT_BITS) - 1)
#define BINADE     (1 << 23)
#define SIZE_MASK  0x7fffffff
#define INFINITE   0x7f800000
#define BF16_TOP   0x7f7fffff
#define SIGNED_TOP 15 /* highest exponent of a code with a sign, and of one without */
#define PLAIN_TOP  31

/* A block of cells, as vectors of the compiler: what it makes of plain loops depends on what else
 * it sees. Their comparisons give masks of ones. */
typedef int32_t block_i32 __attribute__((vector_size(4 * LANES)));
typedef uint32_t block_u32 __attribute__((vector_size(4 * LANES)));
typedef float block_f32 __attribute__((vector_size(4 * LANES)));
typedef uint16_t block_u16 __attribute__((vector_size(2 * LANES)));
typedef uint64_t block_u64 __attribute__((vector_size(4 * LANES)));
typedef uint8_t block_bytes __attribute__((vector_size(4 * LANES)));
typedef uint8_t block_u8 __attribute__((vector_size(LANES)));

/* 32 random bits for each of the cells from `place` on, mixed twice with a multiplication (the
 * constants are those of Wellons' lowbias32). */
static inline void random_bits(uint64_t key, uint32_t place, block_u32 *out) {
    static const block_u32 steps = {0, 1, 2, 3, 4, 5, 6, 7};
    block_u32 x = (uint32_t)key + (steps + place) * 0x9e3779b9u;
    x = (x ^ (x >> 16)) * 0x7feb352du;
    x ^= (uint32_t)(key >> 32);
    x = (x ^ (x >> 15)) * 0x846ca68bu;
    *out = x ^ (x >> 16);
}

/* Where the block that begins at cell i of n begins: the last one lies over the one before it, and
 * gives the same codes again. n >= LANES. */
static inline size_t block_at(size_t i, size_t n) {
    return i + LANES <= n ? i : n - LANES;
}

/* --- bf16 ------------------------------------------------------------------------------------- */

static inline void bf16_put_block(const float *x, int32_t least, uint64_t key, uint32_t place,
                                  uint8_t *out) {
    block_i32 bits;
    block_u32 random;
    memcpy(&bits, x, sizeof bits);
    random_bits(key, place, &random);
    const block_i32 size = bits & SIZE_MASK;
    const block_i32 up = size + (block_i32)(random >> 16);
    const block_i32 fits = up < BF16_TOP, finite = size < INFINITE;
    const block_i32 rounded = ((up & fits) | (BF16_TOP & ~fits)) >> 16;
    /* A NaN keeps a bit of its mantissa. */
    const block_i32 other = size >> 16 | ((size > INFINITE) & 0x40);
    const block_i32 code = (rounded & finite) | (other & ~finite);
    const block_i32 lifted = code | ((code == 0) & (size != 0) & least);
    const block_u16 narrow =
        __builtin_convertvector((block_u32)lifted | ((block_u32)bits >> 31) << 15, block_u16);
    memcpy(out, &narrow, sizeof narrow);
}

static void bf16_put(size_t n, const float *x, bool has_sign, uint64_t key, uint32_t place,
                     uint8_t *out) {
    const int32_t least = has_sign ? 0 : 1;
    if (n < LANES) {
        float few[LANES] = {0};
        uint8_t codes[2 * LANES];
        memcpy(few, x, n * sizeof *few);
        bf16_put_block(few, least, key, place, codes);
        memcpy(out, codes, 2 * n);
        return;
    }
    for (size_t i = 0; i < n; i += LANES) {
        const size_t at = block_at(i, n);
        bf16_put_block(x + at, least, key, place + (uint32_t)at, out + 2 * at);
    }
}

static void bf16_get(size_t n, const uint8_t *cells, float *out) {
    for (size_t i = 0; i < n; i++) {
        uint16_t code;
        memcpy(&code, cells + 2 * i, sizeof code);
        const uint32_t bits = (uint32_t)code << 16;
        memcpy(&out[i], &bits, sizeof bits);
    }
}

/* --- u8 --------------------------------------------------------------------------------------- */

static uint32_t largest_bits(size_t n, const float *x) {
    uint32_t largest = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t size;
        memcpy(&size, &x[i], sizeof size);
        size &= SIZE_MASK;
        largest = size > largest ? size : largest;
    }
    return largest;
}

/* The exponent of the largest cell; one more if its code would be rounded beyond the top. */
static uint32_t scale_of(uint32_t largest) {
    const uint32_t scale = (largest + CUT_MASK) >> 23;
    return scale < CODE_SCALE_MIN   ? CODE_SCALE_MIN
           : scale > CODE_SCALE_MAX ? CODE_SCALE_MAX
                                    : scale;
}

/* What the codes of one vector have in common. */
struct u8_code {
    int32_t low;   /* bits of the lowest full binade: exponent 1 of a code */
    int32_t most;  /* the largest code, without sign */
    int32_t sign;  /* of a code, or 0 */
    int32_t least; /* of what is not 0 */
};

static inline struct u8_code u8_code(bool has_sign, uint32_t scale) {
    const int32_t top = has_sign ? SIGNED_TOP : PLAIN_TOP;
    return (struct u8_code){.low = ((int32_t)scale - top + 1) * BINADE,
                            .most = top * 8 + 7,
                            .sign = has_sign ? 0x80 : 0,
                            .least = has_sign ? 0 : 1};
}

static inline void u8_put_block(const float *x, const struct u8_code *c, uint64_t key,
                                uint32_t place, uint8_t *out) {
    block_i32 bits;
    block_u32 random;
    memcpy(&bits, x, sizeof bits);
    random_bits(key, place, &random);
    const block_i32 size = bits & SIZE_MASK, low = c->low - (block_i32){0};
    const block_i32 lifted = (block_i32)((block_f32)size + (block_f32)low) - low;
    const block_i32 small = size < low;
    const block_i32 at = (lifted & small) | ((size - low + BINADE) & ~small);
    const block_i32 up = (at + (block_i32)(random & CUT_MASK)) >> CUT_BITS;
    const block_i32 fits = up < c->most;
    const block_i32 code = (up & fits) | (c->most & ~fits);
    const block_i32 signs = (bits >> 31) & c->sign;
    const block_i32 full = code | ((code == 0) & (size != 0) & c->least) | signs;
    const block_bytes bytes = (block_bytes)full;
    const block_u8 narrow = __builtin_shufflevector(bytes, bytes, 0, 4, 8, 12, 16, 20, 24, 28);
    memcpy(out, &narrow, sizeof narrow);
}

static void u8_put(size_t n, const float *x, bool has_sign, uint64_t key, uint32_t place,
                   uint8_t *out) {
    const uint32_t scale = scale_of(largest_bits(n, x));
    const struct u8_code c = u8_code(has_sign, scale);
    *out++ = (uint8_t)scale;
    if (n < LANES) {
        float few[LANES] = {0};
        uint8_t codes[LANES];
        memcpy(few, x, n * sizeof *few);
        u8_put_block(few, &c, key, place, codes);
        memcpy(out, codes, n);
        return;
    }
    for (size_t i = 0; i < n; i += LANES) {
        const size_t at = block_at(i, n);
        u8_put_block(x + at, &c, key, place + (uint32_t)at, out + at);
    }
}

static inline void u8_get_block(const uint8_t *codes, const struct u8_code *c, float *out) {
    uint64_t eight;
    memcpy(&eight, codes, sizeof eight);
    const block_bytes bytes = (block_bytes)(block_u64){eight}; /* 0 from byte 8 on */
    const block_i32 code =
        (block_i32)__builtin_shufflevector(bytes, bytes, 0, 8, 8, 8, 1, 8, 8, 8, 2, 8, 8, 8, 3, 8,
                                           8, 8, 4, 8, 8, 8, 5, 8, 8, 8, 6, 8, 8, 8, 7, 8, 8, 8);
    const block_i32 low = c->low - (block_i32){0};
    const block_i32 at = (code & ~c->sign) << CUT_BITS;
    const block_i32 even = (block_i32)((block_f32)(low + at) - (block_f32)low);
    const block_i32 small = at < BINADE;
    const block_i32 size = (even & small) | ((at + low - BINADE) & ~small);
    const block_i32 bits = size | (block_i32)((block_u32)(code & c->sign) << 24);
    memcpy(out, &bits, sizeof bits);
}

static void u8_get(size_t n, const uint8_t *cells, bool has_sign, float *out) {
    const struct u8_code c = u8_code(has_sign, *cells++);
    if (n < LANES) {
        uint8_t few[LANES] = {0};
        float floats[LANES];
        memcpy(few, cells, n);
        u8_get_block(few, &c, floats);
        memcpy(out, floats, n * sizeof *out);
        return;
    }
    for (size_t i = 0; i < n; i += LANES) {
        const size_t at = block_at(i, n);
        u8_get_block(cells + at, &c, out + at);
    }
}

const struct cell_codes LEVEL(cell_codes) = {bf16_put, bf16_get, u8_put, u8_get};
