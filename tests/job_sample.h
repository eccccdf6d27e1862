/* job_sample.h - a small job without sockets, for the tests of what reads its results: shards
 * written by shard_builder, partitions that a few hundred pushes went through, the checkpoint they
 * cut.
 *
 * Everything depends on the seed alone; in particular the state depends neither on the number of
 * partitions nor on the order in which they are served. Failures abort the test at once.
 */
#pragma once

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/checkpoint/manifest.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/data/dataset.h"
#include "common/data/record.h"
#include "common/data/shard_builder.h"
#include "common/data/shard_info.h"
#include "ps/restore.h"
#include "ps/snapshot.h"
#include "ps/snapshot_writer.h"

#define JOB_PARTS_MAX 16
#define JOB_IDS       400 /* feature ids of a field: 1..JOB_IDS */
#define JOB_PUSH_IDS  40  /* of a field in one push, at most */
#define JOB_SHARDS    3
#define JOB_BATCHES   64 /* of a shard */

struct small_job {
    char root[64];
    uint64_t seed;
    struct config config;
    struct schema schema;
    struct layout layout;
    uint32_t batches[JOB_SHARDS];
    struct partition *part[JOB_PARTS_MAX];
    uint32_t parts;
    uint32_t pushes; /* applied so far */
};

#define JOB_MUST(expr)                                                                             \
    do {                                                                                           \
        enum status must_ = (expr);                                                                \
        if (must_ != OK) {                                                                         \
            fprintf(stderr, "%s:%d: %s: %s (%s)\n", __FILE__, __LINE__, #expr, status_text(must_), \
                    fail_text());                                                                  \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static inline void job_schema(struct schema *schema, bool more) {
    memset(schema, 0, sizeof *schema);
    JOB_MUST(schema_add(schema, "101", SIDE_USER));
    JOB_MUST(schema_add(schema, "age/group", SIDE_USER));
    JOB_MUST(schema_add(schema, "205", SIDE_ITEM));
    JOB_MUST(schema_add(schema, "dense", SIDE_ITEM));
    JOB_MUST(schema_add(schema, "shop", SIDE_ITEM));
    if (more) {
        JOB_MUST(schema_add(schema, "unknown", SIDE_ITEM));
    }
    schema_finish(schema);
}

/* `settings`: assignments for config_set, NULL at the end (may be NULL). */
static inline void job_init(struct small_job *j, uint64_t seed, const char *const *settings) {
    memset(j, 0, sizeof *j);
    j->seed = seed;
    static const char template[] = "/tmp/esmm-test-XXXXXX";
    memcpy(j->root, template, sizeof template);
    if (mkdtemp(j->root) == NULL) {
        abort();
    }
    job_schema(&j->schema, false);
    config_default(&j->config);
    JOB_MUST(config_set(&j->config, "table.dim=6"));
    JOB_MUST(config_set(&j->config, "field.shop.dim=3"));
    JOB_MUST(config_set(&j->config, "model.tower=9,5"));
    JOB_MUST(config_set(&j->config, "train.batch=64"));
    JOB_MUST(config_set(&j->config, "train.seed=7"));
    for (size_t i = 0; settings != NULL && settings[i] != NULL; i++) {
        JOB_MUST(config_set(&j->config, settings[i]));
    }
    JOB_MUST(layout_init(&j->layout, &j->config, &j->schema, 0.1, 0.05));
    for (uint32_t s = 0; s < JOB_SHARDS; s++) {
        j->batches[s] = JOB_BATCHES;
    }
}

static inline void job_stop(struct small_job *j) {
    for (uint32_t p = 0; p < j->parts; p++) {
        partition_destroy(&j->part[p]);
    }
    j->parts = 0;
}

static inline void job_fini(struct small_job *j) {
    job_stop(j);
    JOB_MUST(file_remove_tree(j->root));
}

static inline void job_path(const struct small_job *j, const char *name, char *out) {
    JOB_MUST(path_join(out, j->root, name));
}

/* Empty partitions; buckets are dealt out unevenly. */
static inline void job_start(struct small_job *j, uint32_t parts) {
    job_stop(j);
    uint32_t begin = 0;
    for (uint32_t p = 0; p < parts; p++) {
        const uint32_t end =
            p + 1 == parts ? BUCKETS : begin + BUCKETS / parts - (p % 2 == 0 ? 100 : 0);
        const struct partition_spec spec = {.config = &j->config,
                                            .schema = &j->schema,
                                            .layout = &j->layout,
                                            .batches_per_shard = j->batches,
                                            .shards = JOB_SHARDS,
                                            .bucket_begin = begin,
                                            .bucket_end = end};
        JOB_MUST(partition_create(&j->part[p], &spec));
        begin = end;
    }
    j->parts = parts;
}

/* The ids of push `n` that lie in the buckets [begin, end), per field ascending. */
static inline size_t job_keys(const struct small_job *j, uint32_t n, uint32_t begin, uint32_t end,
                              uint32_t *counts, uint64_t *ids) {
    size_t total = 0;
    for (uint32_t f = 0; f < j->schema.count; f++) {
        uint64_t id = 0;
        counts[f] = 0;
        for (uint32_t k = 0; k < JOB_PUSH_IDS; k++) {
            const uint64_t draw = rng_u64(j->seed, n, f * 1000 + k);
            id += 1 + draw % (2 * JOB_IDS / JOB_PUSH_IDS);
            const uint32_t bucket = hash_bucket(hash_key(j->schema.fields[f].salt, id));
            if (id <= JOB_IDS && bucket >= begin && bucket < end) {
                ids[total++] = id;
                counts[f]++;
            }
        }
    }
    return total;
}

static inline void job_push_one(struct small_job *j, struct partition *p, uint32_t begin,
                                uint32_t end) {
    uint32_t counts[FIELDS_MAX];
    uint64_t ids[FIELDS_MAX * JOB_PUSH_IDS], dense_begin, dense_end;
    const uint32_t n = j->pushes;
    const size_t total = job_keys(j, n, begin, end, counts, ids);
    const struct key_list keys = {.counts = counts, .ids = ids, .total = total};
    const size_t floats = partition_pull_floats(p, &keys, true);
    float *g = NULL;
    JOB_MUST(mem_array(&g, floats));
    size_t at = 0, key = 0;
    for (uint32_t f = 0; f < j->schema.count; f++) {
        for (uint32_t k = 0; k < counts[f]; k++, key++) {
            for (uint32_t d = 0; d < j->layout.dim[f]; d++) {
                g[at++] = (float)rng_normal(j->seed ^ f, ids[key], n * 1000 + d);
            }
        }
    }
    dense_begin = layout_slice(&j->layout, begin);
    dense_end = layout_slice(&j->layout, end);
    for (uint64_t i = dense_begin; i < dense_end; i++) {
        g[at++] = (float)(0.1 * rng_normal(j->seed ^ 99, i, n));
    }
    const struct batch_name name = {.epoch = n / (JOB_SHARDS * JOB_BATCHES),
                                    .shard = n % JOB_SHARDS,
                                    .batch = n / JOB_SHARDS % JOB_BATCHES};
    struct push_result result;
    JOB_MUST(partition_push(p, name, 1, 0, &keys, g, floats, &result));
    mem_free(&g);
}

static inline void job_push(struct small_job *j, uint32_t pushes) {
    for (uint32_t i = 0; i < pushes; i++) {
        uint32_t begin = 0;
        for (uint32_t p = 0; p < j->parts; p++) {
            const uint32_t end =
                p + 1 == j->parts ? BUCKETS : begin + BUCKETS / j->parts - (p % 2 == 0 ? 100 : 0);
            job_push_one(j, j->part[p], begin, end);
            begin = end;
        }
        j->pushes++;
    }
}

static inline void job_cut(struct small_job *j, const char *dir, struct part_info *info) {
    struct snapshot_writer *writer = NULL;
    JOB_MUST(snapshot_writer_start(&writer));
    for (uint32_t p = 0; p < j->parts; p++) {
        enum status status = OK;
        bool busy = false;
        JOB_MUST(partition_cut(j->part[p], writer, dir, p, j->parts, j->seed ^ j->pushes));
        while (!partition_cut_done(j->part[p], &status, &info[p])) {
            JOB_MUST(partition_tick(j->part[p], clock_mono_ms(), &busy));
            if (!busy) {
                clock_sleep_ms(1);
            }
        }
        JOB_MUST(status);
    }
    snapshot_writer_stop(&writer);
}

/* Saves the partitions as the checkpoint root/name. */
static inline void job_save(struct small_job *j, const char *name) {
    char dir[PATH_BYTES_MAX];
    struct part_info info[JOB_PARTS_MAX];
    struct manifest_part parts[JOB_PARTS_MAX];
    struct buf text = BUF_EMPTY;
    memset(info, 0, sizeof info);
    memset(parts, 0, sizeof parts);
    job_path(j, name, dir);
    JOB_MUST(file_mkdirs(dir));
    job_cut(j, dir, info);
    JOB_MUST(config_text(&j->config, &text));
    JOB_MUST(buf_put_u8(&text, 0));
    for (uint32_t p = 0; p < j->parts; p++) {
        memcpy(parts[p].name, info[p].name, sizeof parts[p].name);
        parts[p].bucket_begin = info[p].bucket_begin;
        parts[p].bucket_end = info[p].bucket_end;
        parts[p].bytes = info[p].bytes;
        parts[p].checksum = info[p].checksum;
        parts[p].rows = info[p].rows;
        parts[p].version = info[p].version;
    }
    struct manifest m = {.step = j->pushes,
                         .impressions = 64 * (uint64_t)j->pushes,
                         .saved_at = 1.7e9,
                         .seed = j->config.seed,
                         .rate_ctr = 0.1,
                         .rate_cvr = 0.05,
                         .config_text = (char *)text.data,
                         .schema = j->schema,
                         .batches_per_shard = j->batches,
                         .shards = JOB_SHARDS,
                         .data_checksum = 1,
                         .cut = j->seed ^ j->pushes,
                         .parts = parts,
                         .part_count = j->parts,
                         .applied = info[0].applied.data,
                         .applied_bytes = info[0].applied.len};
    JOB_MUST(manifest_write(&m, dir));
    for (uint32_t p = 0; p < j->parts; p++) {
        buf_fini(&info[p].applied);
    }
    buf_fini(&text);
}

/* Fresh partitions filled from the checkpoint root/name. */
static inline void job_restore(struct small_job *j, const char *name, uint32_t parts) {
    char dir[PATH_BYTES_MAX];
    struct manifest m = {0};
    job_path(j, name, dir);
    JOB_MUST(manifest_read(&m, dir));
    job_start(j, parts);
    for (uint32_t p = 0; p < parts; p++) {
        JOB_MUST(partition_restore(j->part[p], dir, &m));
    }
    manifest_free(&m);
}

/* --- shards ----------------------------------------------------------------------------------- */

/* Features of the fields [from, to): up to three an entry, some bags empty, some ids that
 * no push has touched. */
static inline size_t job_features(uint64_t seed, uint64_t entry, uint32_t from, uint32_t to,
                                  struct feature *out) {
    size_t n = 0;
    for (uint32_t f = from; f < to; f++) {
        const uint64_t count = rng_below(seed, entry, f, 4);
        for (uint64_t k = 0; k < count; k++) {
            out[n++] =
                (struct feature){.field = f,
                                 .weight = f % 2 == 0 ? 1.0f : (float)(1 + k) * 0.5f,
                                 .id = 1 + rng_below(seed, entry, 100 * f + k + 10, JOB_IDS + 50)};
        }
    }
    return n;
}

/* A shard directory root/name of `shards` files. more: with a field that the model does not know.
 */
static inline void job_shards(const struct small_job *j, const char *name, uint32_t shards,
                              bool more) {
    char dir[PATH_BYTES_MAX];
    struct schema schema;
    struct shard_info *infos = NULL;
    struct feature features[4 * FIELDS_MAX];
    struct dataset d = {.shard_count = shards, .seed = j->seed};
    job_path(j, name, dir);
    JOB_MUST(file_mkdirs(dir));
    job_schema(&schema, more);
    JOB_MUST(mem_array(&infos, shards));
    uint64_t impression = 5000;
    for (uint32_t s = 0; s < shards; s++) {
        struct shard_builder *b = NULL;
        char file[32];
        snprintf(file, sizeof file, "shard-%05u.bin", s);
        JOB_MUST(shard_builder_create(&b));
        for (uint64_t g = 0; g < 40; g++) {
            const uint64_t group = s * 1000 + g;
            size_t n = job_features(j->seed, group, 0, schema.user_count, features);
            JOB_MUST(shard_builder_group(b, group, features, n));
            const uint64_t impressions = 1 + rng_below(j->seed, group, 5, 9);
            for (uint64_t i = 0; i < impressions; i++) {
                const uint64_t draw = rng_below(j->seed, impression, 6, 6);
                const uint8_t labels = draw == 0  ? LABEL_CLICK | LABEL_CONVERSION
                                       : draw < 3 ? LABEL_CLICK
                                                  : 0;
                n = job_features(j->seed, 1000000 + impression, schema.user_count, schema.count,
                                 features);
                JOB_MUST(shard_builder_impression(b, impression++, labels, features, n));
                d.clicks += labels != 0;
                d.conversions += (labels & LABEL_CONVERSION) != 0;
            }
            d.impressions += impressions;
            d.groups++;
        }
        JOB_MUST(shard_builder_write(b, &schema, dir, file, &infos[s]));
        shard_builder_destroy(&b);
        d.values += infos[s].values;
    }
    d.schema = schema;
    d.shards = infos;
    snprintf(d.source, sizeof d.source, "test");
    JOB_MUST(dataset_write(&d, dir));
    mem_free(&infos);
}

/* --- files ------------------------------------------------------------------------------------ */

/* Whether two files have the same bytes. */
static inline bool job_same_file(const char *a, const char *b) {
    const void *x = NULL, *y = NULL;
    size_t n = 0, m = 0;
    JOB_MUST(file_map(a, &x, &n));
    JOB_MUST(file_map(b, &y, &m));
    const bool same = n == m && (n == 0 || memcmp(x, y, n) == 0);
    file_unmap(x, n);
    file_unmap(y, m);
    return same;
}

/* Whether two directories hold the same files with the same bytes; says where they differ. */
static inline bool job_same_tree(const char *a, const char *b) {
    struct file_list x = {0}, y = {0};
    bool same = true;
    JOB_MUST(file_list_dir(&x, a));
    JOB_MUST(file_list_dir(&y, b));
    same = x.count == y.count;
    for (size_t i = 0; same && i < x.count; i++) {
        char p[PATH_BYTES_MAX], q[PATH_BYTES_MAX];
        JOB_MUST(path_join(p, a, x.names[i]));
        JOB_MUST(path_join(q, b, y.names[i]));
        same = strcmp(x.names[i], y.names[i]) == 0 &&
               (file_is_dir(p) ? job_same_tree(p, q) : job_same_file(p, q));
        if (!same) {
            fprintf(stderr, "%s and %s differ\n", p, q);
        }
    }
    file_list_free(&x);
    file_list_free(&y);
    return same;
}
