#include "prep_header.h"

#include <stdio.h>

#include "common/base/thread.h"
#include "tools/log/csv_cells.h"

/* Common delimiters. */
static const struct {
    char byte;
    const char *name, *plural;
} delimiters[] = {{',', "comma", "commas"},         {'\t', "tab", "tabs"},
                  {';', "semicolon", "semicolons"}, {'|', "pipe", "pipes"},
                  {' ', "space", "spaces"},         {'\x01', "\\x01", "\\x01 bytes"}};

static size_t count_byte(struct span text, char c) {
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        n += text.at[i] == c;
    }
    return n;
}

/* Says what else may be wrong with a header in which a column is not found; "" if nothing is
 * found. */
static void guess_delimiter(struct span header, const struct csv_schema *s, char *out,
                            size_t bytes) {
    const size_t now = count_byte(header, s->delimiter);
    size_t best = 0, most = 0;
    for (size_t k = 0; k < sizeof delimiters / sizeof *delimiters; k++) {
        const size_t n = count_byte(header, delimiters[k].byte);
        if (n > most) {
            best = k;
            most = n;
        }
    }
    out[0] = '\0';
    if (memchr(header.at, '\r', header.n) != NULL && memchr(header.at, '\n', header.n) == NULL) {
        snprintf(out, bytes,
                 "; its lines seem to end with \\r alone: make it \\n (tr '\\r' '\\n')");
    } else if (most > 2 * now) { /* blanks in names are not delimiters */
        snprintf(out, bytes, "; the header seems to be separated by %s: delimiter = %s",
                 delimiters[best].plural, delimiters[best].name);
    }
}

static enum status header_bind(struct csv_schema *s, const char *path, struct span header,
                               const struct span *cells, size_t n) {
    char hint[128];
    const enum status status = csv_schema_bind(s, path, cells, n);
    if (status != ERR_CONFIG) {
        return status;
    }
    guess_delimiter(header, s, hint, sizeof hint);
    return fail(status, "%s%s", fail_text(), hint);
}

enum status prep_header_read(struct prep_input *in, struct csv_schema *s, struct buf *header,
                             struct prep_tally *t) {
    struct csv_cells cells = {0};
    bool good = true;
    if (!s->header) {
        return csv_schema_bind(s, in->name, NULL, 0);
    }
    enum status status = prep_input_first(in, header, t);
    if (status == ERR_CLOSED) {
        return fail(ERR_FORMAT, "%s: is empty, expected a header", in->name);
    }
    if (status == ERR_AGAIN) {
        return fail(ERR_CLOSED, "stopped by signal %d; nothing was written", stop_signal());
    }
    TRY(status);
    const struct span text = {(const char *)header->data, header->len};
    TRY_OUT(csv_cells_split(&cells, text, s->delimiter, s->quote, &good));
    TRY_OUT(good ? header_bind(s, in->name, text, cells.cell, cells.count)
                 : fail(ERR_FORMAT, "%s: header: %s", in->name, reject_text(REJECT_QUOTES)));
out:
    csv_cells_fini(&cells);
    return status;
}
