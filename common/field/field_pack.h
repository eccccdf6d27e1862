/* field_pack.h - field schemas to and from the protobuf message of proto/field.proto, for the two
 * manifests that hold it (dataset.c, manifest.c). */
#ifndef COMMON_FIELD_FIELD_PACK_H
#define COMMON_FIELD_FIELD_PACK_H

#include "field.pb-c.h"
#include "field_schema.h"

struct field_packed {
    Esmm__FieldSchema message;
    ProtobufCBinaryData missing[FIELD_MISSING_MAX];
};

/* The message of a field; it points into *f, which is only read. NULL if nothing is known (f may be
 * NULL): then there is none. */
Esmm__FieldSchema *field_pack(const struct field_schema *f, struct field_packed *out);
/* Adds field `name` with what the message says (NULL: unknown). ERR_CORRUPT: bounds that do not
 * ascend or are not finite, an unknown kind, and the like; ERR_MEMORY. */
enum status field_unpack(struct field_schemas *to, const char *name, const Esmm__FieldSchema *in);
/* What is said of times. ERR_CORRUPT. */
enum status field_unpack_times(struct field_schemas *to, const char *times);

#endif
