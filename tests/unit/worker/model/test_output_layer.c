#include "worker/model/output_layer.h"

#include <string.h>

#include "tests/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { N_MAX = 131, IN_MAX = 1024, GAP = 5 };
static const uint32_t widths[] = {0, 1, 2, 15, 16, 17, 31, 32, 33, 80, 100, IN_MAX};
static const uint32_t rows[] = {0, 1, 2, 61, 128, N_MAX};
#define EACH(i, list) for (size_t i = 0; i < sizeof list / sizeof *list; i++)

struct fixture {
    float x[N_MAX * (IN_MAX + GAP)], dx[N_MAX * (IN_MAX + GAP)];
    float w[IN_MAX], dw[IN_MAX + 1], before[IN_MAX + 1], logit[N_MAX + 1], dlogit[N_MAX];
};

static void fill(struct sample *s, float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        x[i] = sample_normal(s);
    }
}

static struct fixture *fixture(void) {
    static struct fixture t;
    struct sample s = {.seed = 11};
    fill(&s, t.x, sizeof t.x / sizeof *t.x);
    fill(&s, t.w, IN_MAX);
    fill(&s, t.before, IN_MAX + 1);
    fill(&s, t.dlogit, N_MAX);
    return &t;
}

/* The order that output_layer.c promises, one addition at a time. `volatile`: nothing is fused or
 * moved.
 */
static float in_order(const float *x, const float *w, uint32_t in) {
    volatile float sum[16] = {0};
    for (uint32_t j = 0; j < in; j++) {
        volatile float product = x[j] * w[j];
        sum[j % 16] = sum[j % 16] + product;
    }
    for (uint32_t half = 8; half > 0; half /= 2) {
        for (uint32_t l = 0; l < half; l++) {
            sum[l] = sum[l] + sum[l + half];
        }
    }
    return sum[0];
}

static void test_forward(void **state) {
    (void)state;
    struct fixture *t = fixture();
    EACH(a, widths) {
        EACH(b, rows) {
            const uint32_t in = widths[a], n = rows[b];
            const size_t stride = in + GAP;
            t->logit[n] = 7.0f;
            output_layer_forward(t->x, stride, n, t->w, in, 0.25f, t->logit);
            for (uint32_t i = 0; i < n; i++) {
                double want = 0.25, size = 1.0;
                for (uint32_t j = 0; j < in; j++) {
                    want += (double)t->x[i * stride + j] * (double)t->w[j];
                    size += fabs((double)t->x[i * stride + j] * (double)t->w[j]);
                }
                assert_true(fabs((double)t->logit[i] - want) <= 1e-6 * size);
                assert_true(t->logit[i] == 0.25f + in_order(t->x + i * stride, t->w, in));
            }
            assert_true(t->logit[n] == 7.0f);
        }
    }
}

static void test_weight(void **state) {
    (void)state;
    struct fixture *t = fixture();
    EACH(a, widths) {
        EACH(b, rows) {
            const uint32_t in = widths[a], n = rows[b];
            const size_t stride = in + GAP;
            memcpy(t->dw, t->before, sizeof t->dw);
            output_layer_weight(t->x, stride, n, t->dlogit, in, t->dw);
            for (uint32_t j = 0; j < in; j++) {
                volatile float sum = 0.0f;
                double want = (double)t->before[j], size = 1.0;
                for (uint32_t i = 0; i < n; i++) {
                    volatile float product = t->dlogit[i] * t->x[i * stride + j];
                    sum = sum + product;
                    want += (double)t->dlogit[i] * (double)t->x[i * stride + j];
                    size += fabs((double)product);
                }
                assert_true(fabs((double)t->dw[j] - want) <= 1e-6 * size);
                assert_true(t->dw[j] == t->before[j] + sum);
            }
            assert_true(t->dw[in] == t->before[in]);
        }
    }
}

static void test_input(void **state) {
    (void)state;
    struct fixture *t = fixture();
    EACH(a, widths) {
        EACH(b, rows) {
            const uint32_t in = widths[a], n = rows[b];
            const size_t stride = in + GAP;
            memcpy(t->dx, t->x, sizeof t->dx);
            output_layer_input(t->dlogit, n, t->w, in, t->dx, stride);
            for (uint32_t i = 0; i < n; i++) {
                for (uint32_t j = 0; j < stride; j++) {
                    const size_t at = i * stride + j;
                    assert_true(t->dx[at] == (j < in ? t->dlogit[i] * t->w[j] : t->x[at]));
                }
            }
        }
    }
}

/* A NaN is not lost, and stays in its row. */
static void test_nan(void **state) {
    (void)state;
    struct fixture *t = fixture();
    t->x[3 * 20 + 18] = NAN;
    output_layer_forward(t->x, 20, 9, t->w, 20, 0.0f, t->logit);
    for (uint32_t i = 0; i < 9; i++) {
        assert_int_equal(isnan(t->logit[i]) != 0, i == 3);
    }
    memcpy(t->dw, t->before, sizeof t->dw);
    output_layer_weight(t->x, 20, 9, t->dlogit, 20, t->dw);
    for (uint32_t j = 0; j < 20; j++) {
        assert_int_equal(isnan(t->dw[j]) != 0, j == 18);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_weight),
        cmocka_unit_test(test_input),
        cmocka_unit_test(test_nan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
