/* field_schema.h - how the texts of a field became feature ids, and whether two data sets agree on
 * it.
 *
 * `age` in buckets of five years and `age` in buckets of ten years are the same field with
 * different ids. So are `4711` as a number and as a hash. A model that learned one of them knows
 * nothing of the other, and nobody would notice, because the ids are numbers in both cases. So prep
 * writes what it did into the manifest of the shards, and training copies it into checkpoints. Code
 * that uses two of them together calls field_schemas_match.
 *
 * A field of which nothing is said is FIELD_UNKNOWN. Shards and checkpoints of an older version or
 * of another program have such fields.
 */
#pragma once

#include "common/base/bytes.h"
#include "common/job/schema.h"

#define FIELD_BOUNDS_MAX  4096u
#define FIELD_MISSING_MAX 64u       /* missing texts of a field */
#define FIELD_TEXT_MAX    128u      /* bytes of one, with the NUL */
#define FIELD_TIMES_MAX   512u      /* bytes of the settings of times, with the NUL */
#define FIELD_HASH        "xxh3-64" /* what kind = hash means here (hash_bytes) */

enum field_kind {
    FIELD_UNKNOWN,
    FIELD_HASH_TEXT, /* the id is the text's hash */
    FIELD_ID,        /* the text is the id, a number */
    FIELD_NUMERIC,   /* the id is how many bounds are at most the value */
    FIELD_ALICCP     /* from Ali-CCP's format: the text is the id */
};

struct field_schema {
    char name[FIELD_NAME_MAX]; /* of the field */
    enum field_kind kind;
    char hash[16];      /* which hash, for FIELD_HASH_TEXT; else "" */
    char multi, weight; /* separators; 0: none */
    double *bounds;     /* [bound_count] finite, ascending; numeric only */
    uint32_t bound_count;
    char (*missing)[FIELD_TEXT_MAX]; /* [missing_count] ascending, no two alike */
    uint32_t missing_count;
};

/* The field schemas of a data set or a checkpoint, found by name. A zeroed struct means that
 * nothing is known. */
struct field_schemas {
    struct field_schema *list; /* [count], owned with what it points to */
    uint32_t count;
    char times[FIELD_TIMES_MAX]; /* settings of the log's times; "": not said */
};

/* Adds a field schema of kind FIELD_UNKNOWN; *out is valid until the next call. ERR_MEMORY. */
enum status field_schemas_add(struct field_schemas *s, const char *name, struct field_schema **out);
/* NULL if nothing is known of that field. */
const struct field_schema *field_schemas_find(const struct field_schemas *s, const char *name);
void field_schemas_free(struct field_schemas *s); /* safe on a zeroed struct, and twice */

/* Adds copies of those field schemas of `more` that *all lacks or has as FIELD_UNKNOWN. ERR_MEMORY.
 */
enum status field_schemas_unite(struct field_schemas *all, const struct field_schemas *more);

/* Replaces the field's bounds by a copy of these. ERR_MEMORY. */
enum status field_schema_bounds(struct field_schema *f, const double *bounds, uint32_t count);
/* Adds a text that stands for a missing value, in sorted order. A text that is there already is not
 * added again. ERR_LIMIT, ERR_MEMORY. */
enum status field_schema_missing(struct field_schema *f, const char *text, size_t bytes);
bool field_schema_is_missing(const struct field_schema *f, const char *text, size_t bytes);

const char *field_kind_name(enum field_kind kind); /* as in [column.NAME]; "unknown", "aliccp" */
/* "kind = numeric, bounds 18, 25, 35, multi = |": appends, in one line, all that decides which ids
 * result. If there are many bounds, only their number, the first and the last are shown.
 * ERR_MEMORY. */
enum status field_schema_describe(const struct field_schema *f, struct buf *out);

/* Checks that both sides turn each common field into ids in the same way. a_says and b_says begin
 * the sentence about a side: "the checkpoint run was trained with", "eval-shards has". ERR_CONFIG:
 * the sides differ in a field; the error text names the field and both ways. Differences that may
 * be harmless are added to *doubts, one line each: different missing texts, different settings of
 * times, fields of which one side says nothing.
 */
enum status field_schemas_match(const struct field_schemas *a, const char *a_says,
                                const struct field_schemas *b, const char *b_says,
                                struct buf *doubts);
