/* prep_output.h - the directory that prep writes (new_dir.h: complete or absent, locked meanwhile),
 * and the watch over rejected lines.
 *
 * Main thread only, but for the path of the temporary directory.
 */
#pragma once

#include "common/base/file.h"
#include "tools/common/new_dir.h"
#include "prep_piece.h"

struct prep_output {
    struct new_dir dir;
    struct file rejects; /* dir.temporary/rejects.tsv */
    struct buf first;    /* the first few of its rows */
    uint32_t first_rows;
    struct buf first_of[CLASSES]; /* of its rows of a class, the first few */
    uint32_t first_of_rows[CLASSES];
    struct buf shards; /* struct shard_info, in order; names are provisional */
    double bad_max;    /* percent of a file's lines */
};

/* Makes DIR.tmp, in place of one that an earlier run left. ERR_EXISTS if DIR is there, ERR_BUSY if
 * another process makes it. */
enum status prep_output_open(struct prep_output *o, const char *dir, double bad_max);
/* Adds rows to rejects.tsv. */
enum status prep_output_reject(struct prep_output *o, const struct buf *rows);
/* Notes the first rows of each class of a piece, whose rejects were added. */
enum status prep_output_classes(struct prep_output *o, const struct prep_piece *p);
/* ERR_LIMIT if more than bad_max percent of `lines` are rejected; t says how many. What is said
 * then includes the first few rows. */
enum status prep_output_check(const struct prep_output *o, const char *file,
                              const struct prep_tally *t, double lines);
/* Ends rejects.tsv, and removes what only prep itself needs. Before the manifests. */
enum status prep_output_finish(struct prep_output *o);
/* Gives the shards (struct shard_info each) in DIR.tmp/sub, or in DIR.tmp with sub "", their names
 * and writes the manifest there. d: everything but the shards. *d then holds the sums, and its
 * shards are those of the buffer. ERR_FORMAT without impressions. */
enum status prep_output_seal(struct prep_output *o, const char *sub, struct buf *shards,
                             struct dataset *d);
/* Makes the counts of *d the sums of those of its shards. */
void prep_output_sum(struct dataset *d);
/* DIR.tmp becomes DIR. ERR_EXISTS if DIR appeared meanwhile. */
enum status prep_output_publish(struct prep_output *o);
/* Frees; removes DIR.tmp if it was not published. Safe on a struct whose dir is NEW_DIR_NONE and
 * whose rejects are FILE_CLOSED. */
void prep_output_close(struct prep_output *o);
