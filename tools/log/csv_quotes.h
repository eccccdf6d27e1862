/* csv_quotes.h - tells which line ends of a quoted log (RFC 4180) are inside a record. Pure.
 *
 * A record is usually one line. It continues over further lines only if all of this holds: a quoted
 * cell is open at the line's end; the quotes close, and they stand at the ends of cells; the record
 * then has as many cells as there are columns; and none of the further lines is a record by itself,
 * that is, has that many cells with all quotes in place. Otherwise the line alone is the record,
 * the parser rejects it, and the next line is examined on its own. So a quote that was not closed
 * costs only the line it is on, never a good line.
 *
 * A further line may have that many cells only if its quotes are taken as ordinary letters. Then
 * there are two readings: one cell of several lines, or two bad lines. Such a record is `doubtful`
 * and must be rejected.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NO_END ((size_t)-1)

struct csv_quotes {
    char quote, delimiter; /* with quote 0 every line end ends a record */
    uint32_t columns;      /* 0: not known; the record's own number of cells is used */
    /* State for records that are asked for in order. Every line that starts before this place of
     * the text, and after the opening quote examined last, is known not to be a record by itself.
     * The caller sets it to 0 if the text was moved or is read from its beginning again. */
    size_t checked;
    bool doubtful; /* is the record that was asked for last doubtful? */
};

/* Gives where the record that starts at text[from] ends, after its line end; NO_END: it does not
 * end within [from, stop). ended: nothing comes after `stop`, so `stop` ends a line too. cut: more
 * bytes come, but the record must not grow further. The answer depends only on the text: with
 * another `stop` it is the same, or NO_END. */
size_t csv_quotes_end(struct csv_quotes *q, const char *text, size_t from, size_t stop, bool ended,
                      bool cut);
