/* Streams of training records: a hand-made log, and random ones against a joiner that walks through
 * every second of the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/data/dataset.h"
#include "common/data/shard_builder.h"
#include "common/data/shard_format.h"
#include "common/data/shard_info.h"
#include "tests/dirs.h"
#include "tools/records/records_run.h"
#include "tools/common/tools.h"

#include <cmocka.h>

#define SOURCE_SHARDS 3u
#define GROUPS_MAX    12u
#define PER_GROUP_MAX 6u
#define LOG_MAX       (SOURCE_SHARDS * GROUPS_MAX * PER_GROUP_MAX)
#define SEEN_MAX      (LOG_MAX * RECORDS_MAX)
#define BEGIN         5000u

static char dir[64], source[96], out[96], out2[96];

/* --- one impression, by hand ------------------------------------------------------------------ */

struct expected {
    uint64_t time;
    uint8_t labels, kind;
};
#define END                                                                                        \
    { 0, 0, 0 }

static void expect(enum record_stream stream, struct moment when, const struct expected *want) {
    const struct records_rule rule = {.stream = stream,
                                      .click_window = 30,
                                      .window = stream == STREAM_FNW ? 0 : 100,
                                      .attribution = 1000,
                                      .slice = 60};
    struct record got[RECORDS_MAX];
    const uint32_t n = records_of(&rule, &when, got);
    for (uint32_t k = 0; k < n; k++, want++) {
        if (got[k].time != want->time || got[k].labels != want->labels ||
            got[k].kind != want->kind) {
            fail_msg("stream %d, record %u: time %llu labels %u kind %u, expected %llu %u %u",
                     (int)stream, k, (unsigned long long)got[k].time, got[k].labels, got[k].kind,
                     (unsigned long long)want->time, want->labels, want->kind);
        }
    }
    assert_int_equal(want->time, 0);
}
#define EXPECT(stream, when, ...) expect(stream, when, (const struct expected[]){__VA_ARGS__, END})

static void test_by_hand(void **state) {
    (void)state;
    const struct moment none = {600, 0, 0, KIND_LOG}, clicked = {600, 610, 0, KIND_LOG},
                        soon = {600, 610, 710, KIND_LOG}, late = {600, 610, 711, KIND_LOG},
                        last = {600, 610, 1610, KIND_LOG}, beyond = {600, 610, 1611, KIND_LOG},
                        slow = {600, 631, 640, KIND_LOG};
    for (int s = 0; s < (int)STREAMS; s++) {
        EXPECT((enum record_stream)s, none, {630, 0, KIND_BOTH});
        EXPECT((enum record_stream)s, slow, {630, 0, KIND_BOTH}); /* the click came too late */
    }
    EXPECT(STREAM_VANILLA, clicked, {710, 1, KIND_BOTH});
    EXPECT(STREAM_VANILLA, soon, {710, 3, KIND_BOTH});
    EXPECT(STREAM_VANILLA, late, {710, 1, KIND_BOTH}, {711, 3, KIND_BOTH});
    EXPECT(STREAM_VANILLA, beyond, {710, 1, KIND_BOTH});
    EXPECT(STREAM_ORACLE, clicked, {630, 1, KIND_CLICK}, {710, 1, KIND_CONVERSION});
    EXPECT(STREAM_ORACLE, soon, {630, 1, KIND_CLICK}, {710, 3, KIND_CONVERSION});
    EXPECT(STREAM_ORACLE, late, {630, 1, KIND_CLICK}, {710, 3, KIND_CONVERSION});
    EXPECT(STREAM_ORACLE, beyond, {630, 1, KIND_CLICK}, {710, 1, KIND_CONVERSION});
    EXPECT(STREAM_FNW, clicked, {610, 1, KIND_CONVERSION}, {630, 1, KIND_CLICK});
    EXPECT(STREAM_FNW, soon, {610, 1, KIND_CONVERSION}, {630, 1, KIND_CLICK}, {710, 7, KIND_LATE});
    EXPECT(STREAM_ES_DFM, clicked, {630, 1, KIND_CLICK}, {710, 1, KIND_CONVERSION});
    EXPECT(STREAM_ES_DFM, soon, {630, 1, KIND_CLICK}, {710, 3, KIND_CONVERSION});
    EXPECT(STREAM_ES_DFM, late, {630, 1, KIND_CLICK}, {710, 1, KIND_CONVERSION},
           {711, 7, KIND_LATE});
    EXPECT(STREAM_ES_DFM, last, {630, 1, KIND_CLICK}, {710, 1, KIND_CONVERSION},
           {1610, 7, KIND_LATE});
    EXPECT(STREAM_ES_DFM, beyond, {630, 1, KIND_CLICK}, {710, 1, KIND_CONVERSION});
    EXPECT(STREAM_DEFER, clicked, {630, 1, KIND_CLICK}, {710, 1, KIND_CONVERSION},
           {1610, 1, KIND_FINAL});
    EXPECT(STREAM_DEFER, soon, {630, 1, KIND_CLICK}, {710, 3, KIND_CONVERSION},
           {710, 3, KIND_FINAL});
    EXPECT(STREAM_DEFER, late, {630, 1, KIND_CLICK}, {710, 1, KIND_CONVERSION},
           {711, 7, KIND_FINAL});
    EXPECT(STREAM_DEFER, beyond, {630, 1, KIND_CLICK}, {710, 1, KIND_CONVERSION},
           {1610, 1, KIND_FINAL});
    EXPECT(STREAM_DFM, clicked, {630, 1, KIND_CLICK}, {720, 1, KIND_CONVERSION});
    EXPECT(STREAM_DFM, late, {630, 1, KIND_CLICK}, {720, 3, KIND_CONVERSION});
    EXPECT(STREAM_DFM, last, {630, 1, KIND_CLICK}, {720, 1, KIND_CONVERSION});
}

/* --- a random log ----------------------------------------------------------------------------- */

struct row {
    struct moment when;
    uint8_t labels;
    uint32_t shard, group; /* of the source */
};
struct log {
    struct row row[LOG_MAX]; /* impression i has the id 1000 + i */
    uint32_t rows;
    uint64_t end; /* nothing happens after it */
};

static void draw_row(struct row *r, uint64_t seed, uint64_t i) {
    r->when.time = BEGIN + rng_below(seed, i, 1, 300);
    if (rng_below(seed, i, 2, 3) > 0) {
        r->labels = LABEL_CLICK;
        r->when.click_time = r->when.time + rng_below(seed, i, 3, 40);
    }
    if (r->labels != 0 && rng_below(seed, i, 4, 3) > 0) {
        r->labels |= LABEL_CONVERSION;
        r->when.conversion_time = r->when.click_time + rng_below(seed, i, 5, 250);
    }
}

static uint64_t user_id(const struct row *r) {
    return 100 * r->shard + r->group;
}
static uint64_t tag_id(uint32_t i, uint32_t k) {
    return rng_below(77, i, k, 9);
}

static enum status add_row(struct shard_builder *b, const struct log *l, uint32_t i) {
    struct feature f[4] = {{.field = 0, .weight = 1, .id = i}};
    size_t n = 1;
    for (uint32_t k = 0; k < i % 4; k++) {
        f[n++] = (struct feature){.field = 2, .weight = 0.5f + (float)k, .id = tag_id(i, k)};
    }
    return shard_builder_timed(b, 1000 + i, l->row[i].labels, &l->row[i].when, f, n);
}

/* Writes the log as a shard directory at `source`. */
static void write_log(struct log *l, uint64_t seed) {
    struct dataset d = {.shard_count = SOURCE_SHARDS, .seed = seed};
    struct shard_info infos[SOURCE_SHARDS];
    struct shard_builder *b = NULL;
    memset(l, 0, sizeof *l);
    assert_int_equal(file_remove_tree(source), OK);
    assert_int_equal(file_mkdirs(source), OK);
    assert_int_equal(schema_add(&d.schema, "item", SIDE_ITEM), OK);
    assert_int_equal(schema_add(&d.schema, "user", SIDE_USER), OK);
    assert_int_equal(schema_add(&d.schema, "tags", SIDE_ITEM), OK);
    assert_int_equal(shard_builder_create(&b), OK);
    for (uint32_t s = 0; s < SOURCE_SHARDS; s++) {
        const uint32_t groups = 1 + (uint32_t)rng_below(seed, s, 10, GROUPS_MAX);
        char name[32];
        for (uint32_t g = 0; g < groups; g++) {
            const struct feature user = {.field = 1, .weight = 1, .id = 100 * s + g};
            assert_int_equal(shard_builder_group(b, 7 * user.id, &user, 1), OK);
            for (uint64_t n = 1 + rng_below(seed, 100 * s + g, 11, PER_GROUP_MAX); n > 0; n--) {
                struct row *r = &l->row[l->rows];
                *r = (struct row){.shard = s, .group = g};
                draw_row(r, seed, l->rows);
                assert_int_equal(add_row(b, l, l->rows), OK);
                l->rows++;
            }
        }
        snprintf(name, sizeof name, "shard-%05u.bin", s);
        assert_int_equal(shard_builder_write(b, &d.schema, source, name, &infos[s]), OK);
    }
    shard_builder_destroy(&b);
    d.shards = infos;
    assert_int_equal(dataset_write(&d, source), OK);
}

/* --- the naive joiner: second by second, with what it has seen so far ------------------------- */

struct seen {
    uint64_t time;
    uint32_t impression;
    uint8_t labels, kind;
};
struct joiner {
    const struct records_rule *rule;
    const struct log *log;
    bool click[LOG_MAX], conversion[LOG_MAX], done[LOG_MAX]; /* known by now; emitted (dfm) */
    struct seen seen[SEEN_MAX];
    uint32_t count;
};

static void emit(struct joiner *j, uint64_t now, uint32_t i, unsigned labels,
                 enum record_kind kind) {
    assert_true(j->count < SEEN_MAX);
    j->seen[j->count++] = (struct seen){now, i, (uint8_t)labels, (uint8_t)kind};
}

static void close_click(struct joiner *j, uint64_t now, uint32_t i) {
    if (now != j->log->row[i].when.time + j->rule->click_window) {
        return;
    }
    if (!j->click[i]) {
        emit(j, now, i, 0, KIND_BOTH);
    } else if (j->rule->stream != STREAM_VANILLA) {
        emit(j, now, i, 1, KIND_CLICK);
    }
}

static void conversion_arrives(struct joiner *j, uint64_t now, uint32_t i) {
    const struct row *r = &j->log->row[i];
    const enum record_stream s = j->rule->stream;
    const bool late = now > r->when.click_time + j->rule->window || s == STREAM_FNW;
    j->conversion[i] = true;
    if (!late || s == STREAM_ORACLE || s == STREAM_DFM) {
        return;
    }
    emit(j, now, i, s == STREAM_VANILLA ? 3 : 7,
         s == STREAM_VANILLA ? KIND_BOTH
         : s == STREAM_DEFER ? KIND_FINAL
                             : KIND_LATE);
}

static void window_ends(struct joiner *j, uint64_t now, uint32_t i) {
    const struct row *r = &j->log->row[i];
    const enum record_stream s = j->rule->stream;
    const bool final = (r->labels & LABEL_CONVERSION) != 0 &&
                       r->when.conversion_time <= r->when.click_time + j->rule->attribution;
    const unsigned labels = (s == STREAM_ORACLE ? final : j->conversion[i]) ? 3 : 1;
    if (s == STREAM_DFM || s == STREAM_FNW) {
        return;
    }
    emit(j, now, i, labels, s == STREAM_VANILLA ? KIND_BOTH : KIND_CONVERSION);
    if (s == STREAM_DEFER && j->conversion[i]) {
        emit(j, now, i, 3, KIND_FINAL);
    }
}

static void tick(struct joiner *j, uint64_t now, uint32_t i) {
    const struct records_rule *rule = j->rule;
    const struct moment *m = &j->log->row[i].when;
    if (m->click_time == now && now <= m->time + rule->click_window) {
        j->click[i] = true;
        if (rule->stream == STREAM_FNW) {
            emit(j, now, i, 1, KIND_CONVERSION);
        }
    }
    if (j->click[i] && m->conversion_time == now && now - m->click_time <= rule->attribution) {
        conversion_arrives(j, now, i);
    }
    close_click(j, now, i);
    if (j->click[i] && now == m->click_time + rule->window) {
        window_ends(j, now, i);
    }
    if (rule->stream == STREAM_DEFER && j->click[i] && !j->conversion[i] &&
        now == m->click_time + rule->attribution) {
        emit(j, now, i, 1, KIND_FINAL);
    }
    if (rule->stream == STREAM_DFM && j->click[i] && !j->done[i] && now % rule->slice == 0 &&
        m->click_time + rule->window <= now) {
        j->done[i] = true;
        emit(j, now, i, j->conversion[i] ? 3 : 1, KIND_CONVERSION);
    }
}

static void walk(struct joiner *j, const struct records_rule *rule, const struct log *log) {
    memset(j, 0, sizeof *j);
    j->rule = rule;
    j->log = log;
    for (uint64_t now = BEGIN; now < BEGIN + 2000; now++) {
        for (uint32_t i = 0; i < log->rows; i++) {
            tick(j, now, i);
        }
    }
}

/* --- what was written ------------------------------------------------------------------------- */

static int by_all(const void *a, const void *b) {
    const struct seen *x = a, *y = b;
    const uint64_t left = (uint64_t)x->impression << 16 | x->labels << 8 | x->kind;
    const uint64_t right = (uint64_t)y->impression << 16 | y->labels << 8 | y->kind;
    return x->time != y->time ? (x->time > y->time) - (x->time < y->time)
                              : (left > right) - (left < right);
}

/* Features and times of record k of a shard are those of the impression. */
static void check_record(const struct shard *s, uint32_t group, uint32_t k, const struct log *l) {
    const uint32_t i = (uint32_t)s->impression_id[k] - 1000;
    const struct row *r = &l->row[i];
    const struct column *item = &s->column[1], *tags = &s->column[2], *user = &s->column[0];
    assert_true(i < l->rows);
    assert_int_equal(s->group_key[group], 7 * user_id(r));
    assert_int_equal(user->dict[user->code[user->start[group]]], user_id(r));
    assert_int_equal(user->start[group + 1] - user->start[group], 1);
    assert_int_equal(item->start[k + 1] - item->start[k], 1);
    assert_int_equal(item->dict[item->code[item->start[k]]], i);
    assert_int_equal(tags->start[k + 1] - tags->start[k], i % 4);
    for (uint32_t v = 0; v < i % 4; v++) {
        assert_int_equal(tags->dict[tags->code[tags->start[k] + v]], tag_id(i, v));
        assert_true(tags->weight[tags->start[k] + v] == 0.5f + (float)v);
    }
    assert_int_equal(s->click_time[k], (s->labels[k] & 1) != 0 ? r->when.click_time : 0);
    assert_int_equal(s->conversion_time[k], (s->labels[k] & 2) != 0 ? r->when.conversion_time : 0);
}

struct reading {
    struct seen seen[SEEN_MAX];
    uint32_t count;
    uint64_t slice; /* of the shard before */
    bool any;
};

/* Groups stand together, begin in the order of their first records, and keep the order of time. */
static void check_order(const struct shard *s) {
    for (uint32_t g = 0; g < s->groups; g++) {
        const uint32_t first = s->group_start[g];
        assert_true(g == 0 || s->time[first] >= s->time[s->group_start[g - 1]]);
        for (uint32_t k = first + 1; k < s->group_start[g + 1]; k++) {
            assert_true(s->time[k] >= s->time[k - 1]);
        }
        for (uint32_t h = 0; h < g; h++) {
            assert_true(s->group_key[h] != s->group_key[g]);
        }
    }
}

static void read_shard(struct reading *r, const struct shard *s, const struct records_rule *rule,
                       const struct log *l, bool whole) {
    const uint64_t slice = (s->time[0] - 1) / rule->slice;
    assert_non_null(s->kind);
    assert_true(!r->any || (whole ? slice > r->slice : slice >= r->slice));
    r->slice = slice;
    r->any = true;
    for (uint32_t g = 0; g < s->groups; g++) {
        for (uint32_t k = s->group_start[g]; k < s->group_start[g + 1]; k++) {
            assert_int_equal((s->time[k] - 1) / rule->slice, slice);
            check_record(s, g, k, l);
            assert_true(r->count < SEEN_MAX);
            r->seen[r->count++] = (struct seen){s->time[k], (uint32_t)s->impression_id[k] - 1000,
                                                s->labels[k], s->kind[k]};
        }
    }
    if (whole) {
        check_order(s);
    }
}

static void read_all(struct reading *r, const char *where, const struct records_rule *rule,
                     const struct log *l, bool whole) {
    struct dataset d;
    struct shard s;
    char path[PATH_BYTES_MAX];
    memset(r, 0, sizeof *r);
    assert_int_equal(dataset_read(&d, where), OK);
    assert_int_equal(dataset_verify(&d), OK);
    assert_string_equal(d.stream, streams_name(rule->stream));
    assert_string_equal(d.schema.fields[0].name, "user");
    assert_string_equal(d.schema.fields[1].name, "item");
    assert_string_equal(d.schema.fields[2].name, "tags");
    for (uint32_t k = 0; k < d.shard_count; k++) {
        assert_int_equal(shard_read(&s, where, d.shards[k].name, &d.schema), OK);
        read_shard(r, &s, rule, l, whole);
        shard_free(&s);
    }
    assert_int_equal(path_join(path, where, "end"), OK);
    assert_true(file_exists(path));
    dataset_free(&d);
}

static void compare(struct joiner *j, struct reading *r) {
    assert_int_equal(r->count, j->count);
    qsort(j->seen, j->count, sizeof *j->seen, by_all);
    qsort(r->seen, r->count, sizeof *r->seen, by_all);
    for (uint32_t k = 0; k < r->count; k++) {
        assert_int_equal(r->seen[k].time, j->seen[k].time);
        assert_int_equal(r->seen[k].impression, j->seen[k].impression);
        assert_int_equal(r->seen[k].labels, j->seen[k].labels);
        assert_int_equal(r->seen[k].kind, j->seen[k].kind);
    }
}

/* Every byte of both directories' shards. */
static void same_shards(uint32_t count) {
    for (uint32_t k = 0; k < count; k++) {
        char a[PATH_BYTES_MAX], name[32], *x = NULL, *y = NULL;
        size_t n = 0, m = 0;
        snprintf(name, sizeof name, "shard-%05u.bin", k);
        assert_int_equal(path_join(a, out, name), OK);
        assert_int_equal(file_read_all(a, 1 << 24, &x, &n), OK);
        assert_int_equal(path_join(a, out2, name), OK);
        assert_int_equal(file_read_all(a, 1 << 24, &y, &m), OK);
        assert_int_equal(n, m);
        assert_memory_equal(x, y, n);
        mem_free(&x);
        mem_free(&y);
    }
}

static void clean(void) {
    assert_int_equal(file_remove_tree(out), OK);
    assert_int_equal(file_remove_tree(out2), OK);
}

static void test_random(void **state) {
    struct log *l = NULL;
    struct joiner *j = NULL;
    struct reading *r = NULL;
    (void)state;
    assert_int_equal(mem_new(&l), OK);
    assert_int_equal(mem_new(&j), OK);
    assert_int_equal(mem_new(&r), OK);
    for (uint64_t seed = 1; seed <= 5; seed++) {
        write_log(l, seed);
        for (int s = 0; s < (int)STREAMS; s++) {
            struct records_options o = {.data = DIRS(source),
                                        .out = out,
                                        .rule = {.stream = (enum record_stream)s,
                                                 .click_window = 10 + rng_below(seed, 0, 20, 30),
                                                 .window = rng_below(seed, 0, 21, 120),
                                                 .attribution = 120 + rng_below(seed, 0, 22, 90),
                                                 .slice = 1 + rng_below(seed, 0, 23, 90)},
                                        .shard_impressions = SHARD_IMPRESSIONS_MAX,
                                        .memory = UINT64_MAX};
            struct records_summary sum, again;
            o.rule.window = s == STREAM_FNW ? 0 : o.rule.window;
            print_message("seed %llu, stream %d\n", (unsigned long long)seed, s);
            clean();
            walk(j, &o.rule, l);
            assert_int_equal(records_run(&o, &sum), OK);
            read_all(r, out, &o.rule, l, true);
            compare(j, r);
            assert_int_equal(sum.impressions, l->rows);
            assert_int_equal(sum.counts.count, j->count);
            assert_int_equal(sum.shards, sum.slices);
            o.out = out2; /* one source shard at a time: the same bytes */
            o.memory = 0;
            assert_int_equal(records_run(&o, &again), OK);
            assert_int_equal(again.shards, sum.shards);
            same_shards((uint32_t)sum.shards);
            assert_int_equal(file_remove_tree(out2), OK);
            o.shard_impressions = 3; /* slices of several shards: the same records */
            assert_int_equal(records_run(&o, &again), OK);
            assert_true(again.shards >= (sum.counts.count + 2) / 3 && again.slices == sum.slices);
            read_all(r, out2, &o.rule, l, false);
            compare(j, r);
        }
    }
    mem_free(&l);
    mem_free(&j);
    mem_free(&r);
}

/* --- refusals --------------------------------------------------------------------------------- */

static enum status records(const char *first, ...) {
    char *argv[24] = {(char *)(uintptr_t) "records"};
    int argc = 1;
    va_list more;
    va_start(more, first);
    for (const char *a = first; a != NULL; a = va_arg(more, const char *)) {
        argv[argc++] = (char *)(uintptr_t)a;
    }
    va_end(more);
    int exit_code;
    return command_run(&command_records, argc, argv, stdout, &exit_code);
}

static void says(enum status status, enum status want, const char *text) {
    assert_int_equal(status, want);
    if (strstr(fail_text(), text) == NULL) {
        fail_msg("it says '%s', expected '%s'", fail_text(), text);
    }
}

static void test_refused(void **state) {
    static struct log l;
    struct shard_builder *b = NULL;
    struct dataset d = {.shard_count = 1};
    struct shard_info info;
    (void)state;
    clean();
    write_log(&l, 3);
    says(records("--out", out, "--stream", "dfm", NULL), ERR_USAGE, "--data is missing");
    says(records("--data", source, "--stream", "dfm", NULL), ERR_USAGE, "--out is missing");
    says(records("--data", source, "--out", out, NULL), ERR_USAGE, "--stream is missing");
    says(records("--stream", "esdfm", NULL), ERR_USAGE,
         "expected vanilla, oracle, fnw, es-dfm, defer or dfm");
    says(records("--data", source, "--out", out, "--stream", "fnw", "--window", "5", NULL),
         ERR_USAGE, "--window must be 0");
    says(records("--data", source, "--out", out, "--stream", "dfm", "--window", "5",
                 "--attribution", "4", NULL),
         ERR_USAGE, "longer than --attribution");
    says(records("--data", source, "--out", out, "--stream", "dfm", "--slice", "0", NULL),
         ERR_USAGE, "--slice");
    says(records("--data", dir, "--out", out, "--stream", "dfm", NULL), ERR_NOT_FOUND, "manifest");
    assert_false(file_exists(out));
    assert_int_equal(records("--data", source, "--out", out, "--stream", "dfm", NULL), OK);
    says(records("--data", source, "--out", out, "--stream", "dfm", NULL), ERR_EXISTS, "exists");
    says(records("--data", out, "--out", out2, "--stream", "dfm", NULL), ERR_FORMAT,
         "holds records already");
    assert_int_equal(file_remove_tree(source), OK);
    assert_int_equal(file_mkdirs(source), OK);
    assert_int_equal(shard_builder_create(&b), OK);
    assert_int_equal(shard_builder_group(b, 1, NULL, 0), OK);
    assert_int_equal(shard_builder_impression(b, 1, 0, NULL, 0), OK);
    assert_int_equal(schema_add(&d.schema, "item", SIDE_ITEM), OK);
    assert_int_equal(shard_builder_write(b, &d.schema, source, "shard-00000.bin", &info), OK);
    shard_builder_destroy(&b);
    d.shards = &info;
    assert_int_equal(dataset_write(&d, source), OK);
    says(records("--data", source, "--out", out2, "--stream", "dfm", NULL), ERR_FORMAT,
         "has no times");
    assert_false(file_exists(out2));
}

static void test_memory_fails(void **state) {
    static struct log l;
    static struct reading r;
    const struct records_options o = {.data = DIRS(source),
                                      .out = out,
                                      .rule = {STREAM_ES_DFM, 30, 60, 200, 50},
                                      .shard_impressions = SHARD_IMPRESSIONS_MAX};
    struct records_summary sum;
    size_t n = 1;
    (void)state;
    write_log(&l, 4);
    for (enum status status = ERR_MEMORY; status != OK; n += 1 + n / 8) {
        char path[PATH_BYTES_MAX];
        clean();
        mem_fail_after(n);
        status = records_run(&o, &sum);
        mem_fail_after(0);
        assert_true(status == OK || status == ERR_MEMORY);
        assert_int_equal(path_join(path, out, "end"), OK);
        assert_int_equal(file_exists(path), status == OK);
    }
    assert_true(n > 30);
    read_all(&r, out, &o.rule, &l, true);
}

static int setup(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/esmm-test-records-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    snprintf(source, sizeof source, "%s/source", dir);
    snprintf(out, sizeof out, "%s/out", dir);
    snprintf(out2, sizeof out2, "%s/out2", dir);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    return file_remove_tree(dir) == OK ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_memory_fails),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
