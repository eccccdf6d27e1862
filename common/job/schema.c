#include "schema.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"

/* A blank at either end would be lost by an INI reader. */
_Static_assert(FIELD_NAME_MAX == 64, "SCHEMA_NAME_RULE says so");
bool schema_name_good(const char *name) {
    const size_t length = strlen(name);
    if (length == 0 || length >= FIELD_NAME_MAX || name[0] == ' ' || name[length - 1] == ' ') {
        return false;
    }
    for (const char *c = name; *c != '\0'; c++) {
        if (*c < 0x20 || *c > 0x7e || *c == '=' || *c == '[' || *c == ']') {
            return false;
        }
    }
    return true;
}

const char *side_name(enum side side) {
    return side == SIDE_USER ? "user" : "item";
}

int schema_find(const struct schema *s, const char *name) {
    for (uint32_t i = 0; i < s->count; i++) {
        if (strcmp(s->fields[i].name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

enum status schema_add(struct schema *s, const char *name, enum side side) {
    if (!schema_name_good(name)) {
        return fail(ERR_FORMAT, "field name '%.80s': expected " SCHEMA_NAME_RULE, name);
    }
    if (schema_find(s, name) >= 0) {
        return fail(ERR_EXISTS, "field '%s' comes twice", name);
    }
    if (s->count == FIELDS_MAX) {
        return fail(ERR_LIMIT, "field '%s' is one too many, expected at most %d", name, FIELDS_MAX);
    }
    struct field *f = &s->fields[s->count++];
    memset(f, 0, sizeof *f); /* some callers compare and hash the bytes after the name */
    memcpy(f->name, name, strlen(name));
    f->side = side;
    f->salt = hash_bytes(name, strlen(name));
    s->user_count += side == SIDE_USER;
    return OK;
}

static int by_slot(const void *a, const void *b) {
    const struct field *x = a, *y = b;
    if (x->side != y->side) {
        return x->side < y->side ? -1 : 1;
    }
    return strcmp(x->name, y->name);
}

void schema_finish(struct schema *s) {
    assert(s->count <= FIELDS_MAX);
    qsort(s->fields, s->count, sizeof *s->fields, by_slot);
}

void schema_map(const struct schema *from, const struct schema *to, int map[FIELDS_MAX]) {
    for (uint32_t i = 0; i < FIELDS_MAX; i++) {
        map[i] = -1;
    }
    for (uint32_t i = 0; i < from->count; i++) {
        const int slot = schema_find(to, from->fields[i].name);
        if (slot >= 0 && to->fields[slot].side == from->fields[i].side) {
            map[i] = slot;
        }
    }
}
