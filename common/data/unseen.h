/* unseen.h - how many of a data set's values are features that a model has no row of.
 *
 * Such a feature reads as its initial value: the model says nothing of it. There always are some,
 * since users and items are new. There are many if ids are written otherwise than in the training
 * log (376.0 for 376), and nothing else shows that mistake. Training tells how many to expect: it
 * read N values and made R rows, so R / N of its values were the first of their feature. That share
 * falls as a log goes on, so data that come later have at most R / N, unless they are of another
 * world (docs/metrics.md has figures). Hence
 *
 *     first = R / N        doubtful: unseen / values > first + UNSEEN_MARGIN (1 - first)
 *
 * A value is counted where it is stored, in R and N too: one of the user side counts once a group,
 * or once for each batch that has a piece of the group.
 */
#pragma once

#include "common/base/bytes.h"
#include "common/job/config.h"
#include "common/base/json.h"
#include "common/job/schema.h"

#define UNSEEN_MARGIN        0.1
#define UNSEEN_FIRST_ASSUMED 0.5 /* where training's own share is not known */
#define UNSEEN_LEAST         20u /* fewer unseen values prove nothing */

struct unseen_field {
    uint64_t values, unseen;
};
struct unseen {
    uint32_t fields;
    struct unseen_field field[FIELDS_MAX]; /* by slot of the model's schema */
};

void unseen_add(struct unseen *to, const struct unseen *from); /* to->fields may be 0 still */
/* A batch's field: value i is feature index[i] of `unique`; missing[of a feature] is 1 if it has no
 * row, else 0. */
void unseen_count(struct unseen_field *f, const uint32_t *index, uint32_t values,
                  const uint8_t *missing, uint32_t unique);

/* Training's own share of first values of each field, by the rows of its table and the values that
 * training has read (all 0: not known, UNSEEN_FIRST_ASSUMED). A table that waits before it admits a
 * row, or lets rows go, has fewer rows than features were met: then it is at least
 * UNSEEN_FIRST_ASSUMED. */
void unseen_first(const struct config *config, const struct schema *s, const uint64_t *rows,
                  const uint64_t *values, double *first);
bool unseen_doubtful(const struct unseen_field *f, double first);

/* A line for each field, first[slot] beside its share. ERR_MEMORY. */
enum status unseen_table(const struct unseen *u, const struct schema *s, const double *first,
                         struct buf *out);
/* A line for each field that is doubtful, or none. ERR_MEMORY. */
enum status unseen_doubts(const struct unseen *u, const struct schema *s, const double *first,
                          struct buf *out);
/* "fields": {NAME: {values, unseen, share, share_first, doubtful}}. */
void unseen_json(const struct unseen *u, const struct schema *s, const double *first,
                 struct json *j);

/* To and from bytes: of each field its values and its unseen, as varints. ERR_PROTOCOL: not of that
 * many fields, or more unseen than values. */
enum status unseen_pack(const struct unseen *u, struct buf *out);
enum status unseen_unpack(struct unseen *u, uint32_t fields, const void *data, size_t bytes);
