/* test_batch_share.c - batches that share bags of user fields. */
#include "common/data/batch.h"

#include <string.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/job/plan.h"
#include "tests/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define USERS 4u
#define ITEMS 2u

struct bench {
    struct sample sample;
    struct shard shard;
    struct run *runs;
    uint32_t count, total;
    struct batch_cutter *cutter;
    struct batch_share share;
    struct batch batch, whole;
};
static const bool fields[FIELDS_MAX] = {true, false, true, false};

/* Half of the shard's groups, in runs of 1 to 3, shuffled; some runs are empty. */
static void begin(struct bench *t, uint64_t seed) {
    memset(t, 0, sizeof *t);
    t->sample = (struct sample){.seed = seed,
                                .groups = 150,
                                .group_impressions_max = 8,
                                .user_fields = USERS,
                                .item_fields = ITEMS,
                                .values_max = 5,
                                .dict = 90,
                                .empty_field = -1};
    sample_shard(&t->sample, &t->shard);
    struct run *runs = sample_array(2 * t->shard.impressions, sizeof *runs);
    for (uint32_t g = seed % 2; g < t->shard.groups; g += 1 + sample_below(&t->sample, 3)) {
        for (uint32_t i = t->shard.group_start[g]; i < t->shard.group_start[g + 1];) {
            const uint32_t left = t->shard.group_start[g + 1] - i;
            const uint32_t n = 1 + sample_below(&t->sample, left < 3 ? left : 3);
            runs[t->count++] = (struct run){g, i, i + n};
            runs[t->count++] = (struct run){(g + 1) % t->shard.groups, 0, 0};
            t->total += n;
            i += n;
        }
    }
    uint32_t *order = sample_array(t->count, sizeof *order);
    t->runs = sample_array(t->count, sizeof *t->runs);
    rng_permutation(seed, 3, 0, order, t->count);
    for (uint32_t r = 0; r < t->count; r++) {
        t->runs[r] = runs[order[r]];
    }
    mem_free(&runs);
    mem_free(&order);
    assert_int_equal(batch_cutter_create(&t->cutter), OK);
    assert_int_equal(batch_cutter_runs(t->cutter, &t->shard, t->runs, t->count, USERS, -1), OK);
}

static void end(struct bench *t) {
    batch_cutter_destroy(&t->cutter);
    batch_share_fini(&t->share);
    batch_fini(&t->batch);
    batch_fini(&t->whole);
    mem_free(&t->runs);
    sample_shard_free(&t->shard);
}

/* A bag of one field holds the same features, with the same weights, as one of another. */
static void same_bag(const struct batch_field *a, uint32_t i, const struct batch_field *b,
                     uint32_t k) {
    assert_int_equal(a->start[i + 1] - a->start[i], b->start[k + 1] - b->start[k]);
    for (uint32_t v = 0; v < a->start[i + 1] - a->start[i]; v++) {
        const uint32_t x = a->start[i] + v, y = b->start[k] + v;
        assert_int_equal(a->ids[a->index[x]], b->ids[b->index[y]]);
        assert_true(a->weight == NULL ? b->weight == NULL : a->weight[x] == b->weight[y]);
    }
}

/* The groups are those of the positions, each once, ascending. */
static void check_groups(const struct bench *t, uint32_t from, uint32_t to) {
    uint8_t *seen = sample_array(t->shard.groups, 1);
    uint32_t at = 0, groups = 0;
    for (uint32_t r = 0; r < t->count; r++) {
        const uint32_t n = t->runs[r].end - t->runs[r].begin;
        if (n > 0 && at < to && at + n > from) {
            groups += !seen[t->runs[r].group];
            seen[t->runs[r].group] = 1;
        }
        at += n;
    }
    assert_int_equal(t->share.groups, groups);
    for (uint32_t i = 0; i < groups; i++) {
        assert_true(seen[t->share.group[i]]);
        assert_true(i == 0 || t->share.group[i - 1] < t->share.group[i]);
    }
    mem_free(&seen);
}

/* Without the shared fields a batch is what it would be; these have all groups' bags or none. */
static void check_batch(const struct bench *t, bool first, bool last) {
    const struct batch *b = &t->batch, *w = &t->whole;
    assert_int_equal(b->impressions, w->impressions);
    assert_int_equal(b->groups, w->groups);
    assert_memory_equal(b->group_of, w->group_of, b->impressions * sizeof *b->group_of);
    assert_true(b->shared_first == first && b->shared_last == last);
    assert_int_equal(b->shared_groups, t->share.groups);
    assert_true(w->shared_groups == 0 && !w->shared_first && !w->shared_last);
    for (uint32_t f = 0; f < b->fields; f++) {
        const struct batch_field *field = &b->field[f];
        assert_int_equal(field->shared, fields[f]);
        assert_false(w->field[f].shared);
        assert_int_equal(field->bags, !fields[f]      ? w->field[f].bags
                                      : first || last ? t->share.groups
                                                      : 0);
        assert_true(field->bags > 0 || (field->unique == 0 && field->values == 0));
        for (uint32_t i = 0; i < field->bags && !fields[f]; i++) {
            same_bag(field, i, &w->field[f], i);
        }
        for (uint32_t g = 0; g < b->groups && fields[f] && field->bags > 0; g++) {
            same_bag(field, b->shared_of[g], &w->field[f], g);
        }
    }
}

static void check_range(struct bench *t, uint32_t from, uint32_t to, uint32_t batches) {
    assert_int_equal(batch_cutter_share(t->cutter, from, to, fields, &t->share), OK);
    check_groups(t, from, to);
    for (uint32_t k = 0; k < batches; k++) {
        const uint32_t a = from + plan_begin(to - from, batches, k);
        const uint32_t z = from + plan_begin(to - from, batches, k + 1);
        assert_int_equal(batch_cut_shared(t->cutter, a, z, &t->share, &t->batch), OK);
        assert_int_equal(batch_cut(t->cutter, a, z, &t->whole), OK);
        check_batch(t, k == 0, k + 1 == batches);
    }
}

static void test_ranges(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct bench t;
        begin(&t, seed);
        check_range(&t, 0, t.total, 1);
        check_range(&t, 0, t.total / 2, 5);
        check_range(&t, t.total / 2, t.total, 9);
        check_range(&t, 7, 9, 2);
        end(&t);
    }
}

static void test_memory(void **state) {
    (void)state;
    enum status status = ERR_MEMORY;
    for (size_t n = 1; status != OK; n++) {
        struct bench t;
        begin(&t, 4);
        mem_fail_after(n);
        status = batch_cutter_share(t.cutter, 0, t.total, fields, &t.share);
        status = status != OK ? status : batch_cut_shared(t.cutter, 0, 9, &t.share, &t.batch);
        mem_fail_after(0);
        assert_true(status == OK || status == ERR_MEMORY);
        check_range(&t, 3, 80, 4); /* a failure has left nothing behind */
        end(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ranges),
                                       cmocka_unit_test(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
