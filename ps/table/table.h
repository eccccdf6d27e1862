/* table.h - the rows of one field in one partition: slabs and an index (design D6).
 *
 * A row is one record of a part file (common/checkpoint/row_cells.h), `row_bytes` long. So a
 * snapshot copies rows unchanged, and so does a restore if the cells are of the same kinds:
 *
 *     u64 id | u32 step | u32 last | weights | state
 *
 * step = number of updates (0: free slot), last = batch clock of the last update. Rows lie in slabs
 * of huge pages, in order of creation; freed slots are reused. A row is named by its handle (u32,
 * its position); a handle stays valid until the row is evicted or moved (table_drop_last). The
 * index uses open addressing with linear probing over (tag, handle) pairs; the look-ups of a whole
 * request are prefetched in software.
 *
 * A table with dim 0 and no state is a counter table: it counts the sightings of features that are
 * not admitted yet (step is the count).
 *
 * Single-threaded: one partition owns the table and shares nothing of it. The bytes it takes are
 * counted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/status.h"
#include "common/checkpoint/row_cells.h"
#include "common/job/table_config.h"
#include "row.h"

struct table; /* opaque outside ps/ */

/* salt: the salt of the field. */
enum status table_create(struct table **t, const struct table_config *config, uint64_t salt,
                         uint64_t seed);
void table_destroy(struct table **t);

/* Sets handles[i] to the handle of ids[i], or HANDLE_NONE. Prefetches. */
void table_find(const struct table *t, const uint64_t *ids, size_t n, uint32_t *handles);
/* Creates a row with initial weights and optimizer state and step 0, which the caller must raise.
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
/* Inserts a whole record of a part file (absent id, step > 0) with the layout `from`, of the same
 * dim. Cells of other kinds than the table's are converted. The state is left out if the table has
 * none (a read-only partition); else both have the same rule. */
enum status table_load(struct table *t, const struct row_layout *from, const void *record,
                       uint32_t *handle);
/* Writes such a record over the row of the same id. */
void table_reload(struct table *t, const struct row_layout *from, const void *record,
                  uint32_t handle);
/* Applies one gradient g[dim] to a row whose step has been raised already. lr: after warm-up; t of
 * the rule (optimizer.h). */
void table_update(struct table *t, struct row *row, float lr, uint32_t rule_step, const float *g);
const struct row_layout *table_layout(const struct table *t);
/* Memory that comes back. While table_shrinks says true, the last slot is to be dropped: a row in
 * it moves to table_next_free first. A failure of the index to shrink is not an error. */
bool table_shrinks(struct table *t);
uint32_t table_next_free(struct table *t);
void table_drop_last(struct table *t);
/* Moves up to `homes` homes of an index that grows or shrinks; true: there is more to do. */
bool table_tidy_index(struct table *t, uint64_t homes);
/* Prefetches what table_remove will need, but for the row itself; the handle may be stale. */
void table_prefetch_gone(const struct table *t, uint32_t handle);
/* Prefetches the cache lines of a row for writing; the handle may be stale. */
void table_prefetch(const struct table *t, uint32_t handle);

uint32_t table_row_bytes(const struct table *t);
uint64_t table_rows(const struct table *t);  /* live */
uint32_t table_slots(const struct table *t); /* live + free: handles are below it */
uint64_t table_bytes(const struct table *t); /* slabs + index */
