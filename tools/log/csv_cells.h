/* csv_cells.h - splits a record of a delimited log into its cells (RFC 4180). Pure. */
#pragma once

#include "common/base/bytes.h"
#include "common/field/span.h"

struct csv_cells {
    struct span *cell;
    size_t count, cap;
    struct buf plain; /* the cells that had doubled quotes, with single ones */
};

/* Splits a record (without its line end). With quote 0, quotes are ordinary bytes. *good is false
 * if a quoted cell is not closed, or continues after its closing quote. Cells point into the record
 * or into c->plain; they are valid until the next call. ERR_MEMORY. */
enum status csv_cells_split(struct csv_cells *c, struct span record, char delimiter, char quote,
                            bool *good);
void csv_cells_fini(struct csv_cells *c);
