#include "prep_schema_keys.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/nearest.h"
#include "common/mem.h"
#include "prep_line.h"

/* --- values ---------------------------------------------------------------------------------- */

static enum status copy_name(char *out, size_t bytes, const char *value) {
    if (strlen(value) >= bytes) {
        return fail(ERR_CONFIG, "'%.40s...' has %zu bytes, expected at most %zu", value,
                    strlen(value), bytes - 1);
    }
    memcpy(out, value, strlen(value) + 1);
    return OK;
}

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

/* The next of a list with commas, blanks around it cut off; false at the end. */
static bool next_item(const char **list, struct span *item) {
    const char *at = *list + strspn(*list, " \t");
    if (*at == '\0') {
        return false;
    }
    const size_t n = strcspn(at, ",");
    *item = (struct span){at, n};
    while (item->n > 0 && strchr(" \t", item->at[item->n - 1]) != NULL) {
        item->n--;
    }
    *list = at + n + (at[n] == ',');
    return true;
}

static enum status item_text(struct span item, char *out) {
    if (item.n == 0 || item.n >= CSV_NAME_MAX) {
        return fail(ERR_CONFIG, "a column's name of %zu bytes, expected 1 to %d", item.n,
                    CSV_NAME_MAX - 1);
    }
    memcpy(out, item.at, item.n);
    out[item.n] = '\0';
    return OK;
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
    TRY(copy_name(c->name, sizeof c->name, name));
    if (strlen(name) < sizeof c->field) {
        memcpy(c->field, name, strlen(name) + 1); /* else `field` has to say it */
    }
    s->count++;
    *out = c;
    return OK;
}

static enum status side_list(struct prep_schema *s, const char *list, enum side side) {
    struct span item;
    char name[CSV_NAME_MAX];
    struct csv_column *c = NULL;
    while (next_item(&list, &item)) {
        TRY(item_text(item, name));
        TRY(prep_schema_column(s, name, &c));
        if (c->used) {
            return fail(ERR_CONFIG, "column '%s' comes twice in log.user and log.item", name);
        }
        c->used = true;
        c->side = side;
    }
    return OK;
}

static enum status name_list(struct prep_schema *s, const char *list) {
    struct span item;
    while (next_item(&list, &item)) {
        if (s->name_count == CSV_NAMES_MAX) {
            return fail(ERR_CONFIG, "more than %d columns", CSV_NAMES_MAX);
        }
        TRY(item_text(item, s->names[s->name_count]));
        s->name_count++;
    }
    return OK;
}

static enum status behaviour_list(struct prep_schema *s, const char *list) {
    struct span item;
    while (next_item(&list, &item)) {
        if (s->behaviours == BEHAVIOURS_MAX) {
            return fail(ERR_CONFIG, "more than %d behaviours", BEHAVIOURS_MAX);
        }
        TRY(item_text(item, s->behaviour[s->behaviours].name));
        s->behaviours++;
    }
    return OK;
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

static enum status number_of(struct span item, double *out) {
    return prep_number_f64(item, out) == REJECT_NONE
               ? OK
               : fail(ERR_CONFIG, "'%.*s' is not a number", (int)(item.n < 40 ? item.n : 40),
                      item.at);
}

static enum status bound_list(struct csv_column *c, const char *list) {
    struct span item;
    double bound = 0;
    while (next_item(&list, &item)) {
        TRY(number_of(item, &bound));
        TRY(add_bound(c, bound));
    }
    return OK;
}

/* "from, to, steps": steps buckets of one width between them, or of one ratio. */
static enum status steps(struct csv_column *c, const char *list, bool logarithmic) {
    struct span item;
    double v[3] = {0};
    size_t n = 0;
    while (next_item(&list, &item)) {
        double extra = 0;
        TRY(number_of(item, n < 3 ? &v[n] : &extra));
        n++;
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
    TRY(number_of((struct span){value, strlen(value)}, out));
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
                                       "behaviours", "weight", "sample_rate", "labels", "label"};
    const size_t n = sizeof keys / sizeof *keys;
    bool quotes = true;
    switch (find_key(key, keys, n)) {
    case 0: return separator(value, &s->delimiter);
    case 1:
        TRY(yes_no(value, &quotes));
        s->quote = quotes ? '"' : 0;
        return OK;
    case 2: return yes_no(value, &s->header);
    case 3: return name_list(s, value);
    case 4: return copy_name(s->missing, sizeof s->missing, value);
    case 5: return copy_name(s->impression.name, CSV_NAME_MAX, value);
    case 6: return copy_name(s->group.name, CSV_NAME_MAX, value);
    case 7: return copy_name(s->click.name, CSV_NAME_MAX, value);
    case 8: return copy_name(s->conversion.name, CSV_NAME_MAX, value);
    case 9: return side_list(s, value, SIDE_USER);
    case 10: return side_list(s, value, SIDE_ITEM);
    case 11: return copy_name(s->time.name, CSV_NAME_MAX, value);
    case 12: return copy_name(s->click_time.name, CSV_NAME_MAX, value);
    case 13: return copy_name(s->conversion_time.name, CSV_NAME_MAX, value);
    case 14: return behaviour_list(s, value);
    case 15: return copy_name(s->weight.name, CSV_NAME_MAX, value);
    case 16: return sample_rate(value, &s->sample_rate);
    case 17: return labels_of(value, &s->labels);
    case 18: return copy_name(s->label.name, CSV_NAME_MAX, value);
    default: return unknown("log", key, keys, n);
    }
}

static enum status set_column(struct prep_schema *s, const char *section, const char *key,
                              const char *value) {
    static const char *const keys[] = {"kind", "field", "bounds", "uniform", "log",
                                       "multi", "weight", "missing"};
    const size_t n = sizeof keys / sizeof *keys;
    struct csv_column *c = NULL;
    TRY(prep_schema_column(s, section + strlen("column."), &c));
    switch (find_key(key, keys, n)) {
    case 0: return kind_of(value, &c->kind);
    case 1: return copy_name(c->field, sizeof c->field, value);
    case 2: return bound_list(c, value);
    case 3: return steps(c, value, false);
    case 4: return steps(c, value, true);
    case 5: return separator(value, &c->multi);
    case 6: return separator(value, &c->weight);
    case 7: return copy_name(c->missing, sizeof c->missing, value);
    default: return unknown(section, key, keys, n);
    }
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
