/* csv_quotes.h - which line ends of a quoted log (RFC 4180) are inside of a record. Pure.
 *
 * A record is a line. It goes on over further lines only if a quoted cell is open at the line's end
 * AND the quotes close and stand at the ends of cells AND there are then as many cells as there are
 * columns AND none of the further lines is a record by itself, with that many cells and quotes that
 * are all in place. Otherwise the line is a record alone, for whoever parses it to reject, and the
 * next line is looked at afresh: a quote that somebody forgot to close costs the line it is on and
 * never a good one.
 *
 * A further line that has that many cells only if its quotes are taken as letters leaves two
 * readings: a cell of several lines, or two bad lines. Such a record is `doubtful`, to be rejected.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define NO_END ((size_t)-1)

struct csv_quotes {
    char quote, delimiter; /* quote 0: a line end is a record's end */
    uint32_t columns;      /* 0: not known; then the record's own number of cells */
    /* state, for records that are asked for in order: no line that starts before this place of the
     * text, behind the opening quote that was looked at last, is a record by itself. To be set to 0
     * where the text has moved or is begun again. */
    size_t checked;
    bool doubtful; /* the record that was asked for last */
};

/* Where the record that starts at text[from] ends, behind its line end; NO_END: not within
 * [from, stop). ended: nothing comes after `stop`, which then ends a line too. cut: bytes come, but
 * the record may have no more. The answer depends on the text alone: with another `stop` it is the
 * same, or NO_END. */
size_t csv_quotes_end(struct csv_quotes *q, const char *text, size_t from, size_t stop, bool ended,
                      bool cut);
