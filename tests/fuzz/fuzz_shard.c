/* Any bytes as a shard. Checksums stop nearly all inputs at the container, so the input is first
 * taken as a shard file, then as the contents of a shard's blocks, which are given a container
 * whose checksums are right. A shard that decodes is walked the way a worker walks it. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/container.h"
#include "common/base/mem.h"
#include "common/data/record.h"
#include "common/data/shard.h"
#include "common/data/shard_builder.h"
#include "common/data/shard_info.h"
#include "fuzz.h"

#define INPUT_BYTES_MAX (1u << 14)

static const struct schema *known(void) {
    static struct schema s;
    if (s.count == 0) {
        schema_add(&s, "a", SIDE_USER);
        schema_add(&s, "b", SIDE_USER);
        schema_add(&s, "c", SIDE_ITEM);
        schema_add(&s, "d", SIDE_ITEM);
        schema_finish(&s);
    }
    return &s;
}

/* Touches everything that the header calls safe to touch. */
static void walk(const struct shard *s) {
    uint64_t sum = 0;
    for (uint32_t g = 0; g < s->groups; g++) {
        for (uint32_t i = s->group_start[g]; i < s->group_start[g + 1]; i++) {
            sum += s->impression_id[i] + s->labels[i] + s->group_key[g];
            FUZZ_MUST(record_good(s->labels[i], s->kind == NULL ? KIND_LOG : s->kind[i]));
            FUZZ_MUST(s->kind == NULL || s->time != NULL);
            if (s->time != NULL) {
                FUZZ_MUST(s->time[i] > 0 && s->time[i] <= SHARD_TIME_MAX);
                FUZZ_MUST((s->click_time[i] > 0) == ((s->labels[i] & LABEL_CLICK) != 0));
                FUZZ_MUST((s->conversion_time[i] > 0) == ((s->labels[i] & LABEL_CONVERSION) != 0));
                FUZZ_MUST(s->conversion_time[i] == 0 || s->conversion_time[i] >= s->click_time[i]);
            }
        }
    }
    for (uint32_t f = 0; f < s->columns; f++) {
        const struct column *c = &s->column[f];
        for (uint32_t b = 0; b < c->n; b++) {
            for (uint32_t v = c->start[b]; v < c->start[b + 1]; v++) {
                sum += c->dict[c->code[v]] + (c->weight != NULL && c->weight[v] > 0);
            }
        }
    }
    volatile uint64_t seen = sum;
    (void)seen;
}

static void decode(const uint8_t *data, size_t bytes) {
    struct shard s;
    const enum status status = shard_decode(&s, "input", data, bytes, known());
    if (status == OK) {
        walk(&s);
    } else if (status != ERR_CORRUPT) {
        abort();
    }
    shard_free(&s);
}

/* The input as a row of pieces {type and tag, length (2), content}. */
static enum status wrap(struct container_writer *w, const uint8_t *data, size_t bytes) {
    struct cursor c = cursor_of(data, bytes);
    while (cursor_left(&c) > 3) {
        const uint8_t what = cursor_u8(&c);
        size_t length = cursor_u8(&c);
        length |= (size_t)cursor_u8(&c) << 8;
        length = length < cursor_left(&c) ? length : cursor_left(&c);
        TRY(container_put(w, what & 15, what >> 4, cursor_take(&c, length), length, true));
    }
    return container_commit(w, NULL, NULL);
}

static void decode_wrapped(const uint8_t *data, size_t bytes) {
    char path[64], *file = NULL;
    size_t file_bytes = 0;
    struct container_writer w;
    snprintf(path, sizeof path, "/dev/shm/esmm-fuzz-%d", (int)getpid());
    if (container_create(&w, path, CONTAINER_SHARD) == OK && wrap(&w, data, bytes) == OK &&
        file_read_all(path, 1u << 24, &file, &file_bytes) == OK) {
        decode((const uint8_t *)file, file_bytes);
    }
    mem_free(&file);
    container_abort(&w);
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes > INPUT_BYTES_MAX) {
        return 0;
    }
    decode(data, bytes);
    decode_wrapped(data, bytes);
    return 0;
}

/* Without times, with them, as records. */
static enum status add(struct shard_builder *b, uint32_t mode, uint64_t id, uint32_t i,
                       const struct feature *features, size_t count) {
    static const uint8_t labels[] = {0, 1, 3, 7};
    static const enum record_kind kinds[] = {KIND_BOTH, KIND_CLICK, KIND_CONVERSION, KIND_LATE};
    const struct moment when = {.time = 1700000000 + 60 * i,
                                .click_time = 1700000005 + i,
                                .conversion_time = 1700090000 + i,
                                .kind = mode == 1 ? KIND_LOG : kinds[i % 4]};
    return mode == 0 ? shard_builder_impression(b, id, i % 2, features, count)
                     : shard_builder_timed(b, id, labels[i % (mode + 2)], &when, features, count);
}

static void build(struct shard_builder *b, uint32_t groups, uint32_t mode) {
    struct feature features[3];
    for (uint32_t g = 0; g < groups; g++) {
        features[0] = (struct feature){.field = 0, .weight = 1, .id = 7 + g};
        features[1] = (struct feature){.field = 1, .weight = 0.5f, .id = 1};
        FUZZ_MUST(shard_builder_group(b, g, features, 2) == OK);
        for (uint32_t i = 0; i <= g; i++) {
            features[0] = (struct feature){.field = 2, .weight = 1, .id = i};
            features[1] = (struct feature){.field = 3, .weight = 1, .id = 1u << i};
            features[2] = (struct feature){.field = 3, .weight = 2, .id = UINT64_MAX};
            FUZZ_MUST(add(b, mode, 10 * g + i, i, features, 1 + i % 3) == OK);
        }
    }
}

/* A shard file, and the blocks of one as pieces. */
bool fuzz_seed(uint32_t n, struct buf *out) {
    struct shard_builder *b = NULL;
    struct shard_info info;
    struct container_reader r;
    struct buf block = BUF_EMPTY;
    char name[64], path[96], *file = NULL;
    size_t bytes = 0;
    if (n > 11) {
        return false;
    }
    snprintf(name, sizeof name, "esmm-fuzz-seed-%d", (int)getpid());
    snprintf(path, sizeof path, "/dev/shm/%s", name);
    FUZZ_MUST(shard_builder_create(&b) == OK);
    build(b, 1 + 3 * (n / 2 % 2), n / 4);
    FUZZ_MUST(shard_builder_write(b, known(), "/dev/shm", name, &info) == OK);
    shard_builder_destroy(&b);
    FUZZ_MUST(file_read_all(path, INPUT_BYTES_MAX, &file, &bytes) == OK && unlink(path) == 0);
    if (n % 2 == 0) {
        FUZZ_MUST(buf_put(out, file, bytes) == OK);
    } else {
        FUZZ_MUST(container_open_bytes(&r, "seed", file, bytes, CONTAINER_SHARD) == OK);
        for (size_t i = 0; i < r.block_count; i++) {
            FUZZ_MUST(container_get(&r, i, &block) == OK);
            FUZZ_MUST(buf_put_u8(out, (uint8_t)(r.blocks[i].type | r.blocks[i].tag << 4)) == OK);
            FUZZ_MUST(buf_put_u8(out, (uint8_t)block.len) == OK);
            FUZZ_MUST(buf_put_u8(out, (uint8_t)(block.len >> 8)) == OK);
            FUZZ_MUST(buf_put(out, block.data, block.len) == OK);
        }
        container_close(&r);
        buf_fini(&block);
    }
    mem_free(&file);
    return true;
}
