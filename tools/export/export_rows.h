/* export_rows.h - the rows of one table of a checkpoint in ascending order of id.
 *
 * A checkpoint holds rows in the order in which each partition created them. So two checkpoints of
 * the same state differ as files if different numbers of servers saved them; after sorting they are
 * equal. Sorting takes one pass for the ids (8 bytes of memory each, sorted in place), and then one
 * pass for every `window_bytes` of output. In such a pass a binary search finds each row's rank,
 * and rows whose rank lies in the window are put in their place. The output itself is written front
 * to back.
 */
#pragma once

#include "common/checkpoint/scan.h"

struct row_order {
    const struct scan *scan;
    uint32_t slot;
    uint32_t kind; /* SCAN_ROWS or SCAN_SIGHTINGS */
    uint64_t *ids; /* [count], ascending */
    size_t count, cap;
};

/* Collects and sorts the ids. ERR_CORRUPT if an id occurs twice. ERR_MEMORY. */
enum status row_order_init(struct row_order *o, const struct scan *scan, uint32_t slot,
                           uint32_t kind);
void row_order_fini(struct row_order *o);

/* Writes the first `bytes` bytes of every record, in order, as an npy file of `type` with the shape
 * [count]. Memory: window_bytes, but at least one row. */
enum status row_order_write(const struct row_order *o, const char *path, const char *type,
                            size_t bytes, size_t window_bytes);
/* The same of every row's weights, decoded to f32: shape [count, dim]. */
enum status row_order_write_weights(const struct row_order *o, const char *path,
                                    size_t window_bytes);

/* Sorts in place, without additional memory. */
void sort_ids(uint64_t *ids, size_t n);
