#include "log_fields.h"

#include "common/base/hash.h"

#define WORD_BYTES_MAX 7u

/* A word of 8 bytes holds a short name completely, and its last byte is 0. For a long name the word
 * is a hash with that byte set. */
static uint64_t word_of(struct span name) {
    return name.n <= WORD_BYTES_MAX ? log_fields_word(name.at, name.n)
                                    : hash_bytes(name.at, name.n) | UINT64_C(0xff) << 56;
}

static bool is_name(const struct field *field, struct span name) {
    return memcmp(field->name, name.at, name.n) == 0 && field->name[name.n] == '\0';
}

/* Gives the place of the name, or the free place for it. */
static size_t place_of(const struct log_fields *f, uint64_t word, struct span name) {
    size_t at = log_fields_place(word);
    while (f->place[at].word != 0 &&
           (f->place[at].word != word || !is_name(&f->schema.fields[f->place[at].slot], name))) {
        at = (at + 1) % FIELD_PLACES;
    }
    return at;
}

static void note_places(struct log_fields *f) {
    memset(f->place, 0, sizeof f->place);
    for (uint32_t slot = 0; slot < f->schema.count; slot++) {
        const char *text = f->schema.fields[slot].name;
        const struct span name = span_of(text);
        const uint64_t word = word_of(name);
        const size_t at = place_of(f, word, name);
        f->place[at].word = word;
        f->place[at].slot = slot;
    }
}

void log_fields_init(struct log_fields *f, const struct schema *known) {
    memset(f, 0, sizeof *f);
    if (known != NULL) {
        f->schema = *known;
        note_places(f);
    }
}

enum status log_fields_slot(struct log_fields *f, struct span name, enum side side,
                            uint32_t *slot) {
    char text[FIELD_NAME_MAX];
    if (name.n == 0 || name.n >= FIELD_NAME_MAX || memchr(name.at, 0, name.n) != NULL) {
        return fail(ERR_FORMAT, "a field name of %zu bytes", name.n);
    }
    const uint64_t word = word_of(name);
    const size_t at = place_of(f, word, name);
    if (f->place[at].word == 0) {
        memcpy(text, name.at, name.n);
        text[name.n] = '\0';
        TRY(schema_add(&f->schema, text, side));
        f->place[at].word = word;
        f->place[at].slot = f->schema.count - 1;
        f->values[f->schema.count - 1] = 0;
        f->plain_ids[f->schema.count - 1] = 0;
    }
    *slot = f->place[at].slot;
    return OK;
}

void log_fields_rollback(struct log_fields *f, uint32_t count) {
    if (count == f->schema.count) {
        return;
    }
    for (uint32_t slot = count; slot < f->schema.count; slot++) {
        f->schema.user_count -= f->schema.fields[slot].side == SIDE_USER;
    }
    f->schema.count = count;
    note_places(f);
}

bool log_fields_conflict(const struct log_fields *f, const struct feature *features, size_t count,
                         enum side side, uint32_t *slot) {
    for (size_t k = 0; k < count; k++) {
        *slot = features[k].field;
        if (f->schema.fields[*slot].side != side) {
            return true;
        }
    }
    return false;
}

enum status log_fields_merge(struct log_fields *all, const struct log_fields *f) {
    for (uint32_t k = 0; k < f->schema.count; k++) {
        const struct field *field = &f->schema.fields[k];
        uint32_t slot = 0;
        if (f->values[k] == 0) {
            continue;
        }
        TRY(log_fields_slot(all, span_of(field->name), field->side, &slot));
        if (all->schema.fields[slot].side != field->side) {
            return fail(ERR_FORMAT, "field '%s' is on both sides, user and item", field->name);
        }
        all->values[slot] += f->values[k];
        all->plain_ids[slot] += f->plain_ids[k];
        log_sketch_join(&all->sketch[slot], &f->sketch[k]);
    }
    return OK;
}
