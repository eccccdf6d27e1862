#include "csv_row.h"

#include <stdio.h>

#include "common/base/hash.h"
#include "common/data/shard_format.h"
#include "common/field/field_text.h"

enum status csv_row_init(struct csv_row *r, const struct csv_schema *schema, struct log_fields *f) {
    *r = (struct csv_row){.schema = schema, .fields = f, .timed = schema->time.name[0] != '\0'};
    for (uint32_t k = 0; k < schema->count; k++) {
        const struct csv_column *c = &schema->columns[k];
        char padded[FIELD_NAME_MAX + 8] = {0}; /* names are read eight bytes at a time */
        memcpy(padded, c->field, strlen(c->field));
        TRY(log_fields_slot(f, span_of(padded), c->side, &r->slot[k]));
    }
    return OK;
}

void csv_row_fini(struct csv_row *r) {
    csv_cells_fini(&r->cells);
    feature_list_fini(&r->item);
    feature_list_fini(&r->user);
    buf_fini(&r->identity);
}

static bool is_missing(const struct csv_row *r, struct span text) {
    return text.n == 0 || text_list_has(&r->schema->missing, text);
}

/* Notes the column and text that caused a reject, for the reader of rejects.tsv. */
static void note_seen(struct csv_row *r, const char *column, struct span cell) {
    const int n = (int)(cell.n < 60 ? cell.n : 60);
    if (cell.n == 0) {
        snprintf(r->seen, sizeof r->seen, "%s is empty", column);
    } else {
        snprintf(r->seen, sizeof r->seen, "%s is '%.*s'%s", column, n, cell.at,
                 (size_t)n < cell.n ? "..." : "");
    }
}

/* Converts a number in the log's style to plain style; a text that is not a number stays as it
 * is. */
static struct span plain_number(const struct csv_row *r, struct span cell,
                                char copy[FIELD_NUMBER_BYTES]) {
    struct span number;
    return field_number_plain(&r->schema->numbers, cell, copy, &number) ? number : cell;
}

/* --- features --------------------------------------------------------------------------------- */

/* Adds one value of a cell: an id, and after the last weight separator its weight. */
static enum status add_value(struct csv_row *r, struct feature_list *l, uint32_t k,
                             struct span text, enum reject *why) {
    const struct csv_column *c = &r->schema->columns[k];
    struct feature f = {.field = r->slot[k], .weight = 1};
    const struct number_style *style = &r->schema->numbers;
    enum field_fault fault = FIELD_FINE;
    char copy[FIELD_NUMBER_BYTES];
    if (c->multi != 0 || c->weight != 0) { /* one part may be no value */
        text = field_text_value(c->weight, style, text, &f.weight, &fault);
        *why = reject_of(fault);
        if (*why != REJECT_NONE || is_missing(r, text) || text_list_has(&c->missing, text)) {
            return OK;
        }
    }
    if (c->rule.kind == FIELD_ID) {
        const struct span id = field_id_plain(style->decimal, text);
        r->fields->plain_ids[f.field] += id.n != text.n;
        text = id;
    } else if (c->rule.kind == FIELD_NUMERIC && !field_number_plain(style, text, copy, &text)) {
        *why = REJECT_VALUE;
        return OK;
    }
    *why = reject_of(field_text_id(&c->rule, text, &f.id));
    return *why == REJECT_NONE ? feature_list_add(l, &f) : OK;
}

static enum status add_cell(struct csv_row *r, struct feature_list *l, uint32_t k,
                            enum reject *why) {
    const struct csv_column *c = &r->schema->columns[k];
    struct span cell = r->cells.cell[c->place];
    if (is_missing(r, cell) || text_list_has(&c->missing, cell)) {
        return OK;
    }
    while (c->multi != 0 && *why == REJECT_NONE) {
        const char *stop = memchr(cell.at, c->multi, cell.n);
        if (stop == NULL) {
            break;
        }
        const size_t n = (size_t)(stop - cell.at);
        TRY(n > 0 ? add_value(r, l, k, (struct span){cell.at, n}, why) : OK);
        cell = (struct span){stop + 1, cell.n - n - 1};
    }
    return *why == REJECT_NONE && cell.n > 0 ? add_value(r, l, k, cell, why) : OK;
}

static enum status add_side(struct csv_row *r, struct feature_list *l, enum side side,
                            enum reject *why) {
    *why = REJECT_NONE;
    TRY(feature_list_clear(l, 0));
    for (uint32_t k = 0; k < r->schema->count && *why == REJECT_NONE; k++) {
        const struct csv_column *c = &r->schema->columns[k];
        if (c->side == side) {
            TRY(add_cell(r, l, k, why));
        }
        if (*why != REJECT_NONE) {
            note_seen(r, c->name, r->cells.cell[c->place]);
            r->read = false;
        }
    }
    return OK;
}

/* --- labels and times ------------------------------------------------------------------------- */

static bool time_of(struct csv_row *r, const struct csv_role *role, uint64_t *out) {
    const struct span cell = r->cells.cell[role->place];
    const bool number = r->schema->clock.format[0] == '\0';
    enum zone_fit fit = ZONE_ONCE;
    char copy[FIELD_NUMBER_BYTES];
    if (field_clock_read(&r->schema->clock, number ? plain_number(r, cell, copy) : cell, out,
                         &fit)) {
        r->skipped = r->skipped || fit == ZONE_NEVER;
        r->twice = r->twice || fit == ZONE_TWICE;
        return true;
    }
    char guess[CLOCK_GUESS];
    note_seen(r, role->name, cell);
    field_clock_guess(&r->schema->clock, cell, guess);
    const size_t n = strlen(r->seen);
    snprintf(r->seen + n, sizeof r->seen - n, "%s%s", guess[0] == '\0' ? "" : ", ", guess);
    return false;
}

/* Every time that the labels require must be there. A click without a time column of its own has
 * the impression's time. A conversion without a click (an orphan) counts as no conversion. */
static enum reject take_moment(struct csv_row *r) {
    const struct csv_schema *s = r->schema;
    const struct csv_role *click = s->click_time.name[0] != '\0' ? &s->click_time : &s->time;
    r->when = (struct moment){.kind = KIND_LOG};
    r->skipped = r->twice = false;
    if (!time_of(r, &s->time, &r->when.time) ||
        (r->click && !time_of(r, click, &r->when.click_time)) ||
        (r->click && r->conversion && !time_of(r, &s->conversion_time, &r->when.conversion_time))) {
        return REJECT_TIME;
    }
    if (r->when.conversion_time > 0 && r->when.conversion_time < r->when.click_time) {
        note_seen(r, s->conversion_time.name, r->cells.cell[s->conversion_time.place]);
        return REJECT_ORDER;
    }
    return REJECT_NONE;
}

/* Reads the label in a cell. `funnel`: the stage from which on the label is 1; 0: not a funnel. */
static bool cell_label(const struct csv_row *r, struct span cell, uint32_t funnel, bool *out) {
    char copy[FIELD_NUMBER_BYTES];
    uint32_t stage = 0;
    cell =
        cell.n == 1 ? cell : plain_number(r, cell, copy); /* one digit, the usual case, is plain */
    if (funnel == 0) {
        return log_label(cell, r->schema->labels, out);
    }
    const bool good = log_label_stage(cell, &stage);
    *out = stage >= funnel;
    return good;
}

/* Gives the funnel stage from which on the label is 1; 0: the label has its own column. */
static uint32_t funnel_stage(const struct csv_schema *s, const struct csv_label *l) {
    return s->labels != LABELS_FUNNEL ? 0 : l == &s->click ? 1 : l == &s->conversion ? 2 : 0;
}

/* Reads the label of a row. The cell is used only if the label has one. */
static bool label_of(const struct csv_row *r, const struct csv_label *l, struct span cell,
                     bool *out) {
    const struct csv_schema *s = r->schema;
    switch (l->source) {
    case LABEL_ALWAYS: *out = true; return true;
    case LABEL_NEVER: *out = false; return true;
    case LABEL_THERE:
        *out = !is_missing(r, cell) && span_trimmed(cell).n > 0 && !text_list_has(&l->none, cell);
        return true;
    default: return cell_label(r, cell, funnel_stage(s, l), out);
    }
}

static bool take_label(struct csv_row *r, const struct csv_label *l, bool *out) {
    const struct span cell = r->cells.cell[l->role.place];
    const bool good = label_of(r, l, cell, out);
    if (!good) {
        note_seen(r, l->role.name, cell);
    }
    return good;
}

static bool take_labels(struct csv_row *r) {
    const struct csv_schema *s = r->schema;
    r->behaviours = 0;
    for (uint32_t k = 0; k < s->behaviours; k++) {
        bool done = false;
        if (!take_label(r, &s->behaviour[k], &done)) {
            return false;
        }
        r->behaviours |= (uint8_t)(done ? LABEL_BEHAVIOUR(k + 1) : 0);
    }
    return take_label(r, &s->click, &r->click) && take_label(r, &s->conversion, &r->conversion);
}

/* Does the label look positive in a rejected row? If the row has too many or too few cells, the
 * label's cell may be the one counted from the left or from the right; then both must look
 * positive. */
static bool looks(const struct csv_row *r, const struct csv_label *l) {
    const size_t place = l->role.place;
    const size_t places[2] = {place, r->cells.count + place - r->schema->name_count};
    for (size_t k = 0; k < 2; k++) {
        bool positive = false;
        if (places[k] >= r->cells.count) { /* this includes places below 0 */
            return false;
        }
        const struct span cell = r->cells.cell[places[k]];
        if (label_of(r, l, cell, &positive) ? !positive
                                            : span_trimmed(cell).n == 0 || is_missing(r, cell)) {
            return false;
        }
    }
    return true;
}

/* A label that every row has cannot distinguish rows, so it is no class. */
uint32_t csv_row_classes(const struct csv_row *r) {
    const struct csv_schema *s = r->schema;
    const bool tells = s->click.source != LABEL_ALWAYS;
    uint32_t classes = 0;
    if (r->read) {
        classes = (uint32_t)(tells && r->click) << CLASS_CLICK | (uint32_t)r->conversion
                                                                     << CLASS_CONVERSION;
        for (uint32_t k = 1; k <= s->behaviours; k++) {
            classes |= (r->behaviours & LABEL_BEHAVIOUR(k)) != 0 ? 1u << CLASS_BEHAVIOUR(k) : 0;
        }
        return classes;
    }
    classes = (uint32_t)(tells && looks(r, &s->click)) << CLASS_CLICK |
              (uint32_t)looks(r, &s->conversion) << CLASS_CONVERSION;
    for (uint32_t k = 0; k < s->behaviours; k++) {
        classes |= (uint32_t)looks(r, &s->behaviour[k]) << CLASS_BEHAVIOUR(k + 1);
    }
    return classes;
}

/* --- the row ---------------------------------------------------------------------------------- */

/* Writes the text with its length before it (LEB128), so that different lists of cells never look
 * alike. */
static enum status put_text(struct buf *out, struct span text) {
    TRY(buf_reserve(out, VARINT_BYTES_MAX + text.n));
    uint8_t *at = varint_put(out->data + out->len, text.n);
    memcpy(at, text.at, text.n);
    out->len = (size_t)(at - out->data) + text.n;
    return OK;
}

static enum status identify(struct csv_row *r) {
    const struct csv_role *group = &r->schema->group;
    const bool grouped = group->name[0] != '\0';
    buf_clear(&r->identity);
    if (grouped) {
        TRY(put_text(&r->identity, r->cells.cell[group->place]));
    }
    r->group_bytes = r->identity.len;
    for (uint32_t k = 0; k < r->schema->count; k++) {
        if (r->schema->columns[k].side == SIDE_USER) {
            TRY(put_text(&r->identity, r->cells.cell[r->schema->columns[k].place]));
        }
    }
    r->groups = grouped ? !is_missing(r, r->cells.cell[group->place]) : r->identity.len > 0;
    return OK;
}

static bool take_impression(struct csv_row *r) {
    const struct csv_role *role = &r->schema->impression;
    const struct span cell = r->cells.cell[role->place];
    if (role->name[0] == '\0') {
        return true;
    }
    if (is_missing(r, cell)) {
        note_seen(r, role->name, cell);
        return false;
    }
    r->impression_id = field_number_or_hash(cell);
    return true;
}

/* A missing weight is an error: counting such a row as 1 would be a guess. */
static bool take_weight(struct csv_row *r) {
    const struct csv_role *role = &r->schema->weight;
    const struct span cell = r->cells.cell[role->place];
    char copy[FIELD_NUMBER_BYTES];
    r->weight = 1.0f;
    if (role->name[0] == '\0' ||
        (field_number_f32(plain_number(r, cell, copy), &r->weight) == FIELD_FINE &&
         r->weight >= 0.0f && r->weight <= SHARD_WEIGHT_MAX)) {
        return true;
    }
    note_seen(r, role->name, cell);
    return false;
}

/* Splits a record whose quotes are bad: its labels may still be readable. */
static enum status split_anyhow(struct csv_row *r, struct span record) {
    const char quote = r->schema->quote;
    bool good = false;
    TRY(csv_cells_split(&r->cells, record, r->schema->delimiter, 0, &good));
    for (size_t k = 0; k < r->cells.count; k++) {
        struct span *cell = &r->cells.cell[k];
        if (cell->n >= 2 && cell->at[0] == quote && cell->at[cell->n - 1] == quote) {
            *cell = (struct span){cell->at + 1, cell->n - 2};
        }
    }
    return OK;
}

enum status csv_row_read(struct csv_row *r, struct span record, enum reject *why) {
    const struct csv_schema *s = r->schema;
    bool good = false;
    r->seen[0] = '\0';
    r->read = false;
    TRY(csv_cells_split(&r->cells, record, s->delimiter, s->quote, &good));
    TRY(good ? OK : split_anyhow(r, record));
    *why = !good                             ? REJECT_QUOTES
           : r->cells.count != s->name_count ? REJECT_COLUMNS
           : !take_labels(r)                 ? REJECT_LABEL
           : !take_weight(r)                 ? REJECT_WEIGHT
           : !take_impression(r)             ? REJECT_IMPRESSION
           : r->timed                        ? take_moment(r)
                                             : REJECT_NONE;
    if (*why == REJECT_COLUMNS) {
        snprintf(r->seen, sizeof r->seen, "%zu, expected %u", r->cells.count, s->name_count);
    }
    if (*why != REJECT_NONE) {
        return OK;
    }
    r->read = true;
    TRY(identify(r));
    return add_side(r, &r->item, SIDE_ITEM, why);
}

enum status csv_row_user(struct csv_row *r, enum reject *why) {
    return add_side(r, &r->user, SIDE_USER, why);
}

uint64_t csv_row_key(const struct csv_row *r) {
    return r->schema->group.name[0] != '\0'
               ? field_number_or_hash(r->cells.cell[r->schema->group.place])
               : hash_bytes(r->identity.data, r->identity.len);
}
