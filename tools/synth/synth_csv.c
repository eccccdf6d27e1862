#include "synth_csv.h"

#include "synth_line.h"

#define CELL_BYTES_MAX 40u  /* id 20, separator, value 12, separator */
#define HEAD_BYTES_MAX 160u /* a row's cells before the fields */

static enum side side_of(uint32_t field) {
    return field <= F_INTENTION_BAG ? SIDE_USER : SIDE_ITEM;
}

/* Is the field one that has several values, or weights, in one of the shapes? */
static bool is_bag(uint32_t field) {
    return (field >= F_CATEGORY_BAG && field <= F_INTENTION_BAG) || field == F_INTENTION ||
           (field >= F_CROSS_CATEGORY && field <= F_CROSS_INTENTION);
}

/* --- header and schema ------------------------------------------------------------------------ */

static enum status put_names(struct buf *out, const struct synth_fields *f, enum side side,
                             const char *first, const char *then) {
    for (uint32_t k = 0; k < F_COUNT; k++) {
        if (side_of(k) == side && f->field[k].n > 0) {
            TRY(buf_printf(out, "%s%s", first, f->field[k].name));
            first = then;
        }
    }
    return OK;
}

enum status synth_csv_header(struct buf *out, const struct synth_fields *f) {
    TRY(buf_printf(out, "impression,session,time,click_time,conversion_time,click,conversion"));
    TRY(put_names(out, f, SIDE_USER, ",", ","));
    TRY(put_names(out, f, SIDE_ITEM, ",", ","));
    return buf_printf(out, "\n");
}

enum status synth_csv_schema(struct buf *out, const struct synth_fields *f) {
    TRY(buf_printf(out, "; esmm prep --format csv --schema log.schema --input log.csv --out DIR\n"
                        "[log]\nquotes = no\nimpression = impression\ngroup = session\n"
                        "time = time\nclick_time = click_time\n"
                        "conversion_time = conversion_time\nclick = click\n"
                        "conversion = conversion\nuser = "));
    TRY(put_names(out, f, SIDE_USER, "", ", "));
    TRY(buf_printf(out, "\nitem = "));
    TRY(put_names(out, f, SIDE_ITEM, "", ", "));
    TRY(buf_printf(out, "\n"));
    for (uint32_t k = 0; k < F_COUNT; k++) {
        if (f->field[k].n > 0) {
            TRY(buf_printf(out, "\n[column.%s]\nkind = id\n%s", f->field[k].name,
                           is_bag(k) ? "multi = |\nweight = :\n" : ""));
        }
    }
    return OK;
}

/* --- rows ------------------------------------------------------------------------------------- */

static char *put_cell(char *at, uint32_t field, const struct synth_entry *entries, uint32_t n) {
    bool first = true;
    for (uint32_t i = 0; i < n; i++) {
        if (entries[i].field == field) {
            if (!first) {
                *at++ = '|';
            }
            first = false;
            at = synth_line_u64(at, entries[i].id);
            if (is_bag(field)) {
                *at++ = ':';
                at = synth_line_value(at, entries[i].value_e5);
            }
        }
    }
    return at;
}

enum status synth_csv_cells(struct buf *out, const struct synth_fields *f, enum side side,
                            const struct synth_entry *entries, uint32_t n) {
    TRY(buf_reserve(out, F_COUNT + (size_t)n * CELL_BYTES_MAX));
    char *const start = (char *)out->data + out->len;
    char *at = start;
    for (uint32_t k = 0; k < F_COUNT; k++) {
        if (side_of(k) == side && f->field[k].n > 0) {
            *at++ = ',';
            at = put_cell(at, k, entries, n);
        }
    }
    out->len += (size_t)(at - start);
    return OK;
}

/* Writes "," and the time; only "," if the time is 0. */
static char *put_time(char *at, uint64_t time) {
    *at++ = ',';
    return time == 0 ? at : synth_line_u64(at, time);
}

enum status synth_csv_row(struct buf *out, const struct synth_fields *f,
                          const struct synth_csv_row *row) {
    TRY(buf_reserve(out, HEAD_BYTES_MAX));
    char *const start = (char *)out->data + out->len;
    char *at = synth_line_u64(start, row->id);
    *at++ = ',';
    at = synth_line_hex(at, row->session);
    at = put_time(at, row->when.time);
    at = put_time(at, row->when.click_time);
    at = put_time(at, row->when.conversion_time);
    *at++ = ',';
    *at++ = row->click ? '1' : '0';
    *at++ = ',';
    *at++ = row->conversion ? '1' : '0';
    out->len += (size_t)(at - start);
    TRY(buf_put(out, row->user->data, row->user->len));
    TRY(synth_csv_cells(out, f, SIDE_ITEM, row->item, row->items));
    return buf_put_u8(out, '\n');
}
