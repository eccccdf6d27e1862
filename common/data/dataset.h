/* dataset.h - a data set: one shard directory, or several that are used as one. A directory holds
 * shards and a manifest that describes them. The manifest is written last, so if it exists, all
 * shards are there. */
#pragma once

#include "common/base/file.h"
#include "common/field/field_schema.h"
#include "common/job/schema.h"
#include "common/job/streams.h"
#include "shard_info.h"

/* What became of the lines of a raw log: `lines` is the sum of the other numbers. All 0: not said.
 */
struct line_counts {
    uint64_t lines;
    uint64_t header, blank, rejected;
    uint64_t dropped;   /* conversions without a click that were left out */
    uint64_t rows;      /* impressions; rows of a common file */
    uint64_t continued; /* further lines of records that span several lines */
};
#define LINE_COUNTS(X) X(lines) X(header) X(blank) X(rejected) X(dropped) X(rows) X(continued)

#define DATASET_LABELS (2u + BEHAVIOURS_MAX) /* click, conversion, behaviours */
/* Lines of the log that have a label; rejected lines count if they seem to have it. */
struct label_lines {
    uint64_t lines, rejected; /* the rejected ones are among the lines */
};
/* "conversion", "behaviour 2" and so on. */
const char *dataset_label_name(uint32_t label);
struct dataset {
    struct schema schema;
    struct shard_info *shards;
    uint32_t shard_count;
    uint64_t impressions, groups, clicks, conversions, orphans, values, rejected;
    struct weight_sums weights; /* of all shards */
    /* Share of the unclicked impressions that the log kept; 1: all of them. 0 is written as 1. */
    double sample_rate;
    bool no_conversion; /* the log has no label of conversions: unknown, not none */
    /* Times of the impressions or records; 0: there are no times, or not said. */
    uint64_t first_time, last_time;
    struct label_lines labels[DATASET_LABELS]; /* lines 0: not said */
    uint64_t seed;
    char source[64];                            /* "aliccp", "csv" */
    struct line_counts log_lines, common_lines; /* the latter of Ali-CCP's common file */
    char stream[STREAM_NAME_BYTES]; /* name of the stream of records (streams.h); "": not said */
    struct file_list dirs; /* where the shards are, as read; empty in one that is being written */
    struct field_schemas fields; /* how texts became ids; after dataset_read one for each field */
    uint64_t field_values[FIELDS_MAX]; /* by slot: values in all shards; all 0: not said */
};
/* Writes dir/manifest (durable, last). The shards array stays the caller's. Sums over the shards
 * (impressions, groups, clicks, conversions, values) are not stored: reading adds them up. */
enum status dataset_write(const struct dataset *d, const char *dir);
/* Reads and checks dir/manifest. ERR_NOT_FOUND: dir is not a shard directory. */
enum status dataset_read(struct dataset *d, const char *dir);
/* Reads several directories as one data set: the shards of the first, then those of the second, and
 * so on. Fields are united by name. ERR_CONFIG, with the names of two directories: a directory is
 * given twice, a field differs (its side, or how texts became ids: field_schemas_match), the sample
 * rates differ, or the records are of different streams. Doubts are added to *doubts, one line
 * each; `doubts` may be NULL. */
enum status dataset_read_all(struct dataset *d, const struct file_list *dirs, struct buf *doubts);
void dataset_free(struct dataset *d);
/* The directory of a shard. */
const char *dataset_dir(const struct dataset *d, const struct shard_info *shard);
/* Writes a name of the directories for messages, "a" or "a and 2 more", to out and returns out.
 */
const char *dataset_name(const struct file_list *dirs, char out[PATH_BYTES_MAX]);
/* The identity of the data: the hash of the manifest's bytes; for several directories, the hash of
 * their hashes in order. ERR_IO.
 */
enum status dataset_identity(const struct file_list *dirs, uint64_t *out);
/* What all shards contain, found by shard_peek into each. ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO,
 * ERR_MEMORY, as shard_peek. */
struct dataset_contents {
    uint32_t timed, records; /* number of shards that have times; kinds */
    uint8_t behaviours;      /* LABEL_BEHAVIOUR bits that occur */
};
enum status dataset_peek(const struct dataset *d, struct dataset_contents *out);
/* Reads every shard completely and checks checksums and counts against the manifest. The first
 * damage is ERR_CORRUPT with file and offset. */
enum status dataset_verify(const struct dataset *d);
