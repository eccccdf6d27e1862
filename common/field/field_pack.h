/* field_pack.h - what the two manifests that are protobuf messages, a data set's (dataset.c) and a
 * checkpoint's (manifest.c), have in common: their fields, and unpacking what is not to be trusted.
 */
#pragma once

#include "field.pb-c.h"
#include "common/job/schema.h"
#include "field_schema.h"

struct field_packed {
    Esmm__FieldSchema message;
    ProtobufCBinaryData missing[FIELD_MISSING_MAX];
};

/* The message of a field; it points into *f, which is only read. NULL if nothing is known (f may be
 * NULL): then there is none. */
Esmm__FieldSchema *field_pack(const struct field_schema *f, struct field_packed *out);
/* The number of a side. */
uint32_t field_pack_side(enum side side);

/* A manifest's line about a field. */
struct field_line {
    const char *name;
    uint32_t side;
    const Esmm__FieldSchema *schema; /* NULL: nothing is known */
};
/* What a manifest says of its fields, in slot order, and of times, into empty ones. ERR_CORRUPT:
 * names or sides that are none, another order, bounds that do not ascend or are not finite, an
 * unknown kind, and the like; ERR_MEMORY. */
enum status field_unpack(const struct field_line *lines, size_t count, const char *times,
                         struct schema *schema, struct field_schemas *schemas);

/* protobuf-c takes memory as the bytes tell it to, up to some 60 times their length. This allocator
 * gives out 64 times as much as they are, and 64 KB, but at most `most`. */
struct pack_budget {
    ProtobufCAllocator allocator;
    size_t left;
    bool no_memory; /* what it refused was within the budget */
};
void pack_budget_init(struct pack_budget *b, size_t bytes, size_t most);
