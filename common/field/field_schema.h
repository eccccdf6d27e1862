/* field_schema.h - how the texts of a field became feature ids, and whether two data sets agree.
 *
 * `age` in buckets of five years and `age` in buckets of ten are the same field with other ids; so
 * are `4711` as a number and as a hash. A model that learned the one knows nothing of the other,
 * and nobody would notice: the ids are numbers either way. So prep writes what it did into the
 * manifest of the shards, training hands it on to checkpoints, and whoever brings two of them
 * together asks field_schemas_match.
 *
 * A field that says nothing is FIELD_UNKNOWN: shards and checkpoints of an older version, or of
 * another program.
 */
#pragma once

#include "common/base/bytes.h"
#include "common/job/schema.h"

#define FIELD_BOUNDS_MAX  4096u
#define FIELD_MISSING_MAX 64u       /* texts of a field */
#define FIELD_TEXT_MAX    128u      /* bytes of one, with the NUL */
#define FIELD_TIMES_MAX   512u      /* bytes of what is said of times, with the NUL */
#define FIELD_HASH        "xxh3-64" /* what kind = hash means here (hash_bytes) */

enum field_kind {
    FIELD_UNKNOWN,
    FIELD_HASH_TEXT, /* the id is the text's hash */
    FIELD_ID,        /* the text is the id, a number */
    FIELD_NUMERIC,   /* the id is how many bounds are at most the value */
    FIELD_ALICCP     /* of Ali-CCP's format: the text is the id */
};

struct field_schema {
    char name[FIELD_NAME_MAX]; /* the field's */
    enum field_kind kind;
    char hash[16];      /* of FIELD_HASH_TEXT: which; else "" */
    char multi, weight; /* separators; 0: none */
    double *bounds;     /* [bound_count] finite, ascending; numeric only */
    uint32_t bound_count;
    char (*missing)[FIELD_TEXT_MAX]; /* [missing_count] ascending, no two alike */
    uint32_t missing_count;
};

/* Those of a data set or of a checkpoint, by name. Zeroed: nothing is known. */
struct field_schemas {
    struct field_schema *list; /* [count], owned with what it points to */
    uint32_t count;
    char times[FIELD_TIMES_MAX]; /* of the log's times, in the schema's keys; "" not said */
};

/* Adds one of FIELD_UNKNOWN; *out is good until the next call. ERR_MEMORY. */
enum status field_schemas_add(struct field_schemas *s, const char *name, struct field_schema **out);
/* NULL if nothing is known of that field. */
const struct field_schema *field_schemas_find(const struct field_schemas *s, const char *name);
void field_schemas_free(struct field_schemas *s); /* safe on a zeroed struct, and twice */

/* Adds copies of those of `more` that are not in *all or of which it says nothing. ERR_MEMORY. */
enum status field_schemas_unite(struct field_schemas *all, const struct field_schemas *more);

/* The bounds become a copy of these. ERR_MEMORY. */
enum status field_schema_bounds(struct field_schema *f, const double *bounds, uint32_t count);
/* One more text that is no value, put in its place; once is enough. ERR_LIMIT, ERR_MEMORY. */
enum status field_schema_missing(struct field_schema *f, const char *text, size_t bytes);
bool field_schema_is_missing(const struct field_schema *f, const char *text, size_t bytes);

const char *field_kind_name(enum field_kind kind); /* as in [column.NAME]; "unknown", "aliccp" */
/* "kind = numeric, bounds 18, 25, 35, multi = |": what decides about ids, in one line. Many bounds
 * are counted instead. ERR_MEMORY. */
enum status field_schema_describe(const struct field_schema *f, struct buf *out);

/* Do all fields that both sides know become the same ids? a_says and b_says begin what is said of
 * a side: "the checkpoint run was trained with", "eval-shards has". ERR_CONFIG: a field is made in
 * two ways; the text names it and both. Differences that may be harmless are put into *doubts, a
 * line each: other missing texts, other settings of times, fields of which one side says nothing.
 */
enum status field_schemas_match(const struct field_schemas *a, const char *a_says,
                                const struct field_schemas *b, const char *b_says,
                                struct buf *doubts);
