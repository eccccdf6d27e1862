#include "common/data/deal.h"

#include <string.h>

#include "common/job/plan.h"
#include "tests/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define GROUPS 400u

static void draw_shard(uint64_t seed, uint32_t size_max, struct shard *s) {
    struct sample sample = {.seed = seed, .groups = GROUPS, .group_impressions_max = size_max};
    sample_shard(&sample, s);
}

static uint32_t max_u32(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

static uint32_t ceil_div(uint32_t a, uint32_t b) {
    return (a + b - 1) / b;
}

/* How many of group g's impressions are in each block, by the runs; a run lies in one block. */
static void count_blocks(const struct shard *s, const struct deal_spec *spec,
                         const struct run *runs, uint32_t count, uint32_t *in_block) {
    uint32_t at = 0, block = 0;
    for (uint32_t k = 0; k < count; k++) {
        const uint32_t size = runs[k].end - runs[k].begin;
        while (at >= plan_begin(s->impressions, spec->batches,
                                plan_begin(spec->batches, spec->blocks, block + 1))) {
            block++;
        }
        at += size;
        assert_true(at <= plan_begin(s->impressions, spec->batches,
                                     plan_begin(spec->batches, spec->blocks, block + 1)));
        in_block[(size_t)runs[k].group * spec->blocks + block] += size;
    }
    assert_int_equal(at, s->impressions);
}

/* Every impression in one run; in each block a group has r runs of nearly equal length, which are
 * at most L long. */
static void check_runs(const struct shard *s, const struct deal_spec *spec, const struct run *runs,
                       uint32_t count) {
    uint8_t *seen = sample_array(s->impressions, 1);
    uint32_t *in_block = sample_array((size_t)s->groups * spec->blocks, sizeof *in_block);
    count_blocks(s, spec, runs, count, in_block);
    uint32_t at = 0, block = 0, expected = 0;
    for (uint32_t k = 0; k < count; k++) {
        const struct run r = runs[k];
        assert_true(r.begin < r.end && r.begin >= s->group_start[r.group] &&
                    r.end <= s->group_start[r.group + 1]);
        while (at >= plan_begin(s->impressions, spec->batches,
                                plan_begin(spec->batches, spec->blocks, block + 1))) {
            block++;
        }
        at += r.end - r.begin;
        const uint32_t batches = plan_begin(spec->batches, spec->blocks, block + 1) -
                                 plan_begin(spec->batches, spec->blocks, block);
        const uint32_t size = in_block[(size_t)r.group * spec->blocks + block];
        const uint32_t longest = max_u32(spec->run, ceil_div(size, batches));
        const uint32_t parts = spec->run == 0 ? 1 : ceil_div(size, longest);
        assert_true(r.end - r.begin == size / parts || r.end - r.begin == ceil_div(size, parts));
        assert_true(spec->run == 0 || r.end - r.begin <= longest);
        for (uint32_t i = r.begin; i < r.end; i++) {
            assert_int_equal(seen[i]++, 0);
        }
    }
    for (uint32_t b = 0; b < spec->blocks; b++) {
        const uint32_t batches = plan_begin(spec->batches, spec->blocks, b + 1) -
                                 plan_begin(spec->batches, spec->blocks, b);
        for (uint32_t g = 0; g < s->groups; g++) {
            const uint32_t size = in_block[(size_t)g * spec->blocks + b];
            expected += size == 0 ? 0
                        : spec->run == 0
                            ? 1
                            : ceil_div(size, max_u32(spec->run, ceil_div(size, batches)));
        }
    }
    assert_int_equal(count, expected);
    for (uint32_t i = 0; i < s->impressions; i++) {
        assert_int_equal(seen[i], 1);
    }
    mem_free(&seen);
    mem_free(&in_block);
}

static void test_every_impression(void **state) {
    (void)state;
    static const uint32_t run[] = {0, 1, 2, 3, 7, 1000000};
    static const uint32_t batches[] = {1, 2, 5, 37, 300};
    static const uint32_t blocks[] = {1, 2, 7, 310};
    for (uint32_t k = 0; k < 6 * 5 * 4; k++) {
        struct shard s;
        struct run *runs;
        uint32_t count;
        draw_shard(k, k % 3 == 0 ? 200 : 20, &s);
        const struct deal_spec spec = {.seed = k,
                                       .epoch = k % 3,
                                       .window = k % 5,
                                       .run = run[k % 6],
                                       .batches = batches[k / 6 % 5],
                                       .blocks = blocks[k / 30]};
        assert_int_equal(deal(&s, &spec, &runs, &count), OK);
        check_runs(&s, &spec, runs, count);
        mem_free(&runs);
        sample_shard_free(&s);
    }
}

/* Groups with no more runs than every second batch could take are never twice in a batch. */
static void test_apart(void **state) {
    (void)state;
    uint32_t groups_checked = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct shard s;
        struct run *runs;
        uint32_t count;
        draw_shard(seed, 60, &s);
        const uint32_t batches = plan_batches(s.impressions, 256);
        const struct deal_spec spec = {.seed = seed, .run = 4, .batches = batches, .blocks = 1};
        uint32_t *last = sample_array(GROUPS, sizeof *last); /* 1 + batch of the group's last run */
        assert_int_equal(deal(&s, &spec, &runs, &count), OK);
        uint32_t at = 0, batch = 0;
        for (uint32_t k = 0; k < count; k++) {
            const uint32_t g = runs[k].group, size = s.group_start[g + 1] - s.group_start[g];
            while (at >= plan_begin(s.impressions, batches, batch + 1)) {
                batch++;
            }
            if (2 * ceil_div(size, 4) <= batches) {
                assert_true(last[g] == 0 || last[g] != batch + 1);
                groups_checked++;
            }
            at += runs[k].end - runs[k].begin;
            last[g] = batch + 1;
        }
        mem_free(&last);
        mem_free(&runs);
        sample_shard_free(&s);
    }
    assert_true(groups_checked > 20000);
}

/* A run of a group is in each tenth of the window as often as in any other, whichever run it is:
 * chi-square of 9 degrees of freedom, beyond 40 with a probability of 1e-5. */
static void test_uniform(void **state) {
    (void)state;
    static const uint32_t run[] = {0, 2};
    for (uint32_t k = 0; k < 2; k++) {
        double in_tenth[2][10] = {{0}}, total[2] = {0}; /* of groups' first runs; of last ones */
        for (uint64_t seed = 1; seed <= 50; seed++) {
            struct shard s;
            struct run *runs;
            uint32_t count, at = 0;
            draw_shard(3, 9, &s);
            const struct deal_spec spec = {
                .seed = 1, .epoch = (uint32_t)seed, .run = run[k], .batches = 20, .blocks = 1};
            assert_int_equal(deal(&s, &spec, &runs, &count), OK);
            for (uint32_t r = 0; r < count; r++) {
                const uint32_t tenth = (uint32_t)((uint64_t)at * 10 / s.impressions);
                const bool is[2] = {runs[r].begin == s.group_start[runs[r].group],
                                    runs[r].end == s.group_start[runs[r].group + 1]};
                for (uint32_t e = 0; e < 2; e++) {
                    in_tenth[e][tenth] += is[e] && runs[r].group % 8 == 0;
                    total[e] += is[e] && runs[r].group % 8 == 0;
                }
                at += runs[r].end - runs[r].begin;
            }
            mem_free(&runs);
            sample_shard_free(&s);
        }
        for (uint32_t e = 0; e < 2; e++) {
            double chi = 0;
            for (uint32_t tenth = 0; tenth < 10; tenth++) {
                const double expected = total[e] / 10, off = in_tenth[e][tenth] - expected;
                chi += off * off / expected;
            }
            assert_true(total[e] == 50 * GROUPS / 8);
            assert_true(chi < 40);
        }
    }
}

/* The gaps between a group's runs are nearly r-ths of the window. */
static void test_even(void **state) {
    (void)state;
    struct shard s;
    struct run *runs;
    uint32_t count, at = 0;
    draw_shard(8, 40, &s);
    const struct deal_spec spec = {.seed = 3, .run = 2, .batches = 100, .blocks = 1};
    double *last = sample_array(GROUPS, sizeof *last);
    assert_int_equal(deal(&s, &spec, &runs, &count), OK);
    for (uint32_t k = 0; k < count; k++) {
        const uint32_t g = runs[k].group;
        const double r = ceil_div(s.group_start[g + 1] - s.group_start[g], 2);
        const double here = 1 + (double)at / s.impressions;
        if (last[g] > 0) {
            assert_true(fabs(here - last[g] - 1 / r) < 0.05);
        }
        last[g] = here;
        at += runs[k].end - runs[k].begin;
    }
    mem_free(&last);
    mem_free(&runs);
    sample_shard_free(&s);
}

static void test_keys(void **state) {
    (void)state;
    struct shard s;
    draw_shard(9, 20, &s);
    const struct deal_spec spec = {
        .seed = 1, .epoch = 2, .window = 3, .run = 3, .batches = 9, .blocks = 2};
    struct deal_spec other[4] = {spec, spec, spec, spec};
    other[1].seed++;
    other[2].epoch++;
    other[3].window++;
    struct run *runs[5];
    uint32_t count[5];
    assert_int_equal(deal(&s, &spec, &runs[4], &count[4]), OK);
    for (uint32_t k = 0; k < 4; k++) {
        assert_int_equal(deal(&s, &other[k], &runs[k], &count[k]), OK);
        uint32_t same = 0;
        for (uint32_t r = 0; r < count[k] && r < count[4]; r++) {
            same += runs[k][r].group == runs[4][r].group;
        }
        assert_true(k == 0 ? same == count[4] && count[0] == count[4] : same < count[4] / 10);
        mem_free(&runs[k]);
    }
    mem_free(&runs[4]);
    sample_shard_free(&s);
}

static void test_whole_groups(void **state) {
    (void)state;
    struct shard s;
    struct run *runs;
    uint32_t count, in_place = 0;
    draw_shard(10, 20, &s);
    const struct deal_spec spec = {.seed = 1, .batches = 9, .blocks = 1};
    assert_int_equal(deal(&s, &spec, &runs, &count), OK);
    assert_int_equal(count, GROUPS);
    for (uint32_t k = 0; k < count; k++) {
        assert_int_equal(runs[k].begin, s.group_start[runs[k].group]);
        assert_int_equal(runs[k].end, s.group_start[runs[k].group + 1]);
        in_place += runs[k].group == k;
    }
    assert_true(in_place < 10);
    mem_free(&runs);
    sample_shard_free(&s);
}

static void test_failing_memory(void **state) {
    (void)state;
    struct shard s;
    struct run *runs = NULL;
    uint32_t count;
    size_t failures = 0;
    draw_shard(11, 20, &s);
    const struct deal_spec spec = {.seed = 1, .run = 2, .batches = 30, .blocks = 3};
    for (size_t k = 1;; k++) {
        mem_fail_after(k);
        const enum status status = deal(&s, &spec, &runs, &count);
        mem_fail_after(0);
        if (status == OK) {
            break;
        }
        assert_int_equal(status, ERR_MEMORY);
        assert_null(runs);
        failures++;
    }
    assert_true(failures > 10);
    check_runs(&s, &spec, runs, count);
    mem_free(&runs);
    sample_shard_free(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_impression),
        cmocka_unit_test(test_apart),
        cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_even),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_whole_groups),
        cmocka_unit_test(test_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
