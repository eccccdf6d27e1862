/* inspect.h - looking into a checkpoint or a shard directory: docs/checkpoints.md.
 *
 * Every view appends its report to `out`: text for people, or one JSON object. Checkpoints are
 * streamed; the memory each view needs is stated with it.
 */
#pragma once

#include "common/checkpoint/scan.h"

/* Tables, rows, bytes, optimizer, norms, step, data cursor. One block of rows, and the dense
 * parameters. */
enum status inspect_summary(const struct scan *scan, bool json, struct buf *out);

/* One row: key is FIELD:ID, id decimal or 0x hexadecimal. An id without a row is ERR_NOT_FOUND,
 * after the report of its initial value was appended. One block. */
enum status inspect_key(const struct scan *scan, const char *key, bool json, struct buf *out);

/* The same by slot and id. */
enum status inspect_row(const struct scan *scan, uint32_t slot, uint64_t id, bool json,
                        struct buf *out);
/* The same of a value as it stands in the log: argument is FIELD:TEXT, and the checkpoint says how
 * the field's texts become ids. ERR_CONFIG: it does not. ERR_FORMAT: the text has none. ERR_USAGE:
 * several values. */
enum status inspect_text(const struct scan *scan, const char *argument, bool json, struct buf *out);

/* The field that `argument` of `option`, FIELD:REST, begins with. Both may hold colons: FIELD ends
 * at the first one that makes it a field's name, with `longest` at the last. ERR_USAGE: no colon;
 * ERR_NOT_FOUND: no such field. */
enum status inspect_field(const struct scan *scan, const char *option, const char *argument,
                          bool longest, uint32_t *slot, const char **rest);

/* The n rows of the largest norm or count of updates, of one slot or (-1) of all tables. 40 bytes
 * for each of the n. */
enum status inspect_top(const struct scan *scan, uint32_t n, bool by_count, int slot, bool json,
                        struct buf *out);

/* Rows by norm and by count of updates, per table (slot -1: every table), in powers of two. */
enum status inspect_histogram(const struct scan *scan, int slot, bool json, struct buf *out);

/* What differs between two checkpoints: per table rows only in one, changed, and how far; dense
 * arrays likewise. Works in passes over ranges of buckets, each of which holds rows of `a` of at
 * most memory_bytes (at least one bucket, 1/4096 of them); each pass reads the parts of both that
 * have such buckets. Beside that both dense vectors. */
enum status inspect_diff(const struct scan *a, const struct scan *b, uint64_t memory_bytes,
                         bool json, struct buf *out);

/* Every checksum and count of a checkpoint. All damage found is listed; then ERR_CORRUPT names the
 * first. One block and the set of buckets. */
enum status inspect_verify(const char *path, bool json, struct buf *out);

/* A shard directory's manifest, and what a peek into each shard tells of times, kinds and
 * behaviours; with `verify` its shards are read and checked too. */
enum status inspect_data(const char *dir, bool verify, bool json, struct buf *out);
