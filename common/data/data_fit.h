/* data_fit.h - checks whether shards fit a model, or fit other shards. It compares the fields of
 * both: which fields there are, on which side (user or item), and how their texts became ids
 * (field_schema.h). */
#pragma once

#include "common/base/file.h"
#include "common/job/config.h"
#include "dataset.h"

struct fit_side {
    const struct schema *schema; /* borrowed, as is `fields` */
    const struct field_schemas *fields;
    char name[PATH_BYTES_MAX + 32]; /* "the checkpoint DIR", "DIR" */
    char says[PATH_BYTES_MAX + 64]; /* how a sentence about it begins: "DIR has" */
};
struct fit_side fit_side_data(const struct dataset *d); /* of a data set that was read */
/* The side of a checkpoint; schema and fields come from its manifest. */
struct fit_side fit_side_checkpoint(const struct schema *schema, const struct field_schemas *fields,
                                    const char *dir);

/* Checks that `data` fit `model`, the side that was or will be trained on. ERR_CONFIG, with both
 * names: they have no field in common, or a text of some field becomes a different id on each side.
 * Differences that may be harmless are added to *doubts, one line each: a field that one side lacks
 * or has as the other side (user or item), and the doubts of field_schemas_match. ERR_MEMORY. */
enum status data_fit(const struct fit_side *model, const struct fit_side *data, struct buf *doubts);
/* Checks whether the model of the configuration can be trained on these data. ERR_CONFIG: the model
 * learns conversions, but the log had no conversion label. */
enum status data_fit_labels(const struct config *c, const struct dataset *data, const char *dir);
/* Logs each line as a warning and empties *doubts. */
void data_fit_log(struct buf *doubts);
/* Calls dataset_read_all and logs its doubts. */
enum status data_fit_read(struct dataset *d, const struct file_list *dirs);
