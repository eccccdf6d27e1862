/* prep_quotes.c - the walk over a record's cells, and the watch over the lines inside of them.
 *
 * Quotes are what people forget to close, so every opening quote may be a bad one, and each is
 * looked at again from its own line on. What keeps that from being quadratic: a walk ends at the
 * first quote that does not stand at the end of a cell (an opening one, seen from inside of
 * another quoted cell, is nearly always that), at the first line that is a record by itself, and at
 * one cell more than there are columns; and a line's own number of cells, which does not depend on
 * where the walk came from, is counted once (`checked`).
 */
#include "prep_quotes.h"

enum walk { WALK_END, WALK_BROKEN, WALK_MORE };

/* What is walked over. */
struct stretch {
    const char *text;
    size_t from, stop; /* of the record; where the text ends */
    bool ended;        /* and the last line with it */
};

static size_t find(const char *text, size_t from, size_t stop, char c) {
    const char *at = from < stop ? memchr(text + from, c, stop - from) : NULL;
    return at == NULL ? NO_END : (size_t)(at - text);
}

/* --- lines inside of a record ---------------------------------------------------------------- */

static enum walk walk(struct prep_quotes *q, const struct stretch *s, size_t *end,
                      uint32_t *cells);

/* Has the line [from, stop) as many cells as there are columns? */
static bool is_record(const struct prep_quotes *q, const char *text, size_t from, size_t stop) {
    struct prep_quotes alone = *q;
    const struct stretch line = {text, from, stop, true};
    uint32_t cells = 1;
    size_t end = 0;
    for (size_t at = from; (at = find(text, at, stop, q->delimiter)) != NO_END; at++) {
        cells++;
    }
    if (from == stop || (stop == from + 1 && text[from] == '\r')) {
        return false; /* blank */
    }
    return cells == q->columns ||
           (find(text, from, stop, q->quote) != NO_END &&
            walk(&alone, &line, &end, &cells) == WALK_END && cells == q->columns);
}

/* Is one of the lines that start in (from, to] a record? One that is not whole yet is left for
 * later. */
static bool holds_record(struct prep_quotes *q, const struct stretch *s, size_t from, size_t to) {
    if (q->checked <= from) {
        const size_t end = find(s->text, from, s->stop, '\n');
        if (end == NO_END) {
            return false;
        }
        q->checked = end + 1;
    }
    while (q->checked <= to) {
        const size_t end = find(s->text, q->checked, s->stop, '\n');
        if (end == NO_END && !s->ended) {
            return false;
        }
        if (is_record(q, s->text, q->checked, end == NO_END ? s->stop : end)) {
            return true;
        }
        q->checked = (end == NO_END ? s->stop : end) + 1;
    }
    return false;
}

/* --- cells ----------------------------------------------------------------------------------- */

static bool line_ends_at(const struct stretch *s, size_t at) {
    if (at < s->stop && s->text[at] == '\r') {
        at++;
    }
    return at < s->stop ? s->text[at] == '\n' : s->ended;
}

/* From behind an opening quote to behind the closing one. */
static enum walk close_quote(struct prep_quotes *q, const struct stretch *s, size_t *at) {
    const size_t open = *at;
    for (;;) {
        const size_t quote = find(s->text, *at, s->stop, q->quote);
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

/* Behind a cell: *at is a delimiter's or a line end's place. */
static enum walk take_cell(struct prep_quotes *q, const struct stretch *s, size_t *at) {
    if (*at < s->stop && s->text[*at] == q->quote) {
        (*at)++;
        const enum walk closed = close_quote(q, s, at);
        if (closed != WALK_END) {
            return closed;
        }
        if (*at + 1 == s->stop && s->text[*at] == '\r' && !s->ended) {
            return WALK_MORE; /* the line end may follow */
        }
        return line_ends_at(s, *at) || s->text[*at] == q->delimiter ? WALK_END : WALK_BROKEN;
    }
    while (*at < s->stop && s->text[*at] != q->delimiter && s->text[*at] != '\n') {
        (*at)++;
    }
    return *at < s->stop || s->ended ? WALK_END : WALK_MORE;
}

/* To the first line end outside of quotes. */
static enum walk walk(struct prep_quotes *q, const struct stretch *s, size_t *end,
                      uint32_t *cells) {
    size_t at = s->from;
    for (*cells = 1; q->columns == 0 || *cells <= q->columns; (*cells)++) {
        const enum walk cell = take_cell(q, s, &at);
        if (cell != WALK_END) {
            return cell;
        }
        if (at == s->stop || s->text[at] != q->delimiter) {
            const size_t line_end = find(s->text, at, s->stop, '\n'); /* behind \r, if any */
            *end = line_end == NO_END ? s->stop : line_end + 1;
            return WALK_END;
        }
        at++;
    }
    return WALK_BROKEN;
}

size_t prep_quotes_end(struct prep_quotes *q, const char *text, size_t from, size_t stop,
                       bool ended, bool cut) {
    const struct stretch s = {text, from, stop, ended};
    const size_t newline = find(text, from, stop, '\n');
    const size_t plain = newline == NO_END ? NO_END : newline + 1;
    size_t end = plain;
    uint32_t cells = 0;
    if (q->quote == 0 || find(text, from, newline == NO_END ? stop : plain, q->quote) == NO_END) {
        return plain;
    }
    const enum walk how = walk(q, &s, &end, &cells);
    if (how == WALK_MORE) {
        return cut ? plain : NO_END;
    }
    if (how == WALK_BROKEN || end == plain) {
        return plain;
    }
    if (q->columns > 0) {
        return cells == q->columns ? end : plain;
    }
    struct prep_quotes own = {.quote = q->quote, .delimiter = q->delimiter, .columns = cells};
    return holds_record(&own, &s, from, end - 1) ? plain : end;
}
