/* Unit tests of coord/grant/batch_plan.h against a plain count over every batch of every epoch. */
#include "coord/grant/batch_plan.h"

#include "common/job/plan.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SHARDS 5u
#define SEED   11u
static const uint32_t impressions[SHARDS] = {29, 7, 0, 50, 10};
static uint32_t batches[SHARDS];
static struct ranges ranges; /* of the plan that was made last */

static struct batch_plan plan_of(uint32_t epochs, uint64_t max_steps, bool shuffle) {
    const struct ranges_spec spec = {.seed = SEED, .shuffle = shuffle, .batch = 10};
    struct ranges_shard shard[SHARDS];
    for (uint32_t s = 0; s < SHARDS; s++) {
        shard[s] = (struct ranges_shard){impressions[s], impressions[s]};
        batches[s] = plan_batches(impressions[s], 10);
    }
    ranges_fini(&ranges);
    assert_int_equal(ranges_init(&ranges, &spec, shard, SHARDS), OK);
    return (struct batch_plan){.ranges = &ranges, .epochs = epochs, .max_steps = max_steps};
}

/* The first max_steps batches along the epochs' orders, one by one. */
static void limits_and_job(void **state) {
    (void)state;
    for (uint64_t max_steps = 0; max_steps < 45; max_steps++) {
        struct batch_plan p = plan_of(3, max_steps, max_steps % 2 == 0);
        uint64_t left = max_steps, count = 0, sum = 0, job_batches, job_impressions;
        assert_int_equal(ranges.epoch_batches, 10);
        assert_int_equal(ranges.sampled, 96);
        for (uint32_t e = 0; e < p.epochs; e++) {
            uint32_t order[SHARDS], limit[SHARDS], want[SHARDS];
            plan_shards(SEED, max_steps % 2 == 0, e, SHARDS, want);
            assert_int_equal(batch_plan_epoch(&p, e, order, limit), OK);
            assert_memory_equal(order, want, sizeof want);
            for (uint32_t i = 0; i < SHARDS; i++) {
                uint32_t taken = 0;
                for (; taken < batches[order[i]] && left > 0; taken++, left--, count++) {
                    sum += batch_plan_batch_impressions(&p, order[i], taken);
                }
                assert_int_equal(limit[i], taken);
            }
        }
        assert_int_equal(batch_plan_job(&p, &job_batches, &job_impressions), OK);
        assert_int_equal(job_batches, count);
        assert_int_equal(job_impressions, sum);
    }
    struct batch_plan p = plan_of(3, UINT64_MAX, true);
    uint64_t job_batches, job_impressions;
    assert_int_equal(batch_plan_job(&p, &job_batches, &job_impressions), OK);
    assert_int_equal(job_impressions, 3 * 96);
}

/* No range whose batches share bags is left open. */
static void shared_ranges_are_whole(void **state) {
    (void)state;
    const struct ranges_spec spec = {
        .seed = SEED, .shuffle = true, .batch = 10, .window = 1000000, .share = true};
    const struct ranges_shard shard = {2000, 2000};
    ranges_fini(&ranges);
    assert_int_equal(ranges_init(&ranges, &spec, &shard, 1), OK);
    assert_int_equal(ranges.epoch_batches, 200);
    for (uint64_t max_steps = 0; max_steps < 450; max_steps++) {
        const struct batch_plan p = {.ranges = &ranges, .epochs = 2, .max_steps = max_steps};
        uint64_t job_batches, job_impressions, want = 0;
        uint32_t order[200], limit[200];
        for (uint32_t e = 0; e < 2; e++) {
            assert_int_equal(batch_plan_epoch(&p, e, order, limit), OK);
            for (uint32_t i = 0; i < ranges.count; i++) {
                assert_int_equal(limit[i], want < max_steps ? ranges.batches[order[i]] : 0);
                want += limit[i];
            }
        }
        assert_int_equal(batch_plan_job(&p, &job_batches, &job_impressions), OK);
        assert_int_equal(job_batches, want);
        assert_true(want >= max_steps || want == 400);
        assert_true(want < max_steps + SHARED_RANGE_BATCHES);
        assert_int_equal(job_impressions, 10 * want);
    }
}

/* Any set of names, also with holes and of later epochs. */
static void impressions_of_names(void **state) {
    (void)state;
    struct batch_plan p = plan_of(4, UINT64_MAX, false);
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct applied *a = NULL;
        uint64_t want = 0, got = 0;
        assert_int_equal(applied_create(&a, batches, SHARDS), OK);
        for (uint32_t e = 0; e < 4; e++) {
            for (uint32_t s = 0; s < SHARDS; s++) {
                for (uint32_t k = 0; k < batches[s]; k++) {
                    if (rng_below(seed, e * 100 + s, k, 10) < 3 + (e == 0 ? seed : 0)) {
                        assert_int_equal(applied_add(a, (struct batch_name){e, s, k}), OK);
                        want += batch_plan_batch_impressions(&p, s, k);
                    }
                }
            }
        }
        assert_int_equal(batch_plan_applied(&p, a, &got), OK);
        if (got != want) {
            fail_msg("seed %llu: %llu impressions, expected %llu", (unsigned long long)seed,
                     (unsigned long long)got, (unsigned long long)want);
        }
        applied_destroy(&a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_and_job),
        cmocka_unit_test(shared_ranges_are_whole),
        cmocka_unit_test(impressions_of_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
