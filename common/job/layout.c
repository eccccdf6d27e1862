/* layout.c - the place of each dense parameter, and its initial value: a pure function of (seed,
 * name of its array, index). See layout.h. */
#include "layout.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "common/base/rng.h"

#define STREAM_DENSE 0x64656e7365000000u

/* --- the vector ------------------------------------------------------------------------------- */

static void name_array(const struct layout *l, struct layout_array *a, char kind) {
    const uint32_t block = a->tower;
    char of[16], level[8] = "";
    if (a->level > 0) {
        snprintf(level, sizeof level, "level%u.", (a->level + 1) % 10);
    }
    if (a->layer > 0 || l->experts == 0) {
        snprintf(of, sizeof of, "%.7s", l->tower[block]);
    } else if (block < l->experts) {
        snprintf(of, sizeof of, "expert%u", block % 100);
    } else {
        snprintf(of, sizeof of, "gate.%.7s", layout_strand(l, block - l->experts));
    }
    snprintf(a->name, sizeof a->name, "%s%.12s.%c%u", level, of, kind, (a->layer + 1) % 10);
}

static struct layout_array *put_unnamed(struct layout *l, uint32_t tower, uint32_t layer,
                                        uint32_t rows, uint32_t cols, uint32_t fan_in) {
    struct layout_array *a = &l->array[l->array_count];
    assert(l->array_count < LAYOUT_ARRAYS_MAX);
    a->tower = tower;
    a->layer = layer;
    a->rows = rows;
    a->cols = cols;
    a->fan_in = fan_in;
    a->offset = l->count;
    l->array_count++;
    l->count += (uint64_t)rows * cols;
    return a;
}

static void put_array(struct layout *l, uint32_t tower, char kind, uint32_t layer, uint32_t rows,
                      uint32_t cols, uint32_t fan_in) {
    name_array(l, put_unnamed(l, tower, layer, rows, cols, fan_in), kind);
}

static void put_attention(struct layout *l, uint32_t width) {
    static const char *const names[] = {[PART_G] = "g.w",
                                        [PART_K] = "k.w",
                                        [PART_Q] = "q.w",
                                        [PART_V] = "v.w",
                                        [PART_BIAS] = "g.b"};
    for (uint32_t part = 0; part < LAYOUT_PARTS; part++) {
        const uint32_t cols = part == PART_BIAS ? 1 : width;
        struct layout_array *a = put_unnamed(l, part, l->layers + 1, width, cols, width);
        snprintf(a->name, sizeof a->name, "%s", names[part]);
    }
}

static void put_layer(struct layout *l, uint32_t layer, uint32_t out, uint32_t in) {
    const uint32_t fan_in = layer == 0 ? in / l->dictionaries : in;
    for (uint32_t k = 0; k < l->towers; k++) {
        put_array(l, k, 'w', layer, out, in, fan_in);
    }
    for (uint32_t k = 0; k < l->towers; k++) {
        put_array(l, k, 'b', layer, out, 1, fan_in);
    }
}

/* Weights or biases of all blocks of a level. */
static void put_blocks(struct layout *l, uint32_t level, char kind, uint32_t in) {
    for (uint32_t k = 0; k < layout_blocks(l, level); k++) {
        const uint32_t out = k < l->experts ? l->hidden[0] : layout_choices(l, k - l->experts);
        struct layout_array *a = put_unnamed(l, k, 0, out, kind == 'w' ? in : 1, in);
        a->level = level;
        name_array(l, a, kind);
    }
}

static void put_levels(struct layout *l) {
    for (uint32_t level = 0; level < l->levels; level++) {
        const uint32_t in = level == 0 ? l->input_width : l->hidden[0];
        put_blocks(l, level, 'w', in);
        put_blocks(l, level, 'b', in);
    }
}

/* All layers, in the order of the data. */
static void put_layers(struct layout *l) {
    if (l->experts > 0) {
        put_levels(l);
    } else {
        put_layer(l, 0, l->hidden[0], l->input_width);
    }
    l->second = l->array_count;
    for (uint32_t n = 1; n < l->layers; n++) {
        put_layer(l, n, l->hidden[n], l->hidden[n - 1]);
    }
    put_layer(l, l->layers, 1, l->hidden[l->layers - 1]);
}

static void put_columns_concat(struct layout *l) {
    uint32_t column = 0;
    for (uint32_t f = 0; f < l->fields; f++) {
        l->column[f] = column;
        column += l->dim[f];
        if (f + 1 == l->user_fields) {
            l->user_width = column;
        }
    }
    l->item_width = column - l->user_width;
}

static enum status put_columns_sides(struct layout *l, const struct schema *schema) {
    const uint32_t items = l->fields - l->user_fields;
    for (uint32_t f = 1; f < l->fields; f++) {
        if (l->dim[f] != l->dim[0]) {
            return fail(ERR_CONFIG,
                        "model.input = sides adds fields up, but field %s has dim %u "
                        "and field %s dim %u",
                        schema->fields[0].name, l->dim[0], schema->fields[f].name, l->dim[f]);
        }
    }
    l->user_width = l->user_fields > 0 ? l->dim[0] : 0;
    l->item_width = items > 0 ? l->dim[0] : 0;
    for (uint32_t f = 0; f < l->fields; f++) {
        l->column[f] = f < l->user_fields ? 0 : l->user_width;
    }
    return OK;
}

/* The log odds of a rate, or NAN if it has none. */
static float log_odds(double rate) {
    return rate > 0 && rate < 1 ? (float)log(rate / (1 - rate)) : NAN;
}

static float bias_of(const struct config *c, const char *tower, double rate_ctr, double rate_cvr) {
    if (strcmp(tower, "ctr") == 0) {
        return log_odds(rate_ctr);
    }
    if (strcmp(tower, "ctcvr") == 0) {
        return log_odds(rate_ctr * rate_cvr);
    }
    return strcmp(tower, "cvr") == 0 ? c->prior_cvr * log_odds(rate_cvr) : NAN;
}

static enum status check_overrides(const struct config *config, const struct schema *schema) {
    for (uint32_t i = 0; i < config->field_count; i++) {
        if (schema_find(schema, config->field[i].name) < 0) {
            return fail(ERR_CONFIG, "[field.%s]: the data have no field of that name",
                        config->field[i].name);
        }
    }
    return OK;
}

enum status layout_init(struct layout *l, const struct config *config, const struct schema *schema,
                        double rate_ctr, double rate_cvr) {
    const struct method method = method_with(config->model, config->behaviours, config->delay);
    memset(l, 0, sizeof *l);
    TRY(check_overrides(config, schema));
    if (schema->count == 0) {
        return fail(ERR_CONFIG, "the data have no fields");
    }
    l->input = config->input;
    l->fields = schema->count;
    l->user_fields = schema->user_count;
    l->towers = method.towers;
    l->dictionaries = method.dictionaries;
    l->experts = method.experts_per * config->experts;
    l->own = method.experts_per > 1 ? config->experts : 0;
    l->choices = l->experts - (l->own > 0 ? (l->towers - 1) * l->own : 0);
    l->levels = l->experts > 0 ? config->levels : 0;
    assert(l->experts <= EXPERTS_MAX && (l->own == 0 || l->experts == (l->towers + 1) * l->own));
    for (uint32_t t = 0; t < l->towers; t++) {
        snprintf(l->tower[t], sizeof l->tower[t], "%s", method.tower[t]);
        l->bias[t] = config->prior_bias && t < method.towers - method.heads
                         ? bias_of(config, l->tower[t], rate_ctr, rate_cvr)
                         : NAN;
    }
    for (uint32_t f = 0; f < l->fields; f++) {
        l->dim[f] = config_table(config, schema->fields[f].name).dim;
    }
    if (config->input == INPUT_SIDES) {
        TRY(put_columns_sides(l, schema));
    } else {
        put_columns_concat(l);
    }
    l->input_width = l->user_width + l->item_width;
    l->layers = config->tower_layers;
    memcpy(l->hidden, config->tower, l->layers * sizeof *l->hidden);
    put_layers(l);
    l->zero = method.counts;
    l->attention = method.attention;
    if (l->attention) {
        put_attention(l, l->hidden[l->layers - 1]);
    }
    l->first_width = l->experts > 0 ? layout_level_width(l, 0) : l->towers * l->hidden[0];
    return OK;
}

/* --- initial values of the vector ------------------------------------------------------------- */

/* The value that all of an array have: the prior of an output bias. NAN: none. */
static float prior_of(const struct layout *l, const struct layout_array *a) {
    if (l->zero) {
        return 0.0f;
    }
    return a->layer == l->layers && a == layout_bias(l, l->layers, a->tower) ? l->bias[a->tower]
                                                                             : NAN;
}

bool layout_foreign(const struct layout *l, uint32_t tower, uint32_t column) {
    uint32_t f = 0;
    while (column < l->column[f] || column >= l->column[f] + l->dim[f]) {
        f++;
        assert(f < l->fields);
    }
    const uint32_t width = l->dim[f] / l->dictionaries;
    return l->dictionaries > 1 && (column - l->column[f]) / width != tower;
}

void layout_clear_foreign(const struct layout *l, float *dense) {
    for (uint32_t t = 0; t < l->towers && l->dictionaries > 1; t++) {
        const struct layout_array *w = layout_weight(l, 0, t);
        for (uint32_t f = 0; f < l->fields; f++) {
            const uint32_t width = l->dim[f] / 2;
            float *at = dense + w->offset + l->column[f] + (t == 0 ? width : 0);
            for (uint32_t r = 0; r < w->rows; r++) {
                memset(at + (size_t)r * w->cols, 0, width * sizeof *at);
            }
        }
    }
}

/* The factor on a weight's usual bound. A layer with relu and the usual bound keeps only a sixth of
 * the square of the differences between impressions, and a gate that starts as a mean of S experts
 * keeps 1/S of that. One level, the first, does no harm; three more levels would leave a CVR tower
 * almost nothing to learn from (docs/models.md). So experts above the first level correct for both:
 * by the factor of He et al. 2015, and by S. */
static double gain_of(const struct layout *l, const struct layout_array *a) {
    const bool expert = a->level > 0 && a->tower < l->experts && layout_is_weight(l, a);
    return expert ? sqrt(6.0 * l->choices) : 1.0;
}

/* Initial value i of an array. */
static float initial_value(const struct layout *l, const struct layout_array *a, uint64_t seed,
                           uint64_t name, uint64_t i) {
    if (a->layer == 0 && a->cols > 1 && l->dictionaries > 1 &&
        layout_foreign(l, a->tower, (uint32_t)(i % a->cols))) {
        return 0.0f;
    }
    const double bound = gain_of(l, a) / sqrt(a->fan_in);
    return (float)((2 * rng_unit(seed ^ STREAM_DENSE, name, i) - 1) * bound);
}

void layout_initial(const struct layout *l, uint64_t seed, uint64_t begin, uint64_t end,
                    float *out) {
    assert(begin <= end && end <= l->count);
    for (uint32_t k = 0; k < l->array_count; k++) {
        const struct layout_array *a = &l->array[k];
        const uint64_t stop = a->offset + (uint64_t)a->rows * a->cols;
        const uint64_t from = begin > a->offset ? begin : a->offset;
        const uint64_t to = end < stop ? end : stop;
        const uint64_t name = hash_bytes(a->name, strlen(a->name));
        const float prior = prior_of(l, a);
        for (uint64_t i = from; i < to; i++) {
            out[i - begin] = isnan(prior) ? initial_value(l, a, seed, name, i - a->offset) : prior;
        }
    }
}
