#include "field_pack.h"

#include <math.h>
#include "common/base/mem.h"

#define DISK_SIDE_USER 0u
#define DISK_SIDE_ITEM 1u
#define BUDGET_FACTOR  ((size_t)64)
#define BUDGET_BASE    ((size_t)64 << 10)

/* The number of a kind on disk is its position here. */
static const enum field_kind disk_kinds[] = {FIELD_UNKNOWN, FIELD_HASH_TEXT, FIELD_ID,
                                             FIELD_NUMERIC, FIELD_ALICCP};
#define DISK_KINDS (sizeof disk_kinds / sizeof disk_kinds[0])

static uint32_t kind_to_disk(enum field_kind kind) {
    uint32_t i = 0;
    while (i + 1 < DISK_KINDS && disk_kinds[i] != kind) {
        i++;
    }
    return i;
}

Esmm__FieldSchema *field_pack(const struct field_schema *f, struct field_packed *out) {
    if (f == NULL || f->kind == FIELD_UNKNOWN) {
        return NULL;
    }
    Esmm__FieldSchema *m = &out->message;
    esmm__field_schema__init(m);
    m->kind = kind_to_disk(f->kind);
    m->hash = (char *)(uintptr_t)f->hash; /* only read, as all below */
    m->n_bounds = f->bound_count;
    m->bounds = f->bounds;
    m->multi = (unsigned char)f->multi;
    m->weight = (unsigned char)f->weight;
    m->n_missing = f->missing_count;
    m->missing = out->missing;
    for (uint32_t k = 0; k < f->missing_count; k++) {
        out->missing[k].data = (uint8_t *)f->missing[k];
        out->missing[k].len = strlen(f->missing[k]);
    }
    return m;
}

uint32_t field_pack_side(enum side side) {
    return side == SIDE_USER ? DISK_SIDE_USER : DISK_SIDE_ITEM;
}

static enum status field_corrupt(const char *name, const char *what) {
    return fail(ERR_CORRUPT, "field '%s': %s", name, what);
}

static enum status check_bounds(const char *name, const Esmm__FieldSchema *in) {
    if (in->n_bounds > FIELD_BOUNDS_MAX) {
        return field_corrupt(name, "more than 4096 bounds");
    }
    if ((in->n_bounds > 0) != (kind_to_disk(FIELD_NUMERIC) == in->kind)) {
        return field_corrupt(name, "bounds go with kind numeric, and only with it");
    }
    for (size_t k = 0; k < in->n_bounds; k++) {
        if (!isfinite(in->bounds[k]) || (k > 0 && in->bounds[k] <= in->bounds[k - 1])) {
            return field_corrupt(name, "bounds are not finite numbers that ascend");
        }
    }
    return OK;
}

/* The name of a hash appears in messages, so it must be printable. */
static bool hash_good(const char *hash, bool wanted) {
    const size_t n = strlen(hash);
    bool good = (n > 0) == wanted && n < sizeof((struct field_schema){0}.hash);
    for (size_t i = 0; good && i < n; i++) {
        good = hash[i] > 0x20 && hash[i] <= 0x7e;
    }
    return good;
}

static enum status take_missing(struct field_schema *f, const Esmm__FieldSchema *in) {
    if (in->n_missing > FIELD_MISSING_MAX) {
        return field_corrupt(f->name, "more than 64 missing texts");
    }
    for (size_t k = 0; k < in->n_missing; k++) {
        const ProtobufCBinaryData *text = &in->missing[k];
        const char *at = (const char *)text->data;
        if (text->len == 0 || text->len >= FIELD_TEXT_MAX || memchr(at, 0, text->len) != NULL) {
            return field_corrupt(f->name,
                                 "a missing text is empty, too long, or holds a zero byte");
        }
        TRY(field_schema_missing(f, at, text->len));
        if (f->missing_count != k + 1 || strncmp(f->missing[k], at, text->len) != 0) {
            return field_corrupt(f->name, "missing texts do not ascend");
        }
    }
    return OK;
}

static enum status unpack_schema(struct field_schemas *to, const char *name,
                                 const Esmm__FieldSchema *in) {
    struct field_schema *f = NULL;
    TRY(field_schemas_add(to, name, &f));
    if (in == NULL) {
        return OK;
    }
    if (in->kind >= DISK_KINDS) {
        return field_corrupt(name, "a kind that this version does not know");
    }
    f->kind = disk_kinds[in->kind];
    if (!hash_good(in->hash, f->kind == FIELD_HASH_TEXT)) {
        return field_corrupt(name, "a hash's name goes with kind hash, and only with it");
    }
    if (in->multi > 0xff || in->weight > 0xff) {
        return field_corrupt(name, "a separator is not one byte");
    }
    TRY(check_bounds(name, in));
    memcpy(f->hash, in->hash, strlen(in->hash));
    f->multi = (char)in->multi;
    f->weight = (char)in->weight;
    TRY(field_schema_bounds(f, in->bounds, (uint32_t)in->n_bounds));
    return take_missing(f, in);
}

static enum status unpack_times(struct field_schemas *to, const char *times) {
    const size_t n = strlen(times);
    for (size_t i = 0; i < n; i++) {
        if (n >= FIELD_TIMES_MAX || times[i] < 0x20 || times[i] > 0x7e) {
            return fail(ERR_CORRUPT, "the settings of times are too long, or not printable");
        }
    }
    memcpy(to->times, times, n);
    return OK;
}

enum status field_unpack(const struct field_line *lines, size_t count, const char *times,
                         struct schema *schema, struct field_schemas *schemas) {
    for (size_t i = 0; i < count; i++) {
        if (lines[i].side != DISK_SIDE_USER && lines[i].side != DISK_SIDE_ITEM) {
            return fail(ERR_CORRUPT, "a field's side is not 0 (user) or 1 (item)");
        }
        if (schema_add(schema, lines[i].name,
                       lines[i].side == DISK_SIDE_USER ? SIDE_USER : SIDE_ITEM) != OK) {
            return fail(ERR_CORRUPT, "fields are too many, or a name is not one, or comes twice");
        }
    }
    schema_finish(schema);
    TRY(unpack_times(schemas, times));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(schema->fields[i].name, lines[i].name) != 0) {
            return fail(ERR_CORRUPT, "fields are not in slot order");
        }
        TRY(unpack_schema(schemas, lines[i].name, lines[i].schema));
    }
    return OK;
}

/* --- memory ----------------------------------------------------------------------------------- */

static void *budget_alloc(void *data, size_t bytes) {
    struct pack_budget *b = data;
    void *out = NULL;
    if (bytes > b->left) {
        return NULL;
    }
    b->left -= bytes;
    b->no_memory = mem_alloc(&out, bytes) != OK || b->no_memory;
    return out;
}

static void budget_free(void *data, void *p) {
    (void)data;
    mem_free_at(&p);
}

void pack_budget_init(struct pack_budget *b, size_t bytes, size_t most) {
    const size_t wanted = BUDGET_BASE + bytes * BUDGET_FACTOR;
    *b = (struct pack_budget){.left = wanted < most ? wanted : most};
    b->allocator =
        (ProtobufCAllocator){.alloc = budget_alloc, .free = budget_free, .allocator_data = b};
}
