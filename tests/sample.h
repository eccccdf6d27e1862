/* sample.h - random shards, layouts and parameters for the tests and benches of the model.
 *
 * Everything depends on the seed alone. With `grid` all numbers are small multiples of a power of
 * two, so that sums of products are exact in float: then the fast model and its naive twin see the
 * same activations, also on which side of a relu's kink they lie, on any machine.
 */
#pragma once

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/job/layout.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/data/batch.h"

struct sample {
    uint64_t seed, draws;
    uint32_t groups, group_impressions_max; /* 1..max impressions in a group */
    uint32_t user_fields, item_fields;
    uint32_t values_max; /* per bag; bags may be empty unless values_min > 0 */
    uint32_t values_min;
    uint32_t dict;   /* distinct features per field at most */
    uint32_t odd;    /* the same of every second field; 0: as of the others */
    int empty_field; /* a field that no impression has; -1 none */
    bool grid;
    bool behaviours; /* clicks have some, at random */
};

static inline uint32_t sample_below(struct sample *s, uint32_t n) {
    return (uint32_t)rng_below(s->seed, s->draws++, 0, n);
}

static inline float sample_normal(struct sample *s) {
    return (float)rng_normal(s->seed, s->draws++, 1);
}

/* Around zero with standard deviation about `scale`; on the grid a multiple of step, up to 3. */
static inline float sample_float(struct sample *s, float scale, float step) {
    if (s->grid) {
        return ((float)sample_below(s, 7) - 3.0f) * step;
    }
    return scale * sample_normal(s);
}

static inline void *sample_array(size_t count, size_t size) {
    void *p = NULL;
    enum status status = mem_array_of(&p, count == 0 ? 1 : count, size);
    if (status != OK) {
        fprintf(stderr, "sample: out of memory\n");
        abort();
    }
    return p;
}

static inline void sample_schema(const struct sample *s, struct schema *schema) {
    memset(schema, 0, sizeof *schema);
    for (uint32_t f = 0; f < s->user_fields + s->item_fields; f++) {
        bool user = f < s->user_fields;
        struct field *field = &schema->fields[schema->count++];
        snprintf(field->name, sizeof field->name, "%c%02u", user ? 'a' : 'b', f);
        field->side = user ? SIDE_USER : SIDE_ITEM;
        field->salt = rng_mix(f + 1);
        schema->user_count += user;
    }
}

/* Every third field is weighted. Feature ids are random, ascending, above 2^32 at times. */
static inline void sample_column(struct sample *s, uint32_t slot, uint32_t n, struct column *c) {
    bool absent = s->empty_field == (int)slot;
    c->n = n;
    c->dict_count = absent ? 0 : slot % 2 == 1 && s->odd > 0 ? s->odd : s->dict;
    c->start = sample_array((size_t)n + 1, sizeof *c->start);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t span = s->values_max - s->values_min + 1;
        uint32_t count = absent ? 0 : s->values_min + sample_below(s, span);
        c->start[i + 1] = c->start[i] + count;
    }
    c->values = c->start[n];
    if (absent) {
        return;
    }
    c->dict = sample_array(c->dict_count, sizeof *c->dict);
    uint64_t id = 0;
    for (uint32_t k = 0; k < c->dict_count; k++) {
        id += 1 + sample_below(s, 1u << 31);
        c->dict[k] = id;
    }
    c->code = sample_array(c->values, sizeof *c->code);
    for (uint32_t v = 0; v < c->values; v++) {
        c->code[v] = sample_below(s, c->dict_count);
    }
    if (slot % 3 == 1) {
        c->weight = sample_array(c->values, sizeof *c->weight);
        for (uint32_t v = 0; v < c->values; v++) {
            c->weight[v] = sample_float(s, 1.0f, 0.5f);
        }
    }
}

static inline void sample_shard(struct sample *s, struct shard *shard) {
    memset(shard, 0, sizeof *shard);
    shard->groups = s->groups;
    shard->columns = s->user_fields + s->item_fields;
    shard->group_key = sample_array(s->groups, sizeof *shard->group_key);
    shard->group_start = sample_array((size_t)s->groups + 1, sizeof *shard->group_start);
    for (uint32_t g = 0; g < s->groups; g++) {
        shard->group_key[g] = 1000 + g;
        shard->group_start[g + 1] =
            shard->group_start[g] + 1 + sample_below(s, s->group_impressions_max);
    }
    shard->impressions = shard->group_start[s->groups];
    shard->impression_id = sample_array(shard->impressions, sizeof *shard->impression_id);
    shard->labels = sample_array(shard->impressions, sizeof *shard->labels);
    static const uint8_t labels[] = {0, 0, LABEL_CLICK, LABEL_CLICK | LABEL_CONVERSION};
    for (uint32_t i = 0; i < shard->impressions; i++) {
        shard->impression_id[i] = 7000000 + i;
        shard->labels[i] = labels[sample_below(s, 4)];
        if (s->behaviours && shard->labels[i] != 0) {
            shard->labels[i] |= (uint8_t)(sample_below(s, 16) << 3);
        }
    }
    for (uint32_t f = 0; f < shard->columns; f++) {
        sample_column(s, f, f < s->user_fields ? shard->groups : shard->impressions,
                      &shard->column[f]);
    }
}

static inline void sample_shard_free(struct shard *shard) {
    mem_free(&shard->group_key);
    mem_free(&shard->group_start);
    mem_free(&shard->impression_id);
    mem_free(&shard->labels);
    for (uint32_t f = 0; f < shard->columns; f++) {
        mem_free(&shard->column[f].dict);
        mem_free(&shard->column[f].start);
        mem_free(&shard->column[f].code);
        mem_free(&shard->column[f].weight);
    }
}

/* An order of the shard's groups. */
static inline uint32_t *sample_order(struct sample *s, const struct shard *shard) {
    uint32_t *order = sample_array(shard->groups, sizeof *order);
    rng_permutation(s->seed, 77, 0, order, shard->groups);
    return order;
}

/* Each group as a run, in an order of the groups; NULL: in the shard's own. */
static inline struct run *sample_runs(const uint32_t *order, const struct shard *shard) {
    uint32_t *own = sample_array(shard->groups, sizeof *own);
    struct run *runs = sample_array(shard->groups, sizeof *runs);
    for (uint32_t g = 0; g < shard->groups; g++) {
        own[g] = order == NULL ? g : order[g];
    }
    runs_of_groups(shard, own, runs);
    mem_free(&own);
    return runs;
}

/* Parameters: weights about 1/sqrt(fan in), or on a grid coarse enough for four exact layers. */
static inline void sample_dense(struct sample *s, const struct layout *l, float *dense) {
    for (uint32_t k = 0; k < l->array_count; k++) {
        const struct layout_array *a = &l->array[k];
        float scale = 1.0f / sqrtf((float)(a->fan_in == 0 ? 1 : a->fan_in));
        for (uint64_t i = 0; i < (uint64_t)a->rows * a->cols; i++) {
            dense[a->offset + i] = sample_float(s, scale, 0.125f);
        }
    }
}
