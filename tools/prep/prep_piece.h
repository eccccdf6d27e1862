/* prep_piece.h - a stretch of a raw log on its way through `esmm prep`: cut by the reader, turned
 * into results by one worker, taken in order by the main thread.
 *
 * A piece belongs to one thread at a time; its buffers are kept from use to use.
 */
#pragma once

#include "prep_tally.h"

#define LINE_BYTES_MAX  ((size_t)1 << 20) /* a longer line is rejected */
#define CONTINUED_SHOWN 3u                /* records of several lines that the summary names */

/* From this record on the piece's text is of that file of the log. */
struct piece_source {
    uint32_t record;
    uint32_t
        header; /* the record that is its header; UINT32_MAX: not here, or not to be told apart */
    const char *file;
    uint64_t lines_before; /* of the log, in other files */
};
/* A place in the log, for people. */
struct piece_place {
    const char *file;
    uint64_t line;
};

struct prep_piece {
    uint64_t number;     /* from 0 */
    uint64_t offset;     /* of text in the file */
    uint64_t first_line; /* line number of text's first byte, over all files of the log */
    struct buf sources;  /* struct piece_source, ascending; the first is of record 0 */
    uint64_t lines;      /* of the text; as many as records unless some have several */
    struct buf text;     /* records, and 16 zero bytes beyond len */
    uint32_t *start;     /* [count + 1]: record i is text [start[i], start[i + 1]), line end too */
    size_t count, start_cap;
    struct buf doubtful; /* uint32_t, ascending: records that csv_quotes.h calls so */
    size_t counted;      /* record up to which lines were counted, and its line number */
    uint64_t counted_line;
    /* results */
    struct prep_tally tally; /* `lines` and `rows` are the main thread's to fill in */
    struct piece_place continued[CONTINUED_SHOWN]; /* where the first continued records begin */
    uint32_t continued_count;
    struct buf rejects;                       /* rows of rejects.tsv */
    uint32_t first[CLASSES][CLASS_FIRST_MAX]; /* where in it the first ones of a class are */
    uint32_t first_count[CLASSES];
    struct buf entries; /* of the common index (prep_index.h) */
    struct buf shards;  /* struct shard_info each */
    struct buf blocks;  /* struct drift_counts (common/data/drift.h) of its impressions */
};

void prep_piece_fini(struct prep_piece *p);
/* Empties it for a next use; a zeroed one is empty. */
void prep_piece_clear(struct prep_piece *p);
/* Record i without its line end. */
struct span prep_piece_record(const struct prep_piece *p, size_t i);
/* The line number of record i over all files of the log; ask for ascending i. */
uint64_t prep_piece_line(struct prep_piece *p, size_t i);
/* Its file, and the line number there. */
struct piece_place prep_piece_place(struct prep_piece *p, size_t i);
const char *prep_piece_file(const struct prep_piece *p, size_t i);
/* Is it the first record of a further file of a log whose files have headers? */
bool prep_piece_is_header(const struct prep_piece *p, size_t i);
bool prep_piece_doubtful(const struct prep_piece *p, size_t i);
/* How many lines record i has. */
uint64_t prep_piece_lines(const struct prep_piece *p, size_t i);
/* Record i is not rejected: counts and notes its lines beyond the first, if there are any. */
void prep_piece_accept(struct prep_piece *p, size_t i);
/* Counts the lines of record i of `file` as rejected and writes its row of rejects.tsv.
 * ERR_MEMORY. */
enum status prep_piece_reject(struct prep_piece *p, size_t i, enum reject why);
/* The same; `seen` is added to the reason: what was there instead. "": nothing. */
enum status prep_piece_reject_seen(struct prep_piece *p, size_t i, enum reject why,
                                   const char *seen);
