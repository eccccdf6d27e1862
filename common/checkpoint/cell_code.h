/* cell_code.h - numbers in 16 or 8 bits: what a vector of a row is kept as (row_cells.h).
 *
 * Coding rounds at random and without bias: a number between two codes becomes the upper one with
 * the probability of its place between them. So a sum of small steps, each below half a code,
 * arrives (Gupta et al., ICML 2015); rounding to the nearest would lose all of them, and a second
 * moment, which falls by 0.1 % a step, would never fall. The random bits follow from a key and the
 * place of the number alone, so that equal runs give equal bytes.
 *
 *   bf16   the upper half of an f32. A finite number stays finite.
 *   u8     {u8 scale, u8 code[n]}. The scale is the exponent of the largest number, as an f32 has
 *          it, so scales are exact, and a number that did not change keeps its code. A code is a
 *          float of 3 bits of mantissa below that, in steps of 1/16 to 1/8 of the number:
 *          with a sign   4 bits of exponent: over 4.5 decades, and even steps below
 *          without       5 bits of exponent: over 9.3 decades
 *          A number beyond the range of f32 becomes the largest code.
 *
 * Without a sign (v, n) a number that is not 0 does not become 0.
 *
 * Pure functions, the same bits on every level of the CPU. Codes may be unaligned; n is at least 1.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/cpu/level.h"

#define CODE_SCALE_MIN 34u
#define CODE_SCALE_MAX 254u

struct cell_codes {
    /* x[n] to out; `place`: of x[0] among the places of the key. */
    void (*bf16_put)(size_t n, const float *x, bool has_sign, uint64_t key, uint32_t place,
                     uint8_t *out);
    void (*bf16_get)(size_t n, const uint8_t *codes, float *out);
    void (*u8_put)(size_t n, const float *x, bool has_sign, uint64_t key, uint32_t place,
                   uint8_t *out);
    void (*u8_get)(size_t n, const uint8_t *codes, bool has_sign, float *out);
};
LEVELLED(struct cell_codes, cell_codes)
