/* csv_row.h - turns a record of a delimited log into labels, group and features, according to its
 * schema.
 *
 * Each thread uses its own struct csv_row. Nothing here reads files. The code has to expect hostile
 * bytes.
 */
#pragma once

#include "tools/common/feature_list.h"
#include "csv_cells.h"
#include "csv_schema.h"
#include "log_fields.h"
#include "log_reject.h"

#define SEEN_BYTES 400

struct csv_row {
    const struct csv_schema *schema; /* bound */
    struct log_fields *fields;
    uint32_t slot[FIELDS_MAX]; /* the slots of its columns */
    struct csv_cells cells;
    /* The rest describes the record that was read last. */
    uint64_t impression_id; /* with an impression column only */
    char seen[SEEN_BYTES];  /* if it was rejected: the text that caused it */
    bool read;              /* nothing was rejected so far */
    bool click, conversion;
    uint8_t behaviours;  /* the LABEL_BEHAVIOUR bits of what the user did */
    float weight;        /* of the row; 1 if the log has no column of weights */
    bool timed;          /* the schema names columns of times */
    struct moment when;  /* if timed; a time that no label needs is 0 */
    bool skipped, twice; /* a time is in an hour that the zone skips, or has twice */
    struct feature_list item, user;
    struct buf identity; /* group value and user cells; equal ones share a user side */
    size_t group_bytes;  /* the length of the group value in identity */
    /* Does the row share its user side with others? It does not if its group value is missing, or
     * if the schema has neither a group column nor user fields. */
    bool groups;
};

/* Adds the schema's fields to *f. ERR_MEMORY. */
enum status csv_row_init(struct csv_row *r, const struct csv_schema *schema, struct log_fields *f);
void csv_row_fini(struct csv_row *r); /* safe on a zeroed struct */

/* Reads everything except the user side's features. *why: REJECT_NONE or the reason. ERR_MEMORY. */
enum status csv_row_read(struct csv_row *r, struct span record, enum reject *why);
/* Reads the user side's features; to be called after csv_row_read if they are wanted. */
enum status csv_row_user(struct csv_row *r, enum reject *why);
/* Bit k is set if the row is in class k (log_label.h): by its labels or, if it was rejected, by
 * what they seem to be. */
uint32_t csv_row_classes(const struct csv_row *r);
/* Gives the group's key: from the group value, or from the user side if there is no group
 * column. */
uint64_t csv_row_key(const struct csv_row *r);
