/* manifest.h - the manifest of a checkpoint: written last, atomically; its presence makes the
 * directory a checkpoint.
 *
 * RUN/checkpoints/step-000000000400/{manifest, part-00000-of-00002.bin, ...};
 * RUN/checkpoints/latest is a symlink to the newest complete one. While it is being made the
 * directory is named step-….tmp. Protobuf (proto/checkpoint.proto) inside a container of kind
 * CONTAINER_MANIFEST; common/checkpoint/manifest.c alone sees the generated code.
 */
#pragma once

#include "common/base/bytes.h"
#include "common/field/field_schema.h"
#include "common/job/schema.h"

struct manifest_part {
    char name[64];
    uint32_t bucket_begin, bucket_end;
    uint64_t bytes, checksum, rows, version;
};
struct manifest {
    uint64_t step;        /* batches applied by every part */
    uint64_t impressions; /* in applied batches */
    double saved_at;      /* wall seconds */
    uint64_t seed;
    double rate_ctr, rate_cvr; /* of the training data; the layout's initial biases */
    /* Of the training data (struct dataset); 0 in the file counts as 1. With
     * train.sample_correction = predict p_ctr is corrected by it. */
    double sample_rate;
    char *config_text; /* INI, owned */
    struct schema schema;
    /* How the training data's texts became ids; after manifest_read there is one for each field. */
    struct field_schemas fields;
    uint64_t field_values[FIELDS_MAX]; /* by slot: values that training's first pass has read; all
                                          0: not said */
    uint32_t *batches_per_shard;       /* the plan of the training data, owned */
    uint32_t shards;
    uint64_t cut;           /* the id in each of its parts; 0: unknown */
    uint64_t data_checksum; /* hash of the data set's manifest: resuming on other data is refused */
    struct manifest_part *parts; /* owned */
    uint32_t part_count;
    /* applied_encode of the names that every part has: the coordinator's progress after a resume.
     * Owned. */
    uint8_t *applied;
    size_t applied_bytes;
};

enum status manifest_write(const struct manifest *m, const char *dir); /* dir/manifest, durable */
enum status manifest_read(struct manifest *m, const char *dir); /* ERR_NOT_FOUND, ERR_CORRUPT */
enum status manifest_decode(struct manifest *m, const void *data, size_t bytes);
enum status manifest_encode(const struct manifest *m, struct buf *out);
void manifest_free(struct manifest *m);

/* step-000000000400 into out[32]. */
void manifest_dir_name(uint64_t step, char *out);
/* Makes RUN/checkpoints/step-N.tmp into step-N after its manifest was written, moves `latest`,
 * deletes all but the newest `keep` and any leftover .tmp. root = RUN/checkpoints. */
enum status manifest_publish(const char *root, uint64_t step, uint32_t keep);
/* Whether a run may be written into `out`: not if it has a manifest of its own, and so holds shards
 * or is a checkpoint, which manifest_find would then take for the run's. ERR_EXISTS. */
enum status manifest_run_dir(const char *out);
/* Resolves a user's path: a checkpoint, a checkpoints directory, or a run directory (takes the
 * newest complete checkpoint: `latest`, else the highest step that has a valid manifest; one whose
 * manifest is damaged is logged). out[PATH_BYTES_MAX]. ERR_NOT_FOUND says what was looked for;
 * ERR_CORRUPT: there are checkpoints, but none with a manifest that reads. */
enum status manifest_find(const char *path, char *out);
