/* Any bytes as a shard. Checksums stop nearly all inputs at the container, so the input is first
 * taken as a shard file, then as the contents of a shard's blocks, which are given a container whose
 * checksums are right. A shard that decodes is walked the way a worker walks it. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/container.h"
#include "common/mem.h"
#include "common/shard.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (bytes > INPUT_BYTES_MAX) {
        return 0;
    }
    decode(data, bytes);
    decode_wrapped(data, bytes);
    return 0;
}
