#include "field_schema.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/mem.h"

#define BOUNDS_SHOWN 8u /* if there are more, only their number and range are shown */

/* --- lists ------------------------------------------------------------------------------------ */

enum status field_schemas_add(struct field_schemas *s, const char *name,
                              struct field_schema **out) {
    if (s->count == FIELDS_MAX || strlen(name) >= FIELD_NAME_MAX) {
        return fail(ERR_LIMIT, "field '%.80s': more than %d fields, or too long a name", name,
                    FIELDS_MAX);
    }
    TRY(mem_grow(&s->list, s->count, s->count + 1));
    *out = &s->list[s->count++];
    memcpy((*out)->name, name, strlen(name));
    return OK;
}

const struct field_schema *field_schemas_find(const struct field_schemas *s, const char *name) {
    for (uint32_t k = 0; k < s->count; k++) {
        if (strcmp(s->list[k].name, name) == 0) {
            return &s->list[k];
        }
    }
    return NULL;
}

static enum status copy_field(struct field_schema *to, const struct field_schema *from) {
    to->kind = from->kind;
    to->multi = from->multi;
    to->weight = from->weight;
    memcpy(to->hash, from->hash, sizeof to->hash);
    TRY(field_schema_bounds(to, from->bounds, from->bound_count));
    for (uint32_t k = 0; k < from->missing_count; k++) {
        TRY(field_schema_missing(to, from->missing[k], strlen(from->missing[k])));
    }
    return OK;
}

enum status field_schemas_unite(struct field_schemas *all, const struct field_schemas *more) {
    for (uint32_t k = 0; k < more->count; k++) {
        const struct field_schema *from = &more->list[k];
        const struct field_schema *known = field_schemas_find(all, from->name);
        struct field_schema *to = known == NULL ? NULL : &all->list[known - all->list];
        if (known != NULL && (known->kind != FIELD_UNKNOWN || from->kind == FIELD_UNKNOWN)) {
            continue;
        }
        if (to == NULL) {
            TRY(field_schemas_add(all, from->name, &to));
        }
        TRY(copy_field(to, from));
    }
    return OK;
}

void field_schemas_free(struct field_schemas *s) {
    for (uint32_t k = 0; k < s->count; k++) {
        mem_free(&s->list[k].bounds);
        mem_free(&s->list[k].missing);
    }
    mem_free(&s->list);
    *s = (struct field_schemas){0};
}

/* --- one field -------------------------------------------------------------------------------- */

enum status field_schema_bounds(struct field_schema *f, const double *bounds, uint32_t count) {
    mem_free(&f->bounds);
    f->bound_count = 0;
    TRY(mem_array(&f->bounds, count));
    if (count > 0) {
        memcpy(f->bounds, bounds, count * sizeof *bounds);
    }
    f->bound_count = count;
    return OK;
}

enum status field_schema_missing(struct field_schema *f, const char *text, size_t bytes) {
    uint32_t at = 0;
    char copy[FIELD_TEXT_MAX] = "";
    if (bytes >= FIELD_TEXT_MAX || f->missing_count == FIELD_MISSING_MAX) {
        return fail(ERR_LIMIT, "field '%s': a missing text of %zu bytes, or more than %u of them",
                    f->name, bytes, FIELD_MISSING_MAX);
    }
    memcpy(copy, text, bytes);
    while (at < f->missing_count && strcmp(f->missing[at], copy) < 0) {
        at++;
    }
    if (at < f->missing_count && strcmp(f->missing[at], copy) == 0) {
        return OK;
    }
    TRY(mem_grow(&f->missing, f->missing_count, f->missing_count + 1));
    memmove(f->missing[at + 1], f->missing[at], (f->missing_count - at) * sizeof *f->missing);
    memcpy(f->missing[at], copy, sizeof copy);
    f->missing_count++;
    return OK;
}

bool field_schema_is_missing(const struct field_schema *f, const char *text, size_t bytes) {
    bool found = bytes == 0;
    for (uint32_t k = 0; k < f->missing_count && !found; k++) {
        found = strlen(f->missing[k]) == bytes && memcmp(f->missing[k], text, bytes) == 0;
    }
    return found;
}

/* --- words ------------------------------------------------------------------------------------ */

const char *field_kind_name(enum field_kind kind) {
    switch (kind) {
    case FIELD_HASH_TEXT: return "hash";
    case FIELD_ID: return "id";
    case FIELD_NUMERIC: return "numeric";
    case FIELD_ALICCP: return "aliccp";
    default: return "unknown";
    }
}

/* Appends a text for a message: bytes that are not printable ASCII are written as \xHH. */
static enum status put_shown(struct buf *out, const char *text, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        const unsigned char c = (unsigned char)text[i];
        TRY(c == '\t'              ? buf_printf(out, "\\t")
            : c < 0x20 || c > 0x7e ? buf_printf(out, "\\x%02x", c)
                                   : buf_printf(out, "%c", c));
    }
    return OK;
}

/* The shortest text that reads back as the same double. */
static enum status put_bound(struct buf *out, double bound) {
    char text[32];
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, bound);
        if (strtod(text, NULL) == bound) {
            break;
        }
    }
    return buf_printf(out, "%s", text);
}

static enum status put_bounds(const struct field_schema *f, struct buf *out) {
    if (f->bound_count > BOUNDS_SHOWN) {
        TRY(buf_printf(out, ", %u bounds from ", f->bound_count));
        TRY(put_bound(out, f->bounds[0]));
        TRY(buf_printf(out, " to "));
        return put_bound(out, f->bounds[f->bound_count - 1]);
    }
    for (uint32_t k = 0; k < f->bound_count; k++) {
        TRY(buf_printf(out, k == 0 ? ", bounds " : ", "));
        TRY(put_bound(out, f->bounds[k]));
    }
    return OK;
}

enum status field_schema_describe(const struct field_schema *f, struct buf *out) {
    TRY(buf_printf(out, "kind = %s", field_kind_name(f->kind)));
    if (f->kind == FIELD_HASH_TEXT && strcmp(f->hash, FIELD_HASH) != 0) {
        TRY(buf_printf(out, " (%s)", f->hash));
    }
    TRY(put_bounds(f, out));
    if (f->multi != 0) {
        TRY(buf_printf(out, ", multi = "));
        TRY(put_shown(out, &f->multi, 1));
    }
    if (f->weight != 0) {
        TRY(buf_printf(out, ", weight = "));
        TRY(put_shown(out, &f->weight, 1));
    }
    return OK;
}

/* --- two sides -------------------------------------------------------------------------------- */

struct sides {
    const struct field_schemas *a, *b;
    const char *a_says, *b_says;
    struct buf *doubts;
};

/* FIELD_ID and FIELD_ALICCP give the same ids: both take the number in the text. */
static bool same_kind(const struct field_schema *x, const struct field_schema *y) {
    const bool numbers = (x->kind == FIELD_ID || x->kind == FIELD_ALICCP) &&
                         (y->kind == FIELD_ID || y->kind == FIELD_ALICCP);
    return numbers || (x->kind == y->kind && strcmp(x->hash, y->hash) == 0);
}

static bool same_separators(const struct field_schema *x, const struct field_schema *y) {
    return x->kind == FIELD_ALICCP || y->kind == FIELD_ALICCP ||
           (x->multi == y->multi && x->weight == y->weight);
}

/* The first bound that differs; bound_count if none does. */
static uint32_t first_other(const struct field_schema *x, const struct field_schema *y) {
    uint32_t k = 0;
    while (k < x->bound_count && k < y->bound_count && x->bounds[k] == y->bounds[k]) {
        k++;
    }
    return k;
}

static bool same_bounds(const struct field_schema *x, const struct field_schema *y) {
    return x->bound_count == y->bound_count && first_other(x, y) == x->bound_count;
}

/* Long lists are shown only by their first and last bounds, so the first difference is named. */
static enum status put_first_other(const struct field_schema *x, const struct field_schema *y,
                                   struct buf *out) {
    const uint32_t k = first_other(x, y);
    if (x->bound_count != y->bound_count || k == x->bound_count || x->bound_count <= BOUNDS_SHOWN) {
        return OK;
    }
    TRY(buf_printf(out, " (bound %u is ", k + 1));
    TRY(put_bound(out, x->bounds[k]));
    TRY(buf_printf(out, " and "));
    TRY(put_bound(out, y->bounds[k]));
    return buf_printf(out, ")");
}

static enum status fail_differ(const struct sides *s, const struct field_schema *x,
                               const struct field_schema *y) {
    struct buf text = BUF_EMPTY;
    enum status status = OK;
    TRY_OUT(buf_printf(&text, "field '%s': %s ", x->name, s->a_says));
    TRY_OUT(field_schema_describe(x, &text));
    TRY_OUT(buf_printf(&text, "; %s ", s->b_says));
    TRY_OUT(field_schema_describe(y, &text));
    TRY_OUT(put_first_other(x, y, &text));
    status = fail(ERR_CONFIG,
                  "%s: the same text has another id in each; prepare both with one "
                  "schema (docs/prep.md)",
                  (const char *)text.data);
out:
    buf_fini(&text);
    return status;
}

static enum status match_field(const struct sides *s, const struct field_schema *x,
                               const struct field_schema *y) {
    return same_kind(x, y) && same_separators(x, y) && same_bounds(x, y) ? OK
                                                                         : fail_differ(s, x, y);
}

static bool same_missing(const struct field_schema *x, const struct field_schema *y) {
    bool same = x->missing_count == y->missing_count;
    for (uint32_t k = 0; same && k < x->missing_count; k++) {
        same = strcmp(x->missing[k], y->missing[k]) == 0;
    }
    return same || x->kind == FIELD_ALICCP || y->kind == FIELD_ALICCP;
}

static enum status put_missing(const struct field_schema *f, struct buf *out) {
    TRY(buf_printf(out, f->missing_count == 0 ? "no missing texts" : "missing = "));
    for (uint32_t k = 0; k < f->missing_count; k++) {
        TRY(buf_printf(out, "%s'", k == 0 ? "" : ", "));
        TRY(put_shown(out, f->missing[k], strlen(f->missing[k])));
        TRY(buf_printf(out, "'"));
    }
    return OK;
}

/* Begins the line of a doubt about a field and `others` more: field 'age' (and 2 more): A has ...;
 * B has ... */
static enum status put_both(const struct sides *s, const struct field_schema *x,
                            const struct field_schema *y, uint32_t others,
                            enum status (*put)(const struct field_schema *, struct buf *)) {
    TRY(buf_printf(s->doubts, "field '%s'", x->name));
    if (others > 0) {
        TRY(buf_printf(s->doubts, " (and %u more)", others));
    }
    TRY(buf_printf(s->doubts, ": %s ", s->a_says));
    TRY(put(x, s->doubts));
    TRY(buf_printf(s->doubts, "; %s ", s->b_says));
    return put(y, s->doubts);
}

/* Fields of both sides that have the same kind of doubt: the first one, and their number. Usually
 * one key of [log] causes the doubt for all fields, so they share one line. */
struct found {
    const struct field_schema *x, *y;
    uint32_t count;
};

static void found_add(struct found *f, const struct field_schema *x, const struct field_schema *y) {
    f->x = f->count == 0 ? x : f->x;
    f->y = f->count == 0 ? y : f->y;
    f->count++;
}

static enum status doubt_times(const struct sides *s) {
    if (s->a->times[0] == '\0' || s->b->times[0] == '\0' || strcmp(s->a->times, s->b->times) == 0) {
        return OK;
    }
    return buf_printf(s->doubts, "times: %s %s; %s %s\n", s->a_says, s->a->times, s->b_says,
                      s->b->times);
}

static enum status put_doubts(const struct sides *s, const struct found *unknown,
                              const struct found *missing) {
    if (unknown->count > 0) {
        TRY(put_both(s, unknown->x, unknown->y, unknown->count - 1, field_schema_describe));
        TRY(buf_printf(s->doubts, ": an older version or another program does not say how texts "
                                  "became ids; whether both agree is not checked\n"));
    }
    if (missing->count > 0) {
        TRY(put_both(s, missing->x, missing->y, missing->count - 1, put_missing));
        TRY(buf_printf(s->doubts, ": what is no value in one may be a value in the other\n"));
    }
    return doubt_times(s);
}

enum status field_schemas_match(const struct field_schemas *a, const char *a_says,
                                const struct field_schemas *b, const char *b_says,
                                struct buf *doubts) {
    const struct sides s = {a, b, a_says, b_says, doubts};
    struct found unknown = {0}, missing = {0};
    for (uint32_t k = 0; k < a->count; k++) {
        const struct field_schema *x = &a->list[k], *y = field_schemas_find(b, x->name);
        if (y == NULL) {
            continue;
        }
        if (x->kind == FIELD_UNKNOWN || y->kind == FIELD_UNKNOWN) {
            found_add(&unknown, x, y);
            continue;
        }
        TRY(match_field(&s, x, y));
        if (!same_missing(x, y)) {
            found_add(&missing, x, y);
        }
    }
    return put_doubts(&s, &unknown, &missing);
}
