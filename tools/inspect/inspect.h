/* inspect.h - looks into a checkpoint or a shard directory: docs/checkpoints.md.
 *
 * Every view appends its report to `out`: text for people, or one JSON object. Checkpoints are
 * streamed; the comment of each view says how much memory it needs.
 */
#pragma once

#include "common/checkpoint/scan.h"

/* Reports tables, rows, bytes, optimizer, norms, step and data cursor. Memory: one block of rows,
 * and the dense parameters. */
enum status inspect_summary(const struct scan *scan, bool json, struct buf *out);

/* Reports one row. key is FIELD:ID, with a decimal or 0x hexadecimal id. If the id has no row, its
 * initial value is reported, then ERR_NOT_FOUND is returned. Memory: one block. */
enum status inspect_key(const struct scan *scan, const char *key, bool json, struct buf *out);

/* The same for a slot and an id. */
enum status inspect_row(const struct scan *scan, uint32_t slot, uint64_t id, bool json,
                        struct buf *out);
/* The same for a value as written in the log: argument is FIELD:TEXT, and the checkpoint says how
 * the field's texts become ids. ERR_CONFIG: it does not say that. ERR_FORMAT: the text has no id.
 * ERR_USAGE: the text holds several values. */
enum status inspect_text(const struct scan *scan, const char *argument, bool json, struct buf *out);

/* Finds the field in `argument` (FIELD:REST) of `option`. FIELD and REST may both hold colons:
 * FIELD ends at the first colon that gives the name of a field, or at the last such colon if
 * `longest` is set. ERR_USAGE: no colon; ERR_NOT_FOUND: no such field. */
enum status inspect_field(const struct scan *scan, const char *option, const char *argument,
                          bool longest, uint32_t *slot, const char **rest);

/* Reports the n rows with the largest norm or count of updates, of one slot or of all tables (slot
 * -1). Memory: 40 bytes for each of the n rows. */
enum status inspect_top(const struct scan *scan, uint32_t n, bool by_count, int slot, bool json,
                        struct buf *out);

/* Counts the rows of each table by norm and by count of updates, in powers of two (slot -1: every
 * table). */
enum status inspect_histogram(const struct scan *scan, int slot, bool json, struct buf *out);

/* Compares two checkpoints. Per table it reports the rows that only one has, the changed rows and
 * how far they differ; the same for dense arrays. It works in passes over ranges of buckets. The
 * rows of `a` in a range take at most memory_bytes, but a range has at least one bucket (1/4096 of
 * all). Each pass reads the parts of both checkpoints that have buckets of the range. Both dense
 * vectors are held in addition. */
enum status inspect_diff(const struct scan *a, const struct scan *b, uint64_t memory_bytes,
                         bool json, struct buf *out);

/* Checks every checksum and count of a checkpoint. Lists all damage that it finds, then returns
 * ERR_CORRUPT, whose text names the first. Memory: one block and the set of buckets. */
enum status inspect_verify(const char *path, bool json, struct buf *out);

/* Reports the manifest of a shard directory, and what a look into each shard shows of times, kinds
 * and behaviours. With `verify` the shards are also read and checked. */
enum status inspect_data(const char *dir, bool verify, bool json, struct buf *out);
