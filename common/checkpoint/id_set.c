#include "id_set.h"

#include "common/base/hash.h"
#include "common/base/mem.h"

#define SIZE_FIRST 1024u

void id_set_fini(struct id_set *s) {
    mem_free(&s->ids);
    *s = (struct id_set){0};
}

/* The place of the id, or the empty one where it would be. */
static size_t place_of(const struct id_set *s, uint64_t id) {
    size_t at = hash_key(0, id) & (s->size - 1);
    while (s->ids[at] != 0 && s->ids[at] != id) {
        at = (at + 1) & (s->size - 1);
    }
    return at;
}

bool id_set_has(const struct id_set *s, uint64_t id) {
    return id == 0 ? s->zero : s->size > 0 && s->ids[place_of(s, id)] == id;
}

static enum status grow(struct id_set *s) {
    struct id_set next = {
        .size = s->size == 0 ? SIZE_FIRST : 2 * s->size, .count = s->count, .zero = s->zero};
    TRY(mem_array(&next.ids, next.size));
    for (size_t i = 0; i < s->size; i++) {
        if (s->ids[i] != 0) {
            next.ids[place_of(&next, s->ids[i])] = s->ids[i];
        }
    }
    mem_free(&s->ids);
    *s = next;
    return OK;
}

enum status id_set_add(struct id_set *s, uint64_t id, bool *fresh) {
    if (id == 0) {
        *fresh = !s->zero;
        s->zero = true;
        return OK;
    }
    if (4 * (s->count + 1) > 3 * s->size) {
        TRY(grow(s));
    }
    const size_t at = place_of(s, id);
    *fresh = s->ids[at] == 0;
    s->count += *fresh;
    s->ids[at] = id;
    return OK;
}
