#include "worker/kernel/linear.h"

#include <math.h>
#include <string.h>

#include "common/base/mem.h"
#include "tests/sample.h"
#include "tests/naive/linear_naive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A matrix with room around it: rows are `stride` apart, and what lies between must not be touched
 * or read into a result (it is NaN). */
struct sheet {
    float *store;
    uint32_t rows, columns;
    size_t stride;
};

static struct sheet sheet_make(struct sample *s, uint32_t rows, uint32_t columns) {
    struct sheet sheet = {NULL, rows, columns, columns + 3};
    size_t floats = (rows + 1) * sheet.stride;
    sheet.store = sample_array(floats, sizeof(float));
    for (size_t i = 0; i < floats; i++) {
        sheet.store[i] = NAN;
    }
    for (uint32_t i = 0; i < rows; i++) {
        for (uint32_t j = 0; j < columns; j++) {
            sheet.store[1 + i * sheet.stride + j] = sample_normal(s);
        }
    }
    return sheet;
}

/* One float past the allocation's alignment. */
static float *at(const struct sheet *s) {
    return s->store + 1;
}

static struct matrix view(const struct sheet *s) {
    return (struct matrix){at(s), s->stride};
}

/* |sheet - want| <= terms * 2^-24 * scale, and nothing around it was written. */
static void sheet_close(const char *what, const struct sheet *s, const double *want, double terms) {
    double bound = 4.0 * (terms + 8.0) * 0x1p-24 * sqrt(terms + 1.0);
    for (uint32_t i = 0; i < s->rows; i++) {
        for (size_t j = 0; j < s->stride; j++) {
            float got = at(s)[i * s->stride + j];
            if (j >= s->columns) {
                assert_true(isnan(got));
                continue;
            }
            double w = want[(size_t)i * s->columns + j];
            if (!(fabs((double)got - w) <= bound)) {
                fail_msg("%s[%u, %zu] of [%u, %u]: %.9g, expected %.9g", what, i, j, s->rows,
                         s->columns, (double)got, w);
            }
        }
    }
    assert_true(isnan(s->store[0]));
}

static const struct {
    uint32_t m, out, in;
} sizes[] = {
    {1, 1, 1},     {6, 64, 64},   {7, 65, 33},   {128, 40, 18}, {129, 17, 31}, {5, 3, 100},
    {2, 200, 2},   {13, 15, 16},  {300, 129, 7}, {3, 31, 32},   {64, 16, 48},  {131, 80, 97},
    {1, 720, 234}, {36, 72, 180}, {0, 8, 8},     {11, 63, 127}, {260, 1, 1},
};

static void check_products(const struct kernel *kernel, enum precision precision, uint64_t seed,
                           uint32_t m, uint32_t out, uint32_t in) {
    struct sample s = {.seed = seed};
    struct sheet w = sheet_make(&s, out, in), x = sheet_make(&s, m, in);
    struct sheet dy = sheet_make(&s, m, out), y = sheet_make(&s, m, out);
    struct sheet dx = sheet_make(&s, m, in), dw = sheet_make(&s, out, in);
    double *want = sample_array((size_t)(m + out) * (out + in), sizeof *want);
    struct linear l;
    struct linear_work work;
    assert_int_equal(linear_init(&l, kernel, out, in), OK);
    assert_int_equal(linear_work_init(&work, kernel, out > in ? out : in), OK);
    linear_load(&l, view(&w), true);

    linear_forward(&l, &work, view(&x), m, false, at(&y), y.stride);
    linear_naive_forward(precision, view(&w), view(&x), m, out, in, want);
    sheet_close("y", &y, want, in);
    linear_forward(&l, &work, view(&x), m, true, at(&y), y.stride);
    for (size_t i = 0; i < (size_t)m * out; i++) {
        want[i] *= 2.0;
    }
    sheet_close("y + y", &y, want, 2.0 * in);

    linear_input(&l, &work, view(&dy), m, false, at(&dx), dx.stride);
    linear_naive_input(precision, view(&w), view(&dy), m, out, in, want);
    sheet_close("dx", &dx, want, out);
    linear_input(&l, &work, view(&dy), m, true, at(&dx), dx.stride);
    for (size_t i = 0; i < (size_t)m * in; i++) {
        want[i] *= 2.0;
    }
    sheet_close("dx + dx", &dx, want, 2.0 * out);

    for (uint32_t o = 0; o < out; o++) {
        for (uint32_t j = 0; j < in; j++) {
            want[(size_t)o * in + j] = (double)at(&dw)[o * dw.stride + j];
        }
    }
    linear_weight(&l, &work, view(&dy), view(&x), m, at(&dw), dw.stride);
    linear_naive_weight(precision, view(&dy), view(&x), m, out, in, want);
    sheet_close("dw", &dw, want, m + 1.0);

    linear_fini(&l);
    linear_work_fini(&work);
    struct sheet *all[] = {&w, &x, &dy, &y, &dx, &dw};
    for (size_t i = 0; i < 6; i++) {
        mem_free(&all[i]->store);
    }
    mem_free(&want);
}

static void check_all(const struct kernel *kernel, enum precision precision) {
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        check_products(kernel, precision, 100 + k, sizes[k].m, sizes[k].out, sizes[k].in);
    }
}

static void test_blas(void **state) {
    (void)state;
    check_all(NULL, PRECISION_F32);
}

static void test_f32(void **state) {
    (void)state;
    if (kernel_f32() == NULL) {
        skip();
    }
    check_all(kernel_f32(), PRECISION_F32);
}

static void test_bf16(void **state) {
    (void)state;
    if (kernel_bf16() == NULL) {
        skip();
    }
    check_all(kernel_bf16(), PRECISION_BF16);
}

/* --- damage and rounding ---------------------------------------------------------------------- */

/* y = x W^T for one value of x against a weight of 1, amid zeros. */
static float through(const struct kernel *kernel, float value) {
    float x[5] = {0, 0, value, 0, 0}, w[5] = {1, 1, 1, 1, 1}, y = 0;
    struct linear l;
    struct linear_work work;
    assert_int_equal(linear_init(&l, kernel, 1, 5), OK);
    assert_int_equal(linear_work_init(&work, kernel, 5), OK);
    linear_load(&l, (struct matrix){w, 5}, false);
    linear_forward(&l, &work, (struct matrix){x, 5}, 1, false, &y, 1);
    linear_fini(&l);
    linear_work_fini(&work);
    return y;
}

static void test_special_values(void **state) {
    (void)state;
    const struct kernel *const all[] = {NULL, kernel_f32(), kernel_bf16()};
    for (int k = 0; k < 3; k++) {
        assert_true(isnan(through(all[k], NAN)));
        assert_true(through(all[k], INFINITY) == INFINITY);
        assert_true(through(all[k], -INFINITY) == -INFINITY);
        assert_true(through(all[k], 1.5f) == 1.5f);
    }
    if (kernel_bf16() == NULL) {
        skip();
    }
    static const float values[] = {1.0f + 0x1p-8f,  1.0f + 0x3p-8f, 1.0f + 0x1p-9f, -3.14159274f,
                                   0x1.fffffep127f, 1e-30f,         1e-39f,         -0.0f};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        float want = linear_naive_round(PRECISION_BF16, (double)values[i]);
        assert_true(through(kernel_bf16(), values[i]) == want);
    }
}

/* A NaN in one row of x or dy reaches that row of y and dx only, and all of what dW sums of it;
 * the odd end of k brings none in. */
static void test_nan_stays_in_its_row(void **state) {
    (void)state;
    const struct kernel *const all[] = {NULL, kernel_f32(), kernel_bf16()};
    enum { M = 9, OUT = 21, IN = 7 };
    for (int k = 0; k < 3; k++) {
        struct sample s = {.seed = 9};
        struct sheet w = sheet_make(&s, OUT, IN), x = sheet_make(&s, M, IN);
        struct sheet y = sheet_make(&s, M, OUT);
        struct linear l;
        struct linear_work work;
        at(&x)[4 * x.stride + 6] = NAN;
        assert_int_equal(linear_init(&l, all[k], OUT, IN), OK);
        assert_int_equal(linear_work_init(&work, all[k], OUT), OK);
        linear_load(&l, view(&w), true);
        linear_forward(&l, &work, view(&x), M, false, at(&y), y.stride);
        for (uint32_t i = 0; i < M; i++) {
            for (uint32_t o = 0; o < OUT; o++) {
                assert_int_equal(isnan(at(&y)[i * y.stride + o]) != 0, i == 4);
            }
        }
        float dw[OUT * IN] = {0};
        linear_weight(&l, &work, view(&y), view(&y), 4, dw, IN); /* rows before the damage */
        for (uint32_t i = 0; i < OUT * IN; i++) {
            assert_true(isfinite(dw[i]));
        }
        linear_weight(&l, &work, view(&y), view(&y), 5, dw, IN);
        for (uint32_t i = 0; i < OUT * IN; i++) {
            assert_true(isnan(dw[i]));
        }
        linear_fini(&l);
        linear_work_fini(&work);
        mem_free(&w.store);
        mem_free(&x.store);
        mem_free(&y.store);
    }
}

/* --- choice ----------------------------------------------------------------------------------- */

static const struct kernel *chosen(enum kernel_choice choice, enum precision precision,
                                   struct kernel_set have) {
    const struct kernel *kernel;
    assert_int_equal(kernel_choose(choice, precision, have, &kernel), OK);
    return kernel;
}

/* With every set that a machine may have: a choice is followed or refused by name. */
static void test_choice(void **state) {
    (void)state;
    static const struct kernel f32 = {.name = "f32"}, bf16 = {.name = "bf16"};
    const struct kernel_set none = {NULL, NULL}, old = {&f32, NULL}, all = {&f32, &bf16};
    const struct kernel *kernel;
    for (int p = PRECISION_F32; p <= PRECISION_BF16; p++) {
        const enum precision precision = (enum precision)p;
        assert_null(chosen(KERNEL_BLAS, precision, none));
        assert_null(chosen(KERNEL_BLAS, precision, all));
        assert_null(chosen(KERNEL_AUTO, precision, none));
        assert_ptr_equal(chosen(KERNEL_AUTO, precision, old), &f32);
        assert_ptr_equal(chosen(KERNEL_AVX512, precision, old), &f32);
        const struct kernel *best = precision == PRECISION_BF16 ? &bf16 : &f32;
        assert_ptr_equal(chosen(KERNEL_AUTO, precision, all), best);
        assert_ptr_equal(chosen(KERNEL_AVX512, precision, all), best);
        assert_int_equal(kernel_choose(KERNEL_AVX512, precision, none, &kernel), ERR_CONFIG);
        assert_non_null(
            strstr(fail_text(), "compute.kernel is avx512, which this CPU or this build lacks"));
        assert_non_null(strstr(fail_text(), "blas"));
    }
    assert_int_equal(kernel_find(KERNEL_AUTO, PRECISION_F32, &kernel), OK);
    assert_ptr_equal(kernel, kernel_f32());
}

static void test_choice_has_a_name(void **state) {
    (void)state;
    struct config c;
    config_default(&c);
    assert_int_equal(c.precision, PRECISION_F32);
    assert_int_equal(c.kernel, KERNEL_AUTO);
    assert_int_equal(config_set(&c, "compute.precision=bf16"), OK);
    assert_int_equal(config_set(&c, "compute.kernel=blas"), OK);
    assert_int_equal(c.precision, PRECISION_BF16);
    assert_int_equal(c.kernel, KERNEL_BLAS);
    assert_int_equal(config_set(&c, "compute.kernel=avx512"), OK);
    assert_int_equal(c.kernel, KERNEL_AVX512);
    assert_int_equal(config_set(&c, "compute.precision=f16"), ERR_CONFIG);
    assert_int_equal(config_set(&c, "compute.kernel=avx1024"), ERR_CONFIG);
}

static void test_failing_memory(void **state) {
    (void)state;
    const struct kernel *kernel = kernel_f32();
    if (kernel == NULL) {
        skip();
    }
    for (size_t k = 1; k <= 2; k++) {
        struct linear l;
        struct linear_work work;
        mem_fail_after(k);
        assert_int_equal(linear_init(&l, kernel, 3, 4), ERR_MEMORY);
        mem_fail_after(k);
        assert_int_equal(linear_work_init(&work, kernel, 4), ERR_MEMORY);
        mem_fail_after(0);
        linear_fini(&l);
        linear_work_fini(&work);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blas),
        cmocka_unit_test(test_f32),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_special_values),
        cmocka_unit_test(test_nan_stays_in_its_row),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_choice_has_a_name),
        cmocka_unit_test(test_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
