/* prep_input.h - reads a raw log, of one file or several, once from front to back and cuts it into
 * pieces.
 *
 * Several files are read as one text: a run of records may continue from one file into the next,
 * and a piece may hold the end of one file and the beginning of another. A record may not: the last
 * record of a file ends with the file. An empty file after the first is skipped.
 *
 * Where a piece ends depends on the content alone, never on how the bytes arrived. It ends after
 * `records_max` records or `bytes_max` bytes. But if a run of records for which `same_run` holds
 * ends in the second half of these, the piece ends at the last such place. A record is one line, or
 * several lines in a quoted format (csv_quotes.h).
 *
 * A record longer than `line_bytes_max` is cut to one byte more than that, so that the parser sees
 * that it is too long. A byte order mark is skipped. Only one thread uses this.
 */
#pragma once

#include "common/base/file.h"
#include "prep_piece.h"
#include "tools/log/csv_quotes.h"

struct prep_input {
    struct file file;              /* the one being read */
    const struct file_list *files; /* the caller's */
    size_t at;                     /* index in files of the one being read */
    const char *name;     /* of the log, for messages: a path, "-", or "a.csv and 2 more" */
    bool headers;         /* each file has a header; pieces mark those after the first */
    uint64_t bytes_total; /* 0: not known */
    uint64_t bytes_read;
    uint32_t records_max;
    size_t bytes_max;
    size_t block_bytes, line_bytes_max; /* prep_input_open sets them; smaller in tests */
    struct csv_quotes quotes;           /* how records end; .checked belongs to this struct */
    bool exact_offsets;                 /* a piece ends after a record that was cut */
    bool (*same_run)(void *arg, struct span a, struct span b); /* NULL: no runs */
    void *arg;
    /* state */
    struct buf rest;                  /* read already; belongs to the next piece */
    uint64_t offset, line, number;    /* of the next piece */
    size_t scanned;                   /* in the piece being filled: bytes of whole records */
    bool begun, skipping, gap, ended; /* of the file */
    size_t begin;                     /* where the file begins in the text */
    struct buf borders;               /* struct border: where further files begin in the text */
    struct piece_source source;       /* of the next piece's first record */
    bool due;                         /* the header of its file is still to come */
    char label[PATH_BYTES_MAX];
};

/* Path "-" is standard input. The caller sets the other members before the first piece; the list
 * must stay valid. Further files are opened when they are reached. ERR_NOT_FOUND, ERR_IO;
 * ERR_FORMAT for a directory. */
enum status prep_input_open(struct prep_input *in, const struct file_list *files);
void prep_input_close(struct prep_input *in); /* safe on a zeroed struct with file.fd -1 */

/* Fills *p (cleared) with the next piece. ERR_CLOSED: there is none. ERR_AGAIN: no bytes came for a
 * while; call again with the same piece. Both set no fail text. ERR_FORMAT: not text (gzip).
 * ERR_IO, ERR_MEMORY. */
enum status prep_input_next(struct prep_input *in, struct prep_piece *p);

/* Takes the first record that is not blank, a header, off the input, before any piece. The record
 * and the lines before it are counted in *t. Statuses as above; ERR_AGAIN only after a stop signal.
 * same_run must not be set yet; quotes.columns may be set afterwards. */
enum status prep_input_first(struct prep_input *in, struct buf *record, struct prep_tally *t);

/* Gives what comes next, without taking it: at least `bytes`, or all that is left. The text is
 * valid until the next call of any function. Statuses as prep_input_first. */
enum status prep_input_peek(struct prep_input *in, size_t bytes, struct span *text);
