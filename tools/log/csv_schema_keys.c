/* csv_schema_keys.c - a table of the keys of [log] and one for [column.NAME]. Each entry has the
 * key, the member of the struct that it sets, and the function that converts the key's value. */
#include "csv_schema_keys.h"

#include <stddef.h>
#include <stdlib.h>

#include "common/base/nearest.h"
#include "common/data/sampling.h"
#include "common/field/field_buckets.h"

/* --- values ----------------------------------------------------------------------------------- */

/* Reads one byte: written as itself, by its name, or as \t or \xHH. */
static enum status set_byte(void *byte, const char *value) {
    static const struct {
        const char *name;
        char is;
    } names[] = {{"comma", ','}, {"semicolon", ';'}, {"tab", '\t'}, {"\\t", '\t'},
                 {"space", ' '}, {"pipe", '|'},      {"colon", ':'}};
    char *out = byte, *end = NULL;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        if (strcmp(value, names[k].name) == 0) {
            *out = names[k].is;
            return OK;
        }
    }
    if (strncmp(value, "\\x", 2) == 0 && strlen(value) == 4) {
        const unsigned long code = strtoul(value + 2, &end, 16);
        if (*end == '\0' && code > 0 && code != '\n' && code != '\r') {
            *out = (char)code;
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

static enum status set_yes_no(void *yes, const char *value) {
    bool *out = yes;
    *out = strcmp(value, "yes") == 0 || strcmp(value, "true") == 0;
    return *out || strcmp(value, "no") == 0 || strcmp(value, "false") == 0
               ? OK
               : fail(ERR_CONFIG, "'%.40s': expected yes or no", value);
}

static enum status set_skip(void *skip, const char *value) {
    bool *out = skip;
    *out = strcmp(value, "skip") == 0;
    return *out || strcmp(value, "reject") == 0
               ? OK
               : fail(ERR_CONFIG, "'%.40s': expected skip or reject", value);
}

/* Finds which of `count` names the value is. `all`: the names, for a message. */
static enum status choose_name(const char *value, const char *const *names, uint32_t count,
                               const char *all, uint32_t *out) {
    struct nearest n = nearest_of(value);
    for (*out = 0; *out < count; (*out)++) {
        nearest_try(&n, names[*out]);
        if (strcmp(value, names[*out]) == 0) {
            return OK;
        }
    }
    return fail(ERR_CONFIG, "'%.40s'; the nearest is '%s' (%s)", value, n.name, all);
}

static enum status set_labels(void *labels, const char *value) {
    static const char *const names[] = {"binary", "count", "funnel"};
    uint32_t which = 0;
    TRY(choose_name(value, names, 3, "binary, count, funnel", &which));
    *(enum csv_labels *)labels = (enum csv_labels)which;
    return OK;
}

static enum status set_kind(void *kind, const char *value) {
    static const enum field_kind kinds[] = {FIELD_HASH_TEXT, FIELD_ID, FIELD_NUMERIC};
    static const char *const names[] = {"hash", "id", "numeric"};
    uint32_t which = 0;
    TRY(choose_name(value, names, 3, "hash, id, numeric", &which));
    *(enum field_kind *)kind = kinds[which];
    return OK;
}

static enum status set_unit(void *unit, const char *value) {
    return field_clock_unit_of(value, unit);
}

static enum status set_sample_rate(void *rate, const char *value) {
    double *out = rate;
    TRY(field_buckets_number(value, out));
    return *out >= SAMPLE_RATE_MIN && *out <= 1
               ? OK
               : fail(ERR_CONFIG,
                      "'%.40s': expected the share of the unclicked impressions that the "
                      "log kept, above 0 and at most 1; for a share that differs from "
                      "row to row give its inverse as log.weight",
                      value);
}

static enum status add_missing(void *texts, const char *value) {
    return text_list_add(texts, value);
}

static enum status add_bounds(void *rule, const char *value) {
    return field_buckets_bounds(rule, value);
}

static enum status set_uniform(void *rule, const char *value) {
    return field_buckets_steps(rule, value, false);
}

static enum status set_ratio(void *rule, const char *value) {
    return field_buckets_steps(rule, value, true);
}

/* --- names ------------------------------------------------------------------------------------ */

/* Reads the name of a column or a field: a text that is not empty. */
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

/* Reads the next name of a list. */
static enum status next_name(const char **list, char out[CSV_NAME_MAX], bool *more) {
    TRY(text_list_next(list, out, more));
    return *more && out[0] == '\0' ? fail(ERR_CONFIG, "a column's name is empty") : OK;
}

static enum status set_role(void *role, const char *value) {
    struct csv_role *r = role;
    return name_of(value, r->name, sizeof r->name);
}

static enum status set_text(void *text, const char *value) {
    return name_of(value, text, LIST_TEXT_MAX);
}

static enum status set_field(void *field, const char *value) {
    return name_of(value, field, FIELD_NAME_MAX);
}

/* A label is in a column, or has `source` if the value is given without a column. */
static enum status set_label(struct csv_label *l, const char *value, enum label_source source) {
    if (l->source != LABEL_UNSAID) {
        return fail(ERR_CONFIG, "where that label is was said already");
    }
    l->source = source;
    return source == LABEL_ALWAYS || source == LABEL_NEVER ? OK : set_role(&l->role, value);
}

/* A column that is itself named all or none must be quoted. */
static enum status set_click(void *label, const char *value) {
    return set_label(label, value, strcmp(value, "all") == 0 ? LABEL_ALWAYS : LABEL_CELL);
}

static enum status set_conversion(void *label, const char *value) {
    return set_label(label, value, strcmp(value, "none") == 0 ? LABEL_NEVER : LABEL_CELL);
}

static enum status set_label_from(void *label, const char *value) {
    return set_label(label, value, LABEL_THERE);
}

/* --- columns ---------------------------------------------------------------------------------- */

/* Gives the column of that name (shorter than CSV_NAME_MAX), and creates it if it is new. */
static enum status find_column(struct csv_schema *s, const char *name, struct csv_column **out) {
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
        memcpy(c->field, name, n); /* otherwise the key `field` must give it */
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
        TRY(find_column(s, name, &c));
        if (c->used) {
            return fail(ERR_CONFIG, "column '%s' comes twice in log.user and log.item", name);
        }
        c->used = true;
        c->side = side;
    }
}

static enum status add_names(void *schema, const char *list) {
    struct csv_schema *s = schema;
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

static enum status add_behaviours(void *schema, const char *list) {
    struct csv_schema *s = schema;
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
        struct csv_label *l = &s->behaviour[s->behaviours++];
        l->source = LABEL_CELL;
        memcpy(l->role.name, name, sizeof name);
    }
}

static enum status add_user(void *schema, const char *value) {
    return side_list(schema, value, SIDE_USER);
}

static enum status add_item(void *schema, const char *value) {
    return side_list(schema, value, SIDE_ITEM);
}

static enum status set_quotes(void *schema, const char *value) {
    struct csv_schema *s = schema;
    bool quotes = true;
    TRY(set_yes_no(&quotes, value));
    s->quote = quotes ? '"' : 0;
    s->quotes_given = true;
    return OK;
}

/* --- keys ------------------------------------------------------------------------------------- */

struct schema_key {
    const char *name;
    enum status (*set)(void *at, const char *value);
    size_t at; /* offset in the struct of what `set` sets */
    bool list; /* may be given again to continue the list */
};

#define LOG(member) offsetof(struct csv_schema, member)
static const struct schema_key log_keys[] = {
    {"delimiter", set_byte, LOG(delimiter), false},
    {"quotes", set_quotes, 0, false},
    {"header", set_yes_no, LOG(header), false},
    {"columns", add_names, 0, true},
    {"repeated_headers", set_skip, LOG(skip_headers), false},
    {"missing", add_missing, LOG(missing), true},
    {"decimal", set_byte, LOG(numbers.decimal), false},
    {"thousands", set_byte, LOG(numbers.thousands), false},
    {"impression", set_role, LOG(impression), false},
    {"group", set_role, LOG(group), false},
    {"labels", set_labels, LOG(labels), false},
    {"label", set_role, LOG(label), false},
    {"click", set_click, LOG(click), false},
    {"click_from", set_label_from, LOG(click), false},
    {"click_none", add_missing, LOG(click.none), true},
    {"behaviours", add_behaviours, 0, true},
    {"conversion", set_conversion, LOG(conversion), false},
    {"conversion_from", set_label_from, LOG(conversion), false},
    {"conversion_none", add_missing, LOG(conversion.none), true},
    {"user", add_user, 0, true},
    {"item", add_item, 0, true},
    {"weight", set_role, LOG(weight), false},
    {"sample_rate", set_sample_rate, LOG(sample_rate), false},
    {"time", set_role, LOG(time), false},
    {"click_time", set_role, LOG(click_time), false},
    {"conversion_time", set_role, LOG(conversion_time), false},
    {"time_unit", set_unit, LOG(clock.unit), false},
    {"time_format", set_text, LOG(clock.format), false},
    {"timezone", set_text, LOG(clock.zone_name), false},
    {"time_origin", set_text, LOG(clock.origin_text), false},
    {NULL, NULL, 0, false}};

#define COLUMN(member) offsetof(struct csv_column, member)
static const struct schema_key column_keys[] = {{"kind", set_kind, COLUMN(rule.kind), false},
                                                {"field", set_field, COLUMN(field), false},
                                                {"bounds", add_bounds, COLUMN(rule), true},
                                                {"uniform", set_uniform, COLUMN(rule), false},
                                                {"log", set_ratio, COLUMN(rule), false},
                                                {"multi", set_byte, COLUMN(multi), false},
                                                {"weight", set_byte, COLUMN(weight), false},
                                                {"missing", add_missing, COLUMN(missing), true},
                                                {NULL, NULL, 0, false}};

static const struct schema_key *find_key(const char *section, const char *key,
                                         struct nearest *nearest) {
    const struct schema_key *k = strcmp(section, "log") == 0 ? log_keys : column_keys;
    for (*nearest = nearest_of(key); k->name != NULL; k++) {
        nearest_try(nearest, k->name);
        if (strcmp(key, k->name) == 0) {
            return k;
        }
    }
    return NULL;
}

enum status csv_schema_named(struct csv_schema *s, const char *section, struct csv_column **out) {
    char name[CSV_NAME_MAX];
    TRY(name_of(section + strlen("column."), name, sizeof name));
    return find_column(s, name, out);
}

bool csv_schema_is_list(const char *section, const char *key) {
    struct nearest nearest;
    const struct schema_key *k = find_key(section, key, &nearest);
    return k != NULL && k->list;
}

enum status csv_schema_set(struct csv_schema *s, const char *section, const char *key,
                           const char *value) {
    struct nearest nearest;
    struct csv_column *c = NULL;
    const bool log = strcmp(section, "log") == 0;
    TRY(log ? OK : csv_schema_named(s, section, &c));
    const struct schema_key *k = find_key(section, key, &nearest);
    if (k == NULL) {
        return fail(ERR_CONFIG, "unknown key '%.80s' in [%s]; the nearest is '%s'", key, section,
                    nearest.name);
    }
    const enum status status = k->set((log ? (char *)s : (char *)c) + k->at, value);
    return status == OK ? OK : fail(status, "%.80s: %s", key, fail_text());
}
