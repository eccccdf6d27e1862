/* shard.c - decodes a shard file into columns in memory.
 *
 * Its speed matters for training: a worker decodes every shard once per epoch. So a column takes
 * one pass over its codes; the same loop widens them to 32 bits and finds the greatest code, which
 * tells whether all are inside the dictionary. In the common case all bags hold one value. Then
 * there are no lengths on disk, and in memory all such columns of a side share one array 0, 1, 2,
 * ... Columns that the schema does not have are skipped without reading them.
 *
 * Nothing in the file is trusted. The counts of META are checked against limits before memory is
 * allocated for them. Blocks must be in their order and have exactly the bytes that the counts
 * require. A block has real bytes in the file, and container.c limits how far they expand, so the
 * size of the file limits the memory. A shard that was read with OK can be indexed without checks:
 * codes are inside their dictionary, starts ascend from 0 to `values`, ids of a dictionary ascend
 * strictly, every group has an impression, weights are finite, labels are 0, 1 or 3 (7 in records),
 * times are there if labels require them.
 *
 * Rejected: codes of 16 bits in memory. They would need half the bytes, but the worker would need
 * every loop over codes twice.
 */
#include "shard.h"

#include <string.h>

#include "common/base/mem.h"
#include "shard_decoder.h"
#include "shard_format.h"

/* --- groups and impressions ------------------------------------------------------------------- */

static enum status take_groups(struct decoder *d, struct shard *s) {
    TRY(decoder_take_of(d, SHARD_GROUP_KEYS, 0, (size_t)s->groups * 8));
    TRY(mem_array(&s->group_key, s->groups));
    memcpy(s->group_key, d->block.data, (size_t)s->groups * 8);
    TRY(decoder_take(d, SHARD_GROUP_SIZES, 0));
    if (d->block.len < s->groups) {
        return decoder_corrupt(d, "fewer group sizes than groups");
    }
    TRY(mem_array(&s->group_start, (size_t)s->groups + 1));
    struct cursor c = cursor_of(d->block.data, d->block.len);
    for (uint32_t g = 0; g < s->groups; g++) {
        const uint64_t size = cursor_short(&c);
        if (size == 0 || size > s->impressions - s->group_start[g]) {
            return decoder_corrupt(d, "a group is empty or reaches beyond the impressions");
        }
        s->group_start[g + 1] = s->group_start[g] + (uint32_t)size;
    }
    return cursor_spent(&c) && s->group_start[s->groups] == s->impressions
               ? OK
               : decoder_corrupt(d, "group sizes do not add up to the impressions");
}

static enum status take_impressions(struct decoder *d, struct shard *s) {
    uint64_t id = 0;
    TRY(decoder_take(d, SHARD_IMPRESSION_IDS, 0));
    if (d->block.len < s->impressions) {
        return decoder_corrupt(d, "fewer impression ids than impressions");
    }
    TRY(mem_array(&s->impression_id, s->impressions));
    struct cursor c = cursor_of(d->block.data, d->block.len);
    for (uint32_t i = 0; i < s->impressions; i++) {
        id += (uint64_t)zigzag_decode(cursor_short(&c));
        s->impression_id[i] = id;
    }
    if (!cursor_spent(&c)) {
        return decoder_corrupt(d, "impression ids do not end with the block");
    }
    TRY(decoder_take_of(d, SHARD_LABELS, 0, s->impressions));
    TRY(mem_array(&s->labels, s->impressions));
    memcpy(s->labels, d->block.data, s->impressions);
    bool bad = false;
    for (uint32_t i = 0; i < s->impressions; i++) {
        const uint8_t outcome = s->labels[i] & LABEL_OUTCOME;
        bad |= s->labels[i] > (LABEL_OUTCOME | LABEL_BEHAVIOURS) || outcome == LABEL_CONVERSION;
        bad |= outcome == 0 && s->labels[i] != 0;
        bad |= outcome > 3 && (outcome != 7 || (d->has & SHARD_HAS_KINDS) == 0);
    }
    return bad ? decoder_corrupt(
                     d, "labels other than 0, 1 and 3, or 7 of a record, and behaviours of a click")
               : OK;
}

/* --- times and kinds -------------------------------------------------------------------------- */

static enum status take_impression_times(struct decoder *d, struct shard *s) {
    uint64_t time = 0;
    bool bad = false;
    TRY(decoder_take(d, SHARD_TIMES, 0));
    if (d->block.len < s->impressions) {
        return decoder_corrupt(d, "fewer times than impressions");
    }
    TRY(mem_array(&s->time, s->impressions));
    struct cursor c = cursor_of(d->block.data, d->block.len);
    for (uint32_t i = 0; i < s->impressions; i++) {
        time += (uint64_t)zigzag_decode(cursor_short(&c));
        s->time[i] = time;
        bad |= !record_time_good(time);
    }
    return cursor_spent(&c) && !bad ? OK
                                    : decoder_corrupt(d, "times are not one each, or out of range");
}

static enum status take_click_times(struct decoder *d, struct shard *s) {
    bool bad = false;
    TRY(decoder_take(d, SHARD_CLICKS, 0));
    TRY(mem_array(&s->click_time, s->impressions));
    struct cursor c = cursor_of(d->block.data, d->block.len);
    for (uint32_t i = 0; i < s->impressions; i++) {
        if ((s->labels[i] & LABEL_CLICK) != 0) {
            s->click_time[i] = s->time[i] + (uint64_t)zigzag_decode(cursor_short(&c));
            bad |= !record_time_good(s->click_time[i]);
        }
    }
    return cursor_spent(&c) && !bad
               ? OK
               : decoder_corrupt(d, "times of clicks are not one each, or out of range");
}

static enum status take_conversion_times(struct decoder *d, struct shard *s) {
    bool bad = false;
    TRY(decoder_take(d, SHARD_CONVERSIONS, 0));
    TRY(mem_array(&s->conversion_time, s->impressions));
    struct cursor c = cursor_of(d->block.data, d->block.len);
    for (uint32_t i = 0; i < s->impressions; i++) {
        if ((s->labels[i] & LABEL_CONVERSION) != 0) {
            const uint64_t delay = cursor_short(&c);
            s->conversion_time[i] = s->click_time[i] + delay;
            bad |= delay > SHARD_TIME_MAX || !record_time_good(s->conversion_time[i]);
        }
    }
    return cursor_spent(&c) && !bad
               ? OK
               : decoder_corrupt(d, "times of conversions are not one each, or out of range");
}

static enum status take_kinds(struct decoder *d, struct shard *s) {
    bool bad = false;
    TRY(decoder_take_of(d, SHARD_KINDS, 0, s->impressions));
    TRY(mem_array(&s->kind, s->impressions));
    for (uint32_t i = 0; i < s->impressions; i++) {
        s->kind[i] = (uint8_t)record_kind_from_disk(d->block.data[i]);
        bad |= s->kind[i] == KIND_LOG || !record_good(s->labels[i], s->kind[i]);
    }
    return bad ? decoder_corrupt(d, "a record's kind is none, or does not go with its labels") : OK;
}

static enum status take_times(struct decoder *d, struct shard *s) {
    if ((d->has & SHARD_HAS_TIMES) == 0) {
        return OK;
    }
    TRY(take_impression_times(d, s));
    TRY(take_click_times(d, s));
    TRY(take_conversion_times(d, s));
    return (d->has & SHARD_HAS_KINDS) != 0 ? take_kinds(d, s) : OK;
}

/* --- columns ---------------------------------------------------------------------------------- */

static uint32_t shard_entries(const struct shard *s, enum side side) {
    return side == SIDE_USER ? s->groups : s->impressions;
}

enum status shard_share_start(struct shard *s, enum side side, uint32_t each, uint32_t **out) {
    const uint32_t n = shard_entries(s, side);
    uint32_t **shared = &s->shared_start[side][each];
    if (*shared == NULL) {
        TRY(mem_array(shared, (size_t)n + 1));
        for (uint32_t i = 0; i <= n; i++) {
            (*shared)[i] = i * each;
        }
    }
    *out = *shared;
    return OK;
}

static enum status take_dict(struct decoder *d, struct column *c, uint64_t tag) {
    uint64_t before = 0;
    size_t count = 0;
    TRY(decoder_take(d, SHARD_DICT, tag));
    /* The entries are counted first: a varint ends with the byte that has no top bit. */
    for (size_t i = 0; i < d->block.len; i++) {
        count += d->block.data[i] < 0x80;
    }
    if (count > c->values) {
        return decoder_corrupt(d, "more entries in the dictionary than values");
    }
    TRY(mem_array(&c->dict, count));
    c->dict_count = (uint32_t)count;
    struct cursor at = cursor_of(d->block.data, d->block.len);
    for (size_t k = 0; k < count; k++) {
        const uint64_t step = cursor_short(&at);
        const uint64_t id = before + step;
        if (id < before || (k > 0 && step == 0)) {
            return decoder_corrupt(d, "ids of the dictionary do not ascend");
        }
        c->dict[k] = id;
        before = id;
    }
    return cursor_spent(&at) ? OK
                             : decoder_corrupt(d, "the dictionary does not end with the block");
}

static enum status take_starts(struct decoder *d, struct column *c, uint64_t tag) {
    TRY(decoder_take(d, SHARD_LENGTHS, tag));
    if (d->block.len < c->n) {
        return decoder_corrupt(d, "fewer bag lengths than bags");
    }
    TRY(mem_array(&c->start, (size_t)c->n + 1));
    struct cursor at = cursor_of(d->block.data, d->block.len);
    for (uint32_t i = 0; i < c->n; i++) {
        const uint64_t length = cursor_short(&at);
        if (length > c->values - c->start[i]) {
            return decoder_corrupt(d, "a bag reaches beyond the column's values");
        }
        c->start[i + 1] = c->start[i] + (uint32_t)length;
    }
    return cursor_spent(&at) && c->start[c->n] == c->values
               ? OK
               : decoder_corrupt(d, "bag lengths do not add up to the column's values");
}

/* widen and the function after it return the greatest code. The bytes of the block are aligned
 * (mem.h) but are copied anyway. */
static uint32_t widen(const uint8_t *from, uint32_t *to, size_t count) {
    uint32_t greatest = 0;
    for (size_t i = 0; i < count; i++) {
        uint16_t code;
        memcpy(&code, from + 2 * i, 2);
        to[i] = code;
        greatest = code > greatest ? code : greatest;
    }
    return greatest;
}

static uint32_t copy_wide(const uint8_t *from, uint32_t *to, size_t count) {
    uint32_t greatest = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(&to[i], from + 4 * i, 4);
        greatest = to[i] > greatest ? to[i] : greatest;
    }
    return greatest;
}

static enum status take_codes(struct decoder *d, struct column *c, uint64_t tag) {
    const bool narrow = c->dict_count <= SHARD_NARROW_MAX;
    TRY(decoder_take_of(d, SHARD_CODES, tag, (size_t)c->values * (narrow ? 2 : 4)));
    TRY(mem_array(&c->code, c->values));
    const uint32_t greatest = narrow ? widen(d->block.data, c->code, c->values)
                                     : copy_wide(d->block.data, c->code, c->values);
    return c->values == 0 || greatest < c->dict_count
               ? OK
               : decoder_corrupt(d, "a code is beyond the dictionary");
}

static enum status take_weights(struct decoder *d, struct column *c, uint64_t tag) {
    const uint32_t exponent = 0x7f800000u; /* all ones: infinite or NaN */
    bool bad = false;
    TRY(decoder_take_of(d, SHARD_WEIGHTS, tag, (size_t)c->values * 4));
    TRY(mem_array(&c->weight, c->values));
    for (uint32_t i = 0; i < c->values; i++) {
        const uint32_t bits = load_u32(d->block.data + (size_t)i * 4);
        bad |= (bits & exponent) == exponent;
        memcpy(&c->weight[i], &bits, 4);
    }
    return bad ? decoder_corrupt(d, "a weight is not finite") : OK;
}

static enum status take_column(struct decoder *d, struct shard *s, uint32_t tag, struct column *c) {
    const struct shape *shape = &d->shape[tag];
    const bool ones = (shape->flags & COLUMN_ONES) != 0;
    c->n = shard_entries(s, shape->side);
    c->values = shape->values;
    if (ones && c->values != c->n) {
        return decoder_corrupt(d, "a column of one value a bag has more or fewer values than bags");
    }
    TRY(take_dict(d, c, tag));
    TRY(ones ? shard_share_start(s, shape->side, 1, &c->start) : take_starts(d, c, tag));
    TRY(take_codes(d, c, tag));
    return (shape->flags & COLUMN_WEIGHTED) != 0 ? take_weights(d, c, tag) : OK;
}

static void skip_column(struct decoder *d, uint32_t tag) {
    const uint8_t flags = d->shape[tag].flags;
    d->next += 2u + ((flags & COLUMN_ONES) == 0) + ((flags & COLUMN_WEIGHTED) != 0);
}

static enum status take_columns(struct decoder *d, struct shard *s, const struct schema *schema) {
    for (uint32_t k = 0; k < d->shapes; k++) {
        const int slot = schema_find(schema, d->shape[k].name);
        if (slot < 0 || schema->fields[slot].side != d->shape[k].side) {
            skip_column(d, k);
        } else {
            TRY(take_column(d, s, k, &s->column[slot]));
        }
    }
    if (d->next != d->file.block_count) {
        return decoder_corrupt(d, "blocks that belong to no column, or too few of them");
    }
    for (uint32_t f = 0; f < schema->count; f++) {
        struct column *c = &s->column[f];
        if (c->start == NULL) { /* the file has no such column */
            c->n = shard_entries(s, schema->fields[f].side);
            TRY(shard_share_start(s, schema->fields[f].side, 0, &c->start));
        }
    }
    return OK;
}

/* --- the file --------------------------------------------------------------------------------- */

static enum status shard_take_all(struct decoder *d, struct shard *s, const struct schema *schema) {
    s->columns = schema->count;
    TRY(decoder_meta(d));
    s->impressions = d->impressions;
    s->groups = d->groups;
    TRY(take_groups(d, s));
    TRY(take_impressions(d, s));
    TRY(decoder_weights(d, &s->weight));
    TRY(take_times(d, s));
    return take_columns(d, s, schema);
}

/* Reads the shard and destroys the decoder; `opened` is the status of opening its file. */
static enum status shard_take(struct shard *s, struct decoder *d, enum status opened,
                              const struct schema *schema) {
    const enum status status = opened == OK ? shard_take_all(d, s, schema) : opened;
    decoder_destroy(&d);
    if (status != OK) {
        shard_free(s);
    }
    return status;
}

enum status shard_read(struct shard *s, const char *dir, const char *name,
                       const struct schema *schema) {
    char path[PATH_BYTES_MAX];
    struct decoder *d = NULL;
    memset(s, 0, sizeof *s);
    TRY(path_join(path, dir, name));
    TRY(mem_new(&d));
    return shard_take(s, d, container_open(&d->file, path, CONTAINER_SHARD), schema);
}

enum status shard_decode(struct shard *s, const char *name, const void *data, size_t bytes,
                         const struct schema *schema) {
    struct decoder *d = NULL;
    memset(s, 0, sizeof *s);
    TRY(mem_new(&d));
    return shard_take(s, d, container_open_bytes(&d->file, name, data, bytes, CONTAINER_SHARD),
                      schema);
}

enum status shard_weigh(struct shard *s, double sample_rate) {
    if (sample_rate == 1.0) {
        return OK;
    }
    if (s->weight == NULL) {
        TRY(mem_array(&s->weight, s->impressions));
        for (uint32_t i = 0; i < s->impressions; i++) {
            s->weight[i] = 1.0f;
        }
    }
    for (uint32_t i = 0; i < s->impressions; i++) {
        if ((s->labels[i] & LABEL_CLICK) == 0) {
            s->weight[i] = (float)((double)s->weight[i] / sample_rate);
        }
    }
    return OK;
}

static bool is_shared(const struct shard *s, const uint32_t *start) {
    return start == s->shared_start[0][0] || start == s->shared_start[0][1] ||
           start == s->shared_start[1][0] || start == s->shared_start[1][1];
}

void shard_free(struct shard *s) {
    for (uint32_t f = 0; f < s->columns; f++) {
        struct column *c = &s->column[f];
        if (!is_shared(s, c->start)) {
            mem_free(&c->start);
        }
        mem_free(&c->dict);
        mem_free(&c->code);
        mem_free(&c->weight);
    }
    for (uint32_t k = 0; k < 4; k++) {
        mem_free(&s->shared_start[k / 2][k % 2]);
    }
    mem_free(&s->group_key);
    mem_free(&s->group_start);
    mem_free(&s->impression_id);
    mem_free(&s->labels);
    mem_free(&s->weight);
    mem_free(&s->time);
    mem_free(&s->click_time);
    mem_free(&s->conversion_time);
    mem_free(&s->kind);
    memset(s, 0, sizeof *s);
}
