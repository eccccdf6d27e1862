/* Deltas: whatever a job does between its cuts, a chain of them holds what a full checkpoint at the
 * place of its newest link holds, byte by byte. */
#include "ps/changes.h"

#include "common/checkpoint/compact.h"
#include "common/checkpoint/newest.h"
#include "common/checkpoint/scan.h"
#include "tests/world.h"

#define FULL_EVERY 6u
#define FLYING     3u
#define BESIDE     99u /* the cut of a full checkpoint that is made to compare with */

/* --- what a checkpoint holds ------------------------------------------------------------------ */

struct record {
    uint32_t unit;
    uint64_t id;
    uint8_t bytes[128];
};
struct content {
    const struct scan *scan;
    struct record *records;
    size_t count, cap;
    float *dense;
    size_t floats;
};

static enum status collect(void *arg, const struct part_chunk *chunk) {
    struct content *c = arg;
    assert_true(chunk->row_bytes <= sizeof c->records->bytes);
    TRY(mem_room(&c->records, &c->cap, c->count + chunk->count));
    for (size_t i = 0; i < chunk->count; i++) {
        struct record *r = &c->records[c->count++];
        memset(r, 0, sizeof *r);
        r->unit = 2 * chunk->table + (chunk->kind == PART_SIGHTINGS);
        r->id = load_u64(chunk->data + i * chunk->row_bytes);
        memcpy(r->bytes, chunk->data + i * chunk->row_bytes, chunk->row_bytes);
    }
    return OK;
}

static int by_id(const void *a, const void *b) {
    const struct record *x = a, *y = b;
    if (x->unit != y->unit) {
        return x->unit < y->unit ? -1 : 1;
    }
    return x->id < y->id ? -1 : x->id > y->id;
}

static void read_content(struct content *c, const char *dir) {
    struct scan *scan = NULL;
    const struct scan_filter filter = scan_all(SCAN_ROWS | SCAN_SIGHTINGS | SCAN_DENSE);
    const struct scan_filter records = scan_all(SCAN_ROWS | SCAN_SIGHTINGS);
    *c = (struct content){0};
    if (scan_create(&scan, dir) != OK || scan_each(scan, &records, collect, c) != OK ||
        scan_dense(scan, &c->dense) != OK) {
        fail_msg("%s: %s", dir, fail_text());
    }
    uint64_t bound = 0;
    assert_int_equal(scan_rows_bound(scan, &filter, &bound), OK);
    assert_true(bound >= c->count);
    c->floats = (1 + scan->dense_state) * scan->layout.count;
    if (c->count > 0) {
        qsort(c->records, c->count, sizeof *c->records, by_id);
    }
    scan_destroy(&scan);
}

static void free_content(struct content *c) {
    mem_free(&c->records);
    mem_free(&c->dense);
}

static void same_content(const char *a, const char *b) {
    struct content x, y;
    read_content(&x, a);
    read_content(&y, b);
    for (size_t i = 0; i < x.count && i < y.count; i++) {
        if (memcmp(&x.records[i], &y.records[i], sizeof *x.records) != 0) {
            fail_msg("%s and %s: record %zu: unit %u id %llu, and unit %u id %llu", a, b, i,
                     x.records[i].unit, (unsigned long long)x.records[i].id, y.records[i].unit,
                     (unsigned long long)y.records[i].id);
        }
    }
    assert_int_equal(x.count, y.count);
    assert_int_equal(x.floats, y.floats);
    assert_memory_equal(x.dense, y.dense, x.floats * sizeof(float));
    free_content(&x);
    free_content(&y);
}

/* --- a job that cuts -------------------------------------------------------------------------- */

struct line {
    struct world *w;
    struct world_job job;
    struct snapshot_writer *writer;
    char root[64], other[64]; /* chains, and full ones beside them */
    char newest[PATH_BYTES_MAX];
    struct manifest_base base; /* the newest committed cut */
    uint32_t pushed, cuts;
    uint64_t seed;
    uint64_t changed;        /* records of the newest cut */
    bool still;              /* nothing is pushed while a cut is written */
    uint32_t deltas, wholes; /* parts */
};

/* In memory: each part is synced. */
static void line_dir(char out[64]) {
    snprintf(out, 64, "/dev/shm/esmm-test-XXXXXX");
    if (mkdtemp(out) == NULL) {
        world_dir(out);
    }
}

static void line_start(struct line *l, uint64_t seed, const char *const *settings,
                       uint32_t partitions) {
    *l = (struct line){.seed = seed, .w = world_create(seed)};
    for (; *settings != NULL; settings++) {
        world_set(l->w, *settings);
    }
    l->w->id_space = 1500;
    world_finish(l->w);
    world_start(&l->job, l->w, partitions);
    line_dir(l->root);
    line_dir(l->other);
    assert_int_equal(snapshot_writer_start(&l->writer), OK);
}

static void line_end(struct line *l) {
    world_stop(&l->job);
    snapshot_writer_stop(&l->writer);
    world_dir_remove(l->root);
    world_dir_remove(l->other);
    mem_free(&l->w);
}

static void commit(struct line *l, const char *dir, const struct part_info *infos, uint64_t cut,
                   const struct manifest_base *base) {
    struct buf text = BUF_EMPTY, applied = BUF_EMPTY;
    struct manifest m = world_manifest(infos, l->job.count);
    assert_int_equal(config_text(&l->w->config, &text), OK);
    assert_int_equal(buf_put_u8(&text, 0), OK);
    assert_int_equal(applied_encode(l->job.p[0]->domains.list[0].applied, &applied), OK);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < m.part_count; i++) {
        m.parts[i].whole = infos[i].whole;
        bytes += m.parts[i].bytes;
    }
    m.step = l->cuts;
    m.cut = cut;
    m.seed = l->w->config.seed;
    m.rate_ctr = m.rate_cvr = 0.1;
    m.config_text = (char *)text.data;
    m.schema = l->w->schema;
    m.batches_per_shard = (uint32_t *)(uintptr_t)world_plan;
    m.shards = WORLD_SHARDS;
    m.applied = applied.data;
    m.applied_bytes = applied.len;
    if (base != NULL) {
        m.base = *base;
        m.base.depth++;
        m.base.delta_bytes += bytes;
    }
    assert_int_equal(manifest_write(&m, dir), OK);
    buf_fini(&text);
    buf_fini(&applied);
    mem_free(&m.parts);
}

static void cut_into(struct line *l, const char *dir, uint64_t cut, bool delta,
                     struct part_info *infos) {
    for (uint32_t i = 0; i < l->job.count; i++) {
        const struct cut_order order = {.dir = dir,
                                        .index = i,
                                        .count = l->job.count,
                                        .cut = cut,
                                        .committed = cut == BESIDE ? 0 : l->base.cut,
                                        .delta = delta};
        assert_int_equal(partition_cut_since(l->job.p[i], l->writer, &order), OK);
        /* Pushes go on while the cut is written. */
        if (cut != BESIDE && !l->still) {
            world_push(l->w, l->job.p[i], l->pushed);
        }
        if (world_cut_wait(l->job.p[i], &infos[i], NULL) != OK) {
            fail_msg("cut: %s", fail_text());
        }
    }
    l->pushed += cut != BESIDE && !l->still;
}

/* A full checkpoint of the partitions as they are now, with no trace in what they remember. */
static void full_beside(struct line *l, char *dir, const char *name) {
    struct part_info infos[WORLD_PARTITIONS_MAX];
    assert_int_equal(path_join(dir, l->other, name), OK);
    assert_int_equal(file_remove_tree(dir), OK);
    assert_int_equal(file_mkdirs(dir), OK);
    const uint32_t every = l->w->config.full_every;
    l->w->config.full_every = 1;
    cut_into(l, dir, BESIDE, false, infos);
    l->w->config.full_every = every;
    commit(l, dir, infos, BESIDE, NULL);
}

/* Cuts; `lost`: the coordinator does not commit it. Compares it with a full one. */
static void line_cut(struct line *l, bool lost) {
    struct part_info infos[WORLD_PARTITIONS_MAX];
    char name[32], dir[PATH_BYTES_MAX], full[PATH_BYTES_MAX];
    const bool delta = l->base.cut != 0 && l->base.depth + 1 < FULL_EVERY;
    const uint64_t cut = rng_u64(l->seed, 77, l->cuts) | 1;
    manifest_dir_name(++l->cuts, name);
    assert_int_equal(path_join(dir, l->root, name), OK);
    assert_int_equal(file_mkdirs(dir), OK);
    full_beside(l, full, "now");
    cut_into(l, dir, cut, delta, infos);
    l->changed = 0;
    bool whole = true;
    for (uint32_t i = 0; i < l->job.count; i++) {
        l->changed += infos[i].rows;
        l->deltas += delta && !infos[i].whole;
        l->wholes += delta && infos[i].whole;
        whole = whole && (!delta || infos[i].whole);
    }
    commit(l, dir, infos, cut, whole ? NULL : &l->base);
    same_content(full, dir);
    if (lost) {
        assert_int_equal(file_remove_tree(dir), OK);
        return;
    }
    struct manifest m;
    assert_int_equal(manifest_read(&m, dir), OK);
    l->base.step = m.step;
    l->base.cut = m.cut;
    l->base.depth = whole ? 0 : m.base.depth;
    manifest_free(&m);
    memcpy(l->newest, dir, sizeof l->newest);
}

/* For eval and predict: the rows that count, and no others. */
static void read_only_rows(struct line *l, const struct manifest *m) {
    struct partition_spec spec = world_spec(l->w, 0, 1);
    struct partition *p = NULL;
    struct partition_stats stats;
    struct content c;
    uint64_t rows = 0;
    spec.read_only = true;
    assert_int_equal(partition_create(&p, &spec), OK);
    assert_int_equal(partition_restore(p, l->newest, m), OK);
    partition_stats(p, &stats);
    read_content(&c, l->newest);
    for (size_t i = 0; i < c.count; i++) {
        rows += c.records[i].unit % 2 == 0;
    }
    assert_int_equal(stats.rows_total, rows);
    free_content(&c);
    partition_destroy(&p);
}

/* The job dies and goes on from the newest checkpoint with so many partitions. */
static void line_resume(struct line *l, uint32_t partitions) {
    struct manifest m;
    char again[PATH_BYTES_MAX];
    world_stop(&l->job);
    assert_int_equal(manifest_read(&m, l->newest), OK);
    world_start(&l->job, l->w, partitions);
    for (uint32_t i = 0; i < partitions; i++) {
        if (partition_restore(l->job.p[i], l->newest, &m) != OK) {
            fail_msg("%s: %s", l->newest, fail_text());
        }
    }
    read_only_rows(l, &m);
    manifest_free(&m);
    full_beside(l, again, "again");
    same_content(again, l->newest);
}

static void line_push(struct line *l, uint32_t batches) {
    for (uint32_t n = 0; n < batches; n++, l->pushed++) {
        world_push_all(&l->job, l->pushed);
    }
    for (uint32_t i = 0; i < l->job.count; i++) { /* some in flight */
        for (uint32_t k = 0; k < FLYING; k++) {
            if (rng_below(l->seed, l->pushed, i, k + 2) == 0) {
                world_push(l->w, l->job.p[i], l->pushed + k);
            }
        }
    }
}

static void run_history(uint64_t seed, const char *const *settings, uint32_t cuts) {
    struct line l;
    line_start(&l, seed, settings, 1 + (uint32_t)rng_below(seed, 1, 0, 4));
    for (uint32_t k = 0; k < cuts; k++) {
        line_push(&l, (uint32_t)rng_below(seed, 2, k, 12));
        line_cut(&l, rng_below(seed, 3, k, 4) == 0);
        if (l.base.cut != 0 && rng_below(seed, 4, k, 3) == 0) {
            line_resume(&l, 1 + (uint32_t)rng_below(seed, 5, k, 5));
        }
    }
    /* Marks are kept and used: hardly any part had to be whole. */
    assert_true(l.deltas > l.wholes);
    line_end(&l);
}

static const char *const plain[] = {"checkpoint.full_every=6", NULL};
static const char *const aging[] = {"checkpoint.full_every=6", "table.evict_age=25",
                                    "field.item.admit_after=2", NULL};
static const char *const coded[] = {"checkpoint.full_every=6", "table.evict_age=40",
                                    "table.state=u8", "table.weights=bf16", NULL};
static const char *const ordered[] = {"checkpoint.full_every=6", "train.deterministic=true",
                                      "field.shop.admit_after=3", "table.evict_age=30", NULL};

static void test_histories(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        run_history(seed, plain, 12);
        run_history(100 + seed, aging, 16);
        run_history(200 + seed, coded, 12);
        run_history(300 + seed, ordered, 12);
    }
}

/* --- rows that make room ---------------------------------------------------------------------- */

static void test_evicted(void **state) {
    (void)state;
    static const char *const settings[] = {"checkpoint.full_every=6", "server.memory_policy=evict",
                                           "field.item.admit_after=2", NULL};
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct line l;
        line_start(&l, seed, settings, 2);
        uint64_t evicted = 0;
        line_push(&l, 20);
        for (uint32_t i = 0; i < l.job.count; i++) {
            l.job.p[i]->spec.memory_bytes = partition_bytes(l.job.p[i]) + 20000;
        }
        for (uint32_t k = 0; k < 14; k++) {
            line_push(&l, 5);
            for (uint32_t i = 0; k == 8 && i <= GONE_MIN; i++) { /* more than the list takes */
                changes_gone(l.job.p[1], &l.job.p[1]->fields[0].rows, 1000000 + i);
            }
            line_cut(&l, k % 5 == 4);
        }
        for (uint32_t i = 0; i < l.job.count; i++) {
            evicted += l.job.p[i]->counts.evicted_memory;
        }
        assert_true(evicted > 100);
        assert_true(l.deltas > 10 && l.wholes == 1);
        line_resume(&l, 3); /* without the limit */
        line_end(&l);
    }
}

/* More are gone than the list takes: the part is whole, and the next one a delta again. */
static void test_too_many_gone(void **state) {
    (void)state;
    struct line l;
    line_start(&l, 9, plain, 2);
    line_push(&l, 20);
    line_cut(&l, false);
    line_push(&l, 3);
    struct partition *p = l.job.p[1];
    for (uint32_t i = 0; i <= GONE_MIN; i++) {
        changes_gone(p, &p->fields[0].rows, 1000000 + i);
    }
    line_cut(&l, false);
    assert_int_equal(l.wholes, 1);
    line_push(&l, 3);
    line_cut(&l, false);
    assert_int_equal(l.wholes, 1);
    assert_int_equal(l.base.depth, 2);
    line_resume(&l, 3);
    line_end(&l);
}

/* --- what it costs ---------------------------------------------------------------------------- */

/* A part has the rows that changed and no others, also if the cut before was not committed. */
static void test_only_changed(void **state) {
    (void)state;
    struct line l;
    line_start(&l, 5, plain, 1);
    line_push(&l, 60);
    line_cut(&l, false);
    const uint64_t all = l.changed;
    line_cut(&l, false); /* one batch since: the one that came while the full one was written */
    const uint64_t one = world_batch(l.w, l.pushed - 2).total;
    assert_int_equal(l.changed, one);
    assert_true(all > 10 * one);
    line_cut(&l, true);
    assert_int_equal(l.changed, world_batch(l.w, l.pushed - 2).total);
    line_cut(&l, false); /* both batches */
    assert_true(l.changed > world_batch(l.w, l.pushed - 2).total);
    assert_true(l.changed <=
                world_batch(l.w, l.pushed - 2).total + world_batch(l.w, l.pushed - 3).total);
    line_end(&l);
}

/* Few rows change between cuts, so most blocks have no mark; half of the cuts are not committed. */
static void test_sparse(void **state) {
    (void)state;
    struct line l;
    line_start(&l, 12, plain, 1);
    l.w->id_space = 20000;
    line_push(&l, 120);
    l.still = true;
    for (uint32_t k = 0; k < 60; k++) {
        const uint32_t counts[WORLD_FIELDS] = {1, 0, 0};
        const uint64_t id = rng_below(12, k, 1, 24000); /* of a row, or new */
        const struct key_list keys = {.counts = counts, .ids = &id, .total = 1};
        const size_t floats = partition_pull_floats(l.job.p[0], &keys, true);
        float *g = NULL;
        struct push_result result;
        assert_int_equal(mem_array(&g, floats), OK);
        for (size_t i = 0; i < floats; i++) {
            g[i] = 0.25f;
        }
        assert_int_equal(partition_push(l.job.p[0], world_batch(l.w, l.pushed++).name, 1, 0, &keys,
                                        g, floats, &result),
                         OK);
        mem_free(&g);
        line_cut(&l, rng_below(12, k, 2, 2) == 0);
    }
    assert_true(l.deltas > 40 && l.wholes == 0);
    line_end(&l);
}

/* Without deltas nothing is remembered. */
static void test_off(void **state) {
    (void)state;
    static const char *const settings[] = {"checkpoint.full_every=1", NULL};
    struct line l;
    line_start(&l, 6, settings, 1);
    line_push(&l, 10);
    line_cut(&l, false);
    assert_int_equal(l.job.p[0]->changes.bytes, 0);
    assert_int_equal(l.job.p[0]->fields[0].rows.marks.words, 0);
    line_end(&l);
}

/* --- other settings --------------------------------------------------------------------------- */

/* After a resume with another age, or cells of other kinds, a delta would not tell the truth. */
static void test_settings_change(void **state) {
    (void)state;
    static const char *const changes[] = {"table.evict_age=60", "table.state=bf16",
                                          "field.item.admit_after=1", NULL};
    for (const char *const *change = changes; *change != NULL; change++) {
        struct line l;
        line_start(&l, 7, aging, 2);
        for (uint32_t k = 0; k < 3; k++) {
            line_push(&l, 15);
            line_cut(&l, false);
        }
        assert_int_equal(l.base.depth, 2);
        struct manifest m;
        world_stop(&l.job);
        world_set(l.w, *change);
        world_start(&l.job, l.w, 2);
        assert_int_equal(manifest_read(&m, l.newest), OK);
        for (uint32_t i = 0; i < 2; i++) {
            assert_int_equal(partition_restore(l.job.p[i], l.newest, &m), OK);
        }
        manifest_free(&m);
        line_push(&l, 15);
        line_cut(&l, false);
        assert_int_equal(l.base.depth, 0);
        assert_int_equal(l.wholes, 2);
        line_end(&l);
    }
}

/* --- compaction ------------------------------------------------------------------------------- */

static void test_compact(void **state) {
    (void)state;
    struct line l;
    char middle[PATH_BYTES_MAX], before[PATH_BYTES_MAX];
    struct content a, b;
    struct manifest m, n;
    line_start(&l, 8, aging, 3);
    for (uint32_t k = 0; k < 3; k++) {
        line_push(&l, 12);
        line_cut(&l, false);
    }
    memcpy(middle, l.newest, sizeof middle);
    line_push(&l, 12);
    line_cut(&l, false);
    read_content(&a, middle);
    assert_int_equal(manifest_read(&m, middle), OK);
    assert_int_equal(m.base.depth, 2);
    assert_int_equal(checkpoint_compact(middle), OK);
    assert_int_equal(manifest_read(&n, middle), OK);
    assert_null(manifest_base(&n));
    assert_int_equal(n.cut, m.cut);
    assert_int_equal(n.step, m.step);
    read_content(&b, middle);
    assert_int_equal(a.count, b.count);
    assert_memory_equal(a.records, b.records, a.count * sizeof *a.records);
    assert_memory_equal(a.dense, b.dense, a.floats * sizeof(float));
    free_content(&a);
    free_content(&b);
    /* What it was made against may go; the delta on top of it still reads. */
    for (uint64_t step = 1; step < m.step; step++) {
        char name[32];
        manifest_dir_name(step, name);
        assert_int_equal(path_join(before, l.root, name), OK);
        assert_int_equal(file_remove_tree(before), OK);
    }
    line_resume(&l, 2);
    line_push(&l, 5);
    line_cut(&l, false);
    assert_int_equal(checkpoint_compact(middle), OK); /* again: nothing to do */
    manifest_free(&m);
    manifest_free(&n);
    line_end(&l);
}

/* --- damage ----------------------------------------------------------------------------------- */

static void refused(struct line *l, const char *first, const char *second) {
    struct scan *scan = NULL;
    struct manifest m;
    struct partition *p = NULL;
    const struct partition_spec spec = world_spec(l->w, 0, 1);
    assert_int_equal(manifest_read(&m, l->newest), OK);
    assert_int_equal(scan_create(&scan, l->newest), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), first));
    assert_non_null(strstr(fail_text(), second));
    assert_int_equal(partition_create(&p, &spec), OK);
    assert_int_equal(partition_restore(p, l->newest, &m), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), first));
    partition_destroy(&p);
    manifest_free(&m);
}

static void test_links(void **state) {
    (void)state;
    struct line l;
    char link[PATH_BYTES_MAX], aside[PATH_BYTES_MAX], path[PATH_BYTES_MAX], name[32];
    line_start(&l, 10, plain, 2);
    for (uint32_t k = 0; k < 4; k++) {
        line_push(&l, 12);
        line_cut(&l, false);
    }
    manifest_dir_name(2, name);
    assert_int_equal(path_join(link, l.root, name), OK);
    assert_int_equal(path_join(aside, l.root, "aside"), OK);
    assert_int_equal(file_rename(link, aside), OK);
    refused(&l, "step-000000000003 is a delta, and its base", "step-000000000002/manifest");
    /* A job that goes on takes the newest one that has all it needs. */
    struct newest newest;
    assert_int_equal(newest_good(l.root, &newest), OK);
    assert_int_equal(newest.step, 1);
    assert_int_equal(newest.passed_count, 2);
    newest_free(&newest);
    /* Another checkpoint of the same step. */
    struct manifest m;
    assert_int_equal(manifest_read(&m, aside), OK);
    m.cut ^= 2;
    assert_int_equal(file_mkdirs(link), OK);
    assert_int_equal(manifest_write(&m, link), OK);
    refused(&l, "is a delta against cut", "step-000000000002 is of cut");
    assert_int_equal(file_remove_tree(link), OK);
    assert_int_equal(file_rename(aside, link), OK);
    /* A damaged part of a link. */
    assert_int_equal(path_join(path, link, m.parts[1].name), OK);
    char *bytes = NULL;
    size_t n = 0;
    assert_int_equal(file_read_all(path, 1 << 24, &bytes, &n), OK);
    bytes[n / 2] ^= 1;
    assert_int_equal(file_write_atomic(path, bytes, n), OK);
    struct scan *scan = NULL;
    struct content c = {0};
    const struct scan_filter filter = scan_all(SCAN_ROWS | SCAN_SIGHTINGS);
    assert_int_equal(scan_create(&scan, l.newest), OK);
    assert_int_equal(scan_each(scan, &filter, collect, &c), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), path));
    assert_non_null(strstr(fail_text(), "offset"));
    scan_destroy(&scan);
    free_content(&c);
    mem_free(&bytes);
    manifest_free(&m);
    line_end(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histories),
        cmocka_unit_test(test_evicted),
        cmocka_unit_test(test_too_many_gone),
        cmocka_unit_test(test_only_changed),
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_sparse),
        cmocka_unit_test(test_settings_change),
        cmocka_unit_test(test_compact),
        cmocka_unit_test(test_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
