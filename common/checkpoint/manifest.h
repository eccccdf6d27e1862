/* manifest.h - the manifest of a checkpoint. It is written last and atomically; a directory is a
 * checkpoint only if it has a manifest.
 *
 * RUN/checkpoints/step-000000000400/{manifest, part-00000-of-00002.bin, ...};
 * RUN/checkpoints/latest is a symlink to the newest complete one. While a checkpoint is being
 * written, its directory is named step-….tmp. The file is a protobuf message
 * (proto/checkpoint.proto) in a container of kind CONTAINER_MANIFEST. Only
 * common/checkpoint/manifest.c uses the generated code.
 *
 * A checkpoint is full, or a delta: then its parts hold the rows that changed since another one,
 * its base, which lies in the same RUN/checkpoints (chain.h).
 */
#pragma once

#include "common/base/bytes.h"
#include "common/field/field_schema.h"
#include "common/job/config.h"
#include "common/job/schema.h"

struct manifest_part {
    char name[64];
    uint32_t bucket_begin, bucket_end;
    uint64_t bytes, checksum, rows, version;
    bool whole; /* of a delta: all rows of its buckets; what older links have of them is void */
};
/* The checkpoint before a delta. */
struct manifest_base {
    uint64_t step, cut;   /* cut 0: there is none, the checkpoint is full */
    uint32_t depth;       /* deltas from the full one up to the manifest's own: 1, 2, ... */
    uint64_t full_bytes;  /* of the parts of the full one */
    uint64_t delta_bytes; /* of the parts of these deltas, its own too */
};
#define CHAIN_DEPTH_MAX 64u
struct manifest {
    uint64_t step;        /* batches applied by every part */
    uint64_t impressions; /* in applied batches */
    double saved_at;      /* wall seconds */
    uint64_t seed;
    double rate_ctr, rate_cvr; /* of the training data; the layout's initial biases */
    /* The sample rate of the training data (struct dataset); 0 in the file means 1. With
     * train.sample_correction = predict, p_ctr is corrected by it. */
    double sample_rate;
    char *config_text; /* INI, owned */
    struct schema schema;
    /* How the texts of the training data became ids. After manifest_read there is one entry per
     * field. */
    struct field_schemas fields;
    uint64_t field_values[FIELDS_MAX]; /* by slot: values that training's first pass has read; all
                                          0: not said */
    uint32_t *batches_per_shard;       /* the plan of the training data, owned */
    uint32_t shards;
    uint64_t cut; /* the id of the cut, the same in each part; 0: unknown */
    struct manifest_base base;
    uint64_t data_checksum; /* hash of the data set's manifest; a job cannot resume on other data */
    struct manifest_part *parts; /* owned */
    uint32_t part_count;
    /* applied_encode of the batch names that every part has applied. After a resume it is the
     * coordinator's progress. Owned. */
    uint8_t *applied;
    size_t applied_bytes;
};

/* What a delta was made against; NULL: the checkpoint is full. As long as a delta is kept, so must
 * be the checkpoint step-STEP with this cut, and its base in turn. */
static inline const struct manifest_base *manifest_base(const struct manifest *m) {
    return m->base.cut == 0 ? NULL : &m->base;
}
enum status manifest_write(const struct manifest *m, const char *dir); /* dir/manifest, durable */
enum status manifest_read(struct manifest *m, const char *dir); /* ERR_NOT_FOUND, ERR_CORRUPT */
enum status manifest_decode(struct manifest *m, const void *data, size_t bytes);
enum status manifest_encode(const struct manifest *m, struct buf *out);
void manifest_free(struct manifest *m);
/* The configuration that the checkpoint was made under; `dir` stands for it in messages. Keys that
 * it does not have are at their defaults, except those whose absence means what there was before
 * them: train.window and train.run are 0. ERR_CONFIG. */
enum status manifest_config(const struct manifest *m, const char *dir, struct config *out);

/* Of all parts. */
uint64_t manifest_bytes(const struct manifest *m);
uint64_t manifest_rows(const struct manifest *m);
/* Whether the directory has a manifest, readable or not. */
bool manifest_is_there(const char *dir);
/* step-000000000400 into out[32]. */
void manifest_dir_name(uint64_t step, char *out);
/* The step in a directory's name. False if manifest_dir_name does not make that name. */
bool manifest_dir_step(const char *name, uint64_t *step);
/* Whether root/name is a checkpoint, readable or not: step-N with a manifest, or, after a crash
 * between two renames, the step-N.old.tmp that has none beside it. */
bool manifest_is_checkpoint(const char *root, const char *name, uint64_t *step);
/* The checkpoint that `latest` leads to, by its own name, since the link may move while the caller
 * reads; its step. False if the link or the manifest behind it does not read. */
bool manifest_latest(const char *root, char *out, uint64_t *step);
/* Renames root/step-N.tmp to step-N and moves `latest` to it. Its manifest must have been written.
 * root = RUN/checkpoints. After a failure the checkpoint before is found, or the new one, if only
 * the last step failed. Older ones are for the caller to delete (shelf.h). */
enum status manifest_publish(const char *root, uint64_t step);
/* Deletes what unfinished checkpoints left (step-….tmp), but not one that is still needed. For
 * when none is being written. What cannot be deleted is logged. */
void manifest_sweep(const char *root);
/* Puts the directory `from` in the place of `to`, which exists. Both stay complete at any moment.
 * Where the file system cannot exchange names, `to` becomes `old`; else `from` is what `to` was. */
enum status manifest_replace(const char *from, const char *to, const char *old);
/* Checks whether a run may be written into `out`. ERR_EXISTS if `out` itself has a manifest: then
 * it holds shards or is a checkpoint, and manifest_find would take that for a checkpoint of the
 * run. */
enum status manifest_run_dir(const char *out);
/* Resolves a user's path, which names a checkpoint, a checkpoints directory, or a run directory. In
 * the latter two it takes the newest complete checkpoint: `latest`, or else the highest step with a
 * valid manifest. A checkpoint with a damaged manifest is logged. out[PATH_BYTES_MAX].
 * ERR_NOT_FOUND says what was looked for; ERR_CORRUPT: there are checkpoints, but no manifest can
 * be read. */
enum status manifest_find(const char *path, char *out);
