/* Unit tests of worker/model/passes.h: every level of this CPU gives the bits of the definition. */
#include "worker/model/passes.h"

#include <math.h>
#include <string.h>

#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEED 20261201u
#define MOST 150

struct rows {
    float x[MOST + 1], y[MOST + 1], row[PASS_TERMS][MOST]; /* one float beyond the width */
};

static void draw(struct rows *r, size_t width) {
    for (size_t j = 0; j <= MOST; j++) {
        r->x[j] = (float)rng_normal(SEED, width, 8 * j);
        r->y[j] = j % 7 == 0 ? 0.0f : j % 31 == 5 ? NAN : (float)rng_normal(SEED, width, 8 * j + 1);
        for (size_t k = 0; k < PASS_TERMS && j < MOST; k++) {
            r->row[k][j] = (float)rng_normal(SEED, width, 8 * j + 2 + k);
        }
    }
}

/* As a sum of two floats is made, not one of more digits; `volatile`: nothing is fused. */
static float sum(float a, float b) {
    volatile float s = a + b;
    return s;
}
static float product(float a, float b) {
    volatile float p = a * b;
    return p;
}

static void check(const float *got, const float *want, size_t width, const struct rows *r) {
    for (size_t j = 0; j < width; j++) {
        if (isnan(want[j])) {
            assert_true(isnan(got[j]));
        } else {
            assert_memory_equal(&got[j], &want[j], sizeof *got);
        }
    }
    assert_memory_equal(&got[width], &r->x[width], sizeof *got);
}

static void check_relu(const struct passes *pass, const struct rows *r, size_t width) {
    float got[MOST + 1], want[MOST];
    memcpy(got, r->x, sizeof got);
    pass->add_relu(got, r->y, width);
    for (size_t j = 0; j < width; j++) {
        const float z = sum(r->x[j], r->y[j]);
        want[j] = z < 0.0f ? 0.0f : z;
    }
    check(got, want, width, r);
}

static void check_mask(const struct passes *pass, const struct rows *r, size_t width) {
    float d[MOST + 1], total[MOST + 1], want_d[MOST], want_total[MOST];
    memcpy(d, r->x, sizeof d);
    memcpy(total, r->x, sizeof total);
    pass->mask_and_sum(d, r->y, 1.25f, total, width);
    for (size_t j = 0; j < width; j++) {
        want_d[j] = r->y[j] > 0.0f ? product(r->x[j], 1.25f) : 0.0f;
        want_total[j] = sum(r->x[j], want_d[j]);
    }
    check(d, want_d, width, r);
    check(total, want_total, width, r);
}

static void check_sums(const struct passes *pass, const struct rows *r, size_t width) {
    const float weight[PASS_TERMS] = {0.5f, -1.3f, 1.0f, 0.7f};
    const float *row[PASS_TERMS];
    float plain[MOST + 1], one[MOST + 1], all[MOST + 1], want[3][MOST];
    memcpy(plain, r->x, sizeof plain);
    memcpy(one, r->x, sizeof one);
    memcpy(all, r->x, sizeof all);
    for (size_t k = 0; k < PASS_TERMS; k++) {
        row[k] = r->row[k];
    }
    pass->add(plain, row[0], width);
    pass->add_weighted(one, row[0], weight[1], width);
    pass->add_weighted_terms(all, row, weight, width);
    for (size_t j = 0; j < width; j++) {
        want[0][j] = sum(r->x[j], row[0][j]);
        want[1][j] = sum(r->x[j], product(weight[1], row[0][j]));
        want[2][j] = r->x[j];
        for (size_t k = 0; k < PASS_TERMS; k++) {
            want[2][j] = sum(want[2][j], product(weight[k], row[k][j]));
        }
    }
    check(plain, want[0], width, r);
    check(one, want[1], width, r);
    check(all, want[2], width, r);
}

static void check_drop(const struct passes *pass, const struct rows *r, size_t width) {
    const uint64_t key = rng_u64(SEED, width, 1), least = (uint64_t)0x60000000u;
    float got[MOST + 1], want[MOST];
    memcpy(got, r->x, sizeof got);
    pass->drop(got, key, least, 1.6f, width);
    for (size_t j = 0; j < width; j++) {
        want[j] = rng_mix(key ^ j) >> 32 < least ? 0.0f : product(r->x[j], 1.6f);
    }
    check(got, want, width, r);
}

static void test_levels(void **state) {
    static struct rows r;
    (void)state;
    for (size_t width = 0; width <= MOST; width++) {
        draw(&r, width);
        for (enum cpu_level level = CPU_LOWEST; level <= cpu_level_found(); level++) {
            const struct passes *pass = passes_at(level);
            check_relu(pass, &r, width);
            check_mask(pass, &r, width);
            check_sums(pass, &r, width);
            check_drop(pass, &r, width);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_levels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
