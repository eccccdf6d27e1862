/* data_fit.h - may these shards be used with that model, or together with those shards? The fields
 * of both are compared: which there are, on which side (user or item), and how their texts became
 * ids (field_schema.h). */
#pragma once

#include "common/base/file.h"
#include "common/job/config.h"
#include "dataset.h"

struct fit_side {
    const struct schema *schema; /* borrowed, as the next */
    const struct field_schemas *fields;
    char name[PATH_BYTES_MAX + 32]; /* "the checkpoint DIR", "DIR" */
    char says[PATH_BYTES_MAX + 64]; /* how a sentence on it begins: "DIR has" */
};
struct fit_side fit_side_data(const struct dataset *d); /* as it was read */
/* Of a checkpoint's model: its manifest's schema and fields. */
struct fit_side fit_side_checkpoint(const struct schema *schema, const struct field_schemas *fields,
                                    const char *dir);

/* `model`: the data that were, or are, trained on. ERR_CONFIG, naming both: they have no field in
 * common, or the texts of a field become one id in the one and another in the other. What need not
 * be wrong is put into *doubts, a line each: a field that one of them lacks or has on the other
 * side, and what field_schemas_match doubts. ERR_MEMORY. */
enum status data_fit(const struct fit_side *model, const struct fit_side *data, struct buf *doubts);
/* May the model of that configuration be trained on this? ERR_CONFIG: it learns conversions, and
 * the log had no label of them. */
enum status data_fit_labels(const struct config *c, const struct dataset *data, const char *dir);
/* Logs each line as a warning, and forgets them. */
void data_fit_log(struct buf *doubts);
/* dataset_read_all, with its doubts in the log. */
enum status data_fit_read(struct dataset *d, const struct file_list *dirs);
