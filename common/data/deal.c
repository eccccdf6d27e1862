/* deal.c - see deal.h. Places are fractions of 32 bits. */
#include "deal.h"

#include <assert.h>

#include "common/base/mem.h"
#include "common/base/rank.h"
#include "common/base/rng.h"
#include "common/job/plan.h"

#define STREAM_DEAL  0x6465616c00000000u
#define STREAM_PLACE 0x706c616365000000u

struct dealer {
    const struct shard *shard;
    const struct deal_spec *spec;
    uint64_t place_key;
    /* Of the block that is being dealt: */
    uint32_t block, batches;
    struct run *run;     /* [count] in the order of the line */
    struct ranked *rows; /* [count] key: place; tag: index in run */
    uint32_t count;
    size_t run_cap, rows_cap;
    /* Of all blocks so far: */
    struct run *out;
    uint32_t out_count;
    size_t out_cap;
};

static uint32_t ceil_div(uint32_t a, uint32_t b) {
    return a / b + (a % b != 0);
}

/* How many runs a group's `size` impressions in the block make. */
static uint32_t runs_in_block(const struct dealer *d, uint32_t size) {
    const uint32_t even = ceil_div(size, d->batches);
    return d->spec->run == 0 ? 1 : ceil_div(size, even > d->spec->run ? even : d->spec->run);
}

/* Cuts a part of a group, not empty, into runs, and gives them their places. */
static enum status add_group(struct dealer *d, struct run part) {
    const uint32_t size = part.end - part.begin, runs = runs_in_block(d, size);
    const uint64_t u = rng_u64(d->place_key, part.group, d->block) >> 32;
    TRY(mem_room(&d->run, &d->run_cap, (size_t)d->count + runs));
    TRY(mem_room(&d->rows, &d->rows_cap, (size_t)d->count + runs));
    for (uint32_t j = 0; j < runs; j++, d->count++) {
        d->run[d->count] = (struct run){part.group, part.begin + plan_begin(size, runs, j),
                                        part.begin + plan_begin(size, runs, j + 1)};
        d->rows[d->count] = (struct ranked){(uint32_t)(u + ((uint64_t)j << 32) / runs), d->count};
    }
    return OK;
}

/* Lays the runs of the block behind those of the blocks before. */
static enum status finish_block(struct dealer *d) {
    TRY(rank_sort(d->rows, d->count));
    TRY(mem_room(&d->out, &d->out_cap, (size_t)d->out_count + d->count));
    for (uint32_t k = 0; k < d->count; k++) {
        d->out[d->out_count++] = d->run[d->rows[k].tag];
    }
    d->count = 0;
    return OK;
}

static void begin_block(struct dealer *d, uint32_t block) {
    const uint32_t batches = d->spec->batches, blocks = d->spec->blocks;
    d->block = block;
    d->batches = plan_begin(batches, blocks, block + 1) - plan_begin(batches, blocks, block);
}

/* The position on the line where a block ends. */
static uint32_t block_end(const struct dealer *d, uint32_t block) {
    return plan_begin(d->shard->impressions, d->spec->batches,
                      plan_begin(d->spec->batches, d->spec->blocks, block + 1));
}

static enum status deal_line(struct dealer *d, const uint32_t *order) {
    uint32_t at = 0, block = 0;
    begin_block(d, block);
    for (uint32_t g = 0; g < d->shard->groups; g++) {
        struct run rest = {order[g], d->shard->group_start[order[g]],
                           d->shard->group_start[order[g] + 1]};
        while (rest.begin < rest.end) {
            struct run part = rest;
            const uint32_t room = block_end(d, block) - at;
            if (room == 0) {
                TRY(finish_block(d));
                begin_block(d, ++block);
                continue;
            }
            part.end = room < rest.end - rest.begin ? rest.begin + room : rest.end;
            TRY(add_group(d, part));
            at += part.end - part.begin;
            rest.begin = part.end;
        }
    }
    return finish_block(d);
}

enum status deal(const struct shard *s, const struct deal_spec *spec, struct run **runs,
                 uint32_t *count) {
    enum status status = OK;
    uint32_t *order = NULL;
    struct dealer d = {.shard = s,
                       .spec = spec,
                       .place_key = rng_u64(spec->seed ^ STREAM_PLACE, spec->epoch, spec->window)};
    assert(spec->batches > 0 && spec->blocks > 0);
    *runs = NULL;
    *count = 0;
    TRY_OUT(mem_array(&order, s->groups));
    rng_permutation(spec->seed ^ STREAM_DEAL, spec->epoch, spec->window, order, s->groups);
    TRY_OUT(deal_line(&d, order));
    *runs = d.out;
    *count = d.out_count;
    d.out = NULL;
out:
    mem_free(&order);
    mem_free(&d.run);
    mem_free(&d.rows);
    mem_free(&d.out);
    return status;
}
