/* restore.h - filling a partition from a checkpoint. */
#pragma once

#include "common/checkpoint/manifest.h"
#include "partition.h"

/* Fills a fresh partition from a checkpoint of any number of parts: reads the parts whose buckets
 * overlap, keeps the rows of its own buckets and its dense slice, and builds its domains. Tables
 * are matched by field name; tables of fields that the partition does not have are left out. A
 * read_only partition drops optimizer state and names; with parameters_only, names and clock start
 * afresh. ERR_CONFIG: a table has another dim or optimizer, or the dense vector another length.
 * ERR_CORRUPT: damage. ERR_LIMIT: the rows exceed memory_bytes. ERR_CLOSED: the spec's
 * `abandon` became true. After a failure the partition must
 * be destroyed. */
enum status partition_restore(struct partition *p, const char *dir, const struct manifest *m);
