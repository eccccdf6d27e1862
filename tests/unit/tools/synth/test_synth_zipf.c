#include "tools/synth/synth_zipf.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEED 20260202u

static int descending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* The probabilities that a table stands for, sorted, are Zipf's. */
static void table_is_exact(uint32_t n, double skew) {
    struct zipf z;
    double *p = calloc(n, sizeof *p), sum = 0;
    assert_int_equal(zipf_init(&z, n, skew, SEED, n), OK);
    for (uint32_t i = 0; i < n; i++) {
        assert_true(z.alias[i] < n);
        const double own = z.alias[i] == i ? 1 : (double)z.cut[i] * 0x1p-32;
        p[i] += own / n;
        p[z.alias[i]] += (1 - own) / n;
        sum += pow(i + 1.0, -skew);
    }
    qsort(p, n, sizeof *p, descending);
    for (uint32_t i = 0; i < n; i++) {
        const double want = pow(i + 1.0, -skew) / sum;
        assert_true(fabs(p[i] - want) < 1e-8 * want + 3e-9 / n + 1e-10);
    }
    free(p);
    zipf_fini(&z);
    zipf_fini(&z);
}

static void zipf_tables(void **state) {
    static const uint32_t sizes[] = {1, 2, 3, 100, 1000, 50000};
    static const double skews[] = {0, 0.5, 0.6, 0.9, 1, 2};
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        for (size_t k = 0; k < sizeof skews / sizeof skews[0]; k++) {
            table_is_exact(sizes[s], skews[k]);
        }
    }
}

/* Chi-square of draws against the table's own probabilities; 99 degrees of freedom. */
static void zipf_draws(void **state) {
    enum { N = 100, DRAWS = 1000000 };
    struct zipf z;
    double p[N] = {0}, chi = 0;
    uint32_t seen[N] = {0};
    (void)state;
    assert_int_equal(zipf_init(&z, N, 0.9, SEED, 1), OK);
    for (uint32_t i = 0; i < N; i++) {
        const double own = z.alias[i] == i ? 1 : (double)z.cut[i] * 0x1p-32;
        p[i] += own / N;
        p[z.alias[i]] += (1 - own) / N;
    }
    for (uint64_t k = 0; k < DRAWS; k++) {
        seen[zipf_draw(&z, rng_u64(SEED, k, 7))]++;
    }
    for (uint32_t i = 0; i < N; i++) {
        const double want = p[i] * DRAWS;
        chi += (seen[i] - want) * (seen[i] - want) / want;
    }
    assert_true(chi > 99 - 5 * sqrt(2 * 99) && chi < 99 + 5 * sqrt(2 * 99));
    assert_true(zipf_draw(&z, 0) < N && zipf_draw(&z, UINT64_MAX) < N);
    zipf_fini(&z);
}

/* Ids do not tell popularity: the permutation depends on the stream. */
static void zipf_is_shuffled(void **state) {
    enum { N = 1000 };
    struct zipf a, b;
    uint32_t seen_a[N] = {0}, seen_b[N] = {0}, top_a = 0, top_b = 0;
    (void)state;
    assert_int_equal(zipf_init(&a, N, 0.9, SEED, 1), OK);
    assert_int_equal(zipf_init(&b, N, 0.9, SEED, 2), OK);
    for (uint64_t k = 0; k < 100000; k++) {
        seen_a[zipf_draw(&a, rng_u64(SEED, k, 8))]++;
        seen_b[zipf_draw(&b, rng_u64(SEED, k, 9))]++;
    }
    for (uint32_t i = 0; i < N; i++) {
        top_a = seen_a[i] > seen_a[top_a] ? i : top_a;
        top_b = seen_b[i] > seen_b[top_b] ? i : top_b;
    }
    assert_int_not_equal(top_a, top_b);
    zipf_fini(&a);
    zipf_fini(&b);
}

static void zipf_without_memory(void **state) {
    bool done = false;
    (void)state;
    for (size_t n = 1; n < 10 && !done; n++) {
        struct zipf z;
        mem_fail_after(n);
        const enum status status = zipf_init(&z, 100, 0.9, SEED, 1);
        mem_fail_after(0);
        done = status == OK;
        assert_true(done || status == ERR_MEMORY);
        zipf_fini(&z);
    }
    assert_true(done);
}

/* Ids in range for any word, every id once for every rank, frequencies those of the law. */
static void power_laws(void **state) {
    static const uint64_t sizes[] = {1, 2, 12, 100, 65536, 600000, 4294967295u};
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        struct power_law p;
        power_law_init(&p, sizes[s], 0.9);
        assert_true(power_law_draw(&p, 0) < p.n && power_law_draw(&p, UINT64_MAX) < p.n);
        for (uint64_t k = 0; k < 1000; k++) {
            assert_true(power_law_draw(&p, rng_u64(SEED, k, s)) < p.n);
        }
        if (p.n <= 65536) {
            uint8_t *seen = calloc(p.n, 1);
            for (uint64_t rank = 0; rank < p.n; rank++) {
                assert_int_equal(seen[rank * p.step % p.n]++, 0);
            }
            free(seen);
        }
    }
}

static void power_law_frequencies(void **state) {
    enum { N = 1000, DRAWS = 200000 };
    struct power_law p;
    uint32_t seen[N] = {0};
    (void)state;
    power_law_init(&p, N, 0.9);
    for (uint64_t k = 0; k < DRAWS; k++) {
        seen[power_law_draw(&p, rng_u64(SEED, k, 11))]++;
    }
    for (uint64_t rank = 0; rank < N; rank++) { /* within 6 sigma of the integral of its cell */
        const double from = pow((double)rank + 1, 0.1), to = pow((double)rank + 2, 0.1);
        const double want = DRAWS * (to - from) / (pow(N + 1.0, 0.1) - 1);
        assert_true(fabs(seen[rank * p.step % N] - want) < 6 * sqrt(want));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zipf_tables),      cmocka_unit_test(zipf_draws),
        cmocka_unit_test(zipf_is_shuffled), cmocka_unit_test(zipf_without_memory),
        cmocka_unit_test(power_laws),       cmocka_unit_test(power_law_frequencies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
