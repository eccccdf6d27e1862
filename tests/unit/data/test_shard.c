/* Shards against a naive oracle: the calls a shard was built from, kept as they were. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/container.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/data/record.h"
#include "common/data/shard.h"
#include "common/data/shard_builder.h"
#include "common/data/shard_format.h"
#include "common/data/shard_info.h"
#include "common/data/shard_weights.h"

#include <cmocka.h>

#define SEEDS           25u
#define FIELDS          9u
#define GROUPS_MAX      40u
#define IMPRESSIONS_MAX 400u
#define FEATURES_MAX    60u

static char dir[64];

/* --- the oracle ------------------------------------------------------------------------------- */

struct call {
    uint64_t key;
    uint8_t labels;
    float weight;
    struct moment when;
    size_t count;
    struct feature features[FEATURES_MAX];
};

enum mode { UNTIMED, TIMED, RECORDS, WEIGHTED, WEIGHTED_RECORDS, MODES };
static bool has_times(enum mode mode) {
    return mode != UNTIMED && mode != WEIGHTED;
}
static bool has_kinds(enum mode mode) {
    return mode == RECORDS || mode == WEIGHTED_RECORDS;
}
static bool has_weights(enum mode mode) {
    return mode == WEIGHTED || mode == WEIGHTED_RECORDS;
}

struct log {
    uint64_t seed, draws;
    enum mode mode;
    struct schema schema; /* unfinished: in the order of the adds */
    struct call group[GROUPS_MAX];
    uint32_t size[GROUPS_MAX];
    uint32_t groups;
    struct call impression[IMPRESSIONS_MAX];
    uint32_t impressions;
};

static uint64_t draw(struct log *l, uint64_t n) {
    return rng_below(l->seed, l->draws++, 0, n);
}

/* What each field is like: how many values a bag has, how large ids are, whether it is weighted. */
static void draw_features(struct log *l, enum side side, struct call *c) {
    static const uint64_t ids[] = {3, 1000, UINT64_MAX, 70000};
    c->count = 0;
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t f = 0; f < FIELDS; f++) {
            const bool ones = f % 3 == 0 && round == 0; /* exactly one value a bag */
            const bool some = f % 3 != 0 && draw(l, 3) == 0;
            if (l->schema.fields[f].side != side || f == 8 || !(ones || some)) {
                continue; /* field 8 has no values at all */
            }
            c->features[c->count++] =
                (struct feature){.field = f,
                                 .weight = f % 2 == 0 ? 1.0f : (float)draw(l, 100) / 8.0f - 3.0f,
                                 .id = draw(l, 20) == 0 ? UINT64_MAX : draw(l, ids[f % 4])};
        }
    }
}

/* Times of every size; for records also a kind, with labels that go with it. */
static void draw_moment(struct log *l, struct call *c) {
    static const uint8_t labels[RECORD_KINDS][3] = {[KIND_BOTH] = {0, 1, 3},
                                                    [KIND_CLICK] = {1, 3, 1},
                                                    [KIND_CONVERSION] = {1, 3, 3},
                                                    [KIND_LATE] = {7, 7, 7},
                                                    [KIND_FINAL] = {1, 3, 7}};
    const uint64_t span = draw(l, 10) == 0 ? SHARD_TIME_MAX / 2 : 100000;
    if (has_kinds(l->mode)) {
        c->when.kind = (enum record_kind)(1 + draw(l, RECORD_KINDS - 1));
        c->labels = labels[c->when.kind][draw(l, 3)];
    }
    c->when.time = 1 + draw(l, span);
    c->when.click_time = c->labels == 0 ? 0 : 1 + draw(l, span);
    c->when.conversion_time = c->labels < 2 ? 0 : c->when.click_time + draw(l, span);
}

static void draw_log(struct log *l, enum mode mode, uint64_t seed) {
    static const char *const names[FIELDS] = {"zeta", "b", "121", "a",    "110_14",
                                              "x9",   "q", "c",   "empty"};
    static const uint8_t labels[] = {0, LABEL_CLICK, LABEL_CLICK | LABEL_CONVERSION};
    memset(l, 0, sizeof *l);
    l->seed = seed;
    l->mode = mode;
    for (uint32_t f = 0; f < FIELDS; f++) {
        const enum side side = f % 2 == 0 ? SIDE_ITEM : SIDE_USER;
        assert_int_equal(schema_add(&l->schema, names[f], side), OK);
    }
    l->groups = 1 + (uint32_t)draw(l, GROUPS_MAX);
    for (uint32_t g = 0; g < l->groups; g++) {
        l->group[g].key = rng_u64(seed, g, 99);
        draw_features(l, SIDE_USER, &l->group[g]);
        l->size[g] = 1 + (uint32_t)draw(l, IMPRESSIONS_MAX / GROUPS_MAX);
        for (uint32_t i = 0; i < l->size[g]; i++) {
            struct call *c = &l->impression[l->impressions++];
            c->key = draw(l, 4) == 0 ? rng_u64(seed, l->draws++, 1) : l->impressions;
            c->labels = labels[draw(l, 3)];
            draw_moment(l, c);
            if (c->labels != 0) {
                c->labels |= (uint8_t)(draw(l, 16) << 3); /* behaviours */
            }
            /* The first few count 1, so that the builder learns late that there are weights. */
            c->weight = !has_weights(mode) || l->impressions < 4 ? 1.0f : (float)draw(l, 9) / 4.0f;
            draw_features(l, SIDE_ITEM, c);
        }
    }
    l->impression[l->impressions - 1].weight = 1.0f;
}

static enum status replay(const struct log *l, struct shard_builder *b) {
    uint32_t at = 0;
    for (uint32_t g = 0; g < l->groups; g++) {
        TRY(shard_builder_group(b, l->group[g].key, l->group[g].features, l->group[g].count));
        for (uint32_t i = 0; i < l->size[g]; i++, at++) {
            const struct call *c = &l->impression[at];
            TRY(shard_builder_timed(b, c->key, c->labels, has_times(l->mode) ? &c->when : NULL,
                                    c->features, c->count));
            TRY(shard_builder_weigh(b, c->weight));
        }
    }
    return OK;
}

static enum status write_log(const struct log *l, const char *name, struct shard_info *info) {
    struct shard_builder *b = NULL;
    TRY(shard_builder_create(&b));
    enum status status = replay(l, b);
    if (status == OK) {
        status = shard_builder_write(b, &l->schema, dir, name, info);
    }
    shard_builder_destroy(&b);
    return status;
}

/* --- comparing -------------------------------------------------------------------------------- */

static void check_bag(const struct column *c, uint32_t bag, const struct call *call,
                      uint32_t field) {
    uint32_t at = c->start[bag];
    for (size_t i = 0; i < call->count; i++) {
        const struct feature *f = &call->features[i];
        if (f->field == field) {
            assert_true(at < c->start[bag + 1]);
            assert_true(c->code[at] < c->dict_count);
            assert_int_equal(c->dict[c->code[at]], f->id);
            const float weight = c->weight == NULL ? 1.0f : c->weight[at];
            assert_memory_equal(&weight, &f->weight, sizeof weight);
            at++;
        }
    }
    assert_int_equal(at, c->start[bag + 1]);
}

/* What the header promises of every column, whatever its origin. */
static void check_sound(const struct shard *s, const struct schema *schema) {
    assert_int_equal(s->columns, schema->count);
    assert_int_equal(s->group_start[0], 0);
    assert_int_equal(s->group_start[s->groups], s->impressions);
    for (uint32_t g = 0; g < s->groups; g++) {
        assert_true(s->group_start[g] < s->group_start[g + 1]);
    }
    for (uint32_t i = 0; i < s->impressions; i++) {
        assert_true(record_good(s->labels[i], s->kind == NULL ? KIND_LOG : s->kind[i]));
        assert_true(s->kind == NULL || s->time != NULL);
        assert_true(s->weight == NULL ||
                    (s->weight[i] >= 0.0f && s->weight[i] <= SHARD_WEIGHT_MAX));
        if (s->time != NULL) {
            const uint64_t click = s->click_time[i], conversion = s->conversion_time[i];
            assert_true(s->time[i] > 0 && s->time[i] <= SHARD_TIME_MAX);
            assert_true(click <= SHARD_TIME_MAX && conversion <= SHARD_TIME_MAX);
            assert_true((click > 0) == ((s->labels[i] & LABEL_CLICK) != 0));
            assert_true((conversion > 0) == ((s->labels[i] & LABEL_CONVERSION) != 0));
            assert_true(conversion == 0 || conversion >= click);
        }
    }
    for (uint32_t f = 0; f < s->columns; f++) {
        const struct column *c = &s->column[f];
        assert_int_equal(c->n, schema->fields[f].side == SIDE_USER ? s->groups : s->impressions);
        assert_int_equal(c->start[0], 0);
        assert_int_equal(c->start[c->n], c->values);
        for (uint32_t i = 0; i < c->n; i++) {
            assert_true(c->start[i] <= c->start[i + 1]);
        }
        for (uint32_t k = 1; k < c->dict_count; k++) {
            assert_true(c->dict[k - 1] < c->dict[k]);
        }
        for (uint32_t v = 0; v < c->values; v++) {
            assert_true(c->code[v] < c->dict_count);
        }
    }
}

static void check_moments(const struct shard *s, const struct log *l) {
    assert_true((s->time != NULL) == has_times(l->mode));
    assert_true((s->click_time != NULL) == has_times(l->mode));
    assert_true((s->conversion_time != NULL) == has_times(l->mode));
    assert_true((s->kind != NULL) == has_kinds(l->mode));
    for (uint32_t i = 0; i < l->impressions && s->time != NULL; i++) {
        const struct moment *m = &l->impression[i].when;
        assert_int_equal(s->time[i], m->time);
        assert_int_equal(s->click_time[i], m->click_time);
        assert_int_equal(s->conversion_time[i], m->conversion_time);
        assert_int_equal(s->kind == NULL ? KIND_LOG : s->kind[i], m->kind);
    }
}

static bool weighs(const struct log *l) {
    bool other = false;
    for (uint32_t i = 0; i < l->impressions; i++) {
        other = other || l->impression[i].weight != 1.0f;
    }
    return other;
}

static void check_weights(const struct shard *s, const struct log *l) {
    assert_true((s->weight != NULL) == weighs(l));
    for (uint32_t i = 0; i < l->impressions && s->weight != NULL; i++) {
        assert_true(s->weight[i] == l->impression[i].weight);
    }
}

/* `schema` is finished and may have other fields than the log. */
static void check_shard(const struct shard *s, const struct log *l, const struct schema *schema) {
    assert_int_equal(s->groups, l->groups);
    assert_int_equal(s->impressions, l->impressions);
    check_sound(s, schema);
    for (uint32_t g = 0; g < l->groups; g++) {
        assert_int_equal(s->group_key[g], l->group[g].key);
        assert_int_equal(s->group_start[g + 1] - s->group_start[g], l->size[g]);
    }
    for (uint32_t i = 0; i < l->impressions; i++) {
        assert_int_equal(s->impression_id[i], l->impression[i].key);
        assert_int_equal(s->labels[i], l->impression[i].labels);
    }
    check_moments(s, l);
    check_weights(s, l);
    for (uint32_t f = 0; f < schema->count; f++) {
        const int field = schema_find(&l->schema, schema->fields[f].name);
        const enum side side = schema->fields[f].side;
        const struct column *c = &s->column[f];
        if (field < 0 || l->schema.fields[field].side != side) {
            assert_int_equal(c->values, 0);
            continue;
        }
        for (uint32_t i = 0; i < c->n; i++) {
            check_bag(c, i, side == SIDE_USER ? &l->group[i] : &l->impression[i], (uint32_t)field);
        }
    }
}

static struct schema finished(const struct schema *s) {
    struct schema out = *s;
    schema_finish(&out);
    return out;
}

static void load(const char *name, char **data, size_t *bytes) {
    char path[PATH_BYTES_MAX];
    assert_int_equal(path_join(path, dir, name), OK);
    assert_int_equal(file_read_all(path, 1 << 24, data, bytes), OK);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void check_info(const struct shard_info *info, const struct log *l, const char *name) {
    struct shard_info want = {.impressions = l->impressions, .groups = l->groups};
    char *data = NULL;
    size_t bytes = 0;
    for (uint32_t g = 0; g < l->groups; g++) {
        want.values += l->group[g].count;
    }
    for (uint32_t i = 0; i < l->impressions; i++) {
        want.values += l->impression[i].count;
        want.clicks += l->impression[i].labels & 1;
        want.conversions += l->impression[i].labels >> 1 & 1;
        want.weights.all += (double)l->impression[i].weight;
        want.weights.clicked += l->impression[i].labels & 1 ? (double)l->impression[i].weight : 0;
        want.weights.converted += l->impression[i].labels & 2 ? (double)l->impression[i].weight : 0;
    }
    load(name, &data, &bytes);
    assert_string_equal(info->name, name);
    assert_int_equal(info->impressions, want.impressions);
    assert_int_equal(info->groups, want.groups);
    assert_int_equal(info->clicks, want.clicks);
    assert_int_equal(info->conversions, want.conversions);
    assert_int_equal(info->values, want.values);
    assert_true(info->weights.there == weighs(l));
    assert_true(info->weights.all == want.weights.all);
    assert_true(info->weights.clicked == want.weights.clicked);
    assert_true(info->weights.converted == want.weights.converted);
    assert_int_equal(info->bytes, bytes);
    assert_int_equal(info->checksum, hash_bytes(data, bytes));
    mem_free(&data);
}

static void check_peeked(const struct weight_sums *is, const struct weight_sums *want) {
    assert_true(is->there == want->there && is->least == want->least && is->most == want->most);
    assert_true(is->all == want->all && is->clicked == want->clicked &&
                is->converted == want->converted);
}

static void test_round_trip(void **state) {
    struct log *l = *state;
    struct shard shard;
    for (uint64_t seed = 1; seed <= SEEDS * MODES; seed++) {
        struct shard_info info, again;
        draw_log(l, (enum mode)(seed % MODES), seed);
        print_message("seed %llu: %u impressions\n", (unsigned long long)seed, l->impressions);
        assert_int_equal(write_log(l, "shard-00000.bin", &info), OK);
        check_info(&info, l, "shard-00000.bin");
        const struct schema schema = finished(&l->schema);
        assert_int_equal(shard_read(&shard, dir, info.name, &schema), OK);
        check_shard(&shard, l, &schema);
        shard_free(&shard);
        shard_free(&shard);
        assert_int_equal(shard_peek(dir, info.name, &again), OK);
        check_peeked(&again.weights, &info.weights);
        assert_int_equal(again.clicks, info.clicks);
        assert_true(again.timed == has_times(l->mode) && again.records == has_kinds(l->mode));
        assert_int_equal(write_log(l, "shard-00001.bin", &again), OK);
        assert_int_equal(info.checksum, again.checksum); /* the same calls, the same bytes */
    }
}

/* The order of slots in the builder's schema shows nowhere. */
static void test_schema_order(void **state) {
    struct log *l = *state;
    struct shard_info info, again;
    draw_log(l, UNTIMED, 7);
    assert_int_equal(write_log(l, "shard-00000.bin", &info), OK);
    const struct schema given = l->schema;
    l->schema = finished(&given);
    for (uint32_t i = 0; i < l->groups + l->impressions; i++) {
        struct call *c = i < l->groups ? &l->group[i] : &l->impression[i - l->groups];
        for (size_t k = 0; k < c->count; k++) {
            const char *name = given.fields[c->features[k].field].name;
            c->features[k].field = (uint32_t)schema_find(&l->schema, name);
        }
    }
    assert_int_equal(write_log(l, "shard-00001.bin", &again), OK);
    assert_int_equal(info.checksum, again.checksum);
}

/* A reader may know fewer fields, others, or have a name on the other side. */
static void test_other_schema(void **state) {
    struct log *l = *state;
    struct shard shard;
    struct schema other = {0};
    struct shard_info info;
    draw_log(l, UNTIMED, 3);
    assert_int_equal(write_log(l, "shard-00000.bin", &info), OK);
    assert_int_equal(schema_add(&other, "zz", SIDE_USER), OK);
    assert_int_equal(schema_add(&other, "zeta", SIDE_ITEM), OK);
    assert_int_equal(schema_add(&other, "0", SIDE_ITEM), OK);
    assert_int_equal(schema_add(&other, "110_14", SIDE_ITEM), OK);
    assert_int_equal(schema_add(&other, "b", SIDE_ITEM), OK); /* user side in the shard */
    assert_int_equal(schema_add(&other, "c", SIDE_USER), OK);
    schema_finish(&other);
    assert_int_equal(shard_read(&shard, dir, info.name, &other), OK);
    check_shard(&shard, l, &other);
    assert_true(shard.column[schema_find(&other, "zeta")].values > 0);
    shard_free(&shard);
    const struct schema none = {0};
    assert_int_equal(shard_read(&shard, dir, info.name, &none), OK);
    check_shard(&shard, l, &none);
    shard_free(&shard);
}

/* More than 65536 distinct ids: codes of 32 bits on disk; and just 65536: of 16. */
static void test_wide(void **state) {
    (void)state;
    enum { FEW = 65536, MANY = 70001 };
    struct schema schema = {0};
    struct shard_builder *b = NULL;
    struct shard_info info;
    struct shard s;
    assert_int_equal(schema_add(&schema, "few", SIDE_ITEM), OK);
    assert_int_equal(schema_add(&schema, "many", SIDE_ITEM), OK);
    assert_int_equal(shard_builder_create(&b), OK);
    assert_int_equal(shard_builder_group(b, 1, NULL, 0), OK);
    for (uint64_t i = 0; i < MANY; i++) {
        const struct feature f[] = {{.field = 0, .weight = 1, .id = rng_mix(i % FEW)},
                                    {.field = 1, .weight = 1, .id = rng_mix(i) >> 20}};
        assert_int_equal(shard_builder_impression(b, i, 0, f, 2), OK);
    }
    assert_true(shard_builder_bytes(b) >= (size_t)MANY * 2 * 16);
    assert_int_equal(shard_builder_impressions(b), MANY);
    assert_int_equal(shard_builder_write(b, &schema, dir, "shard-00002.bin", &info), OK);
    assert_int_equal(shard_builder_impressions(b), 0);
    shard_builder_destroy(&b);
    schema_finish(&schema);
    assert_int_equal(shard_read(&s, dir, info.name, &schema), OK);
    check_sound(&s, &schema);
    assert_int_equal(s.column[0].dict_count, FEW);
    assert_true(s.column[1].dict_count > FEW);
    for (uint32_t i = 0; i < MANY; i++) {
        assert_int_equal(s.column[0].dict[s.column[0].code[i]], rng_mix(i % FEW));
        assert_int_equal(s.column[1].dict[s.column[1].code[i]], rng_mix(i) >> 20);
    }
    assert_ptr_equal(s.column[0].start, s.column[1].start);
    assert_null(s.column[0].weight);
    shard_free(&s);
}

/* A builder is empty after a write, and a second shard knows nothing of the first. */
static void test_builder_again(void **state) {
    struct log *l = *state;
    struct shard_builder *b = NULL;
    struct shard_info first, second, alone;
    assert_int_equal(shard_builder_create(&b), OK);
    draw_log(l, UNTIMED, 1);
    assert_int_equal(replay(l, b), OK);
    assert_int_equal(shard_builder_write(b, &l->schema, dir, "shard-00000.bin", &first), OK);
    draw_log(l, UNTIMED, 2);
    assert_int_equal(replay(l, b), OK);
    assert_int_equal(shard_builder_write(b, &l->schema, dir, "shard-00001.bin", &second), OK);
    shard_builder_destroy(&b);
    shard_builder_destroy(&b);
    assert_int_equal(write_log(l, "shard-00002.bin", &alone), OK);
    assert_int_equal(second.checksum, alone.checksum);
    assert_int_not_equal(first.checksum, alone.checksum);
}

static void test_builder_refuses(void **state) {
    (void)state;
    struct schema schema = {0};
    struct shard_builder *b = NULL;
    struct shard_info info;
    struct shard s;
    const struct feature user = {.field = 0, .weight = 1, .id = 5};
    const struct feature item = {.field = 1, .weight = 1, .id = 6};
    const struct feature bad[] = {item, {.field = 1, .weight = 1.0f / 0.0f, .id = 6}};
    assert_int_equal(schema_add(&schema, "u", SIDE_USER), OK);
    assert_int_equal(schema_add(&schema, "i", SIDE_ITEM), OK);
    assert_int_equal(shard_builder_create(&b), OK);
    assert_int_equal(shard_builder_write(b, &schema, dir, "shard-00003.bin", &info), ERR_FORMAT);
    assert_int_equal(shard_builder_group(b, 1, &user, 1), OK); /* without impressions: dropped */
    assert_int_equal(shard_builder_write(b, &schema, dir, "shard-00003.bin", &info), ERR_FORMAT);
    assert_int_equal(shard_builder_group(b, 2, &user, 1), OK);
    assert_int_equal(shard_builder_group(b, 3, &user, 1), OK);
    assert_int_equal(shard_builder_impression(b, 1, 2, &item, 1), ERR_FORMAT);
    assert_int_equal(shard_builder_impression(b, 1, 4, &item, 1), ERR_FORMAT);
    assert_int_equal(shard_builder_impression(b, 1, 0, bad, 2), ERR_FORMAT);
    assert_int_equal(shard_builder_impression(b, 1, 0, &user, 1), ERR_FORMAT);
    assert_int_equal(shard_builder_impressions(b), 0);
    assert_int_equal(shard_builder_impression(b, 7, 3, &item, 1), OK);
    assert_int_equal(shard_builder_group(b, 4, &user, 1), OK); /* the last one, dropped too */
    assert_int_equal(shard_builder_write(b, &schema, dir, "shard-00003.bin", &info), OK);
    shard_builder_destroy(&b);
    assert_int_equal(info.groups, 1);
    assert_int_equal(info.values, 2);
    schema_finish(&schema);
    assert_int_equal(shard_read(&s, dir, info.name, &schema), OK);
    assert_int_equal(s.group_key[0], 3);
    assert_int_equal(s.column[0].values, 1);
    assert_int_equal(s.column[1].values, 1);
    assert_int_equal(s.labels[0], 3);
    shard_free(&s);
}

/* Times that cannot be, kinds that do not go with labels, and shards of two sorts. */
static void test_moments_refused(void **state) {
    (void)state;
    static const struct {
        uint8_t labels;
        struct moment when;
    } bad[] = {{0, {0, 5, 5, KIND_LOG}},        {0, {SHARD_TIME_MAX + 1, 5, 5, KIND_LOG}},
               {1, {5, 0, 5, KIND_LOG}},        {1, {5, UINT64_C(1700000000000), 5, KIND_LOG}},
               {3, {5, 5, 0, KIND_LOG}},        {3, {5, 6, 5, KIND_LOG}},
               {7, {5, 6, 7, KIND_LOG}},        {7, {5, 6, 7, KIND_BOTH}},
               {7, {5, 6, 7, KIND_CONVERSION}}, {3, {5, 6, 7, KIND_LATE}},
               {0, {5, 6, 7, KIND_CLICK}},      {0, {5, 6, 7, KIND_CONVERSION}},
               {0, {5, 6, 7, KIND_FINAL}},      {1, {5, 6, 7, RECORD_KINDS}}};
    struct schema schema = {0};
    struct shard_builder *b = NULL;
    struct shard_info info;
    const struct moment log = {5, 6, 7, KIND_LOG}, record = {5, 6, 7, KIND_BOTH};
    assert_int_equal(schema_add(&schema, "u", SIDE_USER), OK);
    assert_int_equal(shard_builder_create(&b), OK);
    assert_int_equal(shard_builder_group(b, 1, NULL, 0), OK);
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        assert_int_equal(shard_builder_timed(b, 1, bad[k].labels, &bad[k].when, NULL, 0),
                         ERR_FORMAT);
    }
    assert_int_equal(shard_builder_impressions(b), 0);
    assert_int_equal(shard_builder_timed(b, 1, 3, &log, NULL, 0), OK);
    assert_int_equal(shard_builder_timed(b, 1, 3, &record, NULL, 0), OK);
    assert_int_equal(shard_builder_write(b, &schema, dir, "shard-00004.bin", &info), ERR_FORMAT);
    shard_builder_destroy(&b);
    assert_int_equal(shard_builder_create(&b), OK);
    assert_int_equal(shard_builder_group(b, 1, NULL, 0), OK);
    assert_int_equal(shard_builder_timed(b, 1, 3, &log, NULL, 0), OK);
    assert_int_equal(shard_builder_impression(b, 1, 3, NULL, 0), OK);
    assert_int_equal(shard_builder_write(b, &schema, dir, "shard-00004.bin", &info), ERR_FORMAT);
    shard_builder_destroy(&b);
}

/* Weights that are none; and those that say nothing leave the bytes as they are without. */
static void test_weights(void **state) {
    struct log *l = *state;
    static const float bad[] = {-1.0f, -1e-30f, 1.1e6f, NAN, INFINITY};
    struct shard_info with, without;
    struct shard s = {0};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        draw_log(l, UNTIMED, 8);
        l->impression[1].weight = bad[k];
        assert_int_equal(write_log(l, "shard-00005.bin", &with), ERR_FORMAT);
        assert_non_null(strstr(fail_text(), "expected 0 to 1e+06"));
    }
    draw_log(l, UNTIMED, 8);
    assert_int_equal(write_log(l, "shard-00005.bin", &without), OK);
    l->impression[2].weight = 0.0f;
    assert_int_equal(write_log(l, "shard-00005.bin", &with), OK);
    assert_true(with.weights.there && with.weights.least == 0.0f && with.weights.most == 1.0f);
    assert_true(with.checksum != without.checksum);
    l->impression[2].weight = 1.0f;
    assert_int_equal(write_log(l, "shard-00005.bin", &with), OK);
    assert_int_equal(with.checksum, without.checksum);
    assert_false(with.weights.there);
    /* A thinned log: unclicked ones count more, also where there are weights. */
    const struct schema schema = finished(&l->schema);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(shard_read(&s, dir, "shard-00005.bin", &schema), OK);
        assert_int_equal(shard_weigh(&s, 1.0), OK);
        assert_true((s.weight != NULL) == (round == 1));
        assert_int_equal(shard_weigh(&s, 0.25), OK);
        for (uint32_t i = 0; i < s.impressions; i++) {
            const float m = l->impression[i].weight;
            assert_true(s.weight[i] == ((s.labels[i] & LABEL_CLICK) != 0 ? m : 4.0f * m));
        }
        shard_free(&s);
        l->impression[2].weight = 0.5f;
        assert_int_equal(write_log(l, "shard-00005.bin", &with), OK);
    }
}

static void test_wrong_side(void **state) {
    (void)state;
    struct schema schema = {0};
    struct shard_builder *b = NULL;
    struct shard_info info;
    const struct feature f = {.field = 0, .weight = 1, .id = 5};
    assert_int_equal(schema_add(&schema, "u", SIDE_USER), OK);
    assert_int_equal(shard_builder_create(&b), OK);
    assert_int_equal(shard_builder_group(b, 1, NULL, 0), OK);
    assert_int_equal(shard_builder_impression(b, 1, 0, &f, 1), OK);
    assert_int_equal(shard_builder_write(b, &schema, dir, "shard-00004.bin", &info), ERR_FORMAT);
    shard_builder_destroy(&b);
}

/* A small shard for the exhaustive tests. */
static void small_file(struct log *l, enum mode mode, char **data, size_t *bytes,
                       struct schema *schema) {
    struct shard_info info;
    draw_log(l, mode, 11);
    l->groups = 3;
    l->impressions = 0;
    for (uint32_t g = 0; g < l->groups; g++) {
        l->impressions += l->size[g];
    }
    assert_int_equal(write_log(l, "shard-00000.bin", &info), OK);
    *schema = finished(&l->schema);
    load("shard-00000.bin", data, bytes);
}

static void check_every_flip(struct log *l, enum mode mode) {
    struct schema schema;
    struct shard shard;
    char *data = NULL;
    size_t bytes = 0;
    small_file(l, mode, &data, &bytes, &schema);
    for (size_t i = 0; i < bytes; i++) {
        const char good = data[i];
        for (int bit = 0; bit < 9; bit++) {
            data[i] = (char)(bit < 8 ? good ^ (1 << bit) : ~good);
            const enum status status = shard_decode(&shard, "flipped", data, bytes, &schema);
            if (status == OK) {
                check_shard(&shard, l, &schema); /* harmless: the content is right */
                shard_free(&shard);
            } else if (status != ERR_CORRUPT) {
                fail_msg("byte %zu, flip %d: %s", i, bit, status_text(status));
            }
        }
        data[i] = good;
    }
    mem_free(&data);
}

static void test_every_flip(void **state) {
    for (int mode = 0; mode < MODES; mode++) {
        check_every_flip(*state, (enum mode)mode);
    }
}

static void check_every_truncation(struct log *l, enum mode mode) {
    struct schema schema;
    struct shard shard;
    char *data = NULL, *cut = NULL;
    size_t bytes = 0;
    small_file(l, mode, &data, &bytes, &schema);
    for (size_t n = 0; n < bytes; n++) {
        cut = malloc(n + (n == 0)); /* exact, so that a sanitizer sees the end */
        assert_non_null(cut);
        memcpy(cut, data, n);
        assert_int_equal(shard_decode(&shard, "cut", cut, n, &schema), ERR_CORRUPT);
        free(cut);
    }
    mem_free(&data);
}

static void test_every_truncation(void **state) {
    for (int mode = 0; mode < MODES; mode++) {
        check_every_truncation(*state, (enum mode)mode);
    }
}

static void check_memory_fails(struct log *l, enum mode mode) {
    struct schema schema;
    struct shard shard;
    struct shard_info info;
    char *data = NULL;
    size_t bytes = 0, n = 1;
    small_file(l, mode, &data, &bytes, &schema);
    for (enum status status = ERR_MEMORY; status != OK; n++) {
        mem_fail_after(n);
        status = shard_decode(&shard, "small", data, bytes, &schema);
        mem_fail_after(0);
        assert_true(status == OK || status == ERR_MEMORY);
    }
    assert_true(n > 20);
    check_shard(&shard, l, &schema);
    shard_free(&shard);
    n = 1;
    for (enum status status = ERR_MEMORY; status != OK; n++) {
        mem_fail_after(n);
        status = write_log(l, "shard-00005.bin", &info);
        mem_fail_after(0);
        assert_true(status == OK || status == ERR_MEMORY);
    }
    assert_true(n > 20);
    char *again = NULL;
    size_t size = 0;
    load("shard-00005.bin", &again, &size);
    assert_int_equal(size, bytes);
    assert_memory_equal(again, data, bytes);
    mem_free(&again);
    mem_free(&data);
}

static void test_memory_fails(void **state) {
    for (int mode = 0; mode < MODES; mode++) {
        check_memory_fails(*state, (enum mode)mode);
    }
}

/* A write that failed for want of memory has lost nothing: the next one gives the same bytes. */
static void test_failed_write_keeps(void **state) {
    struct log *l = *state;
    struct shard_builder *b = NULL;
    struct shard_info want, info;
    size_t n = 1;
    draw_log(l, UNTIMED, 5);
    assert_int_equal(write_log(l, "shard-00000.bin", &want), OK);
    assert_int_equal(shard_builder_create(&b), OK);
    assert_int_equal(replay(l, b), OK);
    for (enum status status = ERR_MEMORY; status != OK; n++) {
        mem_fail_after(n);
        status = shard_builder_write(b, &l->schema, dir, "shard-00006.bin", &info);
        mem_fail_after(0);
        assert_true(status == OK || status == ERR_MEMORY);
    }
    assert_true(n > 20);
    assert_int_equal(info.checksum, want.checksum);
    shard_builder_destroy(&b);
}

/* --- files whose checksums are right and whose content is not --------------------------------- */

/* Copies the small shard with block `type` of column `tag` replaced. */
static enum status with_block(const char *data, size_t bytes, uint16_t type, uint64_t tag,
                              const struct buf *instead, const struct schema *schema) {
    struct container_reader r;
    struct container_writer w;
    struct buf block = BUF_EMPTY;
    struct shard shard;
    char path[PATH_BYTES_MAX];
    bool found = false;
    assert_int_equal(path_join(path, dir, "forged.bin"), OK);
    assert_int_equal(container_open_bytes(&r, "small", data, bytes, CONTAINER_SHARD), OK);
    assert_int_equal(container_create(&w, path, CONTAINER_SHARD), OK);
    for (size_t i = 0; i < r.block_count; i++) {
        const struct container_block *b = &r.blocks[i];
        assert_int_equal(container_get(&r, i, &block), OK);
        const bool this = b->type == type && b->tag == tag;
        const struct buf *from = this ? instead : &block;
        found = found || this;
        if (from != NULL) {
            assert_int_equal(container_put(&w, b->type, b->tag, from->data, from->len, true), OK);
        }
    }
    assert_true(found);
    assert_int_equal(container_commit(&w, NULL, NULL), OK);
    const enum status status = shard_read(&shard, dir, "forged.bin", schema);
    if (status == OK) {
        check_sound(&shard, schema);
        shard_free(&shard);
    }
    buf_fini(&block);
    container_close(&r);
    return status;
}

/* Every byte of every block's raw content takes other values, and every block is cut, lengthened,
 * emptied or missing; checksums are made to fit. Whatever the reader accepts must be sound. */
static void check_forged(struct log *l, enum mode mode) {
    struct schema schema;
    struct container_reader r;
    struct buf block = BUF_EMPTY;
    char *data = NULL;
    size_t bytes = 0, refused = 0;
    small_file(l, mode, &data, &bytes, &schema);
    assert_int_equal(container_open_bytes(&r, "small", data, bytes, CONTAINER_SHARD), OK);
    for (size_t i = 0; i < r.block_count; i++) {
        const uint16_t type = r.blocks[i].type;
        const uint64_t tag = r.blocks[i].tag;
        assert_int_equal(container_get(&r, i, &block), OK);
        for (size_t at = 0; at < block.len; at += 1 + block.len / 24) {
            static const uint8_t masks[] = {0x01, 0x80, 0xff};
            for (size_t m = 0; m < sizeof masks; m++) {
                block.data[at] ^= masks[m];
                const enum status status = with_block(data, bytes, type, tag, &block, &schema);
                assert_true(status == OK || status == ERR_CORRUPT);
                refused += status != OK;
                block.data[at] ^= masks[m];
            }
        }
        assert_int_equal(with_block(data, bytes, type, tag, NULL, &schema), ERR_CORRUPT);
        block.len--;
        assert_int_equal(with_block(data, bytes, type, tag, &block, &schema), ERR_CORRUPT);
        block.len++;
        assert_int_equal(buf_put_u8(&block, 0), OK);
        assert_int_equal(with_block(data, bytes, type, tag, &block, &schema), ERR_CORRUPT);
        block.len = 0;
        assert_int_equal(with_block(data, bytes, type, tag, &block, &schema), ERR_CORRUPT);
    }
    assert_true(refused > r.block_count);
    buf_fini(&block);
    container_close(&r);
    mem_free(&data);
}

static void test_forged(void **state) {
    for (int mode = 0; mode < MODES; mode++) {
        check_forged(*state, (enum mode)mode);
    }
}

static int setup(void **state) {
    snprintf(dir, sizeof dir, "/tmp/esmm-test-shard-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    *state = malloc(sizeof(struct log));
    return *state == NULL ? -1 : 0;
}

static int teardown(void **state) {
    free(*state);
    return file_remove_tree(dir) == OK ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_schema_order),
        cmocka_unit_test(test_other_schema),
        cmocka_unit_test(test_wide),
        cmocka_unit_test(test_builder_again),
        cmocka_unit_test(test_builder_refuses),
        cmocka_unit_test(test_moments_refused),
        cmocka_unit_test(test_wrong_side),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_every_flip),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_memory_fails),
        cmocka_unit_test(test_failed_write_keeps),
        cmocka_unit_test(test_forged),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
