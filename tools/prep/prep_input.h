/* prep_input.h - a raw log, of one file or several, read once from front to back and cut into
 * pieces.
 *
 * Several files are read as one text: runs of records go on from one file to the next, and a piece
 * may hold the end of one and the beginning of another. A record may not: the last one of a file
 * ends with the file. A further file that is empty is passed over.
 *
 * Where a piece ends depends on the content alone, never on how the bytes arrived. It ends after
 * `records_max` records or `bytes_max` bytes; if a run of records for which `same_run` holds ends
 * in the second half of these, it ends at the last such place. A record is a line, or several in a
 * quoted format (csv_quotes.h).
 *
 * A record longer than `line_bytes_max` is given cut, one byte longer than that, so that whoever
 * parses it sees that it is too long. A byte order mark is skipped. One thread.
 */
#pragma once

#include "common/base/file.h"
#include "prep_piece.h"
#include "tools/log/csv_quotes.h"

struct prep_input {
    struct file file;              /* that is being read */
    const struct file_list *files; /* the caller's */
    size_t at;                     /* of files: the one that is being read */
    const char *name; /* of the log, for messages: a path, "-", or "a.csv and 2 more" */
    bool headers;     /* each file has a header; those of further ones are marked in the pieces */
    uint64_t bytes_total; /* 0: not known */
    uint64_t bytes_read;
    uint32_t records_max;
    size_t bytes_max;
    size_t block_bytes, line_bytes_max; /* as prep_input_open sets them; smaller in tests */
    struct csv_quotes quotes;           /* how records end; .checked is this struct's own */
    bool exact_offsets;                 /* a piece ends behind a record that was cut */
    bool (*same_run)(void *arg, struct span a, struct span b); /* NULL: no runs */
    void *arg;
    /* state */
    struct buf rest;                  /* read, and of the next piece */
    uint64_t offset, line, number;    /* of the next piece */
    size_t scanned;                   /* of the piece being filled: bytes of whole records */
    bool begun, skipping, gap, ended; /* of the file */
    size_t begin;                     /* where in the text it began */
    struct buf borders;               /* struct border: where in the text further files begin */
    struct piece_source source;       /* of the next piece's first record */
    bool due;                         /* its file's header is still to come */
    char label[PATH_BYTES_MAX];
};

/* path "-" is standard input. The other members are the caller's to set before the first piece; the
 * list is kept. Further files are opened when their time comes. ERR_NOT_FOUND, ERR_IO; ERR_FORMAT
 * for a directory. */
enum status prep_input_open(struct prep_input *in, const struct file_list *files);
void prep_input_close(struct prep_input *in); /* safe on a zeroed struct with file.fd -1 */

/* Fills *p (cleared) with the next piece. ERR_CLOSED: there is none. ERR_AGAIN: no bytes came for a
 * while; call again with the same piece (both without a fail text). ERR_FORMAT: not text (gzip).
 * ERR_IO, ERR_MEMORY. */
enum status prep_input_next(struct prep_input *in, struct prep_piece *p);

/* Takes the first record that is not blank off the input, before any piece: a header. It and the
 * lines before it are counted in *t. Statuses as above; ERR_AGAIN only after a stop signal. The run
 * must have no same_run yet; quotes.columns may be set after it. */
enum status prep_input_first(struct prep_input *in, struct buf *record, struct prep_tally *t);

/* What comes next, without taking it: at least `bytes`, or all that is left. Good until the next
 * call of any function. Statuses as prep_input_first. */
enum status prep_input_peek(struct prep_input *in, size_t bytes, struct span *text);
