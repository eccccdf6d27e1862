/* Windows against their sources: each impression of the window is compared with the one it came
 * from. */
#include "common/data/window.h"

#include <string.h>

#include "tests/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SOURCES     5
#define USER_FIELDS 4
#define FIELDS      9
#define USER_ONES   0 /* fields whose bags hold one value each, in all shards */
#define ITEM_ONES   6
#define NOWHERE     2 /* a field that is empty in all shards */
#define SOMEWHERE   8 /* empty in the first shard only */

struct source {
    struct shard shard;
    uint32_t *order;
    uint32_t begin, end;
};
struct fixture {
    struct sample sample;
    struct schema schema;
    struct source source[SOURCES];
    uint32_t count;
    uint64_t mix;
};

static void make_uniform(struct shard *s, uint32_t slot, uint32_t each) {
    struct column *c = &s->column[slot];
    mem_free(&c->start);
    assert_int_equal(
        shard_share_start(s, slot < USER_FIELDS ? SIDE_USER : SIDE_ITEM, each, &c->start), OK);
    if (each == 0) {
        mem_free(&c->dict);
        mem_free(&c->code);
        mem_free(&c->weight);
        c->dict_count = 0;
    } else {
        assert_true(c->values >= c->n); /* codes enough */
    }
    c->values = c->n * each;
}

/* Ids small enough that shards share many. */
static void draw_source(struct fixture *t, uint32_t k) {
    struct sample *s = &t->sample;
    struct source *x = &t->source[k];
    s->groups = 1 + sample_below(s, 30);
    s->dict = 1 + sample_below(s, 90);
    sample_shard(s, &x->shard);
    for (uint32_t f = 0; f < FIELDS; f++) {
        uint64_t id = sample_below(s, 2) == 0 ? 0 : UINT64_MAX - 400;
        for (uint32_t e = 0; e < x->shard.column[f].dict_count; e++) {
            id += 1 + sample_below(s, 4);
            x->shard.column[f].dict[e] = id;
        }
        if (sample_below(s, 3) == 0) {
            mem_free(&x->shard.column[f].weight);
        }
    }
    make_uniform(&x->shard, NOWHERE, 0);
    if (k == 0) {
        make_uniform(&x->shard, SOMEWHERE, 0);
    }
    x->order = sample_order(s, &x->shard);
    const uint32_t n = x->shard.impressions;
    x->begin = sample_below(s, 3) == 0 ? 0 : sample_below(s, n);
    x->end = sample_below(s, 3) == 0 ? n : x->begin + sample_below(s, n - x->begin + 1);
}

static void ones(struct sample *s, struct shard *shard, uint32_t slot) {
    struct column *c = &shard->column[slot];
    mem_free(&c->code);
    c->code = sample_array(c->n, sizeof *c->code);
    for (uint32_t i = 0; i < c->n; i++) {
        c->code[i] = sample_below(s, c->dict_count);
    }
    mem_free(&c->weight);
    c->values = c->n;
    make_uniform(shard, slot, 1);
}

enum extras { PLAIN, WEIGHTS_SOMEWHERE, TIMES, TIMES_SOMEWHERE, RECORDS, EXTRAS };

static void add_times(struct shard *s) {
    s->time = sample_array(s->impressions, sizeof *s->time);
    s->click_time = sample_array(s->impressions, sizeof *s->click_time);
    s->conversion_time = sample_array(s->impressions, sizeof *s->conversion_time);
    for (uint32_t i = 0; i < s->impressions; i++) {
        s->time[i] = 1000 + i;
        s->click_time[i] = (s->labels[i] & LABEL_CLICK) != 0 ? 1010 + 2 * i : 0;
        s->conversion_time[i] = (s->labels[i] & LABEL_CONVERSION) != 0 ? 2000 + 3 * i : 0;
    }
}

static void add_extras(struct fixture *t, uint32_t k, enum extras extras) {
    struct shard *s = &t->source[k].shard;
    if (extras == WEIGHTS_SOMEWHERE && k % 2 == 1) {
        s->weight = sample_array(s->impressions, sizeof *s->weight);
        for (uint32_t i = 0; i < s->impressions; i++) {
            s->weight[i] = (float)sample_below(&t->sample, 9) / 4.0f;
        }
    }
    if (extras == TIMES || extras == RECORDS || (extras == TIMES_SOMEWHERE && k != 1)) {
        add_times(s);
    }
    if (extras == RECORDS) {
        s->kind = sample_array(s->impressions, 1);
        for (uint32_t i = 0; i < s->impressions; i++) {
            s->kind[i] = (uint8_t)(s->labels[i] == 0 ? KIND_BOTH : KIND_FINAL);
        }
    }
}

static void begin(struct fixture *t, uint64_t seed, uint32_t count, enum extras extras) {
    memset(t, 0, sizeof *t);
    t->count = count;
    t->sample = (struct sample){.seed = seed,
                                .group_impressions_max = 9,
                                .user_fields = USER_FIELDS,
                                .item_fields = FIELDS - USER_FIELDS,
                                .values_max = 4,
                                .empty_field = -1};
    sample_schema(&t->sample, &t->schema);
    for (uint32_t k = 0; k < count; k++) {
        draw_source(t, k);
        ones(&t->sample, &t->source[k].shard, USER_ONES);
        ones(&t->sample, &t->source[k].shard, ITEM_ONES);
        add_extras(t, k, extras);
    }
}

static void end(struct fixture *t) {
    for (uint32_t k = 0; k < t->count; k++) {
        shard_free(&t->source[k].shard);
        mem_free(&t->source[k].order);
    }
}

static enum status build(const struct fixture *t, struct shard *out) {
    struct window_builder *b = NULL;
    enum status status = OK;
    memset(out, 0xff, sizeof *out);
    TRY_OUT(window_begin(&b, &t->schema, t->mix));
    for (uint32_t k = 0; k < t->count; k++) {
        const struct source *x = &t->source[k];
        TRY_OUT(window_add(b, &x->shard, x->order, x->begin, x->end));
    }
    status = window_finish(b, out);
    if (status != OK) {
        const struct shard none = {0};
        assert_memory_equal(out, &none, sizeof none);
    }
out:
    window_destroy(&b);
    return status;
}

/* --- comparing -------------------------------------------------------------------------------- */

static void check_bag(const struct column *c, uint32_t bag, const struct column *from,
                      uint32_t from_bag) {
    const uint32_t count = from->start[from_bag + 1] - from->start[from_bag];
    assert_int_equal(c->start[bag + 1] - c->start[bag], count);
    for (uint32_t v = 0; v < count; v++) {
        const uint32_t got = c->start[bag] + v, want = from->start[from_bag] + v;
        assert_true(c->code[got] < c->dict_count);
        assert_true(c->dict[c->code[got]] == from->dict[from->code[want]]);
        assert_true((c->weight == NULL ? 1.0f : c->weight[got]) ==
                    (from->weight == NULL ? 1.0f : from->weight[want]));
    }
}

static void check_impression(const struct shard *w, uint32_t at, uint32_t group,
                             const struct shard *s, uint32_t i, uint32_t from_group) {
    assert_int_equal(w->group_key[group], s->group_key[from_group]);
    assert_int_equal(w->impression_id[at], s->impression_id[i]);
    assert_int_equal(w->labels[at], s->labels[i]);
    assert_true((w->weight == NULL ? 1.0f : w->weight[at]) ==
                (s->weight == NULL ? 1.0f : s->weight[i]));
    assert_int_equal(w->kind == NULL ? 0 : w->kind[at], s->kind == NULL ? 0 : s->kind[i]);
    if (w->time != NULL) {
        assert_true(w->time[at] == s->time[i] && w->click_time[at] == s->click_time[i] &&
                    w->conversion_time[at] == s->conversion_time[i]);
    }
    for (uint32_t f = 0; f < FIELDS; f++) {
        const bool user = f < USER_FIELDS;
        check_bag(&w->column[f], user ? group : at, &s->column[f], user ? from_group : i);
    }
}

/* The slice's impressions stand at *at and on, its groups at *group and on. */
static void check_source(const struct shard *w, const struct source *x, uint32_t *at,
                         uint32_t *group) {
    uint32_t position = 0;
    for (uint32_t g = 0; g < x->shard.groups; g++) {
        const uint32_t from = x->order[g];
        const uint32_t before = *at;
        for (uint32_t i = x->shard.group_start[from]; i < x->shard.group_start[from + 1]; i++) {
            if (position >= x->begin && position < x->end) {
                check_impression(w, (*at)++, *group, &x->shard, i, from);
            }
            position++;
        }
        if (*at > before) {
            assert_int_equal(w->group_start[*group], before);
            (*group)++;
        }
    }
}

static void check_column(const struct shard *w, uint32_t f) {
    const struct column *c = &w->column[f];
    assert_int_equal(c->n, f < USER_FIELDS ? w->groups : w->impressions);
    assert_int_equal(c->start[0], 0);
    assert_int_equal(c->start[c->n], c->values);
    for (uint32_t e = 1; e < c->dict_count; e++) {
        assert_true(c->dict[e - 1] < c->dict[e]);
    }
}

static void check_window(const struct fixture *t, const struct shard *w) {
    uint32_t at = 0, group = 0;
    for (uint32_t k = 0; k < t->count; k++) {
        check_source(w, &t->source[k], &at, &group);
    }
    assert_int_equal(w->columns, FIELDS);
    assert_int_equal(w->impressions, at);
    assert_int_equal(w->groups, group);
    assert_int_equal(w->group_start[group], at);
    for (uint32_t f = 0; f < FIELDS; f++) {
        check_column(w, f);
    }
    assert_ptr_equal(w->column[USER_ONES].start, w->shared_start[SIDE_USER][w->groups > 0]);
    assert_ptr_equal(w->column[NOWHERE].start, w->shared_start[SIDE_USER][0]);
    assert_ptr_equal(w->column[ITEM_ONES].start, w->shared_start[SIDE_ITEM][w->groups > 0]);
}

static void test_slices(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct fixture t;
        struct shard w;
        const enum extras extras = (enum extras)(seed % EXTRAS);
        begin(&t, seed, 1 + (uint32_t)(seed % SOURCES), extras);
        assert_int_equal(build(&t, &w), OK);
        check_window(&t, &w);
        bool timed = true, weighted = false;
        for (uint32_t k = 0; k < t.count; k++) {
            const struct source *x = &t.source[k];
            timed &= x->shard.time != NULL || x->begin == x->end;
            weighted |= x->shard.weight != NULL && x->begin < x->end;
        }
        assert_int_equal(w.time != NULL, timed && w.impressions > 0);
        assert_int_equal(w.weight != NULL, weighted);
        assert_int_equal(w.kind != NULL, extras == RECORDS && w.impressions > 0);
        shard_free(&w);
        end(&t);
    }
}

/* The place in a group of the impression with this id. */
static uint32_t find_impression(const struct shard *s, uint32_t group, uint64_t id) {
    uint32_t i = s->group_start[group];
    while (i < s->group_start[group + 1] && s->impression_id[i] != id) {
        i++;
    }
    assert_true(i < s->group_start[group + 1]);
    return i;
}

/* Mixed, each group has the same impressions, with all that is theirs; of a pair either order is
 * as likely as the other. */
static void test_mix(void **state) {
    (void)state;
    uint32_t pairs = 0, turned = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct fixture t;
        struct shard plain, w;
        begin(&t, seed, 1 + (uint32_t)(seed % SOURCES), (enum extras)(seed % EXTRAS));
        assert_int_equal(build(&t, &plain), OK);
        t.mix = seed;
        assert_int_equal(build(&t, &w), OK);
        assert_int_equal(w.impressions, plain.impressions);
        assert_int_equal(w.groups, plain.groups);
        assert_memory_equal(w.group_start, plain.group_start, (w.groups + 1) * sizeof(uint32_t));
        for (uint32_t g = 0; g < w.groups; g++) {
            uint64_t sum = 0;
            for (uint32_t at = w.group_start[g]; at < w.group_start[g + 1]; at++) {
                const uint32_t i = find_impression(&plain, g, w.impression_id[at]);
                check_impression(&w, at, g, &plain, i, g);
                sum += i;
            }
            const uint64_t from = w.group_start[g], to = w.group_start[g + 1];
            assert_true(2 * sum == (from + to - 1) * (to - from));
            pairs += to - from == 2;
            turned += to - from == 2 && w.impression_id[from] != plain.impression_id[from];
        }
        for (uint32_t f = 0; f < FIELDS; f++) {
            check_column(&w, f);
        }
        shard_free(&plain);
        shard_free(&w);
        end(&t);
    }
    assert_true(pairs > 200 && turned > pairs * 2 / 5 && turned < pairs * 3 / 5);
}

/* Of a part, the dictionary holds only what occurs; a column has weights only if a slice has. */
static void test_dictionary(void **state) {
    (void)state;
    struct fixture t;
    struct shard w;
    begin(&t, 77, 2, PLAIN);
    for (uint32_t k = 0; k < 2; k++) {
        t.source[k].begin = 1;
        t.source[k].end = t.source[k].shard.impressions;
        mem_free(&t.source[k].shard.column[4].weight);
    }
    assert_int_equal(build(&t, &w), OK);
    check_window(&t, &w);
    assert_null(w.column[4].weight);
    for (uint32_t f = 0; f < FIELDS; f++) {
        const struct column *c = &w.column[f];
        uint8_t *used = sample_array((size_t)c->dict_count + 1, 1);
        for (uint32_t v = 0; v < c->values; v++) {
            used[c->code[v]] = 1;
        }
        for (uint32_t e = 0; e < c->dict_count; e++) {
            assert_true(used[e]);
        }
        mem_free(&used);
    }
    shard_free(&w);
    end(&t);
}

/* --- what comes after ------------------------------------------------------------------------- */

static void cut(const struct shard *s, const uint32_t *order, uint32_t from, uint32_t to,
                struct batch *out) {
    struct batch_cutter *cutter = NULL;
    struct run *runs = sample_runs(order, s);
    assert_int_equal(batch_cutter_create(&cutter), OK);
    assert_int_equal(batch_cutter_runs(cutter, s, runs, s->groups, USER_FIELDS, 1), OK);
    assert_int_equal(batch_cut(cutter, from, to, out), OK);
    batch_cutter_destroy(&cutter);
    mem_free(&runs);
}

static void same_batch(const struct batch *a, const struct batch *b) {
    assert_int_equal(a->impressions, b->impressions);
    assert_int_equal(a->groups, b->groups);
    assert_memory_equal(a->group_of, b->group_of, a->impressions * sizeof *a->group_of);
    assert_memory_equal(a->labels, b->labels, a->impressions);
    assert_memory_equal(a->user, b->user, a->impressions * sizeof *a->user);
    for (uint32_t f = 0; f < FIELDS; f++) {
        const struct batch_field *x = &a->field[f], *y = &b->field[f];
        assert_int_equal(x->bags, y->bags);
        assert_int_equal(x->unique, y->unique);
        assert_int_equal(x->values, y->values);
        assert_memory_equal(x->start, y->start, (x->bags + 1) * sizeof *x->start);
        for (uint32_t v = 0; v < x->values; v++) {
            assert_int_equal(x->index[v], y->index[v]);
            assert_true((x->weight == NULL ? 1.0f : x->weight[v]) ==
                        (y->weight == NULL ? 1.0f : y->weight[v]));
        }
        for (uint32_t k = 0; k < x->unique; k++) {
            assert_true(x->ids[k] == y->ids[k]);
        }
    }
}

/* Batches of a window are those of the shard that the impressions came from. */
static void test_batches(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct fixture t;
        struct shard w;
        uint32_t before = 0;
        begin(&t, 1000 + seed, 3, PLAIN);
        t.source[1].begin = 0;
        t.source[1].end = t.source[1].shard.impressions; /* one is there as a whole */
        assert_int_equal(build(&t, &w), OK);
        for (uint32_t k = 0; k < t.count; k++) {
            const struct source *x = &t.source[k];
            struct batch from_shard = {0}, from_window = {0};
            if (x->begin < x->end) {
                cut(&x->shard, x->order, x->begin, x->end, &from_shard);
                cut(&w, NULL, before, before + x->end - x->begin, &from_window);
                same_batch(&from_shard, &from_window);
            }
            before += x->end - x->begin;
            batch_fini(&from_shard);
            batch_fini(&from_window);
        }
        shard_free(&w);
        end(&t);
    }
}

static void test_nothing(void **state) {
    (void)state;
    struct fixture t;
    struct shard w;
    begin(&t, 5, 2, RECORDS);
    t.source[0].end = t.source[0].begin;
    t.source[1].end = t.source[1].begin;
    assert_int_equal(build(&t, &w), OK);
    check_window(&t, &w);
    assert_int_equal(w.impressions, 0);
    shard_free(&w);
    end(&t);
}

static void test_records_among_others(void **state) {
    (void)state;
    struct fixture t;
    struct shard w;
    begin(&t, 6, 3, RECORDS);
    for (uint32_t k = 0; k < 3; k++) {
        t.source[k].begin = 0;
        t.source[k].end = t.source[k].shard.impressions;
    }
    mem_free(&t.source[2].shard.kind);
    assert_int_equal(build(&t, &w), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), "impressions of a log"));
    assert_non_null(strstr(fail_text(), "training records"));
    end(&t);
}

static void test_failing_memory(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct fixture t;
        begin(&t, 300 + seed, 3, seed % 2 == 0 ? RECORDS : WEIGHTS_SOMEWHERE);
        t.source[1].begin = 0;
        t.source[1].end = t.source[1].shard.impressions;
        size_t failures = 0;
        for (size_t k = 1;; k++) {
            struct shard w;
            mem_fail_after(k);
            const enum status status = build(&t, &w);
            mem_fail_after(0);
            if (status == OK) {
                check_window(&t, &w);
                shard_free(&w);
                break;
            }
            assert_int_equal(status, ERR_MEMORY);
            failures++;
        }
        assert_true(failures > 100);
        end(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices),         cmocka_unit_test(test_mix),
        cmocka_unit_test(test_dictionary),     cmocka_unit_test(test_batches),
        cmocka_unit_test(test_nothing),        cmocka_unit_test(test_records_among_others),
        cmocka_unit_test(test_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
