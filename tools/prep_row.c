#include "prep_row.h"

#include "common/hash.h"
#include "field_text.h"

enum status prep_row_init(struct prep_row *r, const struct prep_schema *schema,
                          struct prep_fields *f) {
    *r = (struct prep_row){.schema = schema, .timed = schema->time.name[0] != '\0'};
    for (uint32_t k = 0; k < schema->count; k++) {
        const struct csv_column *c = &schema->columns[k];
        char padded[FIELD_NAME_MAX + 8] = {0}; /* a name is read by eight bytes */
        memcpy(padded, c->field, strlen(c->field));
        TRY(prep_fields_slot(f, (struct span){padded, strlen(padded)}, c->side, &r->slot[k]));
    }
    return OK;
}

void prep_row_fini(struct prep_row *r) {
    prep_cells_fini(&r->cells);
    feature_list_fini(&r->item);
    feature_list_fini(&r->user);
    buf_fini(&r->identity);
}

static bool is(struct span text, const char *word) {
    return word[0] != '\0' && strlen(word) == text.n && memcmp(word, text.at, text.n) == 0;
}

static bool missing(const struct prep_row *r, struct span text) {
    return text.n == 0 || is(text, r->schema->missing);
}

/* --- features -------------------------------------------------------------------------------- */

/* One value of a cell: an id, and behind the last weight separator its weight. */
static enum status add_value(struct prep_row *r, struct feature_list *l, uint32_t k,
                             struct span text, enum reject *why) {
    const struct csv_column *c = &r->schema->columns[k];
    struct feature f = {.field = r->slot[k], .weight = 1};
    const struct field_rule rule = {c->kind, c->bounds, c->bound_count};
    text = field_text_value(c->weight, text, &f.weight, why);
    if (*why != REJECT_NONE || missing(r, text) || is(text, c->missing)) {
        return OK;
    }
    *why = field_text_id(&rule, text, &f.id);
    return *why == REJECT_NONE ? feature_list_add(l, &f) : OK;
}

static enum status add_cell(struct prep_row *r, struct feature_list *l, uint32_t k,
                            enum reject *why) {
    const struct csv_column *c = &r->schema->columns[k];
    struct span cell = r->cells.cell[c->place];
    if (missing(r, cell) || is(cell, c->missing)) {
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

static enum status add_side(struct prep_row *r, struct feature_list *l, enum side side,
                            enum reject *why) {
    *why = REJECT_NONE;
    TRY(feature_list_clear(l, 0));
    for (uint32_t k = 0; k < r->schema->count && *why == REJECT_NONE; k++) {
        if (r->schema->columns[k].side == side) {
            TRY(add_cell(r, l, k, why));
        }
    }
    return OK;
}

/* --- the row --------------------------------------------------------------------------------- */

static enum status put_text(struct buf *out, struct span text) {
    TRY(buf_put_varint(out, text.n)); /* so that no two lists of cells look alike */
    return buf_put(out, text.at, text.n);
}

static enum status identify(struct prep_row *r) {
    buf_clear(&r->identity);
    if (r->schema->group.name[0] != '\0') {
        TRY(put_text(&r->identity, r->cells.cell[r->schema->group.place]));
    }
    r->group_bytes = r->identity.len;
    for (uint32_t k = 0; k < r->schema->count; k++) {
        if (r->schema->columns[k].side == SIDE_USER) {
            TRY(put_text(&r->identity, r->cells.cell[r->schema->columns[k].place]));
        }
    }
    return OK;
}

static bool label_of(struct span cell, bool *out) {
    *out = cell.n == 1 && cell.at[0] == '1';
    return cell.n == 1 && (cell.at[0] == '0' || cell.at[0] == '1');
}

/* Seconds since 1970; fractions are cut off. */
static bool take_time(struct span cell, uint64_t *out) {
    double v = 0;
    const bool good = prep_number_f64(cell, &v) == REJECT_NONE && v >= 1 &&
                      v < (double)SHARD_TIME_MAX;
    *out = good ? (uint64_t)v : 0;
    return good;
}

/* What the labels ask for must be there. A click without a column of its own comes with the
 * impression. A conversion without a click is none (an orphan). */
static bool take_moment(struct prep_row *r) {
    const struct prep_schema *s = r->schema;
    const struct span *cell = r->cells.cell;
    r->when = (struct moment){.kind = KIND_LOG};
    if (!take_time(cell[s->time.place], &r->when.time)) {
        return false;
    }
    if (r->click) {
        const bool own = s->click_time.name[0] != '\0';
        if (!take_time(cell[own ? s->click_time.place : s->time.place], &r->when.click_time)) {
            return false;
        }
    }
    return !r->click || !r->conversion ||
           (take_time(cell[s->conversion_time.place], &r->when.conversion_time) &&
            r->when.conversion_time >= r->when.click_time);
}

static bool take_labels(struct prep_row *r) {
    const struct prep_schema *s = r->schema;
    const struct span *cell = r->cells.cell;
    r->behaviours = 0;
    for (uint32_t k = 0; k < s->behaviours; k++) {
        bool done = false;
        if (!label_of(cell[s->behaviour[k].place], &done)) {
            return false;
        }
        r->behaviours |= (uint8_t)(done ? LABEL_BEHAVIOUR(k + 1) : 0);
    }
    return label_of(cell[s->click.place], &r->click) &&
           label_of(cell[s->conversion.place], &r->conversion);
}

/* A weight that is missing is none: to count such a row as 1 would be a guess. */
static bool take_weight(struct prep_row *r) {
    const struct prep_schema *s = r->schema;
    r->weight = 1.0f;
    return s->weight.name[0] == '\0' ||
           (prep_number_f32(r->cells.cell[s->weight.place], &r->weight) == REJECT_NONE &&
            r->weight >= 0.0f && r->weight <= SHARD_WEIGHT_MAX);
}

enum status prep_row_read(struct prep_row *r, struct span record, enum reject *why) {
    const struct prep_schema *s = r->schema;
    bool good = false;
    TRY(prep_cells_split(&r->cells, record, s->delimiter, s->quote, &good));
    if (!good || r->cells.count != s->name_count) {
        *why = good ? REJECT_COLUMNS : REJECT_QUOTES;
        return OK;
    }
    const struct span *cell = r->cells.cell;
    if (!take_labels(r)) {
        *why = REJECT_LABEL;
        return OK;
    }
    if (r->timed && !take_moment(r)) {
        *why = REJECT_TIME;
        return OK;
    }
    if (!take_weight(r)) {
        *why = REJECT_WEIGHT;
        return OK;
    }
    if (s->impression.name[0] != '\0') {
        if (missing(r, cell[s->impression.place])) {
            *why = REJECT_IMPRESSION;
            return OK;
        }
        r->impression_id = prep_number_or_hash(cell[s->impression.place]);
    }
    TRY(identify(r));
    return add_side(r, &r->item, SIDE_ITEM, why);
}

enum status prep_row_user(struct prep_row *r, enum reject *why) {
    return add_side(r, &r->user, SIDE_USER, why);
}

bool prep_row_groups(const struct prep_row *r) {
    if (r->schema->group.name[0] == '\0') {
        return r->identity.len > 0;
    }
    return !missing(r, r->cells.cell[r->schema->group.place]);
}

uint64_t prep_row_key(const struct prep_row *r) {
    return r->schema->group.name[0] != '\0'
               ? prep_number_or_hash(r->cells.cell[r->schema->group.place])
               : hash_bytes(r->identity.data, r->identity.len);
}
