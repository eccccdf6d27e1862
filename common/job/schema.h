/* schema.h - the fields of the input, and the side of each.
 *
 * Field order is by side (user first), then by name; the position is the field's slot. Keys hash
 * with the field's name (see hash.h), so slots may differ between data sets; schema_map joins them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "common/base/status.h"

#define FIELDS_MAX     256
#define FIELD_NAME_MAX 64 /* with the NUL */

enum side { SIDE_USER = 0, SIDE_ITEM = 1 };

struct field {
    char name[FIELD_NAME_MAX];
    enum side side;
    uint64_t salt; /* hash_bytes(name) */
};

struct schema {
    struct field fields[FIELDS_MAX];
    uint32_t count;
    uint32_t user_count; /* fields [0, user_count) are user side */
};

/* Whether a field may have this name. A name goes into INI sections, file names of exports and log
 * lines. */
bool schema_name_good(const char *name);
#define SCHEMA_NAME_RULE                                                                           \
    "1 to 63 printable ASCII characters without '=', '[', ']' and without blanks at the ends"

const char *side_name(enum side side); /* "user", "item" */

/* Adds a field (any order); ERR_LIMIT when full, ERR_EXISTS if the name is there on either side,
 * ERR_FORMAT unless schema_name_good. */
enum status schema_add(struct schema *s, const char *name, enum side side);
/* Sorts into slot order. Call once after the last add. */
void schema_finish(struct schema *s);
/* Slot of a name, or -1. */
int schema_find(const struct schema *s, const char *name);
/* map[slot in from] = slot in to, or -1 where `to` lacks the field (or has it on the other side).
 */
void schema_map(const struct schema *from, const struct schema *to, int map[FIELDS_MAX]);
