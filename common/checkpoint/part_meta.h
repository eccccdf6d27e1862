/* part_meta.h - for snapshot.c: the META block of a partition at its cut. */
#ifndef COMMON_CHECKPOINT_PART_META_H
#define COMMON_CHECKPOINT_PART_META_H

#include "common/base/bytes.h"
#include "ps/partition_private.h"

/* cut: the cut's id; 0: none. */
enum status part_meta_of(const struct partition *p, uint64_t cut, struct buf *out);

#endif
