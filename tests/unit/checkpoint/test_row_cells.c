#include "common/checkpoint/row_cells.h"

#include <math.h>
#include <string.h>
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEED   20261201u
#define TRIALS 40000u

/* --- the slow twin: what each code stands for, by its definition ------------------------------ */

static double naive_u8(uint32_t code, uint32_t scale, bool has_sign) {
    const uint32_t size = has_sign ? code & 0x7f : code, exponent = size >> 3, part = size & 7;
    const int top = (int)scale - 127 - (has_sign ? 15 : 31); /* power of two of exponent 0 */
    const double value =
        exponent == 0 ? ldexp(part / 8.0, top + 1) : ldexp(1.0 + part / 8.0, top + (int)exponent);
    return has_sign && (code & 0x80) != 0 ? -value : value;
}

static double naive_bf16(uint16_t code) {
    const uint32_t bits = (uint32_t)code << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return (double)x;
}

static struct row_layout layout_of(uint32_t dim, enum cell_kind weights, enum cell_kind state) {
    return row_layout(dim, OPT_ADAM, weights, state);
}

/* The value after coding and decoding cell 0 of vector k, with `top` beside it as the largest. */
static float through(const struct row_layout *l, uint32_t k, float x, float top, uint64_t key) {
    uint8_t cells[ROW_STATE_MAX * 4] = {0};
    float in[2] = {x, top}, out[2];
    row_vector_put(l, cells, k, in, key);
    row_vector_get(l, cells, k, out);
    return out[0];
}

/* --- layouts ---------------------------------------------------------------------------------- */

static void test_row_bytes(void **state) {
    (void)state;
    const struct {
        uint32_t dim;
        enum optimizer_kind rule;
        enum cell_kind weights, state;
        uint32_t cells, row;
    } cases[] = {{18, OPT_ADAM, CELLS_F32, CELLS_F32, 216, 232},
                 {18, OPT_ADAM, CELLS_F32, CELLS_U8, 110, 128},
                 {18, OPT_ADAM, CELLS_BF16, CELLS_U8, 74, 92},
                 {18, OPT_ADAM, CELLS_BF16, CELLS_BF16, 108, 124},
                 {18, OPT_ROWWISE_ADAGRAD, CELLS_F32, CELLS_U8, 76, 96},
                 {18, OPT_ROWWISE_ADAGRAD, CELLS_BF16, CELLS_U8, 40, 56},
                 {7, OPT_ADAGRAD, CELLS_F32, CELLS_U8, 36, 52},
                 {18, OPT_SGD, CELLS_BF16, CELLS_U8, 36, 52},
                 {0, OPT_SGD, CELLS_F32, CELLS_F32, 0, 16},
                 {256, OPT_FTRL, CELLS_F32, CELLS_F32, 3072, 3088}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct row_layout l =
            row_layout(cases[i].dim, cases[i].rule, cases[i].weights, cases[i].state);
        assert_int_equal(l.cell_bytes, cases[i].cells);
        assert_int_equal(l.row_bytes, cases[i].row);
    }
    assert_int_equal(row_layout(18, OPT_ROWWISE_ADAGRAD, CELLS_F32, CELLS_U8).state, CELLS_F32);
}

/* --- u8 --------------------------------------------------------------------------------------- */

/* Every code of every scale: its value, and that coding the value again gives the code. The top
 * code stands beside it, so that the scale stays. */
static void test_every_code(void **state) {
    (void)state;
    for (uint32_t k = 0; k < 2; k++) {
        const struct row_layout l = layout_of(2, CELLS_F32, CELLS_U8);
        for (uint32_t scale = CODE_SCALE_MIN; scale <= CODE_SCALE_MAX; scale++) {
            for (uint32_t code = 0; code < 256; code++) {
                uint8_t cells[64] = {0}, again[64] = {0};
                uint8_t *vector = cells + l.weight_bytes + k * l.vector_bytes;
                float out[2];
                vector[0] = (uint8_t)scale;
                vector[1] = (uint8_t)code;
                vector[2] = k == 0 ? 0x7f : 0xff;
                row_vector_get(&l, cells, k, out);
                assert_true((double)out[0] == naive_u8(code, scale, k == 0));
                row_vector_put(&l, again, k, out, code * 77 + scale);
                assert_memory_equal(vector, again + l.weight_bytes + k * l.vector_bytes, 3);
            }
        }
    }
}

/* A value between two codes becomes one of them, and the mean of many is the value. */
static void check_unbiased(const struct row_layout *l, uint32_t k, double x, double top,
                           double below, double above) {
    double sum = 0;
    for (uint32_t i = 0; i < TRIALS; i++) {
        const double got = (double)through(l, k, (float)x, (float)top, rng_u64(SEED, i, 1));
        assert_true(got == below || got == above);
        sum += got;
    }
    const double step = above - below, part = ((double)(float)x - below) / step;
    const double sigma = step * sqrt(part * (1 - part) / TRIALS);
    assert_true(fabs(sum / TRIALS - (double)(float)x) <= 5 * sigma + step * 2e-6);
}

static void test_u8_unbiased(void **state) {
    (void)state;
    const struct row_layout l = layout_of(2, CELLS_F32, CELLS_U8);
    const double parts[] = {0.001, 0.01, 0.3, 0.5, 0.97};
    for (uint32_t k = 0; k < 2; k++) {
        const uint32_t codes = k == 0 ? 127 : 255;
        for (uint32_t code = k == 0 ? 0 : 1; code < codes; code += 23) {
            const uint32_t scale = 120;
            const double below = naive_u8(code, scale, k == 0);
            const double above = naive_u8(code + 1, scale, k == 0);
            const double top = naive_u8(codes, scale, k == 0);
            for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
                const double x = below + parts[i] * (above - below);
                check_unbiased(&l, k, x, top, below, above);
                if (k == 0) {
                    check_unbiased(&l, k, -x, top, -above, -below);
                }
            }
        }
    }
}

/* The largest cell is not cut off: beyond the top code's value the scale is one more. */
static void test_u8_largest(void **state) {
    (void)state;
    const struct row_layout l = layout_of(2, CELLS_F32, CELLS_U8);
    for (uint32_t k = 0; k < 2; k++) {
        check_unbiased(&l, k, 1.99, 0.5, 1.875, 2.0);
        check_unbiased(&l, k, 1.88, 0.5, 1.875, 2.0);
        assert_true(through(&l, k, 1.875f, 0.5f, 3) == 1.875f);
        assert_true(through(&l, k, 3.0e38f, 0.0f, 3) <= 3.4e38f);
        assert_true(through(&l, k, INFINITY, 1.0f, 3) > 3e38f); /* the largest code */
        assert_true(isfinite(through(&l, k, INFINITY, 1.0f, 3)));
        assert_true(isfinite(through(&l, k, NAN, 1.0f, 3)));
    }
    assert_true(through(&l, 0, -INFINITY, 1.0f, 3) < -3e38f);
}

/* v never becomes 0 unless it is, however small; m may. 0 is 0. */
static void test_u8_smallest(void **state) {
    (void)state;
    const struct row_layout l = layout_of(2, CELLS_F32, CELLS_U8);
    const float tiny[] = {1e-12f, 1e-20f, 1e-38f, 1e-44f};
    for (uint32_t i = 0; i < 1000; i++) {
        for (size_t t = 0; t < sizeof tiny / sizeof tiny[0]; t++) {
            assert_true(through(&l, 1, tiny[t], 1.0f, i) > 0.0f);
            assert_true(through(&l, 1, tiny[t], tiny[t], i) > 0.0f);
        }
        assert_true(through(&l, 0, 0.0f, 1.0f, i) == 0.0f);
        assert_true(through(&l, 1, 0.0f, 1.0f, i) == 0.0f);
        assert_true(through(&l, 1, 0.0f, 0.0f, i) == 0.0f);
        assert_true(through(&l, 0, 1e-9f, 1.0f, i) == 0.0f || i > 0); /* mostly */
    }
}

/* With the same random bits a larger cell has no smaller code. */
static void test_u8_monotone(void **state) {
    (void)state;
    const struct row_layout l = layout_of(2, CELLS_F32, CELLS_U8);
    for (uint64_t i = 0; i < 200000; i++) {
        const double a = exp(-30 * rng_unit(SEED, i, 2));
        const double b = a * (1 + 0.1 * rng_unit(SEED, i, 3));
        const uint32_t k = (uint32_t)(i & 1);
        assert_true(through(&l, k, (float)a, 1.5f, i) <= through(&l, k, (float)b, 1.5f, i));
    }
}

/* A second moment that falls by 0.1 % a step falls, and one whose mean stays does not drift. */
static void test_u8_small_steps(void **state) {
    (void)state;
    const struct row_layout l = row_layout(64, OPT_ADAM, CELLS_F32, CELLS_U8);
    uint8_t cells[1024] = {0};
    float v[64];
    double mean = 0;
    for (uint32_t i = 0; i < 64; i++) {
        v[i] = 1.0f;
    }
    for (uint64_t step = 0; step < 2000; step++) {
        row_vector_put(&l, cells, 1, v, rng_u64(SEED, step, 4));
        row_vector_get(&l, cells, 1, v);
        for (uint32_t i = 0; i < 64; i++) {
            v[i] *= 0.999f;
        }
    }
    for (uint32_t i = 0; i < 64; i++) {
        mean += (double)v[i] / 64;
    }
    assert_true(mean > 0.8 * exp(-2.0) && mean < 1.25 * exp(-2.0));
}

/* --- bf16 ------------------------------------------------------------------------------------- */

static void test_bf16(void **state) {
    (void)state;
    const struct row_layout l = layout_of(2, CELLS_BF16, CELLS_BF16);
    for (uint32_t code = 0x0080; code < 0x7f7f; code += 997) {
        const double below = naive_bf16((uint16_t)code), above = naive_bf16((uint16_t)(code + 1));
        for (uint32_t k = 0; k < 2; k++) {
            check_unbiased(&l, k, below + 0.25 * (above - below), 1.0, below, above);
            assert_true((double)through(&l, k, (float)below, 1.0f, code) == below);
        }
    }
    for (uint32_t i = 0; i < 1000; i++) {
        assert_true(isfinite(through(&l, 0, 3.4e38f, 0.0f, i)));
        assert_true(isinf(through(&l, 0, INFINITY, 0.0f, i)));
        assert_true(isnan(through(&l, 0, NAN, 0.0f, i)));
        assert_true(through(&l, 0, 0.0f, 0.0f, i) == 0.0f);
        assert_true(through(&l, 1, 1e-44f, 0.0f, i) > 0.0f);
    }
}

/* --- the generator ---------------------------------------------------------------------------- */

/* Cells, vectors and steps draw bits of their own: how often two cells of the same value are
 * rounded up together is what chance gives. */
static void test_independent(void **state) {
    (void)state;
    const struct row_layout l = layout_of(18, CELLS_BF16, CELLS_U8);
    const uint64_t stream = row_stream(7, 8);
    uint32_t up[4] = {0}, both[4] = {0}, first = 0;
    float x[18], w[18], m[18], v[18], later[18];
    for (uint32_t i = 0; i < 18; i++) {
        x[i] = 1.0f + 1.0f / 16 + 1.0f / 256; /* half a code of bf16, about half of u8 */
    }
    for (uint32_t n = 0; n < TRIALS; n++) {
        uint8_t cells[256] = {0};
        row_weights_put(&l, cells, x, row_key(stream, n, 1));
        row_vector_put(&l, cells, 0, x, row_key(stream, n, 1));
        row_vector_put(&l, cells, 1, x, row_key(stream, n, 1));
        row_weights_get(&l, cells, w);
        row_vector_get(&l, cells, 0, m);
        row_vector_get(&l, cells, 1, v);
        row_vector_put(&l, cells, 0, x, row_key(stream, n, 2));
        row_vector_get(&l, cells, 0, later);
        const bool one = m[0] > x[0];
        const bool other[4] = {m[17] > x[17], v[0] > x[0], w[0] > x[0], later[0] > x[0]};
        first += one;
        for (uint32_t i = 0; i < 4; i++) {
            up[i] += other[i];
            both[i] += one && other[i];
        }
    }
    for (uint32_t i = 0; i < 4; i++) {
        const double expected = (double)first * up[i] / TRIALS;
        assert_true(fabs(both[i] - expected) < 5 * sqrt(TRIALS / 16.0));
        assert_true(up[i] > TRIALS / 3 && up[i] < TRIALS * 2 / 3);
    }
}

/* Blocks that lie over each other, and vectors shorter than a block, agree with one cell at a
 * time: what a cell becomes depends on its place alone. */
static void test_lengths(void **state) {
    (void)state;
    float x[DIM_MAX], long_out[DIM_MAX], out[DIM_MAX];
    for (uint32_t i = 0; i < DIM_MAX; i++) {
        x[i] = (float)rng_unit(SEED, i, 5) + 1e-3f;
    }
    x[0] = 1.5f; /* the largest: the scale stays */
    for (uint32_t kind = CELLS_BF16; kind <= CELLS_U8; kind++) {
        uint8_t cells[8 * DIM_MAX];
        const struct row_layout all = layout_of(DIM_MAX, CELLS_BF16, (enum cell_kind)kind);
        row_vector_put(&all, cells, 1, x, 99);
        row_vector_get(&all, cells, 1, long_out);
        for (uint32_t dim = 1; dim < 40; dim++) {
            const struct row_layout l = layout_of(dim, CELLS_BF16, (enum cell_kind)kind);
            memset(cells, 0xa5, sizeof cells);
            row_vector_put(&l, cells, 1, x, 99);
            assert_int_equal(cells[l.cell_bytes], 0xa5);
            assert_int_equal(cells[l.weight_bytes + l.vector_bytes - 1], 0xa5);
            row_vector_get(&l, cells, 1, out);
            assert_memory_equal(out, long_out, dim * sizeof(float));
        }
    }
}

/* --- between layouts -------------------------------------------------------------------------- */

static void test_convert(void **state) {
    (void)state;
    const enum optimizer_kind rules[] = {OPT_RMSPROP, OPT_ADAM, OPT_ADAGRAD, OPT_ROWWISE_RMSPROP};
    const enum cell_kind weights[] = {CELLS_F32, CELLS_BF16};
    const enum cell_kind kinds[] = {CELLS_F32, CELLS_BF16, CELLS_U8};
    for (size_t n = 0; n < 4 * 2 * 3 * 2 * 3; n++) {
        const enum optimizer_kind rule = rules[n % 4];
        const struct row_layout a = row_layout(11, rule, weights[n / 4 % 2], kinds[n / 8 % 3]);
        const struct row_layout b = row_layout(11, rule, weights[n / 24 % 2], kinds[n / 48 % 3]);
        const struct row_layout bare = row_layout(11, OPT_SGD, a.weights, CELLS_F32);
        uint8_t from[512] = {0}, to[512], back[512];
        float w[11], s[22], w2[11], s2[22];
        for (uint32_t i = 0; i < 22; i++) {
            s[i] = (float)rng_unit(SEED, i, n) + 0.1f;
            w[i % 11] = (float)rng_unit(SEED, i, n + 1000) - 0.5f;
        }
        memcpy(from, "idididid\7\0\0\0\11\0\0\0", ROW_HEADER);
        row_weights_put(&a, from + ROW_HEADER, w, 1);
        row_state_put(&a, from + ROW_HEADER, s, 1);
        row_convert(&a, from, &b, to, 5);
        assert_memory_equal(from, to, ROW_HEADER);
        row_weights_get(&b, to + ROW_HEADER, w2);
        row_state_get(&b, to + ROW_HEADER, s2);
        for (uint32_t i = 0; i < 11; i++) {
            assert_true(fabsf(w2[i] - w[i]) <= fabsf(w[i]) / 60);
        }
        for (uint32_t i = 0; i < a.vectors * 11 + a.singles; i++) {
            assert_true(fabsf(s2[i] - s[i]) <= fabsf(s[i]) / 4);
        }
        row_convert(&a, from, &a, back, 5);
        assert_memory_equal(from, back, a.row_bytes);
        row_convert(&a, from, &bare, back, 5);
        assert_memory_equal(from, back, ROW_HEADER + a.weight_bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row_bytes),      cmocka_unit_test(test_every_code),
        cmocka_unit_test(test_u8_unbiased),    cmocka_unit_test(test_u8_largest),
        cmocka_unit_test(test_u8_smallest),    cmocka_unit_test(test_u8_monotone),
        cmocka_unit_test(test_u8_small_steps), cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_independent),    cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_convert)};
    return cmocka_run_group_tests_name("row_cells", tests, NULL, NULL);
}
