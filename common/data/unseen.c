#include "unseen.h"

#define VALUES_MAX (UINT64_C(1) << 40) /* of a field in one shard; sums of many stay in 64 bits */

void unseen_add(struct unseen *to, const struct unseen *from) {
    to->fields = from->fields > to->fields ? from->fields : to->fields;
    for (uint32_t f = 0; f < from->fields; f++) {
        to->field[f].values += from->field[f].values;
        to->field[f].unseen += from->field[f].unseen;
    }
}

void unseen_count(struct unseen_field *f, const uint32_t *index, uint32_t values,
                  const uint8_t *missing, uint32_t unique) {
    f->values += values;
    if (unique == 0 || memchr(missing, 1, unique) == NULL) { /* most fields: all is known */
        return;
    }
    for (uint32_t i = 0; i < values; i++) {
        f->unseen += missing[index[i]];
    }
}

static double first_of(const struct table_config *table, uint64_t rows, uint64_t values) {
    const double first = values == 0 ? 0 : rows < values ? (double)rows / (double)values : 1;
    const bool fewer = table->admit_after > 1 || table->evict_age > 0;
    return fewer && first < UNSEEN_FIRST_ASSUMED ? UNSEEN_FIRST_ASSUMED : first;
}

void unseen_first(const struct config *config, const struct schema *s, const uint64_t *rows,
                  const uint64_t *values, double *first) {
    bool known = false;
    for (uint32_t f = 0; f < s->count; f++) {
        known = known || values[f] > 0;
    }
    for (uint32_t f = 0; f < s->count; f++) {
        const struct table_config table = config_table(config, s->fields[f].name);
        first[f] = known ? first_of(&table, rows[f], values[f]) : UNSEEN_FIRST_ASSUMED;
    }
}

static double share_of(const struct unseen_field *f) {
    return f->values == 0 ? 0 : (double)f->unseen / (double)f->values;
}

bool unseen_doubtful(const struct unseen_field *f, double first) {
    return f->unseen >= UNSEEN_LEAST && share_of(f) > first + UNSEEN_MARGIN * (1 - first);
}

enum status unseen_table(const struct unseen *u, const struct schema *s, const double *first,
                         struct buf *out) {
    TRY(buf_printf(out, "%-20s %14s %12s %16s\n", "field", "values", "without row",
                   "new in training"));
    for (uint32_t f = 0; f < s->count; f++) {
        const struct unseen_field *n = &u->field[f];
        TRY(buf_printf(out, "%-20s %14llu %10.4g %% %14.4g %%%s\n", s->fields[f].name,
                       (unsigned long long)n->values, 100 * share_of(n), 100 * first[f],
                       unseen_doubtful(n, first[f]) ? "  !" : ""));
    }
    return OK;
}

enum status unseen_doubts(const struct unseen *u, const struct schema *s, const double *first,
                          struct buf *out) {
    for (uint32_t f = 0; f < s->count; f++) {
        if (unseen_doubtful(&u->field[f], first[f])) {
            TRY(buf_printf(
                out,
                "field '%s': the model has no row for %.4g %% of its values, where at most %.4g %% "
                "were to be expected of a log like the training data's: are its texts written "
                "as there (376 is not 376.0 or 000376), or is it of another world?\n",
                s->fields[f].name, 100 * share_of(&u->field[f]), 100 * first[f]));
        }
    }
    return OK;
}

void unseen_json(const struct unseen *u, const struct schema *s, const double *first,
                 struct json *j) {
    json_open(j, "fields", '{');
    for (uint32_t f = 0; f < s->count; f++) {
        json_open(j, s->fields[f].name, '{');
        json_u64(j, "values", u->field[f].values);
        json_u64(j, "unseen", u->field[f].unseen);
        json_f64(j, "share", share_of(&u->field[f]));
        json_f64(j, "share_first", first[f]);
        json_bool(j, "doubtful", unseen_doubtful(&u->field[f], first[f]));
        json_close(j);
    }
    json_close(j);
}

enum status unseen_pack(const struct unseen *u, struct buf *out) {
    for (uint32_t f = 0; f < u->fields; f++) {
        TRY(buf_put_varint(out, u->field[f].values));
        TRY(buf_put_varint(out, u->field[f].unseen));
    }
    return OK;
}

enum status unseen_unpack(struct unseen *u, uint32_t fields, const void *data, size_t bytes) {
    struct cursor c = cursor_of(data, bytes);
    *u = (struct unseen){.fields = fields};
    for (uint32_t f = 0; f < fields; f++) {
        u->field[f].values = cursor_varint(&c);
        u->field[f].unseen = cursor_varint(&c);
        if (c.bad || u->field[f].values > VALUES_MAX || u->field[f].unseen > u->field[f].values) {
            return fail(ERR_PROTOCOL,
                        "counts of unseen values: torn, or those of field %u cannot be true", f);
        }
    }
    return cursor_left(&c) == 0
               ? OK
               : fail(ERR_PROTOCOL, "counts of unseen values of more than %u fields", fields);
}
