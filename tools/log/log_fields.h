/* log_fields.h - field names to slots while a log is read: new names get the next slot, whatever
 * thread meets them; the finished schema is the union over all threads, in slot order of schema.h.
 *
 * One struct, one thread.
 */
#pragma once

#include "common/job/schema.h"
#include "common/data/shard_builder.h"
#include "common/field/span.h"
#include "log_sketch.h"
#include "common/base/bytes.h"

#define FIELD_PLACES 1024u

struct log_fields {
    struct schema schema;           /* in order of discovery */
    uint64_t values[FIELDS_MAX];    /* features accepted, by slot */
    uint64_t plain_ids[FIELDS_MAX]; /* ids that were read from another text than their shortest */
    struct log_sketch sketch[FIELDS_MAX]; /* of the ids accepted: how many distinct */
    struct {
        uint64_t word; /* a name of up to 7 bytes, or the hash of a longer one; 0 free */
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
/* The slot of a name, added with `side` if it is new; a known name keeps its side. ERR_FORMAT if it
 * cannot be a field's name; ERR_LIMIT beyond FIELDS_MAX. Reads 8 bytes from name.at on. */
enum status log_fields_slot(struct log_fields *f, struct span name, enum side side, uint32_t *slot);
/* Forgets the fields beyond the first `count`: those of a line that was rejected. */
void log_fields_rollback(struct log_fields *f, uint32_t count);
/* Is one of these features, of a line that is read as `side`, of a field that is known on the other
 * side? *slot is that field. */
bool log_fields_conflict(const struct log_fields *f, const struct feature *features, size_t count,
                         enum side side, uint32_t *slot);
/* Adds to `all` the fields of `f` that have values, and their counts. ERR_LIMIT; ERR_FORMAT if a
 * field is on the other side there. */
enum status log_fields_merge(struct log_fields *all, const struct log_fields *f);
