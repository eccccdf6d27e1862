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
    uint32_t *order;
    uint32_t *ordered;  /* [B] impressions in the epoch's order, found the slow way */
    uint32_t *group_at; /* [B] their groups */
    struct batch_cutter *cutter;
    struct batch batch;
};

static void begin(struct bench *b, struct sample sample, int user_slot) {
    memset(b, 0, sizeof *b);
    b->sample = sample;
    sample_shard(&b->sample, &b->shard);
    b->order = sample_order(&b->sample, &b->shard);
    b->ordered = sample_array(b->shard.impressions, sizeof *b->ordered);
    b->group_at = sample_array(b->shard.impressions, sizeof *b->group_at);
    uint32_t at = 0;
    for (uint32_t g = 0; g < b->shard.groups; g++) {
        uint32_t group = b->order[g];
        for (uint32_t i = b->shard.group_start[group]; i < b->shard.group_start[group + 1]; i++) {
            b->ordered[at] = i;
            b->group_at[at++] = group;
        }
    }
    assert_int_equal(batch_cutter_create(&b->cutter), OK);
    assert_int_equal(
        batch_cutter_shard(b->cutter, &b->shard, b->order, sample.user_fields, user_slot), OK);
}

static void end(struct bench *b) {
    batch_cutter_destroy(&b->cutter);
    batch_fini(&b->batch);
    mem_free(&b->order);
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
        assert_int_equal(batch_cutter_shard(t.cutter, &other.shard, other.order, 4, -1), OK);
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
    uint32_t hollow = t.order[20];
    uint32_t cut = t.shard.group_start[hollow + 1] - t.shard.group_start[hollow];
    for (uint32_t g = hollow + 1; g <= t.shard.groups; g++) {
        t.shard.group_start[g] -= cut;
    }
    t.shard.impressions -= cut;
    assert_int_equal(batch_cutter_shard(t.cutter, &t.shard, t.order, 4, -1), OK);
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
            status = batch_cutter_shard(other, &t.shard, t.order, 4, -1);
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
        cmocka_unit_test(test_cut_everything), cmocka_unit_test(test_records),
        cmocka_unit_test(test_user_of_gauc),   cmocka_unit_test(test_other_shards),
        cmocka_unit_test(test_empty_group),    cmocka_unit_test(test_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
