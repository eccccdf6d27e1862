/* export.h - writes a checkpoint in forms that other programs read: docs/export.md.
 *
 * Each form makes the directory `out`, which must not exist. It appears complete or not at all:
 * everything is written into out.tmp, which is then renamed. Memory: 8 bytes for each row of one
 * table, window_bytes, and the dense parameters. Two checkpoints of the same state give equal
 * bytes, whatever number of servers saved them.
 */
#pragma once

#include "common/checkpoint/scan.h"

/* Writes NAME/ids.npy, NAME/emb.npy, dense/ARRAY.npy, manifest.json. */
enum status export_npy(const struct scan *scan, const char *out, size_t window_bytes);
/* Writes everything that a restore needs, sorted: NAME/rows.npy and NAME/sightings.npy (whole
 * records), dense/ARRAY.npy (w and state vectors), applied.tsv, config.ini. */
enum status export_dump(const struct scan *scan, const char *out, size_t window_bytes);

/* Writes manifest.json of export_npy. rows[slot]: the number of rows of each table. */
struct buf;
enum status export_manifest(const struct scan *scan, const uint64_t *rows, struct buf *out);
