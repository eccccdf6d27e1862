/* scan.h - a checkpoint as a stream: its rows, counters and dense parameters in file order,
 * whatever its size. Inspect and export use it.
 *
 * A delta and the checkpoints it is made against (chain.h) are one checkpoint here. A pass reads
 * the newest link first and leaves out records of older links that do not count any more. For that
 * it holds the ids of all links but the oldest, 11 to 22 bytes each, of the tables and buckets of
 * the filter.
 *
 * A scan holds the manifest and what is computed from it. A pass reads the part files block by
 * block, with one block in memory at a time, and hands the chunks to the caller. Blocks that a
 * filter excludes are not read: their tag tells the table, their part tells the buckets. A scan
 * allows any number of passes, one at a time; it is not thread-safe.
 */
#pragma once

#include "common/job/config.h"
#include "common/job/layout.h"
#include "chain.h"

struct scan {
    char dir[PATH_BYTES_MAX];
    struct manifest manifest;
    struct chain chain;
    struct config config;
    struct layout layout;
    struct part_table table[FIELDS_MAX]; /* by slot of manifest.schema */
    struct row_layout row[FIELDS_MAX];   /* of each table */
    uint32_t tables;
    uint32_t dense_state; /* state vectors beside w */
    uint64_t bytes;       /* of all parts of all links */
};

/* Opens the checkpoint that manifest_find finds for `path`. ERR_NOT_FOUND, ERR_CORRUPT, ERR_CONFIG,
 * ERR_MEMORY. */
enum status scan_create(struct scan **out, const char *path);
void scan_destroy(struct scan **inout);

/* Reads only the manifest of a checkpoint; the parts may be missing. Resolves a user's path
 * (manifest_find) into dir[PATH_BYTES_MAX]. ERR_NOT_FOUND also for a directory of shards. */
enum status scan_manifest(const char *path, char *dir, struct manifest *m);

#define SCAN_ROWS      (1u << PART_ROWS)
#define SCAN_SIGHTINGS (1u << PART_SIGHTINGS)
#define SCAN_DENSE     (1u << PART_DENSE)
struct scan_filter {
    uint32_t kinds;                    /* SCAN_... bits */
    int slot;                          /* -1: every table */
    uint32_t bucket_begin, bucket_end; /* parts without such a bucket are skipped; rows of other
                                          buckets in the remaining parts may still come */
};
static inline struct scan_filter scan_table(uint32_t kinds, int slot) {
    return (struct scan_filter){
        .kinds = kinds, .slot = slot, .bucket_begin = 0, .bucket_end = BUCKETS};
}
static inline struct scan_filter scan_all(uint32_t kinds) {
    return scan_table(kinds, -1);
}
/* Calls visit for every chunk. If visit returns a status other than OK, the pass ends with it. */
enum status scan_each(const struct scan *s, const struct scan_filter *filter,
                      enum status (*visit)(void *arg, const struct part_chunk *chunk), void *arg);

/* Whether a part describes the tables of the manifest, as all parts of it and of its bases must:
 * else ERR_CORRUPT, naming dir/part. */
enum status scan_check_meta(const struct scan *s, const struct part_meta *meta, const char *dir,
                            const char *part);

/* An upper bound for the number of rows in the filtered blocks, from the indexes of the files only.
 */
enum status scan_rows_bound(const struct scan *s, const struct scan_filter *filter, uint64_t *rows);

/* One row of a chunk. `cells` is what row_cells.h decodes with the table's layout. */
struct scan_row {
    uint64_t id;
    uint32_t step, last;
    const uint8_t *cells;
};
static inline struct scan_row scan_row(const struct part_chunk *chunk, size_t i) {
    const uint8_t *at = chunk->data + i * chunk->row_bytes;
    return (struct scan_row){load_u64(at), load_u32(at + 8), load_u32(at + 12),
                             at + PART_RECORD_HEADER};
}
/* Sum of the squares of a row's weights. */
double scan_row_square(const struct scan *s, uint32_t table, const struct scan_row *row);
/* Sum of the squares of n floats. */
double scan_square(const void *floats, size_t n);
/* The bucket of a row of table `slot`. */
uint32_t scan_bucket(const struct scan *s, uint32_t slot, uint64_t id);

/* The whole dense vector: *out = (1 + dense_state) * layout.count floats, w first, then the state
 * vectors. The caller frees it (mem_free). ERR_CORRUPT if a float is missing. */
enum status scan_dense(const struct scan *s, float **out);
