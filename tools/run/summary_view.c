#include "summary_view.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/json.h"
#include "common/data/unseen.h"

/* The object of a field, by its name as json.h writes a key; NULL: none. */
static enum status find_field(const char *fields, const char *name, const char **at) {
    struct buf key = BUF_EMPTY;
    struct json j;
    json_init(&j, &key, false);
    json_str(&j, NULL, name);
    const enum status status = j.status == OK ? buf_printf(&key, ": {") : j.status;
    *at = status == OK ? strstr(fields, (const char *)key.data) : NULL;
    buf_fini(&key);
    return status;
}

static enum status read_fields(const char *fields, const struct schema *schema, struct unseen *u,
                               double *first) {
    u->fields = schema->count;
    for (uint32_t f = 0; f < schema->count; f++) {
        const char *at = NULL;
        TRY(find_field(fields, schema->fields[f].name, &at));
        if (at != NULL) {
            u->field[f].values = (uint64_t)json_number(at, "values");
            u->field[f].unseen = (uint64_t)json_number(at, "unseen");
            first[f] = json_number(at, "share_first");
        }
    }
    return OK;
}

void print_warnings(const struct buf *lines) {
    const char *at = (const char *)lines->data, *end = at + lines->len;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        fprintf(stderr, "warning: %.*s\n", (int)(stop - at), at);
        at = stop + 1;
    }
}

enum status summary_view_unseen(const char *summary, const struct schema *schema) {
    const char *fields = strstr(summary, "\"fields\": {");
    struct buf table = BUF_EMPTY, doubts = BUF_EMPTY;
    struct unseen u = {0};
    double first[FIELDS_MAX] = {0};
    enum status status = OK;
    if (fields == NULL) {
        return OK;
    }
    TRY_OUT(read_fields(fields + strlen("\"fields\": {"), schema, &u, first));
    TRY_OUT(unseen_table(&u, schema, first, &table));
    TRY_OUT(unseen_doubts(&u, schema, first, &doubts));
    fwrite(table.data, 1, table.len, stdout);
    fflush(stdout);
    print_warnings(&doubts);
out:
    buf_fini(&table);
    buf_fini(&doubts);
    return status;
}
