/* prep_piece.h - a stretch of a raw log on its way through `esmm prep`: the reader cuts it, one
 * worker turns it into results, and the main thread takes these in order.
 *
 * A piece belongs to one thread at a time. Its buffers are kept and reused.
 */
#pragma once

#include "prep_tally.h"

#define LINE_BYTES_MAX  ((size_t)1 << 20) /* a longer line is rejected */
#define CONTINUED_SHOWN 3u                /* the summary names so many records of several lines */

/* From this record on, the piece's text belongs to this file of the log. */
struct piece_source {
    uint32_t record;
    uint32_t header; /* the record that is its header; UINT32_MAX: not here, or not recognizable */
    const char *file;
    uint64_t lines_before; /* lines of the log in the files before it */
};
/* A place in the log, shown to people. */
struct piece_place {
    const char *file;
    uint64_t line;
};

struct prep_piece {
    uint64_t number;     /* from 0 */
    uint64_t offset;     /* of text in the file */
    uint64_t first_line; /* line number of text's first byte, over all files of the log */
    struct buf sources;  /* struct piece_source, ascending; the first is of record 0 */
    uint64_t lines;      /* in the text; as many as records, unless some records have several */
    struct buf text;     /* records, and 16 zero bytes beyond len */
    uint32_t *start;     /* [count + 1]: record i is text [start[i], start[i + 1]), line end too */
    size_t count, start_cap;
    struct buf doubtful; /* uint32_t, ascending: the records that csv_quotes.h calls doubtful */
    size_t counted;      /* lines were counted up to this record; then its line number */
    uint64_t counted_line;
    /* results */
    struct prep_tally tally;                       /* the main thread fills in `lines` and `rows` */
    struct piece_place continued[CONTINUED_SHOWN]; /* where the first continued records begin */
    uint32_t continued_count;
    struct buf rejects;                       /* rows of rejects.tsv */
    uint32_t first[CLASSES][CLASS_FIRST_MAX]; /* where the first ones of a class are in it */
    uint32_t first_count[CLASSES];
    struct buf entries; /* of the common index (prep_index.h) */
    struct buf shards;  /* struct shard_info each */
    struct buf blocks;  /* struct drift_counts (common/data/drift.h) of its impressions */
};

void prep_piece_fini(struct prep_piece *p);
/* Empties the piece for its next use; a zeroed piece is empty. */
void prep_piece_clear(struct prep_piece *p);
/* Record i without its line end. */
struct span prep_piece_record(const struct prep_piece *p, size_t i);
/* Gives the line number of record i over all files of the log. It is cheap if i ascends from call
 * to call. */
uint64_t prep_piece_line(struct prep_piece *p, size_t i);
/* Gives the record's file, and its line number there. */
struct piece_place prep_piece_place(struct prep_piece *p, size_t i);
const char *prep_piece_file(const struct prep_piece *p, size_t i);
/* Is record i the first of a further file, in a log whose files have headers? */
bool prep_piece_is_header(const struct prep_piece *p, size_t i);
bool prep_piece_doubtful(const struct prep_piece *p, size_t i);
/* How many lines record i has. */
uint64_t prep_piece_lines(const struct prep_piece *p, size_t i);
/* To be called if record i is not rejected: counts and notes its lines after the first, if any. */
void prep_piece_accept(struct prep_piece *p, size_t i);
/* Counts the lines of record i of `file` as rejected and writes its row of rejects.tsv.
 * ERR_MEMORY. */
enum status prep_piece_reject(struct prep_piece *p, size_t i, enum reject why);
/* The same; `seen` is the text found instead, which is added to the reason unless it is "". */
enum status prep_piece_reject_seen(struct prep_piece *p, size_t i, enum reject why,
                                   const char *seen);
