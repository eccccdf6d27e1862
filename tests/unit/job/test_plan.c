#include "common/data/shard_format.h"
#include "common/job/plan.h"
#include "common/data/shard.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define N 500u

/* Batches tile the shard, and differ in size by at most one. */
static void test_batches(void **state) {
    (void)state;
    const uint32_t sizes[] = {1, 7, 64, 1000, 4097, SHARD_IMPRESSIONS_MAX};
    const uint32_t maxima[] = {1, 2, 64, 2048, UINT16_MAX};
    for (size_t i = 0; i < 6; i++) {
        for (size_t k = 0; k < 5; k++) {
            const uint32_t n = sizes[i], max = maxima[k], batches = plan_batches(n, max);
            uint32_t least = UINT32_MAX, most = 0;
            assert_int_equal(plan_begin(n, batches, 0), 0);
            assert_int_equal(plan_begin(n, batches, batches), n);
            for (uint32_t b = 0; b < batches; b++) {
                const uint32_t size = plan_begin(n, batches, b + 1) - plan_begin(n, batches, b);
                least = size < least ? size : least;
                most = size > most ? size : most;
            }
            assert_true(least >= 1 && most <= max && most - least <= 1);
        }
    }
    assert_int_equal(plan_batches(0, 64), 0);
}

/* A sample is cut into as many batches as the shard, each with its share, none empty. */
static void test_sampled(void **state) {
    (void)state;
    assert_int_equal(plan_sampled_batches(1000, 1000, 64), plan_batches(1000, 64));
    for (uint32_t sampled = 0; sampled <= 1200; sampled += 7) {
        const uint32_t batches = plan_sampled_batches(1000, sampled, 64);
        assert_int_equal(batches, sampled < 16 ? sampled : 16);
        for (uint32_t k = 0; k < batches; k++) {
            const uint32_t n =
                plan_begin(sampled, batches, k + 1) - plan_begin(sampled, batches, k);
            assert_true(n >= 1 && n >= sampled / batches && n <= sampled / batches + 1);
        }
    }
}

static void is_permutation(const uint32_t *order, uint32_t n) {
    static uint8_t seen[N];
    memset(seen, 0, sizeof seen);
    for (uint32_t i = 0; i < n; i++) {
        assert_true(order[i] < n && seen[order[i]] == 0);
        seen[order[i]] = 1;
    }
}

static void test_orders(void **state) {
    (void)state;
    uint32_t a[N], b[N], c[N], d[N], e[N], f[N];
    plan_groups(1, true, 0, 0, N, a);
    plan_groups(1, true, 0, 0, N, b);
    plan_groups(1, true, 1, 0, N, c);
    plan_groups(1, true, 0, 1, N, d);
    plan_groups(2, true, 0, 0, N, e);
    plan_shards(1, true, 0, N, f);
    const uint32_t *all[] = {a, b, c, d, e, f};
    for (size_t i = 0; i < 6; i++) {
        is_permutation(all[i], N);
        for (size_t k = 0; k < i; k++) {
            const bool same = memcmp(all[i], all[k], sizeof a) == 0;
            assert_int_equal(same, i == 1 && k == 0);
        }
    }
    plan_groups(1, false, 3, 4, N, a);
    plan_shards(1, false, 3, N, b);
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(a[i], i);
        assert_int_equal(b[i], i);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_batches),
                                       cmocka_unit_test(test_sampled),
                                       cmocka_unit_test(test_orders)};
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
