/* cell_code.c - the codes of cell_code.h, block by block (cell_block.h). */
#include "cell_code.h"

#include "cell_block.h"

_Static_assert(SCALE_MIN == CODE_SCALE_MIN && SCALE_MAX == CODE_SCALE_MAX, "scales of a code");

/* --- bf16 ------------------------------------------------------------------------------------- */

static void bf16_put(size_t n, const float *x, bool has_sign, uint64_t key, uint32_t place,
                     uint8_t *out) {
    if (n < LANES) {
        float few[LANES] = {0};
        uint8_t codes[2 * LANES];
        memcpy(few, x, n * sizeof *few);
        bf16_put_block(block_load(few), has_sign, key, place, codes);
        memcpy(out, codes, 2 * n);
        return;
    }
    for (size_t i = 0; i < n; i += LANES) {
        const size_t at = block_at(i, n);
        bf16_put_block(block_load(x + at), has_sign, key, place + (uint32_t)at, out + 2 * at);
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

static void u8_put(size_t n, const float *x, bool has_sign, uint64_t key, uint32_t place,
                   uint8_t *out) {
    const uint32_t scale = u8_scale(largest_bits(n, x));
    *out++ = (uint8_t)scale;
    if (n < LANES) {
        float few[LANES] = {0};
        uint8_t codes[LANES];
        memcpy(few, x, n * sizeof *few);
        u8_put_block(block_load(few), has_sign, scale, key, place, codes);
        memcpy(out, codes, n);
        return;
    }
    for (size_t i = 0; i < n; i += LANES) {
        const size_t at = block_at(i, n);
        u8_put_block(block_load(x + at), has_sign, scale, key, place + (uint32_t)at, out + at);
    }
}

static void u8_get(size_t n, const uint8_t *cells, bool has_sign, float *out) {
    const uint32_t scale = *cells++;
    if (n < LANES) {
        uint8_t few[LANES] = {0};
        memcpy(few, cells, n);
        const block_f32 floats = u8_get_block(few, has_sign, scale);
        memcpy(out, &floats, n * sizeof *out);
        return;
    }
    for (size_t i = 0; i < n; i += LANES) {
        const size_t at = block_at(i, n);
        const block_f32 floats = u8_get_block(cells + at, has_sign, scale);
        memcpy(out + at, &floats, sizeof floats);
    }
}

const struct cell_codes LEVEL(cell_codes) = {bf16_put, bf16_get, u8_put, u8_get};
