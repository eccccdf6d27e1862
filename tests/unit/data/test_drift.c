/* Unit tests of common/data/drift.h: what is told, and that chance is not. */
#include "common/data/drift.h"

#include <math.h>

#include "common/base/rng.h"
#include "common/data/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SORTED_BY_NOTHING    0
#define SORTED_BY_CLICK      1
#define SORTED_BY_CONVERSION 2

/* A log of n impressions in groups of a size, of which all alike or each for itself. */
static struct drift_finding judge(uint64_t seed, uint64_t n, uint32_t size, double ctr, double cvr,
                                  int sorted) {
    struct drift d = {0};
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t group = i / size;
        const bool early = (double)i < (double)n * ctr;
        const bool click = sorted == SORTED_BY_CLICK ? early : rng_unit(seed, 1, group) < ctr;
        const double p = sorted == SORTED_BY_CONVERSION ? (i < n / 4 ? 4 * cvr : 0) : cvr;
        const bool buy = click && rng_unit(seed, 2, group) < p;
        assert_int_equal(
            drift_label(&d, click ? (uint8_t)(LABEL_CLICK | (buy ? LABEL_CONVERSION : 0)) : 0), OK);
    }
    assert_int_equal(drift_end(&d), OK);
    const struct drift_finding f = drift_tenths(&d, n / size);
    drift_fini(&d);
    return f;
}

static void what_is_sorted(void **state) {
    (void)state;
    struct drift_finding f = judge(1, 20000, 1, 0.04, 0.05, SORTED_BY_CLICK);
    assert_true(f.found && !f.conversions && f.part == 0 && f.parts == 10);
    assert_true(fabs(f.mean - 0.04) < 1e-9 && fabs(f.share - 0.4) < 1e-9);
    f = judge(1, 200000, 10, 0.1, 0.1, SORTED_BY_CONVERSION);
    assert_true(f.found && f.conversions && f.part < 3);
    f = judge(1, 2000, 1, 0.2, 0.1, SORTED_BY_CLICK); /* two blocks */
    assert_true(f.found && f.part == 7 && f.share == 0);
}

/* Of thousands of logs of every kind - rare positives, large groups whose impressions are all alike
 * - none. */
static void chance(void **state) {
    (void)state;
    static const double rates[] = {0.5, 0.1, 0.01, 0.002, 0.0002};
    static const uint32_t sizes[] = {1, 7, 100, 1500};
    for (uint64_t seed = 0; seed < 20; seed++) {
        for (size_t r = 0; r < 5; r++) {
            for (size_t s = 0; s < 4; s++) {
                const struct drift_finding f = judge(seed, 30000, sizes[s], rates[r],
                                                     rates[(r + seed) % 5], SORTED_BY_NOTHING);
                if (f.found) {
                    fail_msg("seed %u, rate %g, groups of %u: part %zu has %g of %g",
                             (unsigned)seed, rates[r], sizes[s], f.part, f.share, f.mean);
                }
            }
        }
    }
}

/* Shards: thousands, of one impression too; a share of half to twice the mean is let pass. */
static void shards(void **state) {
    (void)state;
    static struct drift_counts parts[4000];
    for (size_t i = 0; i < 4000; i++) {
        parts[i] = (struct drift_counts){.impressions = 1 + i % 900};
        for (uint64_t k = 0; k < parts[i].impressions; k++) {
            const bool click = rng_unit(3, i, k) < 0.03;
            parts[i].clicks += click;
            parts[i].conversions += click && rng_unit(4, i, k) < 0.3;
        }
    }
    assert_false(drift_judge(parts, 4000, 800000).found);
    parts[1777] = (struct drift_counts){1000, 200, 60};
    struct drift_finding f = drift_judge(parts, 4000, 800000);
    assert_true(f.found && f.part == 1777 && f.parts == 1);
    assert_false(
        drift_judge(parts, 4000, 20000).found); /* with groups of a hundred that may be two */
    const struct drift_counts two[] = {{100000, 9000, 100}, {100000, 5000, 100}};
    assert_false(drift_judge(two, 2, 200000).found);
    const struct drift_counts none[] = {{100, 0, 0}, {100, 0, 0}};
    assert_false(drift_judge(none, 2, 200).found);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_sorted), cmocka_unit_test(chance),
                                       cmocka_unit_test(shards)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
