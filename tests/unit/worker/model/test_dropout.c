#include "worker/model/dropout.h"
#include "tests/naive/dropout_naive.h"

#include <math.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEED  31u
#define UNITS 300u
#define ROWS  400u
#define DRAWS (UNITS * ROWS)

static const struct batch_name name = {3, 5, 7};

/* h = m of ROWS impressions: what becomes of ones. */
static void masks(const struct dropout *d, struct batch_name of, uint32_t layer, float *h) {
    const struct dropout_layer l = dropout_layer(d, of, layer);
    for (uint32_t i = 0; i < ROWS; i++) {
        for (uint32_t u = 0; u < UNITS; u++) {
            h[i * UNITS + u] = 1.0f;
        }
        dropout_apply(&l, i, UNITS, h + i * UNITS);
    }
}

static double share_of_zeros(const float *h) {
    uint32_t zeros = 0;
    for (uint32_t i = 0; i < DRAWS; i++) {
        zeros += h[i] < 0.5f;
    }
    return (double)zeros / DRAWS;
}

/* The share left out is p within five standard deviations, and the others are 1 / (1 - p). */
static void test_share_and_scale(void **state) {
    (void)state;
    static float h[DRAWS];
    const float rates[] = {0.0f, 0.01f, 0.1f, 0.3f, 0.5f, 0.75f, 0.99f};
    for (size_t k = 0; k < sizeof rates / sizeof *rates; k++) {
        const struct dropout d = {rates[k], SEED};
        const double p = (double)rates[k], deviation = sqrt(p * (1 - p) / DRAWS);
        masks(&d, name, 2, h);
        const double share = share_of_zeros(h);
        if (!(fabs(share - p) <= 5 * deviation)) {
            fail_msg("rate %.3g: %.5f left out, standard deviation %.2g", p, share, deviation);
        }
        for (uint32_t i = 0; i < DRAWS; i++) {
            assert_true(h[i] == 0.0f || fabs((double)h[i] * (1 - p) - 1) < 1e-6);
        }
    }
}

static void test_values_are_scaled(void **state) {
    (void)state;
    const struct dropout d = {0.75f, SEED};
    const struct dropout_layer l = dropout_layer(&d, name, 0);
    float h[UNITS];
    uint32_t kept = 0;
    for (uint32_t u = 0; u < UNITS; u++) {
        h[u] = 0.125f * (float)u;
    }
    dropout_apply(&l, 9, UNITS, h);
    for (uint32_t u = 1; u < UNITS; u++) {
        kept += h[u] > 0.0f;
        assert_true(h[u] == 0.0f || h[u] == 0.5f * (float)u);
    }
    assert_true(kept > 0 && kept < UNITS);
}

static void test_against_naive(void **state) {
    (void)state;
    static float h[DRAWS];
    const float rates[] = {0.0f, 0.1f, 0.5f, 0.9f};
    for (size_t k = 0; k < sizeof rates / sizeof *rates; k++) {
        const struct dropout d = {rates[k], SEED + k};
        const uint32_t layer = (uint32_t)k;
        masks(&d, name, layer, h);
        for (uint32_t i = 0; i < DRAWS; i++) {
            const double m = dropout_naive(&d, name, layer, i / UNITS, i % UNITS);
            assert_true(fabs((double)h[i] - m) <= 1e-6 * m);
        }
    }
}

/* Masks of different origin agree where two independent coins would: p^2 + (1-p)^2. */
static void independent(const float *a, const float *b, size_t n, const char *what) {
    const double p = 0.3, expected = p * p + (1 - p) * (1 - p);
    size_t same = 0;
    for (size_t i = 0; i < n; i++) {
        same += (a[i] > 0.0f) == (b[i] > 0.0f);
    }
    const double share = (double)same / (double)n;
    if (!(fabs(share - expected) <= 5 * sqrt(expected * (1 - expected) / (double)n))) {
        fail_msg("%s: the masks agree in %.4f, expected %.4f", what, share, expected);
    }
}

static void test_every_word_counts(void **state) {
    (void)state;
    static float a[DRAWS], b[DRAWS];
    const struct dropout d = {0.3f, SEED}, other = {0.3f, SEED + 1};
    masks(&d, name, 1, a);
    masks(&d, name, 1, b);
    assert_memory_equal(a, b, sizeof a);
    masks(&other, name, 1, b);
    independent(a, b, DRAWS, "seed");
    masks(&d, name, 2, b);
    independent(a, b, DRAWS, "layer");
    masks(&d, (struct batch_name){4, 5, 7}, 1, b);
    independent(a, b, DRAWS, "epoch");
    masks(&d, (struct batch_name){3, 6, 7}, 1, b);
    independent(a, b, DRAWS, "shard");
    masks(&d, (struct batch_name){3, 5, 8}, 1, b);
    independent(a, b, DRAWS, "batch");
    independent(a, a + UNITS, DRAWS - UNITS, "impression");
    independent(a, a + 1, DRAWS - 1, "unit");
    /* Words that trade places are not the same. */
    masks(&d, (struct batch_name){5, 3, 7}, 1, b);
    independent(a, b, DRAWS, "epoch and shard exchanged");
    masks(&d, (struct batch_name){3, 5, 1}, 7, b);
    independent(a, b, DRAWS, "batch and layer exchanged");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_share_and_scale),
        cmocka_unit_test(test_values_are_scaled),
        cmocka_unit_test(test_against_naive),
        cmocka_unit_test(test_every_word_counts),
    };
    return cmocka_run_group_tests_name("dropout", tests, NULL, NULL);
}
