/* csv_quotes.c - walks over a record's cells and checks the lines inside them.
 *
 * People forget to close quotes, so every opening quote may be wrong, and each is examined again
 * from its own line on. Two things keep the cost from being quadratic. First, a walk ends at the
 * first quote that does not stand at the end of a cell (an opening quote, seen from inside another
 * quoted cell, nearly always does not), at the first line that is a record by itself, and at one
 * cell more than there are columns. Second, a line's own number of cells, which does not depend on
 * where the walk came from, is counted only once (`checked`).
 */
#include "csv_quotes.h"

enum walk { WALK_END, WALK_BROKEN, WALK_MORE };
enum alone { ALONE_NO, ALONE_MAYBE, ALONE_YES };

/* The text of a walk. */
struct stretch {
    const char *text;
    size_t from, stop; /* start of the record; end of the text */
    bool ended;        /* `stop` also ends the last line */
    /* the result */
    size_t end;
    uint32_t cells;
    bool stray; /* there are quotes inside cells that are not quoted */
};

static enum walk walk_cells(struct csv_quotes *q, struct stretch *s);

static size_t find_byte(const char *text, size_t from, size_t stop, char c) {
    const char *at = from < stop ? memchr(text + from, c, stop - from) : NULL;
    return at == NULL ? NO_END : (size_t)(at - text);
}

/* --- lines inside of a record ----------------------------------------------------------------- */

/* Is the line [from, stop) a record? */
static enum alone is_record(const struct csv_quotes *q, const char *text, size_t from,
                            size_t stop) {
    struct csv_quotes own = *q;
    struct stretch line = {.text = text, .from = from, .stop = stop, .ended = true};
    uint32_t cells = 1;
    if (from == stop || (stop == from + 1 && text[from] == '\r')) {
        return ALONE_NO; /* blank */
    }
    for (size_t at = from; (at = find_byte(text, at, stop, q->delimiter)) != NO_END; at++) {
        cells++;
    }
    const bool obeyed = walk_cells(&own, &line) == WALK_END && line.cells == q->columns;
    return obeyed && !line.stray           ? ALONE_YES
           : obeyed || cells == q->columns ? ALONE_MAYBE
                                           : ALONE_NO;
}

/* Is one of the lines that start in (from, to] a record? A line that is not complete yet is left
 * for later. */
static bool holds_record(struct csv_quotes *q, const struct stretch *s, size_t from, size_t to) {
    if (q->checked <= from) {
        const size_t end = find_byte(s->text, from, s->stop, '\n');
        if (end == NO_END) {
            return false;
        }
        q->checked = end + 1;
    }
    while (q->checked <= to) {
        size_t end = find_byte(s->text, q->checked, s->stop, '\n');
        if (end == NO_END && !s->ended) {
            return false;
        }
        end = end == NO_END ? s->stop : end;
        if (is_record(q, s->text, q->checked, end) == ALONE_YES) {
            return true;
        }
        q->checked = end + 1;
    }
    return false;
}

/* Gives the strictest answer for the further lines of a whole record. */
static enum alone further_lines(const struct csv_quotes *q, const struct stretch *s) {
    enum alone most = ALONE_NO;
    for (size_t at = find_byte(s->text, s->from, s->end, '\n') + 1; at < s->end;) {
        size_t end = find_byte(s->text, at, s->end, '\n');
        end = end == NO_END ? s->end : end;
        const enum alone alone = is_record(q, s->text, at, end);
        most = alone > most ? alone : most;
        at = end + 1;
    }
    return most;
}

/* --- cells ------------------------------------------------------------------------------------ */

static bool line_ends_at(const struct stretch *s, size_t at) {
    if (at < s->stop && s->text[at] == '\r') {
        at++;
    }
    return at < s->stop ? s->text[at] == '\n' : s->ended;
}

/* Walks from behind an opening quote to behind the closing one. */
static enum walk close_quote(struct csv_quotes *q, const struct stretch *s, size_t *at) {
    const size_t open = *at;
    for (;;) {
        const size_t quote = find_byte(s->text, *at, s->stop, q->quote);
        if (q->columns > 0 && holds_record(q, s, open, quote == NO_END ? s->stop : quote)) {
            return WALK_BROKEN;
        }
        if (quote == NO_END || (quote + 1 == s->stop && !s->ended)) {
            return s->ended ? WALK_BROKEN : WALK_MORE;
        }
        *at = quote + 1;
        if (*at == s->stop || s->text[*at] != q->quote) {
            return WALK_END;
        }
        (*at)++;
    }
}

static enum walk take_quoted(struct csv_quotes *q, const struct stretch *s, size_t *at) {
    const enum walk closed = close_quote(q, s, at);
    if (closed != WALK_END) {
        return closed;
    }
    if (*at + 1 == s->stop && s->text[*at] == '\r' && !s->ended) {
        return WALK_MORE; /* the line end may follow */
    }
    return line_ends_at(s, *at) || s->text[*at] == q->delimiter ? WALK_END : WALK_BROKEN;
}

/* Handles the end of a cell: *at is the place of a delimiter or a line end. */
static enum walk take_cell(struct csv_quotes *q, struct stretch *s, size_t *at) {
    if (*at < s->stop && s->text[*at] == q->quote) {
        (*at)++;
        return take_quoted(q, s, at);
    }
    while (*at < s->stop && s->text[*at] != q->delimiter && s->text[*at] != '\n') {
        s->stray = s->stray || s->text[*at] == q->quote;
        (*at)++;
    }
    return *at < s->stop || s->ended ? WALK_END : WALK_MORE;
}

/* Walks to the first line end outside quotes. */
static enum walk walk_cells(struct csv_quotes *q, struct stretch *s) {
    size_t at = s->from;
    for (s->cells = 1; q->columns == 0 || s->cells <= q->columns; s->cells++) {
        const enum walk cell = take_cell(q, s, &at);
        if (cell != WALK_END) {
            return cell;
        }
        if (at == s->stop || s->text[at] != q->delimiter) {
            const size_t line_end = find_byte(s->text, at, s->stop, '\n'); /* behind \r, if any */
            s->end = line_end == NO_END ? s->stop : line_end + 1;
            return WALK_END;
        }
        at++;
    }
    return WALK_BROKEN;
}

size_t csv_quotes_end(struct csv_quotes *q, const char *text, size_t from, size_t stop, bool ended,
                      bool cut) {
    struct stretch s = {.text = text, .from = from, .stop = stop, .ended = ended};
    const size_t newline = find_byte(text, from, stop, '\n');
    const size_t plain = newline == NO_END ? NO_END : newline + 1;
    q->doubtful = false;
    if (q->quote == 0 ||
        find_byte(text, from, newline == NO_END ? stop : plain, q->quote) == NO_END) {
        return plain;
    }
    const enum walk how = walk_cells(q, &s);
    if (how == WALK_MORE) {
        return cut ? plain : NO_END;
    }
    if (how == WALK_BROKEN || plain == NO_END || s.end == plain ||
        (q->columns > 0 && s.cells != q->columns)) {
        return plain;
    }
    const struct csv_quotes own = {q->quote, q->delimiter, s.cells, 0, false};
    const enum alone further = further_lines(&own, &s);
    q->doubtful = further == ALONE_MAYBE && q->columns > 0;
    return further == ALONE_NO || q->doubtful ? s.end : plain;
}
