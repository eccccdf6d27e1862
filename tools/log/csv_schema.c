/* csv_schema.c - the sections and columns of a schema. The keys are in csv_schema_keys.c, what
 * holds between them is in csv_schema_check.c.
 *
 * The file is read with inih, as config_ini.c does and for the same reasons through a reader of our
 * own: it keeps the section (inih cuts names at 49 bytes) and the line number, and ends the text at
 * the first error.
 */
#include <ini.h>
#include <stdio.h>

#include "common/base/file.h"
#include "common/job/given.h"
#include "common/base/kind.h"
#include "common/base/mem.h"
#include "common/base/nearest.h"
#include "common/base/text.h"
#include "csv_schema_keys.h"

#define SCHEMA_BYTES_MAX ((size_t)1 << 20)
#define SECTION_BYTES                                                                              \
    (sizeof "column." + 2 * CSV_NAME_MAX) /* a quote in a name is written twice \
                                                                */

struct source {
    struct csv_schema *schema;
    const char *at; /* the next line */
    int line;
    char section[SECTION_BYTES];
    struct given given; /* the keys so far that may come once */
    enum status status;
};

/* --- sections --------------------------------------------------------------------------------- */

static enum status take_section(struct source *s, const char *line, size_t n) {
    const char *close = memrchr(line, ']', n); /* a quoted name may have one */
    const size_t length = close == NULL ? 0 : (size_t)(close - line) - 1;
    if (close == NULL || length >= sizeof s->section) {
        return fail(ERR_CONFIG, "expected [section] with a name of at most %zu bytes",
                    sizeof s->section - 1);
    }
    memcpy(s->section, line + 1, length);
    s->section[length] = '\0';
    if (strcmp(s->section, "log") == 0) {
        return OK;
    }
    if (strncmp(s->section, "column.", 7) == 0 && s->section[7] != '\0') {
        struct csv_column *c = NULL;
        return csv_schema_named(s->schema, s->section, &c);
    }
    return fail(ERR_CONFIG, "unknown section [%s]; the nearest is [%s]", s->section,
                strncmp(s->section, "col", 3) == 0 ? "column.NAME" : "log");
}

/* inih asks for lines here; what it gets has neither sections nor comments nor indentation. */
static char *next_line(char *out, int bytes, void *stream) {
    static const char blanks[] = " \t\r";
    struct source *s = stream;
    if (s->status != OK || *s->at == '\0') {
        return NULL;
    }
    const char *line = s->at;
    size_t n = strcspn(line, "\n");
    s->at += n + (line[n] == '\n');
    s->line++;
    while (n > 0 && strchr(blanks, line[0]) != NULL) {
        line++;
        n--;
    }
    while (n > 0 && strchr(blanks, line[n - 1]) != NULL) {
        n--;
    }
    if (n > 0 && line[0] == '[') {
        s->status = take_section(s, line, n);
        n = 0;
    } else if (n > 0 && (line[0] == ';' || line[0] == '#')) {
        n = 0;
    } else if (n + 3 > (size_t)bytes) { /* line end, NUL, and what inih reserves */
        s->status = fail(ERR_CONFIG,
                         "a line of %zu bytes, expected at most %d; a list may go on in a second "
                         "line of the same key",
                         n, bytes - 3);
    }
    if (s->status != OK) {
        return NULL;
    }
    memcpy(out, line, n);
    memcpy(out + n, "\n", 2);
    return out;
}

/* A key that comes twice: which of the two was meant cannot be told. */
static enum status give(struct source *s, const char *key) {
    int before = 0;
    if (!csv_schema_is_list(s->section, key)) {
        TRY(given_note(&s->given, s->section, key, s->line, &before));
    }
    return before == 0 ? OK
                       : fail(ERR_CONFIG, "%.80s of [%s] was given in line %d already", key,
                              s->section, before);
}

static int on_pair(void *user, const char *section, const char *name, const char *value) {
    struct source *s = user;
    (void)section;
    if (s->status == OK) {
        s->status =
            s->section[0] == '\0'
                ? fail(ERR_CONFIG, "%.80s stands before the first section; expected [log]", name)
                : give(s, name);
    }
    if (s->status == OK) {
        s->status = csv_schema_set(s->schema, s->section, name, value);
    }
    return s->status == OK;
}

/* --- whole ------------------------------------------------------------------------------------ */

static enum status at_line(const char *name, int line) {
    char why[900];
    const enum status status = fail_status();
    snprintf(why, sizeof why, "%s", fail_text());
    return fail(status, "%s:%d: %s", name, line, why);
}

static enum status parse(struct csv_schema *s, const char *name, const char *text) {
    struct source source = {.schema = s, .at = text};
    TRY(mem_array(&s->columns, FIELDS_MAX));
    TRY(mem_array(&s->names, CSV_NAMES_MAX));
    const int malformed = ini_parse_stream(next_line, &source, on_pair, &source);
    given_fini(&source.given);
    if (malformed > 0 && (source.status == OK || malformed < source.line)) {
        return fail(ERR_CONFIG, "%s:%d: expected key = value, [section], or a comment", name,
                    malformed);
    }
    if (source.status != OK) {
        return at_line(name, source.line);
    }
    if (malformed != 0) {
        return fail(ERR_MEMORY, "%s: no memory for a line", name);
    }
    if (s->delimiter == '\t' && !s->quotes_given) {
        s->quote = 0;
    }
    const enum status status = csv_schema_check(s);
    if (status == OK) {
        return OK;
    }
    char why[900];
    snprintf(why, sizeof why, "%s", fail_text());
    return fail(status, "%s: %s", name, why);
}

enum status csv_schema_parse(struct csv_schema *s, const char *name, const char *text) {
    *s = (struct csv_schema){.delimiter = ',', .quote = '"', .header = true, .sample_rate = 1};
    const enum status status = parse(s, name, text);
    if (status != OK) {
        csv_schema_free(s);
    }
    return status;
}

enum status csv_schema_read(struct csv_schema *s, const char *path) {
    char *text = NULL;
    size_t bytes = 0;
    *s = (struct csv_schema){0};
    TRY(file_read_all(path, SCHEMA_BYTES_MAX, &text, &bytes));
    enum status status = kind_expect_text(path, text, bytes);
    if (status == OK) {
        status = strlen(text) == bytes
                     ? csv_schema_parse(s, path, text)
                     : fail(ERR_CONFIG, "%s: a zero byte at offset %zu, expected text", path,
                            strlen(text));
    }
    mem_free(&text);
    return status;
}

void csv_schema_free(struct csv_schema *s) {
    for (uint32_t k = 0; k < s->count; k++) {
        mem_free(&s->columns[k].rule.bounds);
    }
    mem_free(&s->columns);
    mem_free(&s->names);
    s->count = s->name_count = 0;
}

/* --- places ----------------------------------------------------------------------------------- */

static enum status take_header(struct csv_schema *s, const char *path, const struct span *cells,
                               size_t n) {
    if (n > CSV_NAMES_MAX) {
        return fail(ERR_CONFIG, "%s: %zu columns, expected at most %d", path, n, CSV_NAMES_MAX);
    }
    for (size_t k = 0; k < n; k++) { /* a name too long to be asked for is cut */
        const size_t length = cells[k].n < CSV_NAME_MAX ? cells[k].n : CSV_NAME_MAX - 1;
        memcpy(s->names[k], cells[k].at, length);
        s->names[k][length] = '\0';
    }
    s->name_count = (uint32_t)n;
    return OK;
}

#define WRITTEN_BYTES 324u

/* A name as the schema has to write it, fit to be shown. */
static const char *written(const char *name, char out[WRITTEN_BYTES]) {
    char shown[WRITTEN_BYTES / 2 - 2];
    const size_t n = text_show(shown, sizeof shown, name, strlen(name), false);
    char *at = out;
    if (n > 0 && strpbrk(shown, ",\"") == NULL && shown[0] != ' ' && shown[n - 1] != ' ') {
        snprintf(out, WRITTEN_BYTES, "'%s'", shown);
        return out;
    }
    *at++ = '"';
    for (size_t i = 0; i < n; i++) {
        if (shown[i] == '"') {
            *at++ = '"';
        }
        *at++ = shown[i];
    }
    memcpy(at, "\"", 2);
    return out;
}

static enum status find_place(const struct csv_schema *s, const char *path, const char *name,
                              uint32_t *place) {
    struct nearest nearest = nearest_of(name);
    char asked[WRITTEN_BYTES], near[WRITTEN_BYTES];
    uint32_t found = 0;
    for (uint32_t k = 0; k < s->name_count; k++) {
        nearest_try(&nearest, s->names[k]);
        if (strcmp(s->names[k], name) == 0) {
            found++;
            *place = k;
        }
    }
    if (found > 1) {
        return fail(ERR_CONFIG, "%s: column '%s' is there %u times", path, name, found);
    }
    return found == 1 ? OK
                      : fail(ERR_CONFIG, "%s: no column %s; the nearest is %s", path,
                             written(name, asked), written(nearest.name, near));
}

enum status csv_schema_bind(struct csv_schema *s, const char *path, const struct span *cells,
                            size_t n) {
    struct csv_role *roles[] = {&s->impression,      &s->group, &s->click.role,
                                &s->conversion.role, &s->time,  &s->click_time,
                                &s->conversion_time, &s->weight};
    TRY(n > 0 ? take_header(s, path, cells, n) : OK);
    for (size_t k = 0; k < sizeof roles / sizeof *roles; k++) {
        if (roles[k]->name[0] != '\0') {
            TRY(find_place(s, path, roles[k]->name, &roles[k]->place));
        }
    }
    for (uint32_t k = 0; k < s->behaviours; k++) {
        TRY(find_place(s, path, s->behaviour[k].name, &s->behaviour[k].place));
    }
    for (uint32_t k = 0; k < s->count; k++) {
        TRY(find_place(s, path, s->columns[k].name, &s->columns[k].place));
    }
    return OK;
}
