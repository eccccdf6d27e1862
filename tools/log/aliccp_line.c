/* aliccp_line.c - the parser of Ali-CCP lines.
 *
 * The speed of prep depends on this file: a user side is 500 entries of 23 bytes, and 19 GB of them
 * are read. So an entry is parsed in one pass of straight code. A field's name is found by
 * eight-byte words (a name of up to 7 bytes is its own hash key), an id digit by digit, a value as
 * an integer over a power of ten (field_number_plain_at). Anything unusual - signs, exponents, long
 * names, twenty digits - goes from the fast path to a slow one, which takes the entry as a whole.
 * Neither path tests for the end of the line inside a number: the caller guarantees that the byte
 * after a line is a line end or NUL.
 */
#include "aliccp_line.h"

#include "log_label.h"

#define ENTRY_BYTES_MIN 6u /* "f", 2, "1", 3, "1", 1 */

/* --- entries ---------------------------------------------------------------------------------- */

/* Finds the byte `c` among the eight at `at`: gives its place, or 8. */
static inline unsigned find8(uint64_t word, uint64_t c) {
    const uint64_t x = word ^ (c * UINT64_C(0x0101010101010101));
    const uint64_t hit = (x - UINT64_C(0x0101010101010101)) & ~x & UINT64_C(0x8080808080808080);
    return hit == 0 ? 8 : (unsigned)__builtin_ctzll(hit) / 8;
}

struct parser {
    struct log_fields *fields;
    struct feature_list *list;
    enum side side;
    uint64_t word; /* the last field met; entries of one field are often adjacent */
    uint32_t slot;
};

static inline void note_feature(struct parser *p, uint32_t slot, uint64_t id, float weight) {
    struct feature_list *l = p->list;
    l->features[l->count++] = (struct feature){.field = slot, .weight = weight, .id = id};
}

/* Finds the field of a word that was met before. */
static inline bool known_word(struct parser *p, uint64_t word) {
    if (word == p->word) {
        return true;
    }
    const size_t at = log_fields_place(word);
    if (p->fields->place[at].word != word) {
        return false;
    }
    p->word = word;
    p->slot = p->fields->place[at].slot;
    return true;
}

/* Parses the entry at `at` if it is an ordinary one, and gives where it ends. Otherwise gives NULL
 * and notes nothing. */
static inline const char *fast_entry(struct parser *p, const char *at, const char *end) {
    const uint64_t head = load_u64(at);
    const unsigned n = find8(head, 2);
    uint64_t id = 0;
    double weight;
    const uint64_t word = n == 8 ? 0 : head & ((UINT64_C(1) << (8 * n)) - 1);
    if (n == 0 || n == 8 || word >> (8 * (n - 1)) == 0 || !known_word(p, word)) {
        return NULL; /* a name ending with NUL would have the word of a shorter name */
    }
    const char *from = at += n + 1;
    if (at >= end) {
        return NULL;
    }
    for (; field_is_digit(*at); at++) {
        id = id * 10 + (uint64_t)(*at - '0');
    }
    if (at == from || at - from > 19 || *at != 3 || at >= end) {
        return NULL;
    }
    at = field_number_plain_at(at + 1, &weight);
    if (at == NULL || at > end || (at < end && *at != 1)) {
        return NULL;
    }
    note_feature(p, p->slot, id, (float)weight);
    return at;
}

static enum status slow_entry(struct parser *p, struct span entry, enum reject *why) {
    const char *two = memchr(entry.at, 2, entry.n);
    const char *end = entry.at + entry.n;
    const char *three = two == NULL ? NULL : memchr(two, 3, (size_t)(end - two));
    uint64_t id = 0;
    uint32_t slot = 0;
    float weight = 0;
    if (three == NULL) {
        *why = REJECT_ENTRY;
        return OK;
    }
    if (!field_number_u64((struct span){two + 1, (size_t)(three - two - 1)}, &id)) {
        *why = REJECT_ID;
        return OK;
    }
    *why =
        reject_of(field_number_f32((struct span){three + 1, (size_t)(end - three - 1)}, &weight));
    if (*why != REJECT_NONE) {
        return OK;
    }
    const enum status status = log_fields_slot(
        p->fields, (struct span){entry.at, (size_t)(two - entry.at)}, p->side, &slot);
    if (status == ERR_FORMAT) {
        *why = REJECT_FIELD;
        return OK;
    }
    TRY(status);
    note_feature(p, slot, id, weight);
    return OK;
}

/* Reads all entries of a line; there must be `count` of them. */
static enum status read_entries(struct parser *p, struct span text, uint64_t count,
                                enum reject *why) {
    const char *at = text.at, *end = text.at + text.n;
    TRY(feature_list_clear(p->list, text.n / ENTRY_BYTES_MIN + 1));
    while (at < end || (text.n > 0 && at == end && at[-1] == 1)) {
        const char *stop = fast_entry(p, at, end);
        if (stop == NULL) {
            stop = memchr(at, 1, (size_t)(end - at));
            stop = stop == NULL ? end : stop;
            TRY(slow_entry(p, (struct span){at, (size_t)(stop - at)}, why));
        }
        if (*why != REJECT_NONE) {
            return OK;
        }
        if (stop == end) {
            break;
        }
        at = stop + 1;
    }
    *why = p->list->count == count ? REJECT_NONE : REJECT_DISAGREES;
    return OK;
}

/* --- lines ------------------------------------------------------------------------------------ */

/* Cuts off the next cell; false if there is no comma. */
static bool take_cell(struct span *line, struct span *cell) {
    const char *comma = memchr(line->at, ',', line->n);
    if (comma == NULL) {
        return false;
    }
    *cell = (struct span){line->at, (size_t)(comma - line->at)};
    line->at = comma + 1;
    line->n -= cell->n + 1;
    return true;
}

/* A cell that cannot be read looks positive unless it is empty. */
static bool take_label(struct span cell, bool *out, uint32_t class, uint32_t *classes) {
    const bool good = log_label(cell, LABELS_BINARY, out);
    *classes |= (good ? *out : span_trimmed(cell).n > 0) ? 1u << class : 0;
    return good;
}

static bool is_key(struct span key) {
    return key.n > 0 && key.n <= KEY_BYTES_MAX;
}

/* Reads feature_num and the features, the tail of both kinds of lines. */
static enum status read_tail(struct span cell, struct span text, struct log_fields *f,
                             enum side side, struct feature_list *l, enum reject *why) {
    struct parser p = {.fields = f, .list = l, .side = side};
    const uint32_t before = f->schema.count;
    uint64_t count = 0;
    if (!field_number_u64(cell, &count)) {
        *why = REJECT_COUNT;
        return OK;
    }
    *why = REJECT_NONE;
    const enum status status = read_entries(&p, text, count, why);
    if (status != OK || *why != REJECT_NONE) {
        log_fields_rollback(f, before);
    }
    return status;
}

enum status aliccp_line_skeleton(struct span line, struct log_fields *f, struct skeleton_line *out,
                                 struct feature_list *l, enum reject *why) {
    struct span click, conversion, count;
    out->classes = 0;
    if (!take_cell(&line, &out->id) || !take_cell(&line, &click) ||
        !take_cell(&line, &conversion) || !take_cell(&line, &out->key) ||
        !take_cell(&line, &count)) {
        *why = REJECT_COLUMNS;
        return OK;
    }
    *why = out->id.n == 0 ? REJECT_IMPRESSION : !is_key(out->key) ? REJECT_KEY : REJECT_NONE;
    const bool read = take_label(click, &out->click, CLASS_CLICK, &out->classes);
    if (!take_label(conversion, &out->conversion, CLASS_CONVERSION, &out->classes) || !read) {
        *why = REJECT_LABEL;
    }
    return *why == REJECT_NONE ? read_tail(count, line, f, SIDE_ITEM, l, why) : OK;
}

enum status aliccp_line_common(struct span line, struct log_fields *f, struct span *key,
                               struct feature_list *l, enum reject *why) {
    struct span count;
    if (!take_cell(&line, key) || !take_cell(&line, &count)) {
        *why = REJECT_COLUMNS;
        return OK;
    }
    if (!is_key(*key)) {
        *why = REJECT_KEY;
        return OK;
    }
    return read_tail(count, line, f, SIDE_USER, l, why);
}

struct span aliccp_line_key(struct span line) {
    struct span cell = {line.at, 0};
    for (int k = 0; k < 4; k++) {
        if (!take_cell(&line, &cell)) {
            return (struct span){line.at, 0};
        }
    }
    return cell;
}
