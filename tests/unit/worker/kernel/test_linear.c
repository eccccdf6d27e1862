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

/* Around strips of 6 and 12 rows, panels of 16 and 64 columns, vectors of 4, 8 and 16, and the
 * blocks of 128 rows. */
static const struct {
    uint32_t m, out, in;
} sizes[] = {{1, 1, 1},      {6, 64, 64},   {7, 65, 33},   {128, 40, 18}, {129, 17, 31},
             {5, 3, 100},    {2, 200, 2},   {13, 15, 16},  {300, 129, 7}, {3, 31, 32},
             {64, 16, 48},   {131, 80, 97}, {1, 720, 234}, {36, 72, 180}, {0, 8, 8},
             {11, 63, 127},  {260, 1, 1},   {12, 8, 24},   {18, 12, 9},   {17, 24, 18},
             {8, 9, 10},     {9, 10, 11},   {10, 11, 8},   {19, 6, 7},    {140, 50, 24},
             {140, 50, 25},  {256, 18, 6},  {24, 20, 1},   {4, 0, 5},     {5, 4, 0},
             {130, 200, 180}};

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

/* --- every kernel ----------------------------------------------------------------------------- */

enum { KERNELS = 6 };
/* NULL: OpenBLAS, or, for k > 0, that this machine lacks it. */
static const struct kernel *kernel_at(int k) {
    const struct kernel_set here = kernel_here();
    const struct kernel *const all[KERNELS] = {NULL,      here.avx2,        here.avx512,
                                               here.neon, here.avx512_bf16, here.amx};
    return all[k];
}

static bool kernel_missing(int k) {
    return k > 0 && kernel_at(k) == NULL;
}

static void check_all(int k) {
    const struct kernel *kernel = kernel_at(k);
    if (kernel_missing(k)) {
        skip();
    }
    enum precision precision =
        kernel != NULL && kernel->cell_depth == 2 ? PRECISION_BF16 : PRECISION_F32;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check_products(kernel, precision, 100 + i, sizes[i].m, sizes[i].out, sizes[i].in);
    }
}

static void test_blas(void **state) {
    (void)state;
    check_all(0);
}

static void test_avx2(void **state) {
    (void)state;
    check_all(1);
}

static void test_avx512(void **state) {
    (void)state;
    check_all(2);
}

static void test_neon(void **state) {
    (void)state;
    check_all(3);
}

static void test_avx512_bf16(void **state) {
    (void)state;
    check_all(4);
}

static void test_amx(void **state) {
    (void)state;
    if (kernel_missing(5)) {
        print_message("no AMX here: its kernel is compiled and not run\n");
    }
    check_all(5);
}

/* y and dx of m rows have the bits that each row has alone. */
static void check_rows(const struct kernel *kernel, uint32_t m, uint32_t out, uint32_t in) {
    struct sample s = {.seed = 11};
    struct sheet w = sheet_make(&s, out, in), x = sheet_make(&s, m, in);
    struct sheet dy = sheet_make(&s, m, out), y = sheet_make(&s, m, out);
    struct sheet dx = sheet_make(&s, m, in);
    float *one = sample_array(out + in, sizeof *one);
    struct linear l;
    struct linear_work work;
    assert_int_equal(linear_init(&l, kernel, out, in), OK);
    assert_int_equal(linear_work_init(&work, kernel, out > in ? out : in), OK);
    linear_load(&l, view(&w), true);
    linear_forward(&l, &work, view(&x), m, false, at(&y), y.stride);
    linear_input(&l, &work, view(&dy), m, false, at(&dx), dx.stride);
    for (uint32_t i = 0; i < m; i++) {
        struct matrix row = {at(&x) + i * x.stride, x.stride};
        linear_forward(&l, &work, row, 1, false, one, out);
        assert_memory_equal(one, at(&y) + i * y.stride, out * sizeof *one);
        row = (struct matrix){at(&dy) + i * dy.stride, dy.stride};
        linear_input(&l, &work, row, 1, false, one, in);
        assert_memory_equal(one, at(&dx) + i * dx.stride, in * sizeof *one);
    }
    linear_fini(&l);
    linear_work_fini(&work);
    struct sheet *all[] = {&w, &x, &dy, &y, &dx};
    for (size_t i = 0; i < 5; i++) {
        mem_free(&all[i]->store);
    }
    mem_free(&one);
}

static void test_a_row_has_the_same_bits_among_others(void **state) {
    (void)state;
    for (int k = 1; k < KERNELS; k++) {
        for (uint32_t m = 1; m <= 26 && !kernel_missing(k); m++) {
            check_rows(kernel_at(k), m, 72, 18);
            check_rows(kernel_at(k), m, 19, 87);
        }
        if (!kernel_missing(k)) {
            check_rows(kernel_at(k), 133, 40, 24);
        }
    }
}

static void weight_of(const struct kernel *kernel, const struct sheet *dy, const struct sheet *x,
                      uint32_t in, float *dw, size_t stride) {
    struct linear l;
    struct linear_work work;
    assert_int_equal(linear_init(&l, kernel, dy->columns, in), OK);
    assert_int_equal(linear_work_init(&work, kernel, dy->columns), OK);
    linear_weight(&l, &work, view(dy), view(x), dy->rows, dw, stride);
    linear_fini(&l);
    linear_work_fini(&work);
}

/* A narrow dW, whose transpose is computed, has the bits of the same columns of a wide one. */
static void test_a_narrow_gradient_has_the_bits_of_a_wide_one(void **state) {
    (void)state;
    enum { M = 150, OUT = 70, WIDE = LINEAR_NARROW + 9 };
    struct sample s = {.seed = 12};
    struct sheet dy = sheet_make(&s, M, OUT), x = sheet_make(&s, M, WIDE);
    for (int k = 1; k < KERNELS; k++) {
        float wide[OUT * WIDE] = {0}, narrow[OUT * WIDE] = {0};
        if (kernel_missing(k)) {
            continue;
        }
        weight_of(kernel_at(k), &dy, &x, WIDE, wide, WIDE);
        weight_of(kernel_at(k), &dy, &x, LINEAR_NARROW, narrow, WIDE);
        for (uint32_t o = 0; o < OUT; o++) {
            const float *got = narrow + (size_t)o * WIDE;
            assert_memory_equal(got, wide + (size_t)o * WIDE, LINEAR_NARROW * sizeof *got);
            assert_true(got[LINEAR_NARROW] == 0.0f);
        }
    }
    mem_free(&dy.store);
    mem_free(&x.store);
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
    for (int k = 0; k < KERNELS; k++) {
        assert_true(isnan(through(kernel_at(k), NAN)));
        assert_true(through(kernel_at(k), INFINITY) == INFINITY);
        assert_true(through(kernel_at(k), -INFINITY) == -INFINITY);
        assert_true(through(kernel_at(k), 1.5f) == 1.5f);
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
    enum { M = 9, OUT = 21, IN = 7 };
    for (int k = 0; k < KERNELS; k++) {
        struct sample s = {.seed = 9};
        struct sheet w = sheet_make(&s, OUT, IN), x = sheet_make(&s, M, IN);
        struct sheet y = sheet_make(&s, M, OUT);
        struct linear l;
        struct linear_work work;
        at(&x)[4 * x.stride + 6] = NAN;
        assert_int_equal(linear_init(&l, kernel_at(k), OUT, IN), OK);
        assert_int_equal(linear_work_init(&work, kernel_at(k), OUT), OK);
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

static void refused(enum kernel_choice choice, enum precision precision, struct kernel_set have,
                    const char *text) {
    const struct kernel *kernel;
    assert_int_equal(kernel_choose(choice, precision, have, &kernel), ERR_CONFIG);
    assert_string_equal(fail_text(), text);
}

/* With every set that a machine may have: a choice is followed or refused by name. */
static void test_choice(void **state) {
    (void)state;
    static const struct kernel avx2 = {.name = "avx2"}, avx512 = {.name = "avx512"};
    static const struct kernel bf16 = {.name = "bf16"}, neon = {.name = "neon"};
    static const struct kernel amx = {.name = "amx"};
    const struct kernel_set none = {0}, old = {.avx2 = &avx2}, arm = {.neon = &neon};
    const struct kernel_set new = {.avx2 = &avx2, .avx512 = &avx512};
    const struct kernel_set all = {.avx2 = &avx2, .avx512 = &avx512, .avx512_bf16 = &bf16};
    const struct kernel_set most = {&avx2, &avx512, &bf16, NULL, &amx};
    for (int p = PRECISION_F32; p <= PRECISION_BF16; p++) {
        const enum precision precision = (enum precision)p;
        const struct kernel *best = precision == PRECISION_BF16 ? &bf16 : &avx512;
        assert_null(chosen(KERNEL_BLAS, precision, none));
        assert_null(chosen(KERNEL_BLAS, precision, all));
        assert_null(chosen(KERNEL_AUTO, precision, none));
        assert_ptr_equal(chosen(KERNEL_AUTO, precision, old), &avx2);
        assert_ptr_equal(chosen(KERNEL_AUTO, precision, arm), &neon);
        assert_ptr_equal(chosen(KERNEL_AUTO, precision, new), &avx512);
        assert_ptr_equal(chosen(KERNEL_AUTO, precision, all), best);
        assert_ptr_equal(chosen(KERNEL_AVX2, precision, all), &avx2);
        assert_ptr_equal(chosen(KERNEL_AVX512, precision, new), &avx512);
        assert_ptr_equal(chosen(KERNEL_AVX512, precision, all), best);
        assert_ptr_equal(chosen(KERNEL_NEON, precision, arm), &neon);
        refused(KERNEL_AVX512, precision, none,
                "compute.kernel is avx512, which this CPU or this build lacks; here is: blas; auto "
                "takes the best there is");
        refused(KERNEL_AVX512, precision, old,
                "compute.kernel is avx512, which this CPU or this build lacks; here is: blas, "
                "avx2; auto takes the best there is");
        refused(KERNEL_NEON, precision, all,
                "compute.kernel is neon, which this CPU or this build lacks; here is: blas, avx2, "
                "avx512; auto takes the best there is");
        refused(KERNEL_AVX2, precision, arm,
                "compute.kernel is avx2, which this CPU or this build lacks; here is: blas, neon; "
                "auto takes the best there is");
    }
    assert_ptr_equal(chosen(KERNEL_AUTO, PRECISION_BF16, most), &bf16);
    assert_ptr_equal(chosen(KERNEL_AMX, PRECISION_BF16, most), &amx);
    refused(KERNEL_AMX, PRECISION_F32, most,
            "compute.kernel is amx, which multiplies bf16 only: it needs compute.precision=bf16");
    refused(KERNEL_AMX, PRECISION_BF16, all,
            "compute.kernel is amx, which this CPU or this build lacks; here is: blas, avx2, "
            "avx512; auto takes the best there is");
    const struct kernel *kernel;
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
    assert_int_equal(config_set(&c, "compute.kernel=avx2"), OK);
    assert_int_equal(c.kernel, KERNEL_AVX2);
    assert_int_equal(config_set(&c, "compute.kernel=neon"), OK);
    assert_int_equal(c.kernel, KERNEL_NEON);
    assert_int_equal(config_set(&c, "compute.precision=f16"), ERR_CONFIG);
    assert_int_equal(config_set(&c, "compute.kernel=avx1024"), ERR_CONFIG);
}

/* Fails the first allocation, the second, and so on, until there is none to fail. */
static void test_failing_memory(void **state) {
    (void)state;
    for (int k = 1; k < KERNELS; k++) {
        size_t failed = 0;
        enum status status = kernel_missing(k) ? OK : ERR_MEMORY;
        for (size_t n = 1; status != OK; n++) {
            struct linear l;
            struct linear_work work = {0};
            mem_fail_after(n);
            status = linear_init(&l, kernel_at(k), 3, 4);
            status = status == OK ? linear_work_init(&work, kernel_at(k), 4) : status;
            mem_fail_after(0);
            assert_true(status == OK || status == ERR_MEMORY);
            failed += status == ERR_MEMORY;
            linear_fini(&l);
            linear_work_fini(&work);
        }
        assert_true(kernel_missing(k) || failed >= 3);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blas),
        cmocka_unit_test(test_avx2),
        cmocka_unit_test(test_avx512),
        cmocka_unit_test(test_neon),
        cmocka_unit_test(test_avx512_bf16),
        cmocka_unit_test(test_amx),
        cmocka_unit_test(test_a_row_has_the_same_bits_among_others),
        cmocka_unit_test(test_a_narrow_gradient_has_the_bits_of_a_wide_one),
        cmocka_unit_test(test_special_values),
        cmocka_unit_test(test_nan_stays_in_its_row),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_choice_has_a_name),
        cmocka_unit_test(test_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
