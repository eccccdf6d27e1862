/* world.h - a small job for the tests of ps/: a configuration, a schema, a plan, partitions, and
 * random batches whose gradients depend on (seed, batch, field, id) alone. A dump of the partitions
 * lists what they hold, sorted, so that two jobs can be compared whatever their slots and servers.
 * */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "ps/restore.h"
#include "ps/table/optimizer.h"
#include "ps/partition_state.h"
#include "ps/snapshot.h"
#include "ps/snapshot_writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define WORLD_FIELDS         3u
#define WORLD_SHARDS         3u
#define WORLD_EPOCHS         8u
#define WORLD_IDS_MAX        64u /* of one field in one batch */
#define WORLD_PARTITIONS_MAX 8u
#define WORLD_FLOATS_MAX     8192u

static const uint32_t world_plan[WORLD_SHARDS] = {17, 9, 24};
#define WORLD_BATCHES 50u /* an epoch's */

/* Of a world that is a stream: one epoch, shards known only by their pushes. */
#define WORLD_STREAM_SHARDS 16u
static const uint32_t world_stream_plan[WORLD_STREAM_SHARDS] = {7, 9, 7, 9, 7, 9, 7, 9,
                                                                7, 9, 7, 9, 7, 9, 7, 9};

struct world {
    uint64_t seed;
    uint32_t id_space; /* ids are drawn from [0, id_space), small ones more often */
    struct config config;
    struct schema schema;
    struct layout layout;
    uint64_t memory_bytes;
    bool stream;
};

struct world_batch {
    struct batch_name name;
    uint32_t counts[WORLD_FIELDS];
    uint64_t ids[WORLD_FIELDS * WORLD_IDS_MAX];
    size_t total;
};

/* What one partition is sent of a batch. */
struct world_request {
    uint32_t counts[WORLD_FIELDS];
    uint64_t ids[WORLD_FIELDS * WORLD_IDS_MAX];
    struct key_list keys;
    float gradients[WORLD_FLOATS_MAX];
    size_t floats;
};

struct world_job {
    const struct world *world;
    struct partition *p[WORLD_PARTITIONS_MAX];
    uint32_t count;
};

static inline void world_set(struct world *w, const char *assignment) {
    const enum status status = config_set(&w->config, assignment);
    if (status != OK) {
        fail_msg("%s: %s", assignment, fail_text());
    }
}

/* Call after all settings. */
static inline void world_finish(struct world *w) {
    assert_int_equal(layout_init(&w->layout, &w->config, &w->schema, 0.1, 0.1), OK);
}

static inline struct world *world_create(uint64_t seed) {
    struct world *w = NULL;
    assert_int_equal(mem_new(&w), OK);
    w->seed = seed;
    w->id_space = 600;
    config_default(&w->config);
    world_set(w, "table.dim=5");
    world_set(w, "table.init_scale=0.1");
    world_set(w, "model.tower=7,4");
    assert_int_equal(schema_add(&w->schema, "user", SIDE_USER), OK);
    assert_int_equal(schema_add(&w->schema, "item", SIDE_ITEM), OK);
    assert_int_equal(schema_add(&w->schema, "shop", SIDE_ITEM), OK);
    schema_finish(&w->schema);
    world_finish(w);
    return w;
}

static inline struct partition_spec world_spec(const struct world *w, uint32_t index,
                                               uint32_t count) {
    return (struct partition_spec){.config = &w->config,
                                   .schema = &w->schema,
                                   .layout = &w->layout,
                                   .batches_per_shard = w->stream ? world_stream_plan : world_plan,
                                   .shards = w->stream ? 0 : WORLD_SHARDS,
                                   .grows = w->stream,
                                   .bucket_begin = BUCKETS * index / count,
                                   .bucket_end = BUCKETS * (index + 1) / count,
                                   .memory_bytes = w->memory_bytes};
}

/* known: shards of a stream that are known from the beginning. */
static inline void world_start_known(struct world_job *job, const struct world *w, uint32_t count,
                                     uint32_t known) {
    *job = (struct world_job){.world = w, .count = count};
    for (uint32_t i = 0; i < count; i++) {
        struct partition_spec spec = world_spec(w, i, count);
        spec.shards = w->stream ? known : spec.shards;
        assert_int_equal(partition_create(&job->p[i], &spec), OK);
    }
}

static inline void world_start(struct world_job *job, const struct world *w, uint32_t count) {
    world_start_known(job, w, count, 0);
}

static inline void world_stop(struct world_job *job) {
    for (uint32_t i = 0; i < job->count; i++) {
        partition_destroy(&job->p[i]);
    }
}

/* The n-th batch of the job: names in order of epoch, shard, batch. */
static inline struct world_batch world_batch(const struct world *w, uint32_t n) {
    const uint32_t *plan = w->stream ? world_stream_plan : world_plan;
    struct world_batch b = {.name = {.epoch = n / WORLD_BATCHES, .batch = n % WORLD_BATCHES}};
    if (w->stream) {
        b.name = (struct batch_name){.batch = n};
    }
    while (b.name.batch >= plan[b.name.shard]) {
        b.name.batch -= plan[b.name.shard++];
    }
    for (uint32_t f = 0; f < WORLD_FIELDS; f++) {
        const uint32_t want = (uint32_t)rng_below(w->seed, n, f, WORLD_IDS_MAX + 1);
        for (uint32_t i = 0; i < want; i++) {
            const double u = rng_unit(w->seed, (uint64_t)n << 8 | f, i);
            const uint64_t id = (uint64_t)((double)w->id_space * u * u);
            bool twice = false;
            for (uint32_t k = 0; k < b.counts[f]; k++) {
                twice = twice || b.ids[b.total - 1 - k] == id;
            }
            if (!twice) {
                b.ids[b.total++] = id;
                b.counts[f]++;
            }
        }
    }
    return b;
}

static inline float world_gradient(const struct world *w, struct batch_name n, uint32_t field,
                                   uint64_t id, uint32_t i) {
    const uint64_t name = (uint64_t)n.epoch << 32 | n.shard << 16 | n.batch;
    return (float)rng_unit(w->seed + 1, name, id << 16 | field << 12 | i) - 0.5f;
}

static inline void world_request(const struct world *w, const struct world_batch *b,
                                 const struct partition *p, struct world_request *r) {
    size_t at = 0;
    uint64_t begin, end;
    *r = (struct world_request){0};
    for (uint32_t f = 0; f < WORLD_FIELDS; f++) {
        for (uint32_t i = 0; i < b->counts[f]; i++, at++) {
            const uint32_t bucket = key_bucket(&p->fields[f], b->ids[at]);
            if (bucket < p->spec.bucket_begin || bucket >= p->spec.bucket_end) {
                continue;
            }
            r->ids[r->keys.total++] = b->ids[at];
            r->counts[f]++;
            for (uint32_t k = 0; k < w->layout.dim[f]; k++) {
                r->gradients[r->floats++] = world_gradient(w, b->name, f, b->ids[at], k);
            }
        }
    }
    begin = p->dense.begin;
    end = p->dense.end;
    for (uint64_t k = begin; k < end; k++) {
        r->gradients[r->floats++] = world_gradient(w, b->name, WORLD_FIELDS, k, 0);
    }
    assert_true(r->floats <= WORLD_FLOATS_MAX);
    r->keys.counts = r->counts;
    r->keys.ids = r->ids;
}

/* Pulls and pushes a batch at one partition; odd batches come back with their ticket. */
static inline struct push_result world_push(const struct world *w, struct partition *p,
                                            uint32_t n) {
    static struct world_request r;
    static float values[WORLD_FLOATS_MAX];
    const struct world_batch b = world_batch(w, n);
    struct pull_result pulled;
    struct push_result pushed;
    world_request(w, &b, p, &r);
    assert_int_equal(partition_serve_pull(p, &r.keys, true, n % 2 == 1, n, values, &pulled), OK);
    if (w->stream) {
        assert_int_equal(partition_grow(p, b.name.shard, world_stream_plan[b.name.shard]), OK);
    }
    const enum status status =
        partition_push(p, b.name, 1, pulled.ticket, pulled.ticket != 0 ? NULL : &r.keys,
                       r.gradients, r.floats, &pushed);
    if (status != OK) {
        fail_msg("batch %u: %s", n, fail_text());
    }
    return pushed;
}

static inline void world_push_all(struct world_job *job, uint32_t n) {
    for (uint32_t i = 0; i < job->count; i++) {
        world_push(job->world, job->p[i], n);
    }
}

/* --- dumps ------------------------------------------------------------------------------------ */

struct world_record {
    uint32_t unit;
    uint32_t step, last, floats;
    uint64_t id;
    float data[16];
};
struct world_dump {
    struct world_record *records;
    size_t count;
    float *dense; /* w, s0, s1 of each float */
    size_t floats;
    struct applied *applied; /* of the whole, where all domains agree; else of the first */
    uint32_t domains;
};

static inline int world_compare(const void *a, const void *b) {
    const struct world_record *x = a, *y = b;
    if (x->unit != y->unit) {
        return x->unit < y->unit ? -1 : 1;
    }
    return x->id < y->id ? -1 : x->id > y->id;
}

static inline void world_dump_store(struct world_dump *d, const struct partition *p,
                                    const struct field_rows *f, const struct store *s) {
    const uint32_t slots = s->table == NULL ? 0 : table_slots(s->table);
    for (uint32_t h = 0; h < slots; h++) {
        const struct row *row = table_row(s->table, h);
        if (row->step == 0 || row_expired(row, s->evict_age, key_domain(p, f, row->id)->clock)) {
            continue;
        }
        struct world_record *r = &d->records[d->count++];
        r->unit = s->unit;
        r->id = row->id;
        r->step = row->step;
        r->last = row->last;
        r->floats = s == &f->rows
                        ? f->config.dim + optimizer_state_floats(f->config.opt.kind, f->config.dim)
                        : 0;
        assert_true(r->floats <= 16);
        memcpy(r->data, row->data, r->floats * sizeof(float));
    }
}

static inline struct world_dump world_dump(const struct world_job *job) {
    struct world_dump d = {0};
    size_t slots = 0;
    for (uint32_t i = 0; i < job->count; i++) {
        for (uint32_t f = 0; f < WORLD_FIELDS; f++) {
            const struct field_rows *r = &job->p[i]->fields[f];
            slots += table_slots(r->rows.table);
            slots += r->sightings.table == NULL ? 0 : table_slots(r->sightings.table);
        }
        d.domains += job->p[i]->domains.count;
    }
    d.floats = 3 * (size_t)job->world->layout.count;
    assert_int_equal(mem_array(&d.records, slots), OK);
    assert_int_equal(mem_array(&d.dense, d.floats), OK);
    for (uint32_t i = 0; i < job->count; i++) {
        const struct partition *p = job->p[i];
        for (uint32_t f = 0; f < WORLD_FIELDS; f++) {
            world_dump_store(&d, p, &p->fields[f], &p->fields[f].rows);
            world_dump_store(&d, p, &p->fields[f], &p->fields[f].sightings);
        }
        for (uint64_t k = p->dense.begin; k < p->dense.end; k++) {
            const size_t at = (size_t)(k - p->dense.begin);
            d.dense[3 * k] = p->dense.w[at];
            d.dense[3 * k + 1] = p->dense.s[0] == NULL ? 0 : p->dense.s[0][at];
            d.dense[3 * k + 2] = p->dense.s[1] == NULL ? 0 : p->dense.s[1][at];
        }
    }
    if (d.count > 0) {
        qsort(d.records, d.count, sizeof *d.records, world_compare);
    }
    assert_int_equal(applied_copy(&d.applied, job->p[0]->domains.list[0].applied), OK);
    for (uint32_t s = 0; job->world->stream && s < WORLD_STREAM_SHARDS; s++) {
        assert_int_equal(applied_grow(d.applied, s, world_stream_plan[s]), OK);
    }
    return d;
}

static inline void world_dump_free(struct world_dump *d) {
    mem_free(&d->records);
    mem_free(&d->dense);
    applied_destroy(&d->applied);
}

static inline void world_same(const struct world_dump *a, const struct world_dump *b,
                              const char *what) {
    if (a->count != b->count) {
        fail_msg("%s: %zu records and %zu", what, a->count, b->count);
    }
    for (size_t i = 0; i < a->count; i++) {
        if (memcmp(&a->records[i], &b->records[i], sizeof a->records[i]) != 0) {
            fail_msg("%s: record %zu: unit %u id %llu step %u last %u, and unit %u id %llu step "
                     "%u last %u",
                     what, i, a->records[i].unit, (unsigned long long)a->records[i].id,
                     a->records[i].step, a->records[i].last, b->records[i].unit,
                     (unsigned long long)b->records[i].id, b->records[i].step, b->records[i].last);
        }
    }
    assert_int_equal(a->floats, b->floats);
    assert_memory_equal(a->dense, b->dense, a->floats * sizeof(float));
    assert_true(applied_equal(a->applied, b->applied));
}

/* --- checkpoints ------------------------------------------------------------------------------ */

/* A fresh directory under /tmp; removed by world_dir_remove. */
static inline void world_dir(char out[64]) {
    snprintf(out, 64, "/tmp/esmm-test-XXXXXX");
    assert_non_null(mkdtemp(out));
}
static inline void world_dir_remove(const char *dir) {
    assert_int_equal(file_remove_tree(dir), OK);
}

/* Whether p's snapshot has ended; its names go into *names (freed before; NULL: not wanted). */
static inline bool world_cut_done(struct partition *p, enum status *status, struct part_info *info,
                                  struct applied **names) {
    if (!partition_cut_done(p, status, info)) {
        return false;
    }
    assert_int_equal(info->applied.len > 0, *status == OK);
    if (*status == OK && names != NULL) {
        applied_destroy(names);
        const bool stream = p->spec.grows;
        assert_int_equal(applied_decode(names, info->applied.data, info->applied.len,
                                        stream ? world_stream_plan : world_plan,
                                        stream ? WORLD_STREAM_SHARDS : WORLD_SHARDS),
                         OK);
    }
    buf_fini(&info->applied);
    return true;
}

/* Steps p's snapshot to its end. */
static inline enum status world_cut_wait(struct partition *p, struct part_info *info,
                                         struct applied **names) {
    enum status status = OK;
    bool busy;
    const uint64_t deadline = clock_mono_ms() + 60000;
    while (!world_cut_done(p, &status, info, names)) {
        assert_int_equal(partition_tick(p, 0, &busy), OK);
        assert_true(clock_left_ms(deadline) > 0);
        if (!busy) {
            clock_sleep_ms(1);
        }
    }
    return status;
}

/* What the coordinator would write, as far as a restore reads it. */
static inline struct manifest world_manifest(const struct part_info *infos, uint32_t count) {
    struct manifest m = {.part_count = count};
    assert_int_equal(mem_array(&m.parts, count), OK);
    for (uint32_t i = 0; i < count; i++) {
        m.parts[i] = (struct manifest_part){.bucket_begin = infos[i].bucket_begin,
                                            .bucket_end = infos[i].bucket_end,
                                            .bytes = infos[i].bytes,
                                            .checksum = infos[i].checksum,
                                            .rows = infos[i].rows,
                                            .version = infos[i].version};
        snprintf(m.parts[i].name, sizeof m.parts[i].name, "%s", infos[i].name);
    }
    return m;
}

/* A new job of `count` partitions from the parts in dir. */
static inline void world_restore(struct world_job *job, const struct world *w, uint32_t count,
                                 const char *dir, const struct part_info *infos, uint32_t parts) {
    struct manifest m = world_manifest(infos, parts);
    world_start_known(job, w, count, WORLD_STREAM_SHARDS);
    for (uint32_t i = 0; i < count; i++) {
        const enum status status = partition_restore(job->p[i], dir, &m);
        if (status != OK) {
            fail_msg("restore %u of %u: %s", i, count, fail_text());
        }
    }
    manifest_free(&m);
}

/* Saves a whole job into dir. */
static inline void world_save(struct world_job *job, struct snapshot_writer *writer,
                              const char *dir, struct part_info *infos) {
    for (uint32_t i = 0; i < job->count; i++) {
        assert_int_equal(partition_cut(job->p[i], writer, dir, i, job->count, 0), OK);
        const enum status status = world_cut_wait(job->p[i], &infos[i], NULL);
        if (status != OK) {
            fail_msg("save: %s", fail_text());
        }
    }
}
