#include "common/data/sample.h"

#include "common/base/mem.h"
#include "tests/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { USER_FIELDS = 2, ITEM_FIELDS = 3 };

static void make(struct shard *s, uint64_t seed) {
    struct sample sample = {.seed = seed,
                            .groups = 40,
                            .group_impressions_max = 12,
                            .user_fields = USER_FIELDS,
                            .item_fields = ITEM_FIELDS,
                            .values_max = 3,
                            .dict = 25,
                            .empty_field = 3};
    sample_shard(&sample, s);
}

/* How often impression i of the old shard is in the new: by its id. */
static uint32_t occurs(const struct shard *s, uint64_t id) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->impressions; i++) {
        n += s->impression_id[i] == id;
    }
    return n;
}

static void same_bag(const struct column *x, uint32_t i, const struct column *y, uint32_t j) {
    const uint32_t n = x->start[i + 1] - x->start[i];
    assert_int_equal(n, y->start[j + 1] - y->start[j]);
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t a = x->start[i] + k, b = y->start[j] + k;
        assert_int_equal(x->dict[x->code[a]], y->dict[y->code[b]]);
        assert_true((x->weight == NULL) == (y->weight == NULL));
        assert_true(x->weight == NULL || x->weight[a] == y->weight[b]);
    }
}

/* Every impression of the new shard is the old one of its id, in the old group, in the old order.
 */
static void check_content(const struct shard *got, const struct shard *old) {
    uint64_t before = 0;
    for (uint32_t g = 0; g < got->groups; g++) {
        assert_int_equal(got->group_key[g], old->group_key[g]);
        for (uint32_t i = got->group_start[g]; i < got->group_start[g + 1]; i++) {
            const uint32_t j = (uint32_t)(got->impression_id[i] - old->impression_id[0]);
            assert_true(j >= old->group_start[g] && j < old->group_start[g + 1]);
            assert_true(got->impression_id[i] >= before);
            before = got->impression_id[i];
            assert_int_equal(got->labels[i], old->labels[j]);
            for (uint32_t f = USER_FIELDS; f < got->columns; f++) {
                same_bag(&got->column[f], i, &old->column[f], j);
            }
        }
        for (uint32_t f = 0; f < USER_FIELDS; f++) {
            same_bag(&got->column[f], g, &old->column[f], g);
        }
    }
    assert_int_equal(got->group_start[got->groups], got->impressions);
}

static void check_sample(struct sampling sampling) {
    for (uint64_t seed = 1; seed < 6; seed++) {
        struct shard old, got, again;
        uint32_t clicks = 0, conversions = 0, unclicked = 0;
        make(&old, seed);
        make(&got, seed);
        make(&again, seed);
        assert_int_equal(shard_sample(&got, USER_FIELDS, &sampling, 9, 4), OK);
        assert_int_equal(shard_sample(&again, USER_FIELDS, &sampling, 9, 4), OK);
        check_content(&got, &old);
        for (uint32_t i = 0; i < old.impressions; i++) {
            const uint32_t n = occurs(&got, old.impression_id[i]);
            if ((old.labels[i] & LABEL_CONVERSION) != 0) {
                assert_int_equal(n, sampling.copies);
                conversions++;
            } else if ((old.labels[i] & LABEL_CLICK) != 0) {
                assert_int_equal(n, 1);
            } else {
                assert_true(n <= 1);
                unclicked += n;
            }
            clicks += (old.labels[i] & LABEL_CLICK) != 0;
        }
        const double share = sampling.unclicked * (old.impressions - clicks);
        assert_true(fabs(unclicked - share) <= 0.5);
        assert_int_equal(got.impressions,
                         sampling_count(&sampling, old.impressions, clicks, conversions));
        assert_int_equal(got.impressions, again.impressions);
        assert_memory_equal(got.impression_id, again.impression_id,
                            got.impressions * sizeof *got.impression_id);
        shard_free(&old);
        shard_free(&got);
        shard_free(&again);
    }
}

static void test_samples(void **state) {
    (void)state;
    check_sample((struct sampling){.unclicked = 0, .copies = 1});
    check_sample((struct sampling){.unclicked = 0.3, .copies = 1});
    check_sample((struct sampling){.unclicked = 0, .copies = 4});
    check_sample((struct sampling){.unclicked = 1, .copies = 1});
    check_sample((struct sampling){.unclicked = 1, .copies = 2});
}

/* Every unclicked impression has the same chance. */
static void test_fair(void **state) {
    (void)state;
    enum { SEEDS = 400 };
    const struct sampling sampling = {.unclicked = 0.25, .copies = 1};
    struct shard old;
    make(&old, 3);
    uint32_t *times = sample_array(old.impressions, sizeof *times);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct shard s;
        make(&s, 3);
        assert_int_equal(shard_sample(&s, USER_FIELDS, &sampling, seed, 0), OK);
        for (uint32_t i = 0; i < s.impressions; i++) {
            times[s.impression_id[i] - old.impression_id[0]]++;
        }
        shard_free(&s);
    }
    for (uint32_t i = 0; i < old.impressions; i++) {
        if ((old.labels[i] & LABEL_CLICK) == 0) { /* 5 sd of a binomial */
            assert_true(fabs(times[i] - 0.25 * SEEDS) < 5 * sqrt(SEEDS * 0.25 * 0.75));
        }
    }
    mem_free(&times);
    shard_free(&old);
}

static void test_failing_memory(void **state) {
    (void)state;
    const struct sampling sampling = {.unclicked = 0.5, .copies = 2};
    for (size_t k = 1;; k++) {
        struct shard old, s;
        make(&old, 8);
        make(&s, 8);
        mem_fail_after(k);
        const enum status status = shard_sample(&s, USER_FIELDS, &sampling, 1, 1);
        mem_fail_after(0);
        if (status != OK) {
            assert_int_equal(status, ERR_MEMORY);
            assert_int_equal(s.impressions, old.impressions);
            check_content(&s, &old);
        }
        shard_free(&old);
        shard_free(&s);
        if (status == OK) {
            assert_true(k > 8);
            break;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples),
        cmocka_unit_test(test_fair),
        cmocka_unit_test(test_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
