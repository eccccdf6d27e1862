/* cut_meta.h - what a part file says of its partition besides rows and dense floats: which buckets
 * it has, the shapes of its tables, and which batches its rows have seen. */
#pragma once

#include "common/base/bytes.h"
#include "partition_state.h"

/* Appends META (common/checkpoint/part_meta.h). cut: the id of the checkpoint; 0: none. base: the
 * cut that a delta is made against; 0: a full checkpoint. ERR_MEMORY. */
enum status cut_meta(const struct partition *p, uint64_t cut, uint64_t base, bool whole,
                     struct buf *out);
/* Appends applied_encode of the names that all rows of the partition have seen. ERR_MEMORY. */
enum status cut_names(const struct partition *p, struct buf *out);
