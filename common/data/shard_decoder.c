#include "shard_decoder.h"

#include <string.h>

#include "common/base/mem.h"
#include "shard_weights.h"
#include "shard_format.h"

void decoder_destroy(struct decoder **d) {
    if (*d != NULL) {
        container_close(&(*d)->file);
        buf_fini(&(*d)->block);
    }
    mem_free(d);
}

enum status decoder_corrupt(const struct decoder *d, const char *what) {
    const size_t at = d->next > 0 ? d->next - 1 : 0; /* the block that was read last */
    const struct container_reader *f = &d->file;
    const uint64_t offset = at < f->block_count ? f->blocks[at].offset : f->blocks_end;
    return fail(ERR_CORRUPT, "%s: block at offset %llu: %s", f->file.path,
                (unsigned long long)offset, what);
}

enum status decoder_take(struct decoder *d, uint16_t type, uint64_t tag) {
    const struct container_reader *f = &d->file;
    const size_t at = d->next++;
    if (at >= f->block_count || f->blocks[at].type != type || f->blocks[at].tag != tag) {
        return fail(
            ERR_CORRUPT, "%s: block %zu at offset %llu: expected type %u of column %llu",
            f->file.path, at,
            (unsigned long long)(at < f->block_count ? f->blocks[at].offset : f->blocks_end), type,
            (unsigned long long)tag);
    }
    return container_get(&d->file, at, &d->block);
}

enum status decoder_take_of(struct decoder *d, uint16_t type, uint64_t tag, size_t bytes) {
    if (d->next < d->file.block_count && d->file.blocks[d->next].raw_bytes != bytes) {
        d->next++;
        return decoder_corrupt(d, "not as many bytes as its counts ask for");
    }
    return decoder_take(d, type, tag);
}

static enum status take_shape(struct decoder *d, struct cursor *c) {
    struct shape *s = &d->shape[d->shapes];
    const uint8_t side = cursor_u8(c);
    s->flags = cursor_u8(c);
    s->values = cursor_u32(c);
    const uint8_t length = cursor_u8(c);
    const uint8_t *name = cursor_take(c, length);
    if (name == NULL || length == 0 || length >= FIELD_NAME_MAX || memchr(name, 0, length)) {
        return decoder_corrupt(d, "a column's name is not one");
    }
    memcpy(s->name, name, length);
    s->name[length] = '\0';
    if (side != SHARD_SIDE_USER && side != SHARD_SIDE_ITEM) {
        return decoder_corrupt(d, "a column's side is not 0 (user) or 1 (item)");
    }
    s->side = side == SHARD_SIDE_USER ? SIDE_USER : SIDE_ITEM;
    if ((s->flags & ~COLUMN_FLAGS) != 0) {
        return decoder_corrupt(d, "a column has unknown flags");
    }
    for (uint32_t k = 0; k < d->shapes; k++) {
        if (strcmp(d->shape[k].name, s->name) == 0) {
            return decoder_corrupt(d, "two columns have one name");
        }
    }
    d->shapes++;
    return OK;
}

enum status decoder_meta(struct decoder *d) {
    uint64_t values = 0;
    TRY(decoder_take(d, SHARD_META, 0));
    struct cursor c = cursor_of(d->block.data, d->block.len);
    const uint32_t format = cursor_u32(&c);
    d->impressions = cursor_u32(&c);
    d->groups = cursor_u32(&c);
    const uint32_t columns = cursor_u32(&c);
    TRY(container_version(d->file.file.path, "shard format", format, SHARD_FORMAT,
                          SHARD_FORMAT_MORE));
    d->has = format == SHARD_FORMAT_MORE ? cursor_u32(&c) : 0;
    if (format == SHARD_FORMAT_MORE && (d->has == 0 || (d->has & ~SHARD_HAS) != 0 ||
                                        (d->has & SHARD_HAS_RECORDS) == SHARD_HAS_KINDS)) {
        return decoder_corrupt(d, "expected times, times and kinds, or weights, and nothing else");
    }
    if (d->impressions == 0 || d->impressions > SHARD_IMPRESSIONS_MAX || d->groups == 0 ||
        d->groups > d->impressions || columns > FIELDS_MAX) {
        return decoder_corrupt(d, "counts of impressions, groups or columns cannot be true");
    }
    for (uint32_t k = 0; k < columns; k++) {
        TRY(take_shape(d, &c));
        values += d->shape[k].values;
    }
    if (!cursor_spent(&c) || values > SHARD_VALUES_MAX) {
        return decoder_corrupt(d,
                               "column shapes do not end with the block, or hold too many values");
    }
    return OK;
}

enum status decoder_weights(struct decoder *d, float **weight) {
    bool bad = false;
    if ((d->has & SHARD_HAS_IMPRESSION_WEIGHTS) == 0) {
        return OK;
    }
    TRY(decoder_take_of(d, SHARD_IMPRESSION_WEIGHTS, 0, (size_t)d->impressions * 4));
    TRY(mem_array(weight, d->impressions));
    memcpy(*weight, d->block.data, (size_t)d->impressions * 4);
    for (uint32_t i = 0; i < d->impressions; i++) {
        bad |= !((*weight)[i] >= 0.0f && (*weight)[i] <= SHARD_WEIGHT_MAX);
    }
    return bad ? decoder_corrupt(d, "an impression's weight is negative, too large or no number")
               : OK;
}
