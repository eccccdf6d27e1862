/* unseen.h - counts the values of a data set whose features have no row in a model.
 *
 * Such a feature is read as its initial value: the model knows nothing of it. There are always
 * some, because of new users and items. There are many if ids are written in another way than in
 * the training log (376.0 for 376), and nothing else shows that mistake. Training tells how many to
 * expect: it read N values and made R rows, so R / N of its values were the first of their feature.
 * That share falls as a log goes on. So later data have at most the share R / N, unless they come
 * from a different source (docs/metrics.md has figures). Hence
 *
 *     first = R / N        doubtful: unseen / values > first + UNSEEN_MARGIN (1 - first)
 *
 * A value is counted where it is stored, also in R and N: a value of the user side counts once per
 * group, or once for each batch that has a piece of the group.
 */
#pragma once

#include "common/base/bytes.h"
#include "common/job/config.h"
#include "common/base/json.h"
#include "common/job/schema.h"

#define UNSEEN_MARGIN        0.1
#define UNSEEN_FIRST_ASSUMED 0.5 /* if the share of training is not known */
#define UNSEEN_LEAST         20u /* fewer unseen values prove nothing */

struct unseen_field {
    uint64_t values, unseen;
};
struct unseen {
    uint32_t fields;
    struct unseen_field field[FIELDS_MAX]; /* by slot of the model's schema */
};

void unseen_add(struct unseen *to, const struct unseen *from); /* to->fields may be 0 still */
/* Counts one field of a batch: value i is feature index[i] of `unique` features; missing[feature]
 * is 1 if the feature has no row, else 0. */
void unseen_count(struct unseen_field *f, const uint32_t *index, uint32_t values,
                  const uint8_t *missing, uint32_t unique);

/* Computes R / N of training for each field, from the rows of its table and the values that
 * training has read. If all values are 0, it is not known and UNSEEN_FIRST_ASSUMED is taken. A
 * table that admits rows late, or evicts rows, has fewer rows than features occurred: then the
 * share is at least UNSEEN_FIRST_ASSUMED. */
void unseen_first(const struct config *config, const struct schema *s, const uint64_t *rows,
                  const uint64_t *values, double *first);
bool unseen_doubtful(const struct unseen_field *f, double first);

/* Appends a line for each field, with first[slot] beside its share. ERR_MEMORY. */
enum status unseen_table(const struct unseen *u, const struct schema *s, const double *first,
                         struct buf *out);
/* Appends a line for each doubtful field. ERR_MEMORY. */
enum status unseen_doubts(const struct unseen *u, const struct schema *s, const double *first,
                          struct buf *out);
/* "fields": {NAME: {values, unseen, share, share_first, doubtful}}. */
void unseen_json(const struct unseen *u, const struct schema *s, const double *first,
                 struct json *j);

/* Converts to and from bytes: values and unseen of each field, as varints. ERR_PROTOCOL: the number
 * of fields is wrong, or there are more unseen than values. */
enum status unseen_pack(const struct unseen *u, struct buf *out);
enum status unseen_unpack(struct unseen *u, uint32_t fields, const void *data, size_t bytes);
