#include "common/base/rng.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEED  20180423u
#define DRAWS 200000u

/* The first outputs of SplitMix64 from state 1234567, as its authors' reference gives them: the
 * generator adds the golden gamma before each finaliser, and so does rng_mix. */
static void the_mixer_is_splitmix64(void **state) {
    (void)state;
    const uint64_t gamma = 0x9e3779b97f4a7c15u;
    const uint64_t expected[] = {6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                                 4593380528125082431u, 16408922859458223821u};
    for (uint64_t i = 0; i < 5; i++) {
        assert_true(rng_mix(1234567u + i * gamma) == expected[i]);
    }
}

static void every_word_counts(void **state) {
    (void)state;
    const uint64_t x = rng_u64(SEED, 5, 9);
    assert_true(x == rng_u64(SEED, 5, 9));
    assert_true(x != rng_u64(SEED + 1, 5, 9));
    assert_true(x != rng_u64(SEED, 6, 9));
    assert_true(x != rng_u64(SEED, 5, 10));
    assert_true(rng_u64(SEED, 5, 9) != rng_u64(SEED, 9, 5));
    assert_true(rng_u64(1, 0, 0) != rng_u64(0, 1, 0));
}

/* Each input bit flips about half of the output bits: 64 trials of 64 coins have a mean of 32 and a
 * standard deviation of 0.5. */
static void one_bit_changes_half_of_the_bits(void **state) {
    (void)state;
    for (unsigned word = 0; word < 3; word++) {
        double flips = 0;
        for (unsigned bit = 0; bit < 64; bit++) {
            const uint64_t d = (uint64_t)1 << bit;
            const uint64_t a = rng_u64(SEED, 1, 2);
            const uint64_t b = rng_u64(SEED ^ (word == 0 ? d : 0), 1 ^ (word == 1 ? d : 0),
                                       2 ^ (word == 2 ? d : 0));
            flips += __builtin_popcountll(a ^ b);
        }
        assert_true(fabs(flips / 64 - 32) < 2.5);
    }
}

static void units_are_uniform_and_inside(void **state) {
    (void)state;
    double sum = 0;
    double squares = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        const double u = rng_unit(SEED, 3, i);
        assert_true(u > 0 && u < 1);
        sum += u;
        squares += u * u;
    }
    assert_true(fabs(sum / DRAWS - 0.5) < 0.004);
    assert_true(fabs(squares / DRAWS - 1.0 / 3) < 0.004);
}

static void below_covers_all_of_it(void **state) {
    (void)state;
    uint32_t seen[7] = {0};
    for (uint64_t i = 0; i < 70000; i++) {
        const uint64_t x = rng_below(SEED, 4, i, 7);
        assert_true(x < 7);
        seen[x]++;
    }
    for (int k = 0; k < 7; k++) {
        assert_in_range(seen[k], 9500, 10500); /* 5 standard deviations */
    }
    for (uint64_t i = 0; i < 1000; i++) {
        assert_int_equal(rng_below(SEED, 5, i, 1), 0);
        assert_true(rng_below(SEED, 6, i, UINT64_MAX) < UINT64_MAX);
    }
}

static void normals_have_the_right_moments(void **state) {
    (void)state;
    double sum[5] = {0};
    uint32_t beyond_two = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        const double z = rng_normal(SEED, i, 7);
        assert_true(isfinite(z));
        double power = 1;
        for (int k = 1; k < 5; k++) {
            power *= z;
            sum[k] += power;
        }
        beyond_two += fabs(z) > 2;
    }
    assert_true(fabs(sum[1] / DRAWS) < 0.012);
    assert_true(fabs(sum[2] / DRAWS - 1) < 0.02);
    assert_true(fabs(sum[3] / DRAWS) < 0.05);
    assert_true(fabs(sum[4] / DRAWS - 3) < 0.15);
    assert_true(fabs((double)beyond_two / DRAWS - 0.0455) < 0.003);
}

static void neighbouring_normals_do_not_correlate(void **state) {
    (void)state;
    double by_b = 0;
    double by_a = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        by_b += rng_normal(SEED, 1, i) * rng_normal(SEED, 1, i + 1);
        by_a += rng_normal(SEED, i, 1) * rng_normal(SEED, i + 1, 1);
    }
    assert_true(fabs(by_b / DRAWS) < 0.012);
    assert_true(fabs(by_a / DRAWS) < 0.012);
}

static void permutations_hold_each_once(void **state) {
    (void)state;
    uint32_t perm[257];
    for (size_t n = 0; n <= 257; n += n < 5 ? 1 : 63) {
        bool seen[257] = {false};
        rng_permutation(SEED, n, 2, perm, n);
        for (size_t i = 0; i < n; i++) {
            assert_true(perm[i] < n);
            assert_false(seen[perm[i]]);
            seen[perm[i]] = true;
        }
    }
}

static void permutations_depend_on_all_words(void **state) {
    (void)state;
    uint32_t p[64], q[64];
    rng_permutation(SEED, 1, 2, p, 64);
    rng_permutation(SEED, 1, 2, q, 64);
    assert_memory_equal(p, q, sizeof p);
    rng_permutation(SEED + 1, 1, 2, q, 64);
    assert_memory_not_equal(p, q, sizeof p);
    rng_permutation(SEED, 2, 2, q, 64);
    assert_memory_not_equal(p, q, sizeof p);
    rng_permutation(SEED, 1, 3, q, 64);
    assert_memory_not_equal(p, q, sizeof p);
}

static void the_six_orders_of_three_are_alike(void **state) {
    (void)state;
    uint32_t count[27] = {0};
    for (uint64_t i = 0; i < 60000; i++) {
        uint32_t p[3];
        rng_permutation(SEED, 8, i, p, 3);
        count[p[0] * 9 + p[1] * 3 + p[2]]++;
    }
    int orders = 0;
    for (int k = 0; k < 27; k++) {
        if (count[k] > 0) {
            assert_in_range(count[k], 9500, 10500);
            orders++;
        }
    }
    assert_int_equal(orders, 6);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mixer_is_splitmix64),
        cmocka_unit_test(every_word_counts),
        cmocka_unit_test(one_bit_changes_half_of_the_bits),
        cmocka_unit_test(units_are_uniform_and_inside),
        cmocka_unit_test(below_covers_all_of_it),
        cmocka_unit_test(normals_have_the_right_moments),
        cmocka_unit_test(neighbouring_normals_do_not_correlate),
        cmocka_unit_test(permutations_hold_each_once),
        cmocka_unit_test(permutations_depend_on_all_words),
        cmocka_unit_test(the_six_orders_of_three_are_alike),
    };
    return cmocka_run_group_tests_name("rng", tests, NULL, NULL);
}
