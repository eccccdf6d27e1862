/* log_fields.h - maps field names to slots while a log is read. Each thread gives a new name its
 * next slot. The finished schema is the union over all threads, in the slot order of schema.h.
 *
 * Each thread uses its own struct.
 */
#pragma once

#include "common/job/schema.h"
#include "common/data/shard_builder.h"
#include "common/field/span.h"
#include "log_sketch.h"
#include "common/base/bytes.h"

#define FIELD_PLACES 1024u

struct log_fields {
    struct schema schema;                 /* in order of discovery */
    uint64_t values[FIELDS_MAX];          /* features accepted, by slot */
    uint64_t plain_ids[FIELDS_MAX];       /* ids whose text was not the shortest one */
    struct log_sketch sketch[FIELDS_MAX]; /* estimates how many distinct ids were accepted */
    struct {
        uint64_t word; /* a name of up to 7 bytes, or the hash of a longer one; 0: free */
        uint32_t slot;
    } place[FIELD_PLACES];
};

/* Starts with the fields of `known` (NULL: none). */
void log_fields_init(struct log_fields *f, const struct schema *known);
/* The name of 1 to 7 bytes as a word. */
static inline uint64_t log_fields_word(const char *name, size_t n) {
    return load_u64(name) & ((UINT64_C(1) << (8 * n)) - 1);
}
static inline size_t log_fields_place(uint64_t word) {
    return (size_t)((word * UINT64_C(0x9e3779b97f4a7c15)) >> 54);
}
/* Gives the slot of a name. A new name is added with `side`; a known name keeps its side.
 * ERR_FORMAT if it cannot be a field's name; ERR_LIMIT beyond FIELDS_MAX. Reads 8 bytes starting at
 * name.at. */
enum status log_fields_slot(struct log_fields *f, struct span name, enum side side, uint32_t *slot);
/* Removes the fields after the first `count`: those of a line that was rejected. */
void log_fields_rollback(struct log_fields *f, uint32_t count);
/* The features are from a line that is read as `side`. Does one of them have a field that is known
 * on the other side? *slot is that field. */
bool log_fields_conflict(const struct log_fields *f, const struct feature *features, size_t count,
                         enum side side, uint32_t *slot);
/* Adds to `all` the fields of `f` that have values, and their counts. ERR_LIMIT; ERR_FORMAT if a
 * field is on the other side there. */
enum status log_fields_merge(struct log_fields *all, const struct log_fields *f);
