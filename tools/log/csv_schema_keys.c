#include "csv_schema_keys.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/nearest.h"
#include "common/field/field_buckets.h"

/* --- values ----------------------------------------------------------------------------------- */

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
        return fail(ERR_CONFIG,
                    "'%.40s': expected one character, comma, semicolon, tab, space, "
                    "pipe, colon, or \\xHH",
                    value);
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
    TRY(text_list_single(value, text));
    if (text[0] == '\0' || strlen(text) >= bytes) {
        return fail(ERR_CONFIG, "'%.40s': a name of %zu bytes, expected 1 to %zu", text,
                    strlen(text), bytes - 1);
    }
    memcpy(out, text, strlen(text) + 1);
    return OK;
}

/* The next name of a list. */
static enum status next_name(const char **list, char out[CSV_NAME_MAX], bool *more) {
    TRY(text_list_next(list, out, more));
    return *more && out[0] == '\0' ? fail(ERR_CONFIG, "a column's name is empty") : OK;
}

/* --- columns ---------------------------------------------------------------------------------- */

enum status csv_schema_column(struct csv_schema *s, const char *name, struct csv_column **out) {
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
    c->rule.kind = FIELD_HASH_TEXT;
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

static enum status side_list(struct csv_schema *s, const char *list, enum side side) {
    char name[CSV_NAME_MAX];
    struct csv_column *c = NULL;
    bool more = true;
    for (;;) {
        TRY(next_name(&list, name, &more));
        if (!more) {
            return OK;
        }
        TRY(csv_schema_column(s, name, &c));
        if (c->used) {
            return fail(ERR_CONFIG, "column '%s' comes twice in log.user and log.item", name);
        }
        c->used = true;
        c->side = side;
    }
}

static enum status name_list(struct csv_schema *s, const char *list) {
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

static enum status behaviour_list(struct csv_schema *s, const char *list) {
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

/* --- keys ------------------------------------------------------------------------------------- */

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

static enum status unknown(const char *section, const char *key, struct nearest *nearest) {
    return fail(ERR_CONFIG, "unknown key '%.80s' in [%s]; the nearest is '%s'", key, section,
                nearest->name);
}

/* Names the key that a value was not good for. */
static enum status of_key(const char *key, enum status status) {
    char why[900];
    if (status == OK) {
        return OK;
    }
    snprintf(why, sizeof why, "%s", fail_text());
    return fail(status, "%.80s: %s", key, why);
}

static enum status labels_of(struct csv_schema *s, const char *value) {
    static const char *const names[] = {"binary", "count", "funnel"};
    struct nearest n = nearest_of(value);
    for (size_t k = 0; k < 3; k++) {
        nearest_try(&n, names[k]);
        if (strcmp(value, names[k]) == 0) {
            s->labels = (enum csv_labels)k;
            return OK;
        }
    }
    return fail(ERR_CONFIG, "'%.40s'; the nearest is '%s' (binary, count, funnel)", value, n.name);
}

/* --- keys of [log] ---------------------------------------------------------------------------- */

static enum status set_delimiter(struct csv_schema *s, const char *value) {
    return separator(value, &s->delimiter);
}

static enum status set_quotes(struct csv_schema *s, const char *value) {
    bool quotes = true;
    TRY(yes_no(value, &quotes));
    s->quote = quotes ? '"' : 0;
    s->quotes_given = true;
    return OK;
}

static enum status set_header(struct csv_schema *s, const char *value) {
    return yes_no(value, &s->header);
}

static enum status set_repeated(struct csv_schema *s, const char *value) {
    return headers_of(value, &s->skip_headers);
}

static enum status add_missing(struct csv_schema *s, const char *value) {
    return text_list_add(&s->missing, value);
}

static enum status set_decimal(struct csv_schema *s, const char *value) {
    return separator(value, &s->numbers.decimal);
}

static enum status set_thousands(struct csv_schema *s, const char *value) {
    return separator(value, &s->numbers.thousands);
}

static enum status add_user(struct csv_schema *s, const char *value) {
    return side_list(s, value, SIDE_USER);
}

static enum status add_item(struct csv_schema *s, const char *value) {
    return side_list(s, value, SIDE_ITEM);
}

static enum status set_sample_rate(struct csv_schema *s, const char *value) {
    TRY(field_buckets_number(value, &s->sample_rate));
    return s->sample_rate >= SAMPLE_RATE_MIN && s->sample_rate <= 1
               ? OK
               : fail(ERR_CONFIG,
                      "'%.40s': expected the share of the unclicked impressions that the "
                      "log kept, above 0 and at most 1; for a share that differs from "
                      "row to row give its inverse as log.weight",
                      value);
}

static enum status set_unit(struct csv_schema *s, const char *value) {
    return field_clock_unit_of(value, &s->clock.unit);
}

static enum status set_format(struct csv_schema *s, const char *value) {
    return name_of(value, s->clock.format, sizeof s->clock.format);
}

static enum status set_zone(struct csv_schema *s, const char *value) {
    return name_of(value, s->clock.zone_name, sizeof s->clock.zone_name);
}

static enum status set_origin(struct csv_schema *s, const char *value) {
    return name_of(value, s->clock.origin_text, sizeof s->clock.origin_text);
}

/* A label's column, unless the value is `word`, which a column of that name is in quotes. */
static enum status label_column(struct csv_label *l, const char *value, enum label_source source) {
    if (l->source != LABEL_UNSAID) {
        return fail(ERR_CONFIG, "where that label is was said already");
    }
    l->source = source;
    return source == LABEL_ALWAYS || source == LABEL_NEVER
               ? OK
               : name_of(value, l->role.name, sizeof l->role.name);
}

static enum status set_click(struct csv_schema *s, const char *value) {
    return label_column(&s->click, value, strcmp(value, "all") == 0 ? LABEL_ALWAYS : LABEL_CELL);
}

static enum status set_click_from(struct csv_schema *s, const char *value) {
    return label_column(&s->click, value, LABEL_THERE);
}

static enum status add_click_none(struct csv_schema *s, const char *value) {
    return text_list_add(&s->click.none, value);
}

static enum status set_conversion(struct csv_schema *s, const char *value) {
    return label_column(&s->conversion, value,
                        strcmp(value, "none") == 0 ? LABEL_NEVER : LABEL_CELL);
}

static enum status set_conversion_from(struct csv_schema *s, const char *value) {
    return label_column(&s->conversion, value, LABEL_THERE);
}

static enum status add_conversion_none(struct csv_schema *s, const char *value) {
    return text_list_add(&s->conversion.none, value);
}

#define ROLE(member) .role = offsetof(struct csv_schema, member)
#define LIST         .list = true
static const struct log_key {
    const char *name;
    bool list; /* may be given again, to go on */
    enum status (*set)(struct csv_schema *s, const char *value);
    size_t role; /* without `set`: of the struct csv_role that the value names */
} log_keys[] = {
    {"delimiter", .set = set_delimiter},
    {"quotes", .set = set_quotes},
    {"header", .set = set_header},
    {"columns", LIST, name_list},
    {"repeated_headers", .set = set_repeated},
    {"missing", LIST, add_missing},
    {"decimal", .set = set_decimal},
    {"thousands", .set = set_thousands},
    {"impression", ROLE(impression)},
    {"group", ROLE(group)},
    {"labels", .set = labels_of},
    {"label", ROLE(label)},
    {"click", .set = set_click},
    {"click_from", .set = set_click_from},
    {"click_none", LIST, add_click_none},
    {"behaviours", LIST, behaviour_list},
    {"conversion", .set = set_conversion},
    {"conversion_from", .set = set_conversion_from},
    {"conversion_none", LIST, add_conversion_none},
    {"user", LIST, add_user},
    {"item", LIST, add_item},
    {"weight", ROLE(weight)},
    {"sample_rate", .set = set_sample_rate},
    {"time", ROLE(time)},
    {"click_time", ROLE(click_time)},
    {"conversion_time", ROLE(conversion_time)},
    {"time_unit", .set = set_unit},
    {"time_format", .set = set_format},
    {"timezone", .set = set_zone},
    {"time_origin", .set = set_origin},
};

static enum status set_log(struct csv_schema *s, const char *key, const char *value) {
    struct nearest n = nearest_of(key);
    for (size_t k = 0; k < sizeof log_keys / sizeof *log_keys; k++) {
        const struct log_key *known = &log_keys[k];
        nearest_try(&n, known->name);
        if (strcmp(key, known->name) == 0) {
            struct csv_role *role = (struct csv_role *)(void *)((char *)s + known->role);
            return of_key(key, known->set != NULL ? known->set(s, value)
                                                  : name_of(value, role->name, sizeof role->name));
        }
    }
    return unknown("log", key, &n);
}

/* --- keys of [column.NAME] -------------------------------------------------------------------- */

static enum status set_kind(struct csv_column *c, const char *value) {
    return kind_of(value, &c->rule.kind);
}

static enum status set_field(struct csv_column *c, const char *value) {
    return name_of(value, c->field, sizeof c->field);
}

static enum status add_bounds(struct csv_column *c, const char *value) {
    return field_buckets_bounds(&c->rule, value);
}

static enum status set_uniform(struct csv_column *c, const char *value) {
    return field_buckets_steps(&c->rule, value, false);
}

static enum status set_ratio(struct csv_column *c, const char *value) {
    return field_buckets_steps(&c->rule, value, true);
}

static enum status set_multi(struct csv_column *c, const char *value) {
    return separator(value, &c->multi);
}

static enum status set_weight(struct csv_column *c, const char *value) {
    return separator(value, &c->weight);
}

static enum status add_own_missing(struct csv_column *c, const char *value) {
    return text_list_add(&c->missing, value);
}

static const struct column_key {
    const char *name;
    bool list;
    enum status (*set)(struct csv_column *c, const char *value);
} column_keys[] = {{"kind", .set = set_kind},     {"field", .set = set_field},
                   {"bounds", LIST, add_bounds},  {"uniform", .set = set_uniform},
                   {"log", .set = set_ratio},     {"multi", .set = set_multi},
                   {"weight", .set = set_weight}, {"missing", LIST, add_own_missing}};

static enum status set_column(struct csv_schema *s, const char *section, const char *key,
                              const char *value) {
    struct csv_column *c = NULL;
    struct nearest n = nearest_of(key);
    TRY(csv_schema_named(s, section, &c));
    for (size_t k = 0; k < sizeof column_keys / sizeof *column_keys; k++) {
        nearest_try(&n, column_keys[k].name);
        if (strcmp(key, column_keys[k].name) == 0) {
            return of_key(key, column_keys[k].set(c, value));
        }
    }
    return unknown(section, key, &n);
}

/* --- keys ------------------------------------------------------------------------------------- */

enum status csv_schema_named(struct csv_schema *s, const char *section, struct csv_column **out) {
    char name[CSV_NAME_MAX];
    TRY(name_of(section + strlen("column."), name, sizeof name));
    return csv_schema_column(s, name, out);
}

bool csv_schema_is_list(const char *section, const char *key) {
    const bool log = strcmp(section, "log") == 0;
    for (size_t k = 0; log && k < sizeof log_keys / sizeof *log_keys; k++) {
        if (strcmp(key, log_keys[k].name) == 0) {
            return log_keys[k].list;
        }
    }
    for (size_t k = 0; !log && k < sizeof column_keys / sizeof *column_keys; k++) {
        if (strcmp(key, column_keys[k].name) == 0) {
            return column_keys[k].list;
        }
    }
    return false;
}

enum status csv_schema_set(struct csv_schema *s, const char *section, const char *key,
                           const char *value) {
    return strcmp(section, "log") == 0 ? set_log(s, key, value)
                                       : set_column(s, section, key, value);
}
