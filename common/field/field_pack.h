/* field_pack.h - the common part of the two manifests that are protobuf messages: the one of a data
 * set (dataset.c) and the one of a checkpoint (manifest.c). Both hold fields, and both must unpack
 * bytes that cannot be trusted.
 */
#pragma once

#include "field.pb-c.h"
#include "common/job/schema.h"
#include "field_schema.h"

struct field_packed {
    Esmm__FieldSchema message;
    ProtobufCBinaryData missing[FIELD_MISSING_MAX];
};

/* Makes the message of a field. It points into *f, which is only read. Returns NULL, which means no
 * message, if nothing is known of the field; f may be NULL. */
Esmm__FieldSchema *field_pack(const struct field_schema *f, struct field_packed *out);
/* The number of a side on disk. */
uint32_t field_pack_side(enum side side);

/* What a manifest says of one field. */
struct field_line {
    const char *name;
    uint32_t side;
    const Esmm__FieldSchema *schema; /* NULL: nothing is known */
};
/* Fills *schema and *schemas, which must be empty, with what a manifest says of its fields (in slot
 * order) and of times. ERR_CORRUPT: a name or side is not valid, the order is wrong, bounds do not
 * ascend or are not finite, a kind is unknown, and the like. ERR_MEMORY. */
enum status field_unpack(const struct field_line *lines, size_t count, const char *times,
                         struct schema *schema, struct field_schemas *schemas);

/* protobuf-c allocates what the bytes ask for, up to about 60 times their length. This allocator
 * limits it to 64 times their length plus 64 KB, and to `most` at the most. */
struct pack_budget {
    ProtobufCAllocator allocator;
    size_t left;
    bool no_memory; /* a request within the budget failed */
};
void pack_budget_init(struct pack_budget *b, size_t bytes, size_t most);
