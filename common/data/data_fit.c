#include "data_fit.h"

#include <stdio.h>

#include "common/base/log.h"
#include "common/job/config.h"

struct fit_side fit_side_data(const struct dataset *d) {
    struct fit_side s = {.schema = &d->schema, .fields = &d->fields};
    dataset_name(&d->dirs, s.name);
    snprintf(s.says, sizeof s.says, "%s has", s.name);
    return s;
}

struct fit_side fit_side_checkpoint(const struct schema *schema, const struct field_schemas *fields,
                                    const char *dir) {
    struct fit_side s = {.schema = schema, .fields = fields};
    snprintf(s.name, sizeof s.name, "the checkpoint %.*s", PATH_BYTES_MAX, dir);
    snprintf(s.says, sizeof s.says, "%s was trained with", s.name);
    return s;
}

/* Names the fields of `from` that `to` lacks; *joined is the number of fields that it has. */
static enum status doubt_fields(const struct fit_side *from, const struct fit_side *to,
                                const char *consequence, uint32_t *joined, struct buf *doubts) {
    int map[FIELDS_MAX];
    schema_map(from->schema, to->schema, map);
    *joined = 0;
    for (uint32_t f = 0; f < from->schema->count; f++) {
        const struct field *field = &from->schema->fields[f];
        const int other = schema_find(to->schema, field->name);
        if (map[f] >= 0) {
            (*joined)++;
            continue;
        }
        TRY(buf_printf(doubts, "field '%s': %s has it on the %s side, %s ", field->name, from->name,
                       side_name(field->side), to->name));
        TRY(other < 0 ? buf_printf(doubts, "does not have it: ")
                      : buf_printf(doubts,
                                   "on the %s side: ", side_name(to->schema->fields[other].side)));
        TRY(buf_printf(doubts, "%s\n", consequence));
    }
    return OK;
}

enum status data_fit(const struct fit_side *model, const struct fit_side *data,
                     struct buf *doubts) {
    uint32_t joined = 0;
    TRY(doubt_fields(data, model, "the model does not know it, its values are ignored", &joined,
                     doubts));
    if (joined == 0) {
        return fail(ERR_CONFIG, "%s: none of its %u fields is one of the %u of %s", data->name,
                    data->schema->count, model->schema->count, model->name);
    }
    TRY(doubt_fields(model, data, "it counts as empty", &joined, doubts));
    return field_schemas_match(model->fields, model->says, data->fields, data->says, doubts);
}

enum status data_fit_labels(const struct config *c, const struct dataset *data, const char *dir) {
    return !data->no_conversion || !method_of(c->model)->has_cvr
               ? OK
               : fail(ERR_CONFIG,
                      "%s has no conversions: its log's schema says conversion = none; what "
                      "can be trained on it is model.name=ctr",
                      dir);
}

void data_fit_log(struct buf *doubts) {
    const char *at = (const char *)doubts->data, *end = at + doubts->len;
    while (at < end) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        log_warn("%.*s", (int)(stop - at), at);
        at = stop + 1;
    }
    buf_clear(doubts);
}

enum status data_fit_read(struct dataset *d, const struct file_list *dirs) {
    struct buf doubts = BUF_EMPTY;
    const enum status status = dataset_read_all(d, dirs, &doubts);
    data_fit_log(&doubts);
    buf_fini(&doubts);
    return status;
}
