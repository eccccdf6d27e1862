/* csv_schema.h - says what the columns of a delimited log mean. It is the file given with --schema
 * (INI).
 *
 *     [log]                            [column.NAME]
 *     delimiter, quotes, header,       kind = hash | id | numeric
 *     columns, missing,                bounds | uniform | log
 *     impression, group,               multi, weight, missing, field
 *     click, behaviours, conversion,
 *     labels, label, user, item,
 *     repeated_headers,
 *     weight, sample_rate,
 *     time, click_time,
 *     conversion_time, time_unit,
 *     time_format, timezone,
 *     time_origin
 *
 * docs/prep.md describes every key; csv_schema_file.h reads the file.
 */
#pragma once

#include "common/field/field_clock.h"
#include "common/field/field_schema.h"
#include "common/field/field_text.h"
#include "common/field/text_list.h"
#include "common/job/method.h"
#include "log_label.h"

#define CSV_NAME_MAX  LIST_TEXT_MAX /* a column's name, with the NUL */
#define CSV_NAMES_MAX 1024          /* columns of a log */

struct csv_column {
    char name[CSV_NAME_MAX];
    char field[FIELD_NAME_MAX];
    bool used; /* named in user or item */
    enum side side;
    struct field_rule rule;   /* kind is hash, id or numeric; the bounds are owned */
    char multi, weight;       /* separators; 0: none */
    struct text_list missing; /* its own texts, in addition to the log's */
    uint32_t place;           /* in the record, after csv_schema_bind */
};

struct csv_role {
    char name[CSV_NAME_MAX]; /* "" not given */
    uint32_t place;
};

/* Where the value of a label comes from. */
enum label_source {
    LABEL_UNSAID,
    LABEL_CELL,   /* a cell says it */
    LABEL_THERE,  /* it is 1 if the cell has a value */
    LABEL_ALWAYS, /* every row has it */
    LABEL_NEVER   /* the log has no such label */
};
struct csv_label {
    struct csv_role role; /* of LABEL_CELL and LABEL_THERE */
    enum label_source source;
    struct text_list none; /* for LABEL_THERE: further texts that count as no value */
};

struct csv_schema {
    char delimiter;
    char quote;        /* 0: none */
    bool quotes_given; /* if false: no quotes if the delimiter is a tab */
    bool header;
    bool skip_headers; /* lines that repeat the header are headers */
    struct text_list missing;
    struct number_style numbers; /* of values, weights and labels */
    struct csv_role impression, group;
    enum csv_labels labels;
    struct csv_role label;              /* with labels = funnel only */
    struct csv_label click, conversion; /* with labels = funnel both are that column */
    struct csv_label
        behaviour[BEHAVIOURS_MAX]; /* all LABEL_CELL: from click to conversion, in order */
    uint32_t behaviours;
    struct csv_role weight; /* of a row */
    double sample_rate;     /* share of unclicked rows that the log kept; 1: all */
    struct csv_role time, click_time, conversion_time; /* the first and the last, or none */
    struct field_clock clock;                          /* how they are written */
    struct csv_column *columns;                        /* [FIELDS_MAX] fields, user and item */
    uint32_t count;
    char (*names)[CSV_NAME_MAX]; /* [CSV_NAMES_MAX] all columns; from `columns`, or the header */
    uint32_t name_count;
};

/* Finds the place of every column in a header's cells, or in `columns` if n is 0. ERR_CONFIG. */
enum status csv_schema_bind(struct csv_schema *s, const char *path, const struct span *cells,
                            size_t n);
/* Gives what the manifest says about the schema: how each field's texts become ids. ERR_MEMORY. */
enum status csv_schema_fields(const struct csv_schema *s, struct field_schemas *out);
void csv_schema_free(struct csv_schema *s); /* safe on a zeroed struct */
