/* csv_schema_file.c - reads the sections of a schema. csv_schema_keys.c sets the keys, and
 * csv_schema_check.c checks the rules between them. */
#include "csv_schema_file.h"

#include "common/base/mem.h"
#include "common/job/ini_file.h"
#include "csv_schema_keys.h"

static enum status begin_section(void *schema, const char *section) {
    struct csv_column *c = NULL;
    if (strcmp(section, "log") == 0) {
        return OK;
    }
    if (strncmp(section, "column.", 7) == 0 && section[7] != '\0') {
        return csv_schema_named(schema, section, &c);
    }
    return fail(ERR_CONFIG, "unknown section [%s]; the nearest is [%s]", section,
                strncmp(section, "col", 3) == 0 ? "column.NAME" : "log");
}

static enum status set_key(void *schema, const char *section, const char *key, const char *value) {
    return section[0] == '\0'
               ? fail(ERR_CONFIG, "%.80s stands before the first section; expected [log]", key)
               : csv_schema_set(schema, section, key, value);
}

static const struct ini_form schema_form = {
    .begin = begin_section, .set = set_key, .is_list = csv_schema_is_list};

static enum status schema_begin(struct csv_schema *s) {
    *s = (struct csv_schema){.delimiter = ',', .quote = '"', .header = true, .sample_rate = 1};
    TRY(mem_array(&s->columns, FIELDS_MAX));
    return mem_array(&s->names, CSV_NAMES_MAX);
}

/* Ends the reading: checks the schema if `status` is OK. If that or the check failed, frees *s. */
static enum status schema_end(struct csv_schema *s, const char *name, enum status status) {
    if (s->delimiter == '\t' && !s->quotes_given) {
        s->quote = 0;
    }
    if (status == OK && (status = csv_schema_check(s)) != OK) {
        fail(status, "%s: %s", name, fail_text());
    }
    if (status != OK) {
        csv_schema_free(s);
    }
    return status;
}

enum status csv_schema_parse(struct csv_schema *s, const char *name, const char *text) {
    const enum status status = schema_begin(s);
    return schema_end(s, name, status == OK ? ini_file_parse(&schema_form, s, name, text) : status);
}

enum status csv_schema_read(struct csv_schema *s, const char *path) {
    const enum status status = schema_begin(s);
    return schema_end(s, path, status == OK ? ini_file_read(&schema_form, s, path) : status);
}
