/* shard_write.c - writes what a builder has collected to the file of a shard, with the blocks in
 * the order of docs/format.md. Everything that needs a whole column (bag lengths, dictionary,
 * codes, whether weights are needed) is computed here, once per column. The bytes depend only on
 * what was collected.
 */
#include "shard_write.h"

#include <assert.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/container.h"
#include "common/base/mem.h"
#include "shard_format.h"

/* Work space, reused by all columns. */
struct work {
    struct shard_dict dict;
    struct buf bytes;
};

/* --- the blocks of one column ----------------------------------------------------------------- */

/* Appends a varint. The caller has reserved room, ten bytes for each. */
static void append_varint(struct buf *b, uint64_t v) {
    b->len = (size_t)(varint_put(b->data + b->len, v) - b->data);
}

static enum status encode_dict(struct work *w) {
    uint64_t before = 0;
    buf_clear(&w->bytes);
    TRY(buf_reserve(&w->bytes, w->dict.count * 10));
    for (size_t k = 0; k < w->dict.count; k++) {
        append_varint(&w->bytes, w->dict.entry[k].key - before);
        before = w->dict.entry[k].key;
    }
    return OK;
}

/* Encodes the bag lengths of entries 0..n-1; some entries have no value. */
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
    const bool narrow = w->dict.count <= SHARD_NARROW_MAX;
    buf_clear(&w->bytes);
    TRY(buf_reserve(&w->bytes, count * (narrow ? 2 : 4)));
    for (size_t i = 0; i < count; i++) {
        const uint32_t code = w->dict.rank[w->dict.ordinal[i]];
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

static enum status put_block(struct container_writer *f, const struct buf *b, uint16_t type,
                             uint64_t tag, bool compress) {
    return container_put(f, type, tag, b->data, b->len, compress);
}

static enum status put_column(struct container_writer *f, struct work *w, const struct shape *s,
                              uint64_t tag) {
    TRY(shard_dict_make(&w->dict, s->pile->values, s->pile->count));
    TRY(encode_dict(w));
    TRY(put_block(f, &w->bytes, SHARD_DICT, tag, true));
    if ((s->flags & COLUMN_ONES) == 0) {
        TRY(encode_lengths(w, s->pile, s->n));
        TRY(put_block(f, &w->bytes, SHARD_LENGTHS, tag, true));
    }
    TRY(encode_codes(w, s->pile->count));
    TRY(put_block(f, &w->bytes, SHARD_CODES, tag, true));
    if ((s->flags & COLUMN_WEIGHTED) != 0) {
        TRY(encode_weights(w, s->pile));
        TRY(put_block(f, &w->bytes, SHARD_WEIGHTS, tag, false));
    }
    return OK;
}

/* --- the file --------------------------------------------------------------------------------- */

/* SHARD_HAS_... bits. */
static uint32_t builder_has(const struct shard_builder *b) {
    const uint32_t times = b->timed == 0                   ? 0
                           : b->moment[0].kind != KIND_LOG ? SHARD_HAS_RECORDS
                                                           : SHARD_HAS_TIMES;
    return times | (b->weighed > 0 ? SHARD_HAS_IMPRESSION_WEIGHTS : 0);
}

/* A shard without times and weights is written in the older format, so that older programs can read
 * it. */
static enum status put_meta(struct container_writer *f, struct buf *out,
                            const struct shard_builder *b, const struct shape *shapes,
                            uint32_t columns) {
    buf_clear(out);
    TRY(buf_put_u32(out, builder_has(b) == 0 ? SHARD_FORMAT : SHARD_FORMAT_MORE));
    TRY(buf_put_u32(out, (uint32_t)b->impressions));
    TRY(buf_put_u32(out, (uint32_t)b->groups));
    TRY(buf_put_u32(out, columns));
    TRY(builder_has(b) == 0 ? OK : buf_put_u32(out, builder_has(b)));
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
    return put_block(f, out, SHARD_META, 0, true);
}

static enum status put_groups(struct container_writer *f, struct buf *out,
                              const struct shard_builder *b) {
    buf_clear(out);
    TRY(container_put(f, SHARD_GROUP_KEYS, 0, b->group_key, b->groups * 8, true));
    TRY(buf_reserve(out, b->groups * 10));
    for (size_t g = 0; g < b->groups; g++) {
        append_varint(out, b->group_size[g]);
    }
    return put_block(f, out, SHARD_GROUP_SIZES, 0, true);
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
    TRY(put_block(f, out, SHARD_IMPRESSION_IDS, 0, true));
    return container_put(f, SHARD_LABELS, 0, b->labels, b->impressions, true);
}

static enum status put_kinds(struct container_writer *f, struct buf *out,
                             const struct shard_builder *b) {
    buf_clear(out);
    TRY(buf_reserve(out, b->timed));
    for (size_t i = 0; i < b->timed; i++) {
        out->data[out->len++] = record_kind_to_disk(b->moment[i].kind);
    }
    return put_block(f, out, SHARD_KINDS, 0, true);
}

/* Writes one kind of times; `what` is the type of the block. */
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
    return put_block(f, out, what, 0, true);
}

static enum status put_moments(struct container_writer *f, struct buf *out,
                               const struct shard_builder *b) {
    if ((builder_has(b) & SHARD_HAS_TIMES) == 0) {
        return OK;
    }
    TRY(put_times(f, out, b, SHARD_TIMES));
    TRY(put_times(f, out, b, SHARD_CLICKS));
    TRY(put_times(f, out, b, SHARD_CONVERSIONS));
    return (builder_has(b) & SHARD_HAS_KINDS) != 0 ? put_kinds(f, out, b) : OK;
}

static enum status put_impression_weights(struct container_writer *f,
                                          const struct shard_builder *b) {
    return b->weighed == 0 ? OK
                           : container_put(f, SHARD_IMPRESSION_WEIGHTS, 0, b->weight,
                                           b->weighed * sizeof *b->weight, true);
}

/* Checks that all impressions have times and kinds, or none has. */
static enum status check_whole(const struct shard_builder *b) {
    bool whole = b->timed == 0 || b->timed == b->impressions;
    for (size_t i = 1; i < b->timed && whole; i++) {
        whole = (b->moment[i].kind == KIND_LOG) == (b->moment[0].kind == KIND_LOG);
    }
    return whole ? OK
                 : fail(ERR_FORMAT, "some impressions of a shard have times or kinds, others "
                                    "have not");
}

/* Finds the shapes in the slot order of the finished schema, for any order of the given schema. */
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

static enum status shard_put_all(struct container_writer *f, struct work *w,
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

static void builder_count(const struct shard_builder *b, const char *name,
                          struct shard_info *info) {
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

/* The two large variables of a write. They are too large for the small stack that a thread may
 * have. */
struct plan_of_file {
    struct schema ordered;
    struct shape shapes[FIELDS_MAX];
};

enum status shard_write(const struct shard_builder *b, const struct schema *schema, const char *dir,
                        const char *name, struct shard_info *info) {
    enum status status = OK;
    char path[PATH_BYTES_MAX];
    struct work work = {0};
    struct container_writer file = {.file = FILE_CLOSED};
    struct plan_of_file *plan = NULL;
    uint32_t columns = 0;
    TRY(check_whole(b));
    TRY(path_join(path, dir, name));
    TRY_OUT(mem_new(&plan));
    TRY_OUT(find_shapes(b, schema, &plan->ordered, plan->shapes, &columns));
    TRY_OUT(container_create(&file, path, CONTAINER_SHARD));
    file.fleeting = b->fleeting;
    TRY_OUT(shard_put_all(&file, &work, b, plan->shapes, columns));
    builder_count(b, name, info);
    TRY_OUT(container_commit(&file, &info->bytes, &info->checksum));
out:
    container_abort(&file);
    shard_dict_fini(&work.dict);
    buf_fini(&work.bytes);
    mem_free(&plan);
    return status;
}
