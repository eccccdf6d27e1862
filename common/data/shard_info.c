#include "shard_info.h"

#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "record.h"
#include "shard_decoder.h"
#include "shard_format.h"

void shard_name(uint32_t n, char *out) {
    snprintf(out, sizeof((struct shard_info){0}.name), "shard-%05u.bin", n);
}

/* Reads the weights. Their block follows the labels and would overwrite the bytes of the labels. */
static enum status peek_weights(struct decoder *d, struct shard_info *info) {
    struct buf labels = d->block;
    float *weight = NULL;
    d->block = BUF_EMPTY;
    const enum status status = decoder_weights(d, &weight);
    if (status == OK) {
        info->weights = weight_sums_of(weight, labels.data, d->impressions);
    }
    mem_free(&weight);
    buf_fini(&labels);
    return status;
}

static enum status peek_labels(struct decoder *d, struct shard_info *info) {
    while (d->next < d->file.block_count && d->file.blocks[d->next].type != SHARD_LABELS) {
        d->next++;
    }
    TRY(decoder_take_of(d, SHARD_LABELS, 0, d->impressions));
    for (uint32_t i = 0; i < d->impressions; i++) {
        info->clicks += (d->block.data[i] & LABEL_CLICK) != 0;
        info->conversions += (d->block.data[i] & LABEL_CONVERSION) != 0;
        info->behaviours |= d->block.data[i] & LABEL_BEHAVIOURS;
    }
    return peek_weights(d, info);
}

enum status shard_peek(const char *dir, const char *name, struct shard_info *info) {
    char path[PATH_BYTES_MAX];
    struct decoder *d = NULL;
    enum status status = OK;
    *info = (struct shard_info){0};
    if (strlen(name) >= sizeof info->name) {
        return fail(ERR_LIMIT, "%s/%s: not the name of a shard", dir, name);
    }
    TRY(path_join(path, dir, name));
    TRY(mem_new(&d));
    TRY_OUT(container_open(&d->file, path, CONTAINER_SHARD));
    TRY_OUT(decoder_meta(d));
    TRY_OUT(peek_labels(d, info));
    memcpy(info->name, name, strlen(name));
    info->impressions = d->impressions;
    info->groups = d->groups;
    info->bytes = d->file.file_bytes;
    info->timed = (d->has & SHARD_HAS_TIMES) != 0;
    info->records = (d->has & SHARD_HAS_KINDS) != 0;
out:
    decoder_destroy(&d);
    return status;
}
