/* prep_output.h - the directory that prep writes (new_dir.h: it is complete or absent, and locked
 * while it is written), and the limit on rejected lines.
 *
 * Only the main thread uses it, except for the path of the temporary directory.
 */
#pragma once

#include "common/base/file.h"
#include "tools/common/new_dir.h"
#include "prep_piece.h"

struct prep_output {
    struct new_dir dir;
    struct file rejects; /* dir.temporary/rejects.tsv */
    struct buf first;    /* the first few rows of rejects */
    uint32_t first_rows;
    struct buf first_of[CLASSES]; /* the first few rows of each class */
    uint32_t first_of_rows[CLASSES];
    struct buf shards; /* struct shard_info, in order; names are provisional */
    double bad_max;    /* percent of a file's lines */
};

/* Creates DIR.tmp, replacing one that an earlier run left. ERR_EXISTS if DIR exists, ERR_BUSY if
 * another process is making it. */
enum status prep_output_open(struct prep_output *o, const char *dir, double bad_max);
/* Adds rows to rejects.tsv. */
enum status prep_output_reject(struct prep_output *o, const struct buf *rows);
/* Notes the first rows of each class of a piece whose rejects were added. */
enum status prep_output_classes(struct prep_output *o, const struct prep_piece *p);
/* ERR_LIMIT if more than bad_max percent of `lines` are rejected; t says how many. The message then
 * includes the first few rows. */
enum status prep_output_check(const struct prep_output *o, const char *file,
                              const struct prep_tally *t, double lines);
/* Ends rejects.tsv and removes what only prep itself needs. To be called before the manifests are
 * written. */
enum status prep_output_finish(struct prep_output *o);
/* Names the shards (struct shard_info each) in DIR.tmp/sub, or in DIR.tmp if sub is "", and writes
 * the manifest there. On entry d has everything but the shards; afterwards *d holds the sums, and
 * its shards are those of the buffer. ERR_FORMAT without impressions. */
enum status prep_output_seal(struct prep_output *o, const char *sub, struct buf *shards,
                             struct dataset *d);
/* Sets the counts of *d to the sums over its shards. */
void prep_output_sum(struct dataset *d);
/* Renames DIR.tmp to DIR. ERR_EXISTS if DIR has appeared meanwhile. */
enum status prep_output_publish(struct prep_output *o);
/* Frees *o, and removes DIR.tmp if it was not published. Safe on a struct whose dir is NEW_DIR_NONE
 * and whose rejects are FILE_CLOSED. */
void prep_output_close(struct prep_output *o);
