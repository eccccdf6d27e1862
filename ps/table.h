/* table.h - the rows of one field in one partition: slabs and an index (design D6).
 *
 * A row is one record of a part file (common/checkpoint/part_meta.h), `row_bytes` long, so that a
 * snapshot and a restore copy rows as they are:
 *
 *     u64 id | u32 step | u32 last | f32 w[dim] | f32 state[state_floats]
 *
 * step = number of updates (0: free slot), last = batch clock of the last update. Rows lie in slabs
 * of huge pages, filled in order of creation; freed slots are reused. A row is named by its handle
 * (u32, position); handles stay valid until the row is evicted. The index is open addressing with
 * linear probing over (tag, handle) pairs; look-ups of a whole request are software-prefetched.
 *
 * A table with dim 0 and no state is a counter table: the sightings of not yet admitted features
 * (step is the count).
 *
 * Single-threaded: owned by one partition. Bytes are accounted, nothing is shared.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/job/table_config.h"
#include "common/base/status.h"

#define HANDLE_NONE UINT32_MAX

struct row {
    uint64_t id;
    uint32_t step;
    uint32_t last;
    float data[]; /* w[dim] then state */
};

struct table; /* opaque outside ps/ */

/* salt: the field's. */
enum status table_create(struct table **t, const struct table_config *config, uint64_t salt,
                         uint64_t seed);
void table_destroy(struct table **t);

/* handles[i] = handle of ids[i], or HANDLE_NONE. Prefetched. */
void table_find(const struct table *t, const uint64_t *ids, size_t n, uint32_t *handles);
/* Creates a row with initial weights and optimizer state, step 0, which the caller must raise.
 * The id must not be present. ERR_MEMORY. */
enum status table_insert(struct table *t, uint64_t id, uint32_t *handle);
/* Frees a row (eviction). */
void table_remove(struct table *t, uint32_t handle);
struct row *table_row(const struct table *t, uint32_t handle);

/* Copies the weights of n rows to out[n][dim]; HANDLE_NONE gives the initial value of ids[i]. */
void table_read(const struct table *t, const uint64_t *ids, const uint32_t *handles, size_t n,
                float *out);

/* For the rest of ps/: */
/* Bytes by which the next insert would raise table_bytes. */
uint64_t table_grow_bytes(const struct table *t);
/* Inserts a whole record of a part file (absent id, step > 0), of `bytes`; what the record has
 * beyond row_bytes is left out (a read-only partition keeps no optimizer state). */
enum status table_load(struct table *t, const void *record, size_t bytes, uint32_t *handle);
/* Fetches the lines of a row for writing. */
void table_prefetch(const struct table *t, uint32_t handle);

uint32_t table_row_bytes(const struct table *t);
uint64_t table_rows(const struct table *t);  /* live */
uint32_t table_slots(const struct table *t); /* live + free: handles are below it */
uint64_t table_bytes(const struct table *t); /* slabs + index */
