/* checkpoint_meta.h - for snapshot.c: the META block of a partition at its cut. */
#ifndef PS_CHECKPOINT_META_H
#define PS_CHECKPOINT_META_H

#include "common/bytes.h"
#include "partition_private.h"

/* cut: the cut's id; 0: none. */
enum status part_meta_of(const struct partition *p, uint64_t cut, struct buf *out);

#endif
