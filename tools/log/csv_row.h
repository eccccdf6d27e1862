/* csv_row.h - a record of a delimited log into labels, group and features, as its schema says.
 *
 * One struct csv_row, one thread. Nothing here reads files; hostile bytes are the ordinary case.
 */
#pragma once

#include "common/data/feature_list.h"
#include "csv_cells.h"
#include "csv_schema.h"
#include "log_fields.h"
#include "log_reject.h"

#define SEEN_BYTES 400

struct csv_row {
    const struct csv_schema *schema; /* bound */
    struct log_fields *fields;
    uint32_t slot[FIELDS_MAX]; /* of its columns */
    struct csv_cells cells;
    /* of the record that was read last */
    uint64_t impression_id; /* with an impression column only */
    char seen[SEEN_BYTES];  /* of one that was rejected: what the reason was found in */
    bool read;              /* nothing was rejected so far */
    bool click, conversion;
    uint8_t behaviours;  /* LABEL_BEHAVIOUR of those that were done */
    float weight;        /* of the row; 1 if the log has no column of weights */
    bool timed;          /* the schema names columns of times */
    struct moment when;  /* then; what a label does not ask for is 0 */
    bool skipped, twice; /* one of them is an hour that the zone skips, or has twice */
    struct feature_list item, user;
    struct buf identity; /* group value and user cells: rows of equal identity share a user side */
    size_t group_bytes;  /* of identity: the group value */
    /* Does the row share its user side with others? Not if its group value is missing, or if the
     * schema has neither a group column nor user fields. */
    bool groups;
};

/* Adds the schema's fields to *f. ERR_MEMORY. */
enum status csv_row_init(struct csv_row *r, const struct csv_schema *schema, struct log_fields *f);
void csv_row_fini(struct csv_row *r); /* safe on a zeroed struct */

/* Reads all but the user side's features. *why: REJECT_NONE or the reason. ERR_MEMORY. */
enum status csv_row_read(struct csv_row *r, struct span record, enum reject *why);
/* Then, if they are wanted, these. */
enum status csv_row_user(struct csv_row *r, enum reject *why);
/* Bit k: the row is in class k (log_label.h), by its labels, or by what they look like if it was
 * rejected. */
uint32_t csv_row_classes(const struct csv_row *r);
/* The group's key: from the group value, or from the user side if there is no group column. */
uint64_t csv_row_key(const struct csv_row *r);
