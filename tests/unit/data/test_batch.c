#include "common/data/batch.h"

#include <string.h>

#include "common/base/mem.h"
#include "tests/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Everything one shard needs to be cut. */
struct bench {
    struct sample sample;
    struct shard shard;
    struct run *runs;
    uint32_t count;
    uint32_t *ordered;  /* [B] impressions in the epoch's order, found the slow way */
    uint32_t *group_at; /* [B] their groups */
    struct batch_cutter *cutter;
    struct batch batch;
};

static enum status take_runs(struct batch_cutter *c, const struct bench *b, int user_slot) {
    return batch_cutter_runs(c, &b->shard, b->runs, b->count, b->sample.user_fields, user_slot);
}

static void begin(struct bench *b, struct sample sample, int user_slot) {
    memset(b, 0, sizeof *b);
    b->sample = sample;
    sample_shard(&b->sample, &b->shard);
    uint32_t *order = sample_order(&b->sample, &b->shard);
    b->runs = sample_runs(order, &b->shard);
    b->count = b->shard.groups;
    b->ordered = sample_array(b->shard.impressions, sizeof *b->ordered);
    b->group_at = sample_array(b->shard.impressions, sizeof *b->group_at);
    uint32_t at = 0;
    for (uint32_t g = 0; g < b->shard.groups; g++) {
        uint32_t group = order[g];
        for (uint32_t i = b->shard.group_start[group]; i < b->shard.group_start[group + 1]; i++) {
            b->ordered[at] = i;
            b->group_at[at++] = group;
        }
    }
    mem_free(&order);
    assert_int_equal(batch_cutter_create(&b->cutter), OK);
    assert_int_equal(take_runs(b->cutter, b, user_slot), OK);
}

static void end(struct bench *b) {
    batch_cutter_destroy(&b->cutter);
    batch_fini(&b->batch);
    mem_free(&b->runs);
    mem_free(&b->ordered);
    mem_free(&b->group_at);
    sample_shard_free(&b->shard);
}

/* Bag `bag` of the batch's field holds exactly bag `from` of the column, in order. */
static void check_bag(const struct batch_field *f, uint32_t bag, const struct column *c,
                      uint32_t from) {
    uint32_t count = c->start[from + 1] - c->start[from];
    assert_int_equal(f->start[bag + 1] - f->start[bag], count);
    for (uint32_t v = 0; v < count; v++) {
        uint32_t got = f->start[bag] + v, want = c->start[from] + v;
        assert_true(f->index[got] < f->unique);
        assert_int_equal(f->ids[f->index[got]], c->dict[c->code[want]]);
        if (c->weight == NULL) {
            assert_true(f->plain && f->weight == NULL);
        } else {
            assert_true(!f->plain && f->weight[got] == c->weight[want]);
        }
    }
}

/* ids are distinct, ascending, and each is used. */
static void check_ids(const struct batch_field *f) {
    uint8_t *used = sample_array(f->unique, 1);
    for (uint32_t v = 0; v < f->values; v++) {
        used[f->index[v]] = 1;
    }
    for (uint32_t k = 0; k < f->unique; k++) {
        assert_true(used[k]);
        assert_true(k == 0 || f->ids[k - 1] < f->ids[k]);
    }
    mem_free(&used);
}

static void check_batch(const struct bench *t, uint32_t from, uint32_t to) {
    const struct batch *b = &t->batch;
    assert_int_equal(b->impressions, to - from);
    assert_int_equal(b->fields, t->shard.columns);
    assert_int_equal(b->user_fields, t->sample.user_fields);
    uint32_t groups = 0;
    for (uint32_t i = 0; i < b->impressions; i++) {
        groups += i == 0 || t->group_at[from + i] != t->group_at[from + i - 1];
        assert_int_equal(b->group_of[i], groups - 1);
        assert_int_equal(b->labels[i], t->shard.labels[t->ordered[from + i]]);
        assert_int_equal(b->impression_id[i], t->shard.impression_id[t->ordered[from + i]]);
        assert_int_equal(b->kind[i], KIND_LOG);
        assert_true(b->elapsed_days[i] == 0);
    }
    assert_int_equal(b->groups, groups);
    for (uint32_t f = 0; f < b->fields; f++) {
        const struct batch_field *field = &b->field[f];
        bool user = f < b->user_fields;
        assert_int_equal(field->bags, user ? b->groups : b->impressions);
        assert_int_equal(field->start[0], 0);
        assert_int_equal(field->start[field->bags], field->values);
        for (uint32_t i = 0; i < b->impressions; i++) {
            check_bag(field, user ? b->group_of[i] : i, &t->shard.column[f],
                      user ? t->group_at[from + i] : t->ordered[from + i]);
        }
        check_ids(field);
    }
}

static struct sample usual(uint64_t seed) {
    return (struct sample){.seed = seed,
                           .groups = 40,
                           .group_impressions_max = 9,
                           .user_fields = 4,
                           .item_fields = 5,
                           .values_max = 6,
                           .dict = 130,
                           .empty_field = 2};
}

/* All sizes of batch, wherever groups fall, with one batch and cutter used again and again. */
static void test_cut_everything(void **state) {
    (void)state;
    static const uint32_t sizes[] = {1, 2, 7, 64, 100000};
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct bench t;
        begin(&t, usual(seed), -1);
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            for (uint32_t from = 0; from < t.shard.impressions;) {
                uint32_t left = t.shard.impressions - from;
                uint32_t to = from + (left < sizes[k] ? left : sizes[k]);
                assert_int_equal(batch_cut(t.cutter, from, to, &t.batch), OK);
                check_batch(&t, from, to);
                from = to;
            }
        }
        end(&t);
    }
}

/* Replaces the runs: whole groups cut into runs of at most `most`, mixed unless `ordered`, with
 * empty runs among them. */
static void mix_runs(struct bench *t, uint32_t most, bool ordered) {
    const uint32_t n = t->shard.impressions;
    struct run *runs = sample_array(2 * (size_t)n, sizeof *runs);
    uint32_t count = 0, at = 0;
    for (uint32_t r = 0; r < t->count; r++) {
        const struct run whole = t->runs[r];
        for (uint32_t i = whole.begin; i < whole.end;) {
            const uint32_t left = whole.end - i, take = 1 + sample_below(&t->sample, most);
            const uint32_t end = i + (take < left ? take : left);
            runs[count++] = (struct run){whole.group, i, end};
            if (sample_below(&t->sample, 4) == 0) {
                runs[count++] = (struct run){sample_below(&t->sample, t->shard.groups), end, end};
            }
            i = end;
        }
    }
    for (uint32_t r = count; r > 1 && !ordered; r--) {
        const uint32_t other = sample_below(&t->sample, r);
        const struct run swap = runs[r - 1];
        runs[r - 1] = runs[other];
        runs[other] = swap;
    }
    mem_free(&t->runs);
    t->runs = runs;
    t->count = count;
    for (uint32_t r = 0; r < count; r++) {
        for (uint32_t i = runs[r].begin; i < runs[r].end; i++) {
            t->ordered[at] = i;
            t->group_at[at++] = runs[r].group;
        }
    }
    assert_int_equal(at, n);
}

/* Runs of one group that follow each other in a batch are one group of it, also if an empty run or
 * a gap lies between; runs apart are groups of their own. */
static void test_runs(void **state) {
    (void)state;
    static const uint32_t sizes[] = {1, 5, 64, 100000};
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct bench t;
        begin(&t, usual(20 + seed), -1);
        const uint32_t whole_groups = t.shard.groups;
        mix_runs(&t, 1 + (uint32_t)seed / 2, seed % 2 == 0);
        assert_int_equal(take_runs(t.cutter, &t, -1), OK);
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            for (uint32_t from = 0; from < t.shard.impressions;) {
                uint32_t left = t.shard.impressions - from;
                uint32_t to = from + (left < sizes[k] ? left : sizes[k]);
                assert_int_equal(batch_cut(t.cutter, from, to, &t.batch), OK);
                check_batch(&t, from, to);
                from = to;
            }
        }
        assert_true(seed % 2 == 0 ? t.batch.groups == whole_groups
                                  : t.batch.groups > whole_groups + 20);
        end(&t);
    }
}

/* A part of the shard, a gap inside a group, and an impression twice. */
static void test_some_impressions(void **state) {
    (void)state;
    struct bench t;
    begin(&t, usual(31), -1);
    uint32_t wide = 0;
    while (t.shard.group_start[wide + 1] - t.shard.group_start[wide] < 5) {
        wide++;
    }
    const uint32_t first = t.shard.group_start[wide];
    const struct run runs[] = {
        {wide, first, first + 2}, {wide, first + 3, first + 5}, {wide, first, first + 1}};
    static const uint32_t want[] = {0, 1, 3, 4, 0};
    assert_int_equal(batch_cutter_runs(t.cutter, &t.shard, runs, 3, 4, -1), OK);
    for (uint32_t i = 0; i < 5; i++) {
        t.ordered[i] = first + want[i];
        t.group_at[i] = wide;
    }
    assert_int_equal(batch_cut(t.cutter, 0, 5, &t.batch), OK);
    check_batch(&t, 0, 5);
    assert_int_equal(t.batch.groups, 1);
    assert_int_equal(batch_cut(t.cutter, 1, 4, &t.batch), OK);
    check_batch(&t, 1, 4);
    end(&t);
}

/* Of records: kinds, and the days from a click to its conversion or to the record. */
static void test_records(void **state) {
    (void)state;
    struct bench t;
    begin(&t, usual(4), -1);
    const uint32_t n = t.shard.impressions;
    uint32_t seen[3] = {0};
    t.shard.time = sample_array(n, sizeof *t.shard.time);
    t.shard.click_time = sample_array(n, sizeof *t.shard.click_time);
    t.shard.conversion_time = sample_array(n, sizeof *t.shard.conversion_time);
    t.shard.kind = sample_array(n, 1);
    for (uint32_t i = 0; i < n; i++) {
        t.shard.time[i] = 2000000 + 86400 * i;
        t.shard.click_time[i] = t.shard.labels[i] == 0 ? 0 : 1000000 + i;
        t.shard.conversion_time[i] = t.shard.labels[i] < 2 ? 0 : 1000000 + i + 43200 * (i % 9);
        t.shard.kind[i] = (uint8_t)(1 + i % (RECORD_KINDS - 1));
    }
    assert_int_equal(batch_cut(t.cutter, 3, n, &t.batch), OK);
    for (uint32_t k = 0; k < n - 3; k++) {
        const uint32_t i = t.ordered[k + 3];
        const uint8_t labels = t.shard.labels[i];
        const double want = labels == 0  ? 0
                            : labels < 2 ? (1000000.0 + 86399.0 * i) / 86400
                                         : 0.5 * (i % 9);
        assert_int_equal(t.batch.kind[k], t.shard.kind[i]);
        assert_true(fabs((double)t.batch.elapsed_days[k] - want) <= 1e-6 * want);
        seen[labels / 2 + labels % 2]++;
    }
    assert_true(seen[0] > 0 && seen[1] > 0 && seen[2] > 0);
    mem_free(&t.shard.time);
    mem_free(&t.shard.click_time);
    mem_free(&t.shard.conversion_time);
    mem_free(&t.shard.kind);
    end(&t);
}

static void test_user_of_gauc(void **state) {
    (void)state;
    static const int slots[] = {-1, 0, 2, 6};
    for (size_t k = 0; k < sizeof slots / sizeof *slots; k++) {
        struct bench t;
        begin(&t, usual(9), slots[k]);
        assert_int_equal(batch_cut(t.cutter, 0, t.shard.impressions, &t.batch), OK);
        for (uint32_t i = 0; i < t.batch.impressions; i++) {
            uint64_t want = t.shard.group_key[t.group_at[i]];
            if (slots[k] >= 0) {
                const struct column *c = &t.shard.column[slots[k]];
                uint32_t bag = slots[k] < 4 ? t.group_at[i] : t.ordered[i];
                if (c->start[bag] < c->start[bag + 1]) {
                    want = c->dict[c->code[c->start[bag]]];
                }
            }
            assert_int_equal(t.batch.user[i], want);
        }
        end(&t);
    }
}

/* One side only, and a shard whose columns differ from the last one's. */
static void test_other_shards(void **state) {
    (void)state;
    struct sample one_side[2] = {usual(4), usual(5)};
    one_side[0].user_fields = 0;
    one_side[1].item_fields = 0;
    one_side[1].dict = 3000;
    for (int k = 0; k < 2; k++) {
        struct bench t, other;
        begin(&t, one_side[k], -1);
        assert_int_equal(batch_cut(t.cutter, 3, t.shard.impressions, &t.batch), OK);
        check_batch(&t, 3, t.shard.impressions);
        begin(&other, usual(6), -1);
        assert_int_equal(take_runs(t.cutter, &other, -1), OK);
        assert_int_equal(batch_cut(t.cutter, 5, 90, &other.batch), OK);
        check_batch(&other, 5, 90);
        end(&other);
        end(&t);
    }
}

/* A group without impressions is in no batch. */
static void test_empty_group(void **state) {
    (void)state;
    struct bench t;
    begin(&t, usual(11), -1);
    uint32_t hollow = t.runs[20].group;
    uint32_t cut = t.shard.group_start[hollow + 1] - t.shard.group_start[hollow];
    for (uint32_t g = hollow + 1; g <= t.shard.groups; g++) {
        t.shard.group_start[g] -= cut;
    }
    t.shard.impressions -= cut;
    for (uint32_t g = 0; g < t.count; g++) {
        const uint32_t *start = &t.shard.group_start[t.runs[g].group];
        t.runs[g] = (struct run){t.runs[g].group, start[0], start[1]};
    }
    assert_int_equal(take_runs(t.cutter, &t, -1), OK);
    assert_int_equal(batch_cut(t.cutter, 0, t.shard.impressions, &t.batch), OK);
    assert_int_equal(t.batch.groups, t.shard.groups - 1);
    for (uint32_t f = 0; f < 4; f++) {
        assert_int_equal(t.batch.field[f].bags, t.batch.groups);
    }
    end(&t);
}

/* After any failed allocation the same cutter and batch work again and leak nothing. */
static void test_failing_memory(void **state) {
    (void)state;
    struct bench t;
    begin(&t, usual(12), -1);
    size_t failures = 0;
    for (size_t k = 1;; k++) {
        mem_fail_after(k);
        enum status status = batch_cut(t.cutter, 2, 150, &t.batch);
        mem_fail_after(0);
        if (status == OK) {
            break;
        }
        assert_int_equal(status, ERR_MEMORY);
        failures++;
        assert_int_equal(batch_cut(t.cutter, 10, 20, &t.batch), OK);
        check_batch(&t, 10, 20);
        batch_fini(&t.batch);
    }
    assert_true(failures > 20);
    check_batch(&t, 2, 150);
    struct batch_cutter *other = NULL;
    for (size_t k = 1;; k++) {
        mem_fail_after(k);
        enum status status = batch_cutter_create(&other);
        if (status == OK) {
            status = take_runs(other, &t, -1);
        }
        mem_fail_after(0);
        batch_cutter_destroy(&other);
        if (status == OK) {
            break;
        }
        assert_int_equal(status, ERR_MEMORY);
    }
    end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_everything),   cmocka_unit_test(test_runs),
        cmocka_unit_test(test_some_impressions), cmocka_unit_test(test_records),
        cmocka_unit_test(test_user_of_gauc),     cmocka_unit_test(test_other_shards),
        cmocka_unit_test(test_empty_group),      cmocka_unit_test(test_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
