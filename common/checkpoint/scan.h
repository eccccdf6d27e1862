/* scan.h - a checkpoint as a stream: its rows, counters and dense parameters in file order,
 * whatever its size. Inspect and export are made of it.
 *
 * A scan holds the manifest and what follows from it; a pass reads the part files block by block
 * (one block in memory at a time) and hands the chunks on. Blocks that a filter excludes are not
 * read: other tables' by their tag, other buckets' by their part. Any number of passes, one at a
 * time; not thread-safe.
 */
#pragma once

#include "common/job/config.h"
#include "common/job/layout.h"
#include "part.h"

struct scan {
    char dir[PATH_BYTES_MAX];
    struct manifest manifest;
    struct config config;
    struct layout layout;
    struct part_table table[FIELDS_MAX]; /* by slot of manifest.schema */
    uint32_t tables;
    uint32_t dense_state; /* state vectors beside w */
    uint64_t bytes;       /* of all parts */
};

/* Opens what manifest_find makes of `path`. ERR_NOT_FOUND, ERR_CORRUPT, ERR_CONFIG, ERR_MEMORY. */
enum status scan_create(struct scan **out, const char *path);
void scan_destroy(struct scan **inout);

/* Its manifest alone; the parts may be missing. Resolves a user's path (manifest_find) into
 * dir[PATH_BYTES_MAX]. ERR_NOT_FOUND also for a directory of impression shards. */
enum status scan_manifest(const char *path, char *dir, struct manifest *m);

#define SCAN_ROWS      (1u << PART_ROWS)
#define SCAN_SIGHTINGS (1u << PART_SIGHTINGS)
#define SCAN_DENSE     (1u << PART_DENSE)
struct scan_filter {
    uint32_t kinds;                    /* of SCAN_... */
    int slot;                          /* -1: every table */
    uint32_t bucket_begin, bucket_end; /* parts without such a bucket are skipped; rows of other
                                          buckets in the remaining parts still come */
};
static inline struct scan_filter scan_table(uint32_t kinds, int slot) {
    return (struct scan_filter){
        .kinds = kinds, .slot = slot, .bucket_begin = 0, .bucket_end = BUCKETS};
}
static inline struct scan_filter scan_all(uint32_t kinds) {
    return scan_table(kinds, -1);
}
/* Calls visit for every chunk; a status other than OK from it ends the pass and is returned. */
enum status scan_each(const struct scan *s, const struct scan_filter *filter,
                      enum status (*visit)(void *arg, const struct part_chunk *chunk), void *arg);

/* At least as many rows as the filtered blocks hold, from the files' indexes alone. */
enum status scan_rows_bound(const struct scan *s, const struct scan_filter *filter, uint64_t *rows);

/* One row of a chunk. `floats`: w[dim] then state; unaligned, to be copied. */
struct scan_row {
    uint64_t id;
    uint32_t step, last;
    const uint8_t *floats;
};
static inline struct scan_row scan_row(const struct part_chunk *chunk, size_t i) {
    const uint8_t *at = chunk->data + i * chunk->row_bytes;
    return (struct scan_row){load_u64(at), load_u32(at + 8), load_u32(at + 12),
                             at + PART_RECORD_HEADER};
}
/* Sum of the squares of n floats. */
double scan_square(const void *floats, size_t n);
/* The bucket of a row of table `slot`. */
uint32_t scan_bucket(const struct scan *s, uint32_t slot, uint64_t id);

/* The whole dense vector: *out = (1 + dense_state) * layout.count floats, w first, then the state
 * vectors; the caller's to free (mem_free). ERR_CORRUPT if a float is missing. */
enum status scan_dense(const struct scan *s, float **out);
