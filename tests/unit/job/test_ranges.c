/* test_ranges.c - windows and ranges tile an epoch; a window is a sample of its draw. */
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/job/ranges.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define MANY 200u

static struct ranges_shard sizes[MANY];

static void fill_sizes(uint64_t seed, uint32_t shards, uint32_t most) {
    for (uint32_t s = 0; s < shards; s++) {
        sizes[s].impressions = (uint32_t)rng_below(seed, s, 0, most + 1);
        sizes[s].sampled = sizes[s].impressions - (uint32_t)rng_below(seed, s, 1, 1 + most / 8) / 2;
        sizes[s].sampled = sizes[s].sampled > sizes[s].impressions ? 0 : sizes[s].sampled;
    }
}

static struct ranges make(uint32_t shards, uint32_t batch, uint32_t window, bool shuffle) {
    struct ranges r;
    const struct ranges_spec spec = {
        .seed = 7, .shuffle = shuffle, .batch = batch, .window = window};
    assert_int_equal(ranges_init(&r, &spec, sizes, shards), OK);
    return r;
}

/* Batches of a range share bags. */
static struct ranges make_shared(uint32_t shards, uint32_t batch, uint32_t window) {
    struct ranges r;
    const struct ranges_spec spec = {
        .seed = 7, .shuffle = true, .batch = batch, .window = window, .share = true};
    assert_int_equal(ranges_init(&r, &spec, sizes, shards), OK);
    return r;
}

/* Every impression of every shard is in exactly one window of an epoch, and a window's slices have
 * the size that the plan says. */
static void windows_tile(const struct ranges *r, uint32_t epoch) {
    uint8_t *seen[MANY];
    for (uint32_t s = 0; s < r->shards; s++) {
        seen[s] = calloc(1, sizes[s].sampled + 1);
    }
    for (uint32_t w = 0; w < r->windows; w++) {
        struct slice *slice;
        uint32_t count, impressions = 0;
        assert_int_equal(ranges_slices(r, epoch, w, &slice, &count), OK);
        for (uint32_t i = 0; i < count; i++) {
            assert_true(slice[i].begin < slice[i].end &&
                        slice[i].end <= sizes[slice[i].shard].sampled);
            impressions += slice[i].end - slice[i].begin;
            for (uint32_t k = slice[i].begin; k < slice[i].end; k++) {
                assert_int_equal(seen[slice[i].shard][k]++, 0);
            }
        }
        assert_int_equal(impressions, ranges_window_impressions(r, w));
        assert_true(r->spec.window == 0 || impressions <= r->spec.window);
        mem_free(&slice);
    }
    for (uint32_t s = 0; s < r->shards; s++) {
        assert_null(memchr(seen[s], 0, sizes[s].sampled));
        free(seen[s]);
    }
}

/* Ranges tile the batches of their windows, and no batch is empty or too large. */
static void ranges_tile(const struct ranges *r) {
    uint64_t impressions = 0, batches = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        const struct range_batches place = ranges_place(r, i);
        const uint32_t window = r->window[i];
        const bool first = i == 0 || r->window[i - 1] != window;
        assert_true(first ? place.first == 0
                          : place.first == ranges_place(r, i - 1).first + r->batches[i - 1]);
        assert_int_equal(place.count, r->batches[i]);
        assert_true(r->spec.window == 0 || place.count <= RANGE_BATCHES || r->spec.share);
        if (i + 1 == r->first_range[window + 1]) {
            assert_int_equal(place.first + place.count, ranges_window_batches(r, window));
        }
        for (uint32_t k = 0; k < place.count; k++) {
            const uint32_t n = ranges_impressions(r, i, k + 1) - ranges_impressions(r, i, k);
            assert_true(n >= 1 && n <= r->spec.batch);
        }
        impressions += ranges_impressions(r, i, place.count);
        batches += place.count;
    }
    assert_int_equal(impressions, r->sampled);
    assert_int_equal(batches, r->epoch_batches);
}

static void test_tiles(void **state) {
    (void)state;
    const uint32_t shards[] = {1, 3, 63, 64, 65, 130, MANY}, most[] = {3, 40, 1000};
    const uint32_t window[] = {0, 100, 700, 5000, 1000000};
    for (uint32_t i = 0; i < 7 * 3 * 5; i++) {
        fill_sizes(i, shards[i % 7], most[i / 7 % 3]);
        struct ranges r = make(shards[i % 7], 16, window[i / 21], i % 2 == 0);
        windows_tile(&r, 0);
        windows_tile(&r, 3);
        ranges_tile(&r);
        ranges_fini(&r);
    }
}

/* A window has its part of each shard of its draw, even if a shard is larger than others. */
static void test_samples(void **state) {
    (void)state;
    for (uint32_t s = 0; s < MANY; s++) {
        sizes[s] = (struct ranges_shard){1000 + 10 * s, 1000 + 10 * s};
    }
    struct ranges r = make(MANY, 64, 30000, true);
    assert_int_equal(r.draws, 3);
    for (uint32_t w = 0; w < r.windows; w++) {
        struct slice *slice;
        uint32_t count, whole = 0;
        assert_int_equal(ranges_slices(&r, 1, w, &slice, &count), OK);
        assert_true(count >= 50); /* 66 on average; a draw of large shards holds fewer */
        for (uint32_t i = 0; i < count; i++) {
            const uint32_t part = sizes[slice[i].shard].sampled / r.windows_per_draw;
            const uint32_t n = slice[i].end - slice[i].begin;
            assert_true(n <= part + 1);
            whole += n >= part;
        }
        assert_true(whole >= count - 2); /* the first and the last may lie across a border */
        mem_free(&slice);
    }
    ranges_fini(&r);
}

/* Sizes are the same in each epoch, contents are not; in order nothing moves. */
static void test_epochs(void **state) {
    (void)state;
    struct slice *a, *b;
    uint32_t n, m, order[MANY];
    fill_sizes(1, MANY, 500);
    struct ranges r = make(MANY, 64, 2000, true);
    assert_int_equal(ranges_slices(&r, 0, 0, &a, &n), OK);
    assert_int_equal(ranges_slices(&r, 1, 0, &b, &m), OK);
    assert_true(n != m || memcmp(a, b, n * sizeof *a) != 0);
    mem_free(&a);
    mem_free(&b);
    ranges_fini(&r);
    r = make(MANY, 64, 0, false);
    assert_int_equal(ranges_order(&r, 5, order), OK);
    for (uint32_t s = 0; s < MANY; s++) {
        assert_int_equal(order[s], s);
    }
    ranges_fini(&r);
    r = make(MANY, 64, 0, true); /* shards are permuted as they always were */
    uint32_t want[MANY];
    plan_shards(7, true, 5, MANY, want);
    assert_int_equal(ranges_order(&r, 5, order), OK);
    assert_memory_equal(order, want, sizeof want);
    ranges_fini(&r);
}

/* Shards that come one by one make the same plan as all at once. */
static void test_adding(void **state) {
    (void)state;
    fill_sizes(3, MANY, 700);
    struct ranges all = make(MANY, 16, 0, false), some = make(0, 16, 0, false);
    for (uint32_t s = 0; s < MANY; s++) {
        assert_int_equal(ranges_add(&some, sizes[s]), OK);
    }
    assert_int_equal(some.count, MANY);
    assert_memory_equal(some.batches, all.batches, MANY * sizeof *all.batches);
    assert_int_equal(some.epoch_batches, all.epoch_batches);
    ranges_tile(&some);
    windows_tile(&some, 0);
    ranges_fini(&all);
    ranges_fini(&some);
}

/* An epoch has enough ranges for many workers, unless it has too few batches. */
static void test_count(void **state) {
    (void)state;
    sizes[0] = (struct ranges_shard){100 * 64, 100 * 64};
    struct ranges r = make(1, 64, 1000000, true);
    assert_int_equal(r.windows, 1);
    assert_int_equal(r.count, 100);
    ranges_fini(&r);
    r = make(1, 1, 1000000, true);
    assert_int_equal(r.count, 100 * 64 / RANGE_BATCHES);
    ranges_fini(&r);
    r = make_shared(1, 1, 1000000); /* longer ones, and fewer, if they share bags */
    assert_int_equal(r.count, 100 * 64 / SHARED_RANGE_BATCHES);
    ranges_fini(&r);
    r = make_shared(1, 64, 1000000);
    assert_int_equal(r.count, (100 + 5) / 6);
    ranges_tile(&r);
    ranges_fini(&r);
}

static void test_memory(void **state) {
    (void)state;
    fill_sizes(3, MANY, 700);
    const struct ranges_spec spec = {.seed = 7, .shuffle = true, .batch = 16, .window = 3000};
    enum status status = ERR_MEMORY;
    for (size_t n = 1; status != OK; n++) {
        struct ranges r;
        mem_fail_after(n);
        status = ranges_init(&r, &spec, sizes, MANY);
        mem_fail_after(0);
        assert_true(status == OK || status == ERR_MEMORY);
        ranges_fini(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiles),  cmocka_unit_test(test_samples),
        cmocka_unit_test(test_epochs), cmocka_unit_test(test_adding),
        cmocka_unit_test(test_count),  cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
