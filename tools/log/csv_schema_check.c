/* csv_schema_check.c - checks the rules between the keys of a schema. */
#include <string.h>

#include "common/base/mem.h"
#include "common/base/nearest.h"
#include "csv_schema_keys.h"

static bool is_label(const struct csv_schema *s, const char *name) {
    bool label =
        strcmp(name, s->click.role.name) == 0 || strcmp(name, s->conversion.role.name) == 0 ||
        strcmp(name, s->click_time.name) == 0 || strcmp(name, s->conversion_time.name) == 0;
    for (uint32_t k = 0; k < s->behaviours; k++) {
        label = label || strcmp(name, s->behaviour[k].role.name) == 0;
    }
    return label;
}

static enum status check_column(const struct csv_schema *s, const struct csv_column *c,
                                struct schema *fields) {
    if (!c->used) {
        struct nearest n = nearest_of(c->name);
        for (uint32_t k = 0; k < s->count; k++) {
            if (s->columns[k].used) {
                nearest_try(&n, s->columns[k].name);
            }
        }
        return fail(ERR_CONFIG,
                    "[column.%s]: log.user and log.item do not have that column; the "
                    "nearest is '%s'",
                    c->name, n.name);
    }
    if (is_label(s, c->name)) {
        return fail(ERR_CONFIG,
                    "column '%s' is a label (or its time) and a field: the model would "
                    "read what it is to predict",
                    c->name);
    }
    if (strcmp(c->name, s->weight.name) == 0) {
        return fail(ERR_CONFIG,
                    "column '%s' is the rows' weight and a field: where weights make up "
                    "for how rows were chosen they tell the label",
                    c->name);
    }
    if ((c->rule.kind == FIELD_NUMERIC) != (c->rule.bound_count > 0)) {
        return fail(ERR_CONFIG, "[column.%s]: %s", c->name,
                    c->rule.kind == FIELD_NUMERIC ? "kind = numeric needs bounds, uniform or log"
                                                  : "bounds, uniform and log need kind = numeric");
    }
    if (c->multi == s->delimiter || c->weight == s->delimiter ||
        (c->multi != 0 && c->multi == c->weight)) {
        return fail(ERR_CONFIG, "[column.%s]: delimiter, multi and weight must differ", c->name);
    }
    const enum status status = schema_add(fields, c->field, c->side);
    return status == OK ? OK : fail(ERR_CONFIG, "[column.%s]: %s", c->name, fail_text());
}

/* With labels = funnel one column gives both labels. */
static enum status check_funnel(struct csv_schema *s) {
    const bool funnel = s->labels == LABELS_FUNNEL;
    if (funnel != (s->label.name[0] != '\0')) {
        return fail(ERR_CONFIG, funnel
                                    ? "log.labels = funnel needs log.label: the column of 0 shown, "
                                      "1 clicked, 2 bought"
                                    : "log.label needs log.labels = funnel");
    }
    if (funnel && (s->click.source != LABEL_UNSAID || s->conversion.source != LABEL_UNSAID)) {
        return fail(ERR_CONFIG, "log.label is both labels: log.click and log.conversion do not go "
                                "with it");
    }
    if (funnel) {
        s->click = s->conversion = (struct csv_label){.role = s->label, .source = LABEL_CELL};
    }
    return OK;
}

static enum status check_label(const struct csv_label *l, const char *name) {
    if (l->source == LABEL_UNSAID) {
        return fail(ERR_CONFIG,
                    "log.%s is missing: the column of the label (or log.%s_from: of what "
                    "is there only with it)",
                    name, name);
    }
    return l->none.count == 0 || l->source == LABEL_THERE
               ? OK
               : fail(ERR_CONFIG, "log.%s_none needs log.%s_from", name, name);
}

static enum status check_labels(struct csv_schema *s) {
    TRY(check_funnel(s));
    TRY(check_label(&s->click, "click"));
    TRY(check_label(&s->conversion, "conversion"));
    if (s->labels != LABELS_FUNNEL && s->click.role.name[0] != '\0' &&
        strcmp(s->click.role.name, s->conversion.role.name) == 0) {
        return fail(ERR_CONFIG,
                    "column '%s' is the label of clicks and that of conversions: every "
                    "click would convert (one column of 0, 1 and 2 is labels = funnel)",
                    s->click.role.name);
    }
    return s->conversion.source == LABEL_NEVER && s->behaviours > 0
               ? fail(ERR_CONFIG,
                      "log.behaviours lie before a conversion, and log.conversion = none")
               : OK;
}

/* A log without conversions has no conversion times. */
static enum status check_times(struct csv_schema *s) {
    const bool clock = s->clock.unit != CLOCK_AUTO || s->clock.format[0] != '\0' ||
                       s->clock.zone_name[0] != '\0' || s->clock.origin_text[0] != '\0';
    const bool never = s->conversion.source == LABEL_NEVER;
    const bool time = s->time.name[0] != '\0', converted = s->conversion_time.name[0] != '\0';
    if (never && converted) {
        return fail(ERR_CONFIG, "log.conversion_time, and log.conversion = none");
    }
    if ((!never && time != converted) || (s->click_time.name[0] != '\0' && !time)) {
        return fail(ERR_CONFIG,
                    "log.%s is missing: times are log.time, log.conversion_time and, "
                    "if clicks have their own, log.click_time",
                    time ? "conversion_time" : "time");
    }
    if (clock && !time) {
        return fail(ERR_CONFIG, "log.time is missing: the column of the times that the other keys "
                                "speak of");
    }
    return field_clock_finish(&s->clock);
}

/* The decimal and thousands characters must have no other meaning in a number. */
static enum status check_numbers(const struct csv_schema *s) {
    static const char others[] = "0123456789+-eE";
    const char decimal = s->numbers.decimal, thousands = s->numbers.thousands;
    if (decimal != 0 && strchr(others, decimal) != NULL) {
        return fail(ERR_CONFIG, "log.decimal: '%c' is another part of a number", decimal);
    }
    if (thousands != 0 && strchr(others, thousands) != NULL) {
        return fail(ERR_CONFIG, "log.thousands: '%c' is another part of a number", thousands);
    }
    return thousands != 0 && thousands == (decimal == 0 ? '.' : decimal)
               ? fail(ERR_CONFIG, "log.thousands is what parts decimals; log.decimal is '%c'",
                      decimal == 0 ? '.' : decimal)
               : OK;
}

enum status csv_schema_check(struct csv_schema *s) {
    struct schema *fields = NULL;
    enum status status = OK;
    TRY(check_labels(s));
    TRY(check_times(s));
    TRY(check_numbers(s));
    if (s->count == 0) {
        return fail(ERR_CONFIG, "log.user and log.item are missing: the columns that are fields");
    }
    if (s->header != (s->name_count == 0)) {
        return fail(ERR_CONFIG, s->header ? "log.columns needs log.header = no"
                                          : "log.header = no needs log.columns: the names");
    }
    if (s->skip_headers && !s->header) {
        return fail(ERR_CONFIG, "log.repeated_headers needs log.header = yes");
    }
    if (s->quote == s->delimiter) {
        return fail(ERR_CONFIG, "log.delimiter is the quote");
    }
    TRY(mem_new(&fields));
    for (uint32_t k = 0; k < s->count; k++) {
        TRY_OUT(check_column(s, &s->columns[k], fields));
    }
out:
    mem_free(&fields);
    return status;
}
