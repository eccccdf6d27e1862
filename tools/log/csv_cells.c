#include "csv_cells.h"

#include "common/base/mem.h"

void csv_cells_fini(struct csv_cells *c) {
    mem_free(&c->cell);
    buf_fini(&c->plain);
    c->count = c->cap = 0;
}

/* Takes the quoted cell that begins at record->at and moves record->at behind its closing quote.
 * The cell's text is copied from its first doubled quote on; there is enough room. */
static bool take_quoted(struct csv_cells *c, struct span *record, char quote, struct span *cell) {
    const char *at = record->at + 1, *end = record->at + record->n;
    const char *from = at;
    const size_t plain = c->plain.len;
    for (;;) {
        const char *stop = memchr(at, quote, (size_t)(end - at));
        if (stop == NULL) {
            return false;
        }
        const bool doubled = stop + 1 < end && stop[1] == quote;
        if (!doubled && c->plain.len == plain) {
            *cell = (struct span){from, (size_t)(stop - from)};
        }
        if (doubled || c->plain.len > plain) {
            const size_t n = (size_t)(stop - at) + doubled;
            memcpy(c->plain.data + c->plain.len, at, n);
            c->plain.len += n;
        }
        at = stop + 1 + doubled;
        if (!doubled) {
            break;
        }
    }
    if (c->plain.len > plain) {
        *cell = (struct span){(const char *)c->plain.data + plain, c->plain.len - plain};
    }
    *record = (struct span){at, (size_t)(end - at)};
    return true;
}

enum status csv_cells_split(struct csv_cells *c, struct span record, char delimiter, char quote,
                            bool *good) {
    c->count = 0;
    buf_clear(&c->plain);
    *good = true;
    TRY(buf_reserve(&c->plain, record.n + 1)); /* pointers into it stay valid */
    for (;;) {
        struct span cell = record;
        if (quote != 0 && record.n > 0 && record.at[0] == quote) {
            *good = take_quoted(c, &record, quote, &cell) &&
                    (record.n == 0 || record.at[0] == delimiter);
            if (!*good) {
                return OK;
            }
        } else {
            const char *stop = record.n == 0 ? NULL : memchr(record.at, delimiter, record.n);
            cell.n = stop == NULL ? record.n : (size_t)(stop - record.at);
            record = (struct span){record.at + cell.n, record.n - cell.n};
        }
        TRY(mem_room(&c->cell, &c->cap, c->count + 1));
        c->cell[c->count++] = cell;
        if (record.n == 0) {
            return OK;
        }
        record = (struct span){record.at + 1, record.n - 1}; /* skips the delimiter */
    }
}
