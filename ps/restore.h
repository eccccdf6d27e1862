/* restore.h - filling a partition from a checkpoint. */
#pragma once

#include "common/checkpoint/manifest.h"
#include "partition.h"

/* Fills a fresh partition from a checkpoint of any number of parts: reads the parts whose buckets
 * overlap, keeps rows of its buckets, its dense slice, and builds its domains. Tables are matched
 * by field name; tables of fields that the partition does not have are left out. A partition made
 * read_only drops optimizer state and names; with parameters_only names and clock start afresh. A
 * table whose dim or optimizer changed, or a dense vector of another length, is ERR_CONFIG; damage
 * is ERR_CORRUPT; rows beyond memory_bytes ERR_LIMIT. After a failure the partition is to be
 * destroyed. */
enum status partition_restore(struct partition *p, const char *dir, const struct manifest *m);
