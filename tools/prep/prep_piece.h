/* prep_piece.h - a stretch of a raw log on its way through `esmm prep`: cut by the reader, turned
 * into results by one worker, taken in order by the main thread. Also the reasons for rejecting a
 * line.
 *
 * A piece belongs to one thread at a time; its buffers are kept from use to use.
 */
#ifndef TOOLS_PREP_PREP_PIECE_H
#define TOOLS_PREP_PREP_PIECE_H

#include "common/base/bytes.h"
#include "common/data/shard.h"

#define LINE_BYTES_MAX    ((size_t)1 << 20) /* a longer line is rejected */
#define REJECT_HEAD_BYTES 120               /* of a rejected line that rejects.tsv repeats */
#define CONTINUED_SHOWN   3u                /* records of several lines that the summary names */

#define REJECT_LIST(X)                                                                             \
    X(REJECT_NONE, "")                                                                             \
    X(REJECT_COLUMNS, "wrong number of columns")                                                   \
    X(REJECT_LABEL, "label is not 0 or 1")                                                         \
    X(REJECT_KEY, "common index is empty or longer than 255 bytes")                                \
    X(REJECT_COUNT, "feature_num is not a number")                                                 \
    X(REJECT_DISAGREES, "feature_num disagrees with the features")                                 \
    X(REJECT_ENTRY, "a feature is not field, id and value")                                        \
    X(REJECT_FIELD, "a field name is empty, too long or not printable")                            \
    X(REJECT_ID, "a feature id is not a number")                                                   \
    X(REJECT_VALUE, "a value is not a number")                                                     \
    X(REJECT_FINITE, "a value is not finite")                                                      \
    X(REJECT_NO_COMMON, "no common row")                                                           \
    X(REJECT_DUPLICATE, "common index came before")                                                \
    X(REJECT_LONG, "line is longer than 1048576 bytes")                                            \
    X(REJECT_QUOTES, "quotes are not closed, or not at the ends of a cell")                        \
    X(REJECT_LINES, "a cell's quotes span a line that may be a row of its own")                    \
    X(REJECT_HEADER, "repeats the header; with log.repeated_headers = skip it is one")             \
    X(REJECT_IMPRESSION, "impression id is missing")                                               \
    X(REJECT_TIME, "a time is missing, cannot be read, or is not from 1990 to 2100")               \
    X(REJECT_ORDER, "a conversion's time is before its click's")                                   \
    X(REJECT_WEIGHT, "a weight is not a number from 0 to 1000000")

enum reject {
#define X(name, text) name,
    REJECT_LIST(X)
#undef X
        REJECTS
};
const char *reject_text(enum reject r);

/* A stretch of a line: not NUL-terminated, but the 16 bytes after it can be read. */
struct span {
    const char *at;
    size_t n;
};

/* Lines that have a label, or look so (prep_classes.h). */
struct class_tally {
    uint64_t rows, rejected[REJECTS]; /* the rejected ones are among the rows */
};
#define CLASS_CLICK        0u
#define CLASS_CONVERSION   1u
#define CLASS_BEHAVIOUR(k) (1u + (k)) /* k from 1, as LABEL_BEHAVIOUR */
#define CLASSES            DATASET_LABELS
#define CLASS_FIRST_MAX    3u /* rejects of a class that are shown */

/* What was counted, of a piece or of a file. Every line is in one of the counts below `lines`:
 *
 *     lines = header + blank + rejected + dropped + rows + continued
 *
 * A rejected record of several lines counts as so many rejected lines. */
struct prep_tally {
    uint64_t lines; /* of the file; the last one may have no end */
    uint64_t header, blank;
    uint64_t rejected[REJECTS];
    uint64_t dropped;   /* orphans that were left out */
    uint64_t rows;      /* impressions, or rows of a common file: what came out */
    uint64_t continued; /* further lines of records that were not rejected */
    struct class_tally class[CLASSES];
    uint64_t orphans; /* conversions without a click */
    uint64_t splits;  /* groups begun because the user side changed within a group value (csv) */
    /* With times: of the impressions, seconds since 1970, 0 if there are none; and of how many a
     * time is one that the zone skips, or has twice (zone.h). */
    uint64_t first_time, last_time, skipped, twice;
};
/* Notes an impression's time. */
static inline void prep_tally_time(struct prep_tally *t, uint64_t first, uint64_t last) {
    t->first_time =
        t->first_time == 0 || (first > 0 && first < t->first_time) ? first : t->first_time;
    t->last_time = last > t->last_time ? last : t->last_time;
}
void prep_tally_add(struct prep_tally *to, const struct prep_tally *from);
uint64_t prep_tally_rejected(const struct prep_tally *t);
/* Lines that were taken for rows, good or bad. */
uint64_t prep_tally_judged(const struct prep_tally *t);
uint64_t prep_tally_sum(const struct prep_tally *t); /* of the counts; see above */

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
    enum status status; /* of the work; why is its fail text */
    char why[1024];
};

void prep_piece_fini(struct prep_piece *p);
/* Empties it for a next use. */
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
enum status prep_piece_reject(struct prep_piece *p, const char *file, size_t i, enum reject why);
/* The same; `seen` is added to the reason: what was there instead. "": nothing. */
enum status prep_piece_reject_seen(struct prep_piece *p, const char *file, size_t i,
                                   enum reject why, const char *seen);
/* The row itself: file, line, reason, head of the line, tab-separated and escaped. ERR_MEMORY. */
enum status reject_row(struct buf *out, const char *file, uint64_t line, enum reject why,
                       const char *seen, struct span text);

#endif
