/* shard_builder.c - collects impressions, then turns them into the columns of a shard.
 *
 * Prep runs at the speed of its parser only if adding a feature is nearly free. So adding appends one
 * record of 16 bytes {id, entry, weight} to the list of its field, and nothing else: entry is the
 * number of the group or impression it belongs to. Everything that needs a whole column - bag
 * lengths, dictionary, codes, whether weights matter - is computed once per column when the shard is
 * written.
 *
 * A column's dictionary is found by hashing, since most values repeat: an open-addressing table maps
 * an id to its ordinal of first occurrence, codes hold ordinals for the moment; then the distinct
 * ids alone are sorted (radix sort, a byte a pass, passes over bytes that are all equal left out) and
 * the codes renamed. The work arrays belong to one struct and are reused from column to column.
 * Rejected: sorting all values, which touches a user column's 500 values a group eight times.
 *
 * The bytes of a shard depend on the calls alone: nothing of the hash table's order is written.
 */
#include "shard.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "bytes.h"
#include "container.h"
#include "hash.h"
#include "mem.h"
#include "rng.h"
#include "shard_format.h"

#define GROUPS_FIRST 1024u
#define VALUES_FIRST 256u
#define SLOTS_FIRST  1024u

struct value {
    uint64_t id;
    uint32_t entry;
    float weight;
};

/* The values of one field, in the order of their entries. */
struct pile {
    struct value *values;
    size_t count, cap;
    bool on_side[2];
};

struct shard_builder {
    struct pile pile[FIELDS_MAX];
    uint64_t *group_key;
    uint32_t *group_size;
    size_t groups, groups_cap;
    uint64_t *impression_id;
    uint8_t *labels;
    size_t impressions, impressions_cap;
    float *weight; /* [weighed_cap], of the first `weighed` impressions; the rest count 1 */
    size_t weighed, weighed_cap;
    struct moment *moment; /* [timed_cap], of the first `timed` impressions */
    size_t timed, timed_cap;
    uint64_t values;
    bool fleeting;
};

/* --- collecting ------------------------------------------------------------------------------ */

enum status shard_builder_create(struct shard_builder **b) {
    return mem_alloc((void **)b, sizeof **b);
}

void shard_builder_destroy(struct shard_builder **b) {
    if (*b == NULL) {
        return;
    }
    for (uint32_t f = 0; f < FIELDS_MAX; f++) {
        mem_free(&(*b)->pile[f].values);
    }
    mem_free(&(*b)->group_key);
    mem_free(&(*b)->group_size);
    mem_free(&(*b)->impression_id);
    mem_free(&(*b)->labels);
    mem_free(&(*b)->weight);
    mem_free(&(*b)->moment);
    mem_free(b);
}

static void clear(struct shard_builder *b) {
    for (uint32_t f = 0; f < FIELDS_MAX; f++) {
        b->pile[f].count = 0;
        b->pile[f].on_side[0] = b->pile[f].on_side[1] = false;
    }
    b->groups = b->impressions = b->timed = b->weighed = 0;
    b->values = 0;
}

/* Makes *array hold `cap` items; two arrays of one length grow one after the other, and the length
 * is noted after both, so a failure in between loses nothing. */
static enum status regrow(void **array, size_t count, size_t cap, size_t size) {
    return mem_grow(array, count * size, cap * size);
}

static enum status pile_grow(struct pile *p) {
    const size_t cap = p->cap == 0 ? VALUES_FIRST : p->cap * 2;
    TRY(regrow((void **)&p->values, p->count, cap, sizeof *p->values));
    p->cap = cap;
    return OK;
}

/* Takes back the values of the last `entry` on a side, after a failure or for a group without
 * impressions. */
static void take_back(struct shard_builder *b, enum side side, uint32_t entry) {
    for (uint32_t f = 0; f < FIELDS_MAX; f++) {
        struct pile *p = &b->pile[f];
        while (p->on_side[side] && p->count > 0 && p->values[p->count - 1].entry == entry) {
            p->count--;
            b->values--;
        }
    }
}

static enum status add_values(struct shard_builder *b, enum side side, uint32_t entry,
                              const struct feature *features, size_t count) {
    if (count > SHARD_VALUES_MAX - b->values) {
        return fail(ERR_LIMIT, "a shard of more than %u values", SHARD_VALUES_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        const struct feature *f = &features[i];
        assert(f->field < FIELDS_MAX);
        struct pile *p = &b->pile[f->field];
        enum status status = OK;
        if (!isfinite(f->weight)) {
            status = fail(ERR_FORMAT, "feature %llu of field %u has a weight that is not finite",
                          (unsigned long long)f->id, f->field);
        } else if (p->on_side[1 - side]) {
            status = fail(ERR_FORMAT, "field %u has features on both sides", f->field);
        } else if (p->count == p->cap) {
            status = pile_grow(p);
        }
        if (status != OK) {
            take_back(b, side, entry);
            return status;
        }
        p->on_side[side] = true;
        p->values[p->count++] = (struct value){.id = f->id, .entry = entry, .weight = f->weight};
        b->values++;
    }
    return OK;
}

static void drop_empty_group(struct shard_builder *b) {
    if (b->groups > 0 && b->group_size[b->groups - 1] == 0) {
        b->groups--;
        take_back(b, SIDE_USER, (uint32_t)b->groups);
    }
}

enum status shard_builder_group(struct shard_builder *b, uint64_t group_key,
                                const struct feature *user, size_t count) {
    drop_empty_group(b);
    if (b->groups == SHARD_IMPRESSIONS_MAX) {
        return fail(ERR_LIMIT, "a shard of more than %u groups", SHARD_IMPRESSIONS_MAX);
    }
    if (b->groups == b->groups_cap) {
        const size_t cap = b->groups_cap == 0 ? GROUPS_FIRST : b->groups_cap * 2;
        TRY(regrow((void **)&b->group_key, b->groups, cap, sizeof *b->group_key));
        TRY(regrow((void **)&b->group_size, b->groups, cap, sizeof *b->group_size));
        b->groups_cap = cap;
    }
    TRY(add_values(b, SIDE_USER, (uint32_t)b->groups, user, count));
    b->group_key[b->groups] = group_key;
    b->group_size[b->groups] = 0;
    b->groups++;
    return OK;
}

bool record_good(uint8_t labels, uint8_t kind) {
    const uint8_t outcome = labels & LABEL_OUTCOME;
    const bool late = outcome == (LABEL_CLICK | LABEL_CONVERSION | LABEL_LATE);
    if (outcome != LABEL_CLICK && outcome != (LABEL_CLICK | LABEL_CONVERSION) && !late &&
        labels != 0) {
        return false;
    }
    if (labels > (LABEL_OUTCOME | LABEL_BEHAVIOURS)) {
        return false;
    }
    switch (kind) {
    case KIND_LOG:
    case KIND_BOTH: return !late;
    case KIND_CLICK:
    case KIND_CONVERSION: return labels != 0 && !late;
    case KIND_LATE: return late;
    case KIND_FINAL: return labels != 0;
    default: return false;
    }
}

static bool time_good(uint64_t time) {
    return time > 0 && time <= SHARD_TIME_MAX;
}

/* The times that the labels ask for, checked; the others 0. */
static enum status check_moment(uint64_t impression_id, uint8_t labels, const struct moment *when,
                                struct moment *out) {
    const bool click = (labels & LABEL_CLICK) != 0, conversion = (labels & LABEL_CONVERSION) != 0;
    *out = (struct moment){.time = when->time,
                           .click_time = click ? when->click_time : 0,
                           .conversion_time = conversion ? when->conversion_time : 0,
                           .kind = when->kind};
    if (!time_good(out->time) || (click && !time_good(out->click_time)) ||
        (conversion && !time_good(out->conversion_time)) ||
        (conversion && out->conversion_time < out->click_time)) {
        return fail(ERR_FORMAT, "impression %llu: times %llu, click %llu, conversion %llu: expected "
                                "seconds since 1970 (not milliseconds), a conversion after its click",
                    (unsigned long long)impression_id, (unsigned long long)when->time,
                    (unsigned long long)when->click_time,
                    (unsigned long long)when->conversion_time);
    }
    return OK;
}

static enum status moments_grow(struct shard_builder *b) {
    const size_t cap = b->timed_cap == 0 ? GROUPS_FIRST : b->timed_cap * 2;
    TRY(regrow((void **)&b->moment, b->timed, cap, sizeof *b->moment));
    b->timed_cap = cap;
    return OK;
}

/* Room first, so that the impression that is added afterwards has its times. */
static enum status add_moment(struct shard_builder *b, const struct moment *when) {
    if (b->timed != b->impressions) {
        return fail(ERR_FORMAT, "impressions with and without times in one shard");
    }
    if (b->timed == b->timed_cap) {
        TRY(moments_grow(b));
    }
    b->moment[b->timed] = *when;
    return OK;
}

enum status shard_builder_impression(struct shard_builder *b, uint64_t impression_id,
                                     uint8_t labels, const struct feature *item, size_t count) {
    return shard_builder_timed(b, impression_id, labels, NULL, item, count);
}

enum status shard_builder_timed(struct shard_builder *b, uint64_t impression_id, uint8_t labels,
                                const struct moment *when, const struct feature *item,
                                size_t count) {
    struct moment checked;
    assert(b->groups > 0);
    if (!record_good(labels, (uint8_t)(when == NULL ? KIND_LOG : when->kind))) {
        return fail(ERR_FORMAT, "impression %llu has labels %u, expected 0, 1 or 3, and what its "
                                "kind of record asks for", (unsigned long long)impression_id,
                    labels);
    }
    if (when != NULL) {
        TRY(check_moment(impression_id, labels, when, &checked));
        TRY(add_moment(b, &checked));
    }
    if (b->impressions == SHARD_IMPRESSIONS_MAX) {
        return fail(ERR_LIMIT, "a shard of more than %u impressions", SHARD_IMPRESSIONS_MAX);
    }
    if (b->impressions == b->impressions_cap) {
        const size_t cap = b->impressions_cap == 0 ? GROUPS_FIRST : b->impressions_cap * 2;
        TRY(regrow((void **)&b->impression_id, b->impressions, cap, sizeof *b->impression_id));
        TRY(regrow((void **)&b->labels, b->impressions, cap, sizeof *b->labels));
        b->impressions_cap = cap;
    }
    TRY(add_values(b, SIDE_ITEM, (uint32_t)b->impressions, item, count));
    b->impression_id[b->impressions] = impression_id;
    b->labels[b->impressions] = labels;
    b->impressions++;
    b->timed += when != NULL;
    b->group_size[b->groups - 1]++;
    return OK;
}

static enum status weights_fill(struct shard_builder *b) {
    if (b->impressions > b->weighed_cap) {
        TRY(regrow((void **)&b->weight, b->weighed, b->impressions_cap, sizeof *b->weight));
        b->weighed_cap = b->impressions_cap;
    }
    while (b->weighed < b->impressions) {
        b->weight[b->weighed++] = 1.0f;
    }
    return OK;
}

/* Impressions that count 1 are noted only once there is one that does not. */
enum status shard_builder_weigh(struct shard_builder *b, float weight) {
    assert(b->impressions > 0);
    if (!(weight >= 0.0f && weight <= SHARD_WEIGHT_MAX)) {
        return fail(ERR_FORMAT, "impression %llu has weight %g, expected 0 to %g",
                    (unsigned long long)b->impression_id[b->impressions - 1], (double)weight,
                    (double)SHARD_WEIGHT_MAX);
    }
    if (weight == 1.0f && b->weighed < b->impressions) {
        return OK;
    }
    TRY(weights_fill(b));
    b->weight[b->impressions - 1] = weight;
    return OK;
}

void shard_builder_fleeting(struct shard_builder *b) {
    b->fleeting = true;
}

uint32_t shard_builder_impressions(const struct shard_builder *b) {
    return (uint32_t)b->impressions;
}

size_t shard_builder_bytes(const struct shard_builder *b) {
    size_t bytes = sizeof *b + b->groups_cap * (sizeof *b->group_key + sizeof *b->group_size) +
                   b->impressions_cap * (sizeof *b->impression_id + sizeof *b->labels) +
                   b->timed_cap * sizeof *b->moment + b->weighed_cap * sizeof *b->weight;
    for (uint32_t f = 0; f < FIELDS_MAX; f++) {
        bytes += b->pile[f].cap * sizeof(struct value);
    }
    return bytes;
}

/* --- the dictionary of one column ------------------------------------------------------------ */

struct entry {
    uint64_t id;
    uint32_t ordinal; /* by first occurrence */
};

/* Work space, reused by all columns. */
struct work {
    uint32_t *slot; /* hash table: ordinal + 1, 0 free */
    size_t slots, slots_cap; /* in use by this column, a power of two; there */
    struct entry *dict, *other; /* `other` is the sort's second half */
    size_t dict_count, dict_cap; /* dict_cap >= slots / 2 */
    uint32_t *code;
    size_t code_cap;
    uint32_t *rank; /* [dict_cap] ordinal -> place in the sorted dictionary */
    struct buf bytes;
};

static void work_fini(struct work *w) {
    mem_free(&w->slot);
    mem_free(&w->dict);
    mem_free(&w->other);
    mem_free(&w->code);
    mem_free(&w->rank);
    buf_fini(&w->bytes);
}

/* Makes *array at least `need` items long; what it held is gone. */
static enum status fresh(void **array, size_t *cap, size_t need, size_t size) {
    if (need > *cap) {
        mem_free_at(array);
        *cap = 0;
        TRY(mem_array(array, need, size));
        *cap = need;
    }
    return OK;
}

static size_t place_of(const struct work *w, uint64_t id) {
    size_t at = (size_t)rng_mix(id) & (w->slots - 1);
    while (w->slot[at] != 0 && w->dict[w->slot[at] - 1].id != id) {
        at = (at + 1) & (w->slots - 1);
    }
    return at;
}

/* A table of `slots` over dict[0, dict_count). A column starts with a small one, so that a small
 * dictionary is probed in cache also after a large one. */
static enum status rehash(struct work *w, size_t slots) {
    if (slots > w->slots_cap) {
        mem_free(&w->slot);
        w->slots_cap = 0;
        TRY(mem_array((void **)&w->slot, slots, sizeof *w->slot));
        w->slots_cap = slots;
    } else {
        memset(w->slot, 0, slots * sizeof *w->slot);
    }
    w->slots = slots;
    for (size_t k = 0; k < w->dict_count; k++) {
        w->slot[place_of(w, w->dict[k].id)] = (uint32_t)k + 1;
    }
    return OK;
}

/* Half of `slots` entries fit. */
static enum status dict_room(struct work *w, size_t slots) {
    const size_t cap = slots / 2;
    if (cap > w->dict_cap) {
        TRY(regrow((void **)&w->dict, w->dict_count, cap, sizeof *w->dict));
        mem_free(&w->other);
        mem_free(&w->rank);
        TRY(mem_array((void **)&w->other, cap, sizeof *w->other));
        TRY(mem_array((void **)&w->rank, cap, sizeof *w->rank));
        w->dict_cap = cap;
    }
    return rehash(w, slots);
}

/* Fills code[] with ordinals and dict[] with distinct ids in order of first occurrence. */
static enum status number_ids(struct work *w, const struct pile *p) {
    TRY(fresh((void **)&w->code, &w->code_cap, p->count, sizeof *w->code));
    w->dict_count = 0;
    TRY(dict_room(w, SLOTS_FIRST));
    for (size_t i = 0; i < p->count; i++) {
        if (w->dict_count == w->slots / 2) {
            TRY(dict_room(w, w->slots * 2));
        }
        const uint64_t id = p->values[i].id;
        const size_t at = place_of(w, id);
        if (w->slot[at] == 0) {
            w->dict[w->dict_count] = (struct entry){.id = id, .ordinal = (uint32_t)w->dict_count};
            w->slot[at] = (uint32_t)++w->dict_count;
        }
        w->code[i] = w->slot[at] - 1;
    }
    return OK;
}

/* One stable pass by byte `shift`/8; false if that byte is the same everywhere. */
static bool radix_pass(const struct entry *from, struct entry *to, size_t n, unsigned shift) {
    size_t count[256] = {0}, at = 0;
    for (size_t i = 0; i < n; i++) {
        count[(from[i].id >> shift) & 0xff]++;
    }
    if (count[(from[0].id >> shift) & 0xff] == n) {
        return false;
    }
    for (size_t k = 0; k < 256; k++) {
        const size_t here = count[k];
        count[k] = at;
        at += here;
    }
    for (size_t i = 0; i < n; i++) {
        to[count[(from[i].id >> shift) & 0xff]++] = from[i];
    }
    return true;
}

static void sort_dict(struct work *w) {
    for (unsigned shift = 0; shift < 64 && w->dict_count > 1; shift += 8) {
        if (radix_pass(w->dict, w->other, w->dict_count, shift)) {
            struct entry *sorted = w->other;
            w->other = w->dict;
            w->dict = sorted;
        }
    }
    for (size_t k = 0; k < w->dict_count; k++) {
        w->rank[w->dict[k].ordinal] = (uint32_t)k;
    }
}

/* --- the blocks of one column ---------------------------------------------------------------- */

/* Varints into room that was reserved: ten bytes for each. */
static void append_varint(struct buf *b, uint64_t v) {
    while (v >= 0x80) {
        b->data[b->len++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    b->data[b->len++] = (uint8_t)v;
}

static enum status encode_dict(struct work *w) {
    uint64_t before = 0;
    buf_clear(&w->bytes);
    TRY(buf_reserve(&w->bytes, w->dict_count * 10));
    for (size_t k = 0; k < w->dict_count; k++) {
        append_varint(&w->bytes, w->dict[k].id - before);
        before = w->dict[k].id;
    }
    return OK;
}

/* Bag lengths of entries 0..n-1, of which some have no value at all. */
static enum status encode_lengths(struct work *w, const struct pile *p, size_t n) {
    size_t i = 0;
    buf_clear(&w->bytes);
    TRY(buf_reserve(&w->bytes, n * 10));
    for (size_t entry = 0; entry < n; entry++) {
        const size_t from = i;
        while (i < p->count && p->values[i].entry == entry) {
            i++;
        }
        append_varint(&w->bytes, i - from);
    }
    return OK;
}

static enum status encode_codes(struct work *w, size_t count) {
    const bool narrow = w->dict_count <= SHARD_NARROW_MAX;
    buf_clear(&w->bytes);
    TRY(buf_reserve(&w->bytes, count * (narrow ? 2 : 4)));
    for (size_t i = 0; i < count; i++) {
        const uint32_t code = w->rank[w->code[i]];
        const uint16_t low = (uint16_t)code;
        if (narrow) {
            memcpy(w->bytes.data + 2 * i, &low, 2);
        } else {
            memcpy(w->bytes.data + 4 * i, &code, 4);
        }
    }
    w->bytes.len = count * (narrow ? 2 : 4);
    return OK;
}

static enum status encode_weights(struct work *w, const struct pile *p) {
    buf_clear(&w->bytes);
    TRY(buf_reserve(&w->bytes, p->count * 4));
    for (size_t i = 0; i < p->count; i++) {
        memcpy(w->bytes.data + 4 * i, &p->values[i].weight, 4);
    }
    w->bytes.len = p->count * 4;
    return OK;
}

/* What META says of a column. */
struct shape {
    const struct field *field;
    const struct pile *pile;
    uint32_t n; /* entries */
    uint32_t flags;
};

static struct shape shape_of(const struct shard_builder *b, const struct field *field,
                             const struct pile *p) {
    struct shape s = {.field = field, .pile = p};
    s.n = (uint32_t)(field->side == SIDE_USER ? b->groups : b->impressions);
    bool ones = p->count == s.n, weighted = false;
    for (size_t i = 0; i < p->count; i++) {
        ones = ones && p->values[i].entry == i;
        weighted = weighted || p->values[i].weight != 1.0f;
    }
    s.flags = (ones ? COLUMN_ONES : 0) | (weighted ? COLUMN_WEIGHTED : 0);
    return s;
}

static enum status put(struct container_writer *f, const struct buf *b, uint16_t type, uint64_t tag,
                       bool compress) {
    return container_put(f, type, tag, b->data, b->len, compress);
}

static enum status put_column(struct container_writer *f, struct work *w, const struct shape *s,
                              uint64_t tag) {
    TRY(number_ids(w, s->pile));
    sort_dict(w);
    TRY(encode_dict(w));
    TRY(put(f, &w->bytes, SHARD_DICT, tag, true));
    if ((s->flags & COLUMN_ONES) == 0) {
        TRY(encode_lengths(w, s->pile, s->n));
        TRY(put(f, &w->bytes, SHARD_LENGTHS, tag, true));
    }
    TRY(encode_codes(w, s->pile->count));
    TRY(put(f, &w->bytes, SHARD_CODES, tag, true));
    if ((s->flags & COLUMN_WEIGHTED) != 0) {
        TRY(encode_weights(w, s->pile));
        TRY(put(f, &w->bytes, SHARD_WEIGHTS, tag, false));
    }
    return OK;
}

/* --- the file -------------------------------------------------------------------------------- */

/* SHARD_HAS_... bits. */
static uint32_t has(const struct shard_builder *b) {
    const uint32_t times = b->timed == 0                     ? 0
                           : b->moment[0].kind != KIND_LOG ? SHARD_HAS_RECORDS
                                                             : SHARD_HAS_TIMES;
    return times | (b->weighed > 0 ? SHARD_HAS_IMPRESSION_WEIGHTS : 0);
}

/* A shard without times and weights is written as ever, so that older programs read it. */
static enum status put_meta(struct container_writer *f, struct buf *out,
                            const struct shard_builder *b, const struct shape *shapes,
                            uint32_t columns) {
    buf_clear(out);
    TRY(buf_put_u32(out, has(b) == 0 ? SHARD_FORMAT : SHARD_FORMAT_MORE));
    TRY(buf_put_u32(out, (uint32_t)b->impressions));
    TRY(buf_put_u32(out, (uint32_t)b->groups));
    TRY(buf_put_u32(out, columns));
    TRY(has(b) == 0 ? OK : buf_put_u32(out, has(b)));
    for (uint32_t k = 0; k < columns; k++) {
        const struct shape *s = &shapes[k];
        const size_t length = strlen(s->field->name);
        const bool user = s->field->side == SIDE_USER;
        TRY(buf_put_u8(out, (uint8_t)(user ? SHARD_SIDE_USER : SHARD_SIDE_ITEM)));
        TRY(buf_put_u8(out, (uint8_t)s->flags));
        TRY(buf_put_u32(out, (uint32_t)s->pile->count));
        TRY(buf_put_u8(out, (uint8_t)length));
        TRY(buf_put(out, s->field->name, length));
    }
    return put(f, out, SHARD_META, 0, true);
}

static enum status put_groups(struct container_writer *f, struct buf *out,
                              const struct shard_builder *b) {
    buf_clear(out);
    TRY(container_put(f, SHARD_GROUP_KEYS, 0, b->group_key, b->groups * 8, true));
    TRY(buf_reserve(out, b->groups * 10));
    for (size_t g = 0; g < b->groups; g++) {
        append_varint(out, b->group_size[g]);
    }
    return put(f, out, SHARD_GROUP_SIZES, 0, true);
}

static enum status put_impressions(struct container_writer *f, struct buf *out,
                                   const struct shard_builder *b) {
    uint64_t before = 0;
    buf_clear(out);
    TRY(buf_reserve(out, b->impressions * 10));
    for (size_t i = 0; i < b->impressions; i++) {
        append_varint(out, zigzag_encode((int64_t)(b->impression_id[i] - before)));
        before = b->impression_id[i];
    }
    TRY(put(f, out, SHARD_IMPRESSION_IDS, 0, true));
    return container_put(f, SHARD_LABELS, 0, b->labels, b->impressions, true);
}

static uint8_t kind_number(enum record_kind kind) {
    switch (kind) {
    case KIND_BOTH: return SHARD_KIND_BOTH;
    case KIND_CLICK: return SHARD_KIND_CLICK;
    case KIND_CONVERSION: return SHARD_KIND_CONVERSION;
    case KIND_LATE: return SHARD_KIND_LATE;
    case KIND_FINAL: return SHARD_KIND_FINAL;
    default: return 0;
    }
}

static enum status put_kinds(struct container_writer *f, struct buf *out,
                             const struct shard_builder *b) {
    buf_clear(out);
    TRY(buf_reserve(out, b->timed));
    for (size_t i = 0; i < b->timed; i++) {
        out->data[out->len++] = kind_number(b->moment[i].kind);
    }
    return put(f, out, SHARD_KINDS, 0, true);
}

/* Which times: `what` is the block's type. */
static enum status put_times(struct container_writer *f, struct buf *out,
                             const struct shard_builder *b, uint16_t what) {
    uint64_t before = 0;
    buf_clear(out);
    TRY(buf_reserve(out, b->timed * 10));
    for (size_t i = 0; i < b->timed; i++) {
        const struct moment *m = &b->moment[i];
        if (what == SHARD_TIMES) {
            append_varint(out, zigzag_encode((int64_t)(m->time - before)));
            before = m->time;
        } else if (what == SHARD_CLICKS && (b->labels[i] & LABEL_CLICK) != 0) {
            append_varint(out, zigzag_encode((int64_t)(m->click_time - m->time)));
        } else if (what == SHARD_CONVERSIONS && (b->labels[i] & LABEL_CONVERSION) != 0) {
            append_varint(out, m->conversion_time - m->click_time);
        }
    }
    return put(f, out, what, 0, true);
}

static enum status put_moments(struct container_writer *f, struct buf *out,
                               const struct shard_builder *b) {
    if ((has(b) & SHARD_HAS_TIMES) == 0) {
        return OK;
    }
    TRY(put_times(f, out, b, SHARD_TIMES));
    TRY(put_times(f, out, b, SHARD_CLICKS));
    TRY(put_times(f, out, b, SHARD_CONVERSIONS));
    return (has(b) & SHARD_HAS_KINDS) != 0 ? put_kinds(f, out, b) : OK;
}

static enum status put_impression_weights(struct container_writer *f,
                                          const struct shard_builder *b) {
    return b->weighed == 0 ? OK
                           : container_put(f, SHARD_IMPRESSION_WEIGHTS, 0, b->weight,
                                           b->weighed * sizeof *b->weight, true);
}

/* Times and kinds: all of the impressions or none. */
static enum status check_whole(const struct shard_builder *b) {
    bool whole = b->timed == 0 || b->timed == b->impressions;
    for (size_t i = 1; i < b->timed && whole; i++) {
        whole = (b->moment[i].kind == KIND_LOG) == (b->moment[0].kind == KIND_LOG);
    }
    return whole ? OK : fail(ERR_FORMAT, "some impressions of a shard have times or kinds, others "
                                         "have not");
}

/* Shapes in the slot order of the finished schema, whatever the order of the given one. */
static enum status find_shapes(const struct shard_builder *b, const struct schema *given,
                               struct schema *ordered, struct shape *shapes, uint32_t *columns) {
    *ordered = *given;
    schema_finish(ordered);
    *columns = 0;
    for (uint32_t f = 0; f < FIELDS_MAX; f++) {
        const struct pile *p = &b->pile[f];
        assert(p->count == 0 || f < given->count);
        if (p->count > 0 && p->on_side[1 - given->fields[f].side]) {
            return fail(ERR_FORMAT, "field '%s' has features on the other side than its own",
                        given->fields[f].name);
        }
    }
    for (uint32_t k = 0; k < ordered->count; k++) {
        const struct pile *p = &b->pile[schema_find(given, ordered->fields[k].name)];
        if (p->count > 0) {
            shapes[(*columns)++] = shape_of(b, &ordered->fields[k], p);
        }
    }
    return OK;
}

static enum status put_all(struct container_writer *f, struct work *w,
                           const struct shard_builder *b, const struct shape *shapes,
                           uint32_t columns) {
    TRY(put_meta(f, &w->bytes, b, shapes, columns));
    TRY(put_groups(f, &w->bytes, b));
    TRY(put_impressions(f, &w->bytes, b));
    TRY(put_impression_weights(f, b));
    TRY(put_moments(f, &w->bytes, b));
    for (uint32_t k = 0; k < columns; k++) {
        TRY(put_column(f, w, &shapes[k], k));
    }
    return OK;
}

static void count_up(const struct shard_builder *b, const char *name, struct shard_info *info) {
    *info = (struct shard_info){.impressions = (uint32_t)b->impressions,
                                .groups = (uint32_t)b->groups,
                                .values = b->values};
    memcpy(info->name, name, strlen(name));
    info->weights = weight_sums_of(b->weighed > 0 ? b->weight : NULL, b->labels, b->impressions);
    for (size_t i = 0; i < b->impressions; i++) {
        info->clicks += (b->labels[i] & LABEL_CLICK) != 0;
        info->conversions += (b->labels[i] & LABEL_CONVERSION) != 0;
    }
}

/* The two big locals of a write; too large for the stack of a thread that may be small. */
struct plan_of_file {
    struct schema ordered;
    struct shape shapes[FIELDS_MAX];
};

enum status shard_builder_write(struct shard_builder *b, const struct schema *schema,
                                const char *dir, const char *name, struct shard_info *info) {
    enum status status = OK;
    char path[PATH_BYTES_MAX];
    struct work work = {0};
    struct container_writer file = {.file = FILE_CLOSED};
    struct plan_of_file *plan = NULL;
    uint32_t columns = 0;
    assert(strlen(name) < sizeof info->name);
    drop_empty_group(b);
    if (b->impressions == 0) {
        return fail(ERR_FORMAT, "%s/%s: a shard without impressions", dir, name);
    }
    TRY(check_whole(b));
    TRY(b->weighed > 0 ? weights_fill(b) : OK);
    TRY(path_join(path, dir, name));
    TRY_OUT(mem_alloc((void **)&plan, sizeof *plan));
    TRY_OUT(find_shapes(b, schema, &plan->ordered, plan->shapes, &columns));
    TRY_OUT(container_create(&file, path, CONTAINER_SHARD));
    file.fleeting = b->fleeting;
    TRY_OUT(put_all(&file, &work, b, plan->shapes, columns));
    count_up(b, name, info);
    TRY_OUT(container_commit(&file, &info->bytes, &info->checksum));
    clear(b);
out:
    container_abort(&file);
    work_fini(&work);
    mem_free(&plan);
    return status;
}
