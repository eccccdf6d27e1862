#include "common/job/row_initial.h"

#include <math.h>

#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEED 17u

/* Rows: a function of (seed, key); normal in its first four moments, tails and independence. */
static void test_row_initial(void **state) {
    (void)state;
    enum { ROWS = 20000, DIM = 17 };
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0, pairs = 0, n = 0;
    uint32_t beyond2 = 0, beyond4 = 0;
    for (uint64_t k = 0; k < ROWS; k++) {
        float row[DIM], again[DIM];
        row_initial(SEED, rng_mix(k), 1.0f, DIM, row);
        row_initial(SEED, rng_mix(k), 1.0f, DIM, again);
        assert_memory_equal(row, again, sizeof row);
        for (int i = 0; i < DIM; i++) {
            const double x = (double)row[i];
            assert_true(isfinite(x));
            m1 += x;
            m2 += x * x;
            m3 += x * x * x;
            m4 += x * x * x * x;
            beyond2 += fabs(x) > 2;
            beyond4 += fabs(x) > 4;
            pairs += i > 0 ? x * (double)row[i - 1] : 0;
            n++;
        }
    }
    const double sd = sqrt(n);
    assert_true(fabs(m1 / sd) < 4);
    assert_true(fabs(m2 / n - 1) < 4 * sqrt(2) / sd);
    assert_true(fabs(m3 / sd) < 4 * sqrt(15));
    assert_true(fabs(m4 / n - 3) < 4 * sqrt(96) / sd);
    assert_true(fabs(pairs / sd) < 4);
    assert_true(fabs(beyond2 / n - 0.0455) < 0.002);
    assert_true(beyond4 >= 5 && beyond4 <= 50); /* 21.5 expected */
}

/* A row of a smaller dim is the beginning of a larger one; scale scales; seeds differ. */
static void test_row_shapes(void **state) {
    (void)state;
    float big[256], small[256];
    row_initial(SEED, 99, 1.0f, 256, big);
    for (uint32_t dim = 1; dim <= 256; dim += 5) {
        row_initial(SEED, 99, 1.0f, dim, small);
        assert_memory_equal(small, big, dim * sizeof(float));
    }
    row_initial(SEED, 99, 0.5f, 4, small);
    assert_true(small[0] == 0.5f * big[0] && small[3] == 0.5f * big[3]);
    row_initial(SEED + 1, 99, 1.0f, 4, small);
    assert_true(small[0] != big[0]);
    row_initial(SEED, 99, 0.0f, 4, small);
    assert_true(small[0] == 0.0f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_row_initial),
        cmocka_unit_test(test_row_shapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
