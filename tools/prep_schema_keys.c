#include "prep_schema_keys.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/mem.h"
#include "common/nearest.h"
#include "prep_line.h"

/* --- values ---------------------------------------------------------------------------------- */

/* One byte: itself, its name, or \t, \xHH. */
static enum status separator(const char *value, char *out) {
    static const struct {
        const char *name;
        char byte;
    } names[] = {{"comma", ','}, {"semicolon", ';'}, {"tab", '\t'}, {"\\t", '\t'},
                 {"space", ' '}, {"pipe", '|'},      {"colon", ':'}};
    char *end = NULL;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        if (strcmp(value, names[k].name) == 0) {
            *out = names[k].byte;
            return OK;
        }
    }
    if (strncmp(value, "\\x", 2) == 0 && strlen(value) == 4) {
        const unsigned long byte = strtoul(value + 2, &end, 16);
        if (*end == '\0' && byte > 0 && byte != '\n' && byte != '\r') {
            *out = (char)byte;
            return OK;
        }
    }
    if (strlen(value) != 1) {
        return fail(ERR_CONFIG, "'%.40s': expected one character, comma, semicolon, tab, space, "
                                "pipe, colon, or \\xHH", value);
    }
    *out = value[0];
    return OK;
}

static enum status yes_no(const char *value, bool *out) {
    *out = strcmp(value, "yes") == 0 || strcmp(value, "true") == 0;
    return *out || strcmp(value, "no") == 0 || strcmp(value, "false") == 0
               ? OK
               : fail(ERR_CONFIG, "'%.40s': expected yes or no", value);
}

static enum status headers_of(const char *value, bool *skip) {
    *skip = strcmp(value, "skip") == 0;
    return *skip || strcmp(value, "reject") == 0
               ? OK
               : fail(ERR_CONFIG, "'%.40s': expected skip or reject", value);
}

/* A column's name, or a field's: a text that is not empty. */
static enum status name_of(const char *value, char *out, size_t bytes) {
    char text[LIST_TEXT_MAX];
    TRY(prep_list_text(value, text));
    if (text[0] == '\0' || strlen(text) >= bytes) {
        return fail(ERR_CONFIG, "'%.40s': a name of %zu bytes, expected 1 to %zu", text,
                    strlen(text), bytes - 1);
    }
    memcpy(out, text, strlen(text) + 1);
    return OK;
}

/* The next name of a list. */
static enum status next_name(const char **list, char out[CSV_NAME_MAX], bool *more) {
    TRY(prep_list_next(list, out, more));
    return *more && out[0] == '\0' ? fail(ERR_CONFIG, "a column's name is empty") : OK;
}

/* --- columns --------------------------------------------------------------------------------- */

enum status prep_schema_column(struct prep_schema *s, const char *name, struct csv_column **out) {
    for (uint32_t k = 0; k < s->count; k++) {
        if (strcmp(s->columns[k].name, name) == 0) {
            *out = &s->columns[k];
            return OK;
        }
    }
    if (s->count == FIELDS_MAX) {
        return fail(ERR_CONFIG, "column '%s' is one too many, expected at most %d", name,
                    FIELDS_MAX);
    }
    struct csv_column *c = &s->columns[s->count];
    memset(c, 0, sizeof *c);
    c->kind = FIELD_HASH_TEXT;
    memcpy(c->name, name, strlen(name) + 1);
    name += strspn(name, " \t"); /* a field's name has no blanks at its ends */
    size_t n = strlen(name);
    while (n > 0 && strchr(" \t", name[n - 1]) != NULL) {
        n--;
    }
    if (n < sizeof c->field) {
        memcpy(c->field, name, n); /* else `field` has to say it */
    }
    s->count++;
    *out = c;
    return OK;
}

static enum status side_list(struct prep_schema *s, const char *list, enum side side) {
    char name[CSV_NAME_MAX];
    struct csv_column *c = NULL;
    bool more = true;
    for (;;) {
        TRY(next_name(&list, name, &more));
        if (!more) {
            return OK;
        }
        TRY(prep_schema_column(s, name, &c));
        if (c->used) {
            return fail(ERR_CONFIG, "column '%s' comes twice in log.user and log.item", name);
        }
        c->used = true;
        c->side = side;
    }
}

static enum status name_list(struct prep_schema *s, const char *list) {
    char name[CSV_NAME_MAX];
    bool more = true;
    for (;;) {
        TRY(next_name(&list, name, &more));
        if (!more) {
            return OK;
        }
        if (s->name_count == CSV_NAMES_MAX) {
            return fail(ERR_CONFIG, "more than %d columns", CSV_NAMES_MAX);
        }
        memcpy(s->names[s->name_count++], name, sizeof name);
    }
}

static enum status behaviour_list(struct prep_schema *s, const char *list) {
    char name[CSV_NAME_MAX];
    bool more = true;
    for (;;) {
        TRY(next_name(&list, name, &more));
        if (!more) {
            return OK;
        }
        if (s->behaviours == BEHAVIOURS_MAX) {
            return fail(ERR_CONFIG, "more than %d behaviours", BEHAVIOURS_MAX);
        }
        memcpy(s->behaviour[s->behaviours++].name, name, sizeof name);
    }
}

/* --- buckets --------------------------------------------------------------------------------- */

static enum status add_bound(struct csv_column *c, double bound) {
    if (c->bound_count == CSV_BOUNDS_MAX) {
        return fail(ERR_CONFIG, "more than %d bounds", CSV_BOUNDS_MAX);
    }
    if (c->bounds == NULL) {
        TRY(mem_array((void **)&c->bounds, CSV_BOUNDS_MAX, sizeof *c->bounds));
    }
    if (!isfinite(bound) || (c->bound_count > 0 && bound <= c->bounds[c->bound_count - 1])) {
        return fail(ERR_CONFIG, "bound %g: expected finite numbers that ascend", bound);
    }
    c->bounds[c->bound_count++] = bound;
    return OK;
}

static enum status number_of(const char *text, double *out) {
    return prep_number_f64((struct span){text, strlen(text)}, out) == REJECT_NONE
               ? OK
               : fail(ERR_CONFIG, "'%.40s' is not a number", text);
}

static enum status bound_list(struct csv_column *c, const char *list) {
    char text[LIST_TEXT_MAX];
    double bound = 0;
    bool more = true;
    for (;;) {
        TRY(prep_list_next(&list, text, &more));
        if (!more) {
            return OK;
        }
        TRY(number_of(text, &bound));
        TRY(add_bound(c, bound));
    }
}

/* "from, to, steps": steps buckets of one width between them, or of one ratio. */
static enum status steps(struct csv_column *c, const char *list, bool logarithmic) {
    char text[LIST_TEXT_MAX];
    double v[3] = {0}, extra = 0;
    size_t n = 0;
    for (bool more = true; more; n += more) {
        TRY(prep_list_next(&list, text, &more));
        TRY(more ? number_of(text, n < 3 ? &v[n] : &extra) : OK);
    }
    if (n != 3 || c->bound_count > 0 || v[0] >= v[1] || v[2] < 1 || v[2] >= CSV_BOUNDS_MAX ||
        v[2] != floor(v[2]) || (logarithmic && v[0] <= 0)) {
        return fail(ERR_CONFIG, "expected from, to, steps once, with %sfrom < to and 1 to %d steps",
                    logarithmic ? "0 < " : "", CSV_BOUNDS_MAX - 1);
    }
    for (double k = 0; k <= v[2]; k++) {
        const double t = k / v[2];
        TRY(add_bound(c, k == v[2]     ? v[1]
                         : logarithmic ? v[0] * pow(v[1] / v[0], t)
                                       : v[0] + (v[1] - v[0]) * t));
    }
    return OK;
}

/* --- keys ------------------------------------------------------------------------------------ */

static enum status kind_of(const char *value, enum field_kind *out) {
    static const enum field_kind kinds[] = {FIELD_HASH_TEXT, FIELD_ID, FIELD_NUMERIC};
    struct nearest n = nearest_of(value);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        nearest_try(&n, field_kind_name(kinds[k]));
        if (strcmp(value, field_kind_name(kinds[k])) == 0) {
            *out = kinds[k];
            return OK;
        }
    }
    return fail(ERR_CONFIG, "unknown kind '%.40s'; the nearest is '%s' (hash, id, numeric)", value,
                n.name);
}

static enum status unknown(const char *section, const char *key, const char *const *keys,
                           size_t n) {
    struct nearest nearest = nearest_of(key);
    for (size_t k = 0; k < n; k++) {
        nearest_try(&nearest, keys[k]);
    }
    return fail(ERR_CONFIG, "unknown key '%.80s' in [%s]; the nearest is '%s'", key, section,
                nearest.name);
}

static size_t find_key(const char *key, const char *const *keys, size_t n) {
    size_t k = 0;
    while (k < n && strcmp(key, keys[k]) != 0) {
        k++;
    }
    return k;
}

static enum status sample_rate(const char *value, double *out) {
    TRY(number_of(value, out));
    return *out >= SAMPLE_RATE_MIN && *out <= 1
               ? OK
               : fail(ERR_CONFIG, "'%.40s': expected the share of the unclicked impressions that the "
                                  "log kept, above 0 and at most 1; for a share that differs from "
                                  "row to row give its inverse as log.weight", value);
}

static enum status labels_of(const char *value, enum csv_labels *out) {
    static const char *const names[] = {"binary", "count", "funnel"};
    struct nearest n = nearest_of(value);
    for (size_t k = 0; k < 3; k++) {
        nearest_try(&n, names[k]);
        if (strcmp(value, names[k]) == 0) {
            *out = (enum csv_labels)k;
            return OK;
        }
    }
    return fail(ERR_CONFIG, "'%.40s'; the nearest is '%s' (binary, count, funnel)", value, n.name);
}

static enum status set_log(struct prep_schema *s, const char *key, const char *value) {
    static const char *const keys[] = {"delimiter", "quotes", "header", "columns", "missing",
                                       "impression", "group", "click", "conversion", "user",
                                       "item", "time", "click_time", "conversion_time",
                                       "behaviours", "weight", "sample_rate", "labels", "label",
                                       "repeated_headers",
                                       "time_unit", "time_format", "timezone", "time_origin"};
    const size_t n = sizeof keys / sizeof *keys;
    bool quotes = true;
    switch (find_key(key, keys, n)) {
    case 0: return separator(value, &s->delimiter);
    case 1:
        TRY(yes_no(value, &quotes));
        s->quote = quotes ? '"' : 0;
        s->quotes_given = true;
        return OK;
    case 2: return yes_no(value, &s->header);
    case 3: return name_list(s, value);
    case 4: return prep_list_add(&s->missing, value);
    case 5: return name_of(value, s->impression.name, CSV_NAME_MAX);
    case 6: return name_of(value, s->group.name, CSV_NAME_MAX);
    case 7: return name_of(value, s->click.name, CSV_NAME_MAX);
    case 8: return name_of(value, s->conversion.name, CSV_NAME_MAX);
    case 9: return side_list(s, value, SIDE_USER);
    case 10: return side_list(s, value, SIDE_ITEM);
    case 11: return name_of(value, s->time.name, CSV_NAME_MAX);
    case 12: return name_of(value, s->click_time.name, CSV_NAME_MAX);
    case 13: return name_of(value, s->conversion_time.name, CSV_NAME_MAX);
    case 14: return behaviour_list(s, value);
    case 15: return name_of(value, s->weight.name, CSV_NAME_MAX);
    case 16: return sample_rate(value, &s->sample_rate);
    case 17: return labels_of(value, &s->labels);
    case 18: return name_of(value, s->label.name, CSV_NAME_MAX);
    case 19: return headers_of(value, &s->skip_headers);
    case 20: return clock_unit_of(value, &s->clock.unit);
    case 21: return name_of(value, s->clock.format, sizeof s->clock.format);
    case 22: return name_of(value, s->clock.zone_name, sizeof s->clock.zone_name);
    case 23: return name_of(value, s->clock.origin_text, sizeof s->clock.origin_text);
    default: return unknown("log", key, keys, n);
    }
}

static enum status set_column(struct prep_schema *s, const char *section, const char *key,
                              const char *value) {
    static const char *const keys[] = {"kind", "field", "bounds", "uniform", "log",
                                       "multi", "weight", "missing"};
    const size_t n = sizeof keys / sizeof *keys;
    struct csv_column *c = NULL;
    TRY(prep_schema_named(s, section, &c));
    switch (find_key(key, keys, n)) {
    case 0: return kind_of(value, &c->kind);
    case 1: return name_of(value, c->field, sizeof c->field);
    case 2: return bound_list(c, value);
    case 3: return steps(c, value, false);
    case 4: return steps(c, value, true);
    case 5: return separator(value, &c->multi);
    case 6: return separator(value, &c->weight);
    case 7: return prep_list_add(&c->missing, value);
    default: return unknown(section, key, keys, n);
    }
}

enum status prep_schema_named(struct prep_schema *s, const char *section, struct csv_column **out) {
    char name[CSV_NAME_MAX];
    TRY(name_of(section + strlen("column."), name, sizeof name));
    return prep_schema_column(s, name, out);
}

bool prep_schema_is_list(const char *key) {
    static const char *const keys[] = {"columns", "behaviours", "user", "item", "missing", "bounds"};
    const size_t n = sizeof keys / sizeof *keys;
    return find_key(key, keys, n) < n;
}

enum status prep_schema_set(struct prep_schema *s, const char *section, const char *key,
                            const char *value) {
    char why[900];
    const enum status status = strcmp(section, "log") == 0 ? set_log(s, key, value)
                                                           : set_column(s, section, key, value);
    if (status == OK || strncmp(fail_text(), "unknown key", 11) == 0) {
        return status;
    }
    snprintf(why, sizeof why, "%s", fail_text());
    return fail(status, "%.80s: %s", key, why);
}
