/* layout.h - the dense parameters as one vector: names, shapes, offsets, initial values.
 *
 * I = input width, H1..Hn = hidden widths, T towers (method.h). The towers' arrays of one layer are
 * adjacent, so that the first layer of all is one matrix product [T*H1, I]:
 *
 *     ctr.w1 [H1,I]   cvr.w1 [H1,I]   ctr.b1 [H1]  cvr.b1 [H1]
 *     ctr.w2 [H2,H1]  cvr.w2 [H2,H1]  ctr.b2 [H2]  cvr.b2 [H2]
 *     ...
 *     ctr.w{n+1} [1,Hn]  cvr.w{n+1} [1,Hn]  ctr.b{n+1} [1]  cvr.b{n+1} [1]
 *
 * A model with experts (mmoe, ple) has the experts' first layers in place of the towers', then the
 * towers' gates. Again one product computes them all:
 *
 *     expert0.w1 [H1,I] ... gate.ctr.w1 [S,I] gate.cvr.w1 [S,I]
 *     expert0.b1 [H1] ... gate.ctr.b1 [S] ...
 *
 * where S is the number of experts that a gate chooses among.
 *
 * ple can have several levels of experts (model.levels). The further levels come next, before the
 * towers' second layers, each in the same order; their names begin with level2 and so on
 * (level2.expert0.w1). Experts and gates of a level belong to T + 1 strands: one for each tower,
 * and the shared one. From the second level on they read their strand's mixture of the level below,
 * which is [H1] wide. So every level except the last has one more gate, that of the shared strand,
 * which chooses among all E experts:
 *
 *     ... gate.cvr.w1 [S,I]  gate.shared.w1 [E,I]  expert0.b1 [H1] ...
 *     level2.expert0.w1 [H1,H1] ... level2.gate.ctr.w1 [S,H1] level2.gate.cvr.w1 [S,H1]
 *     level2.expert0.b1 [H1] ...
 *
 * A model with attention (aitm) has the attention's maps after all of these; L = Hn
 * (worker/model/attention.h):
 *
 *     g.w [L,L]  k.w [L,L]  q.w [L,L]  v.w [L,L]  g.b [L]
 *
 * Weights are row-major [out, in]: y = x W^T + b.
 *
 * Input columns: `concat` puts the fields side by side in slot order (so the user fields come
 * first), each as wide as its table's dim. `sides` has the sum over the user fields (dim wide),
 * then the sum over the item fields; all dims must be equal.
 *
 * With two dictionaries a field is twice as wide: the first half belongs to tower 0, the second to
 * tower 1. The weights between a tower and the other tower's columns are zero and stay zero
 * (layout_foreign). This wastes a block of the product but saves a second code path through the
 * model.
 *
 * On the servers the vector is cut by bucket: bucket k owns [count*k/BUCKETS, count*(k+1)/BUCKETS).
 */
#pragma once

#include "config.h"
#include "common/base/hash.h"

#define EXPERTS_MAX 24u
enum layout_part { PART_G, PART_K, PART_Q, PART_V, PART_BIAS, LAYOUT_PARTS };
#define STRANDS_MAX (TOWERS_MAX + 1)
#define LAYOUT_ARRAYS_MAX                                                                          \
    (2 * (LEVELS_MAX * (EXPERTS_MAX + STRANDS_MAX) + TOWERS_MAX * CONFIG_LAYERS_MAX) + LAYOUT_PARTS)
struct layout_array {
    char name[24];         /* "ctr.w1" */
    uint32_t tower, layer; /* layer counts from 0; for the attention: part, layers + 1 */
    uint32_t level;        /* of experts and gates, from 0; their layer is 0, their tower a block */
    uint32_t rows, cols;   /* cols 1 for biases */
    uint32_t fan_in;
    uint64_t offset; /* in floats */
};
struct layout {
    struct layout_array array[LAYOUT_ARRAYS_MAX];
    uint32_t array_count;
    uint64_t count; /* floats in all */
    enum model_input input;
    uint32_t towers, dictionaries;
    char tower[TOWERS_MAX][8]; /* their names */
    uint32_t fields, user_fields;
    uint32_t dim[FIELDS_MAX];    /* row width per slot, all dictionaries */
    uint32_t column[FIELDS_MAX]; /* first input column of the field */
    uint32_t user_width, item_width, input_width;
    uint32_t hidden[CONFIG_LAYERS_MAX];
    uint32_t layers;           /* hidden layers */
    uint32_t experts, choices; /* E, and S of a gate; 0 without experts */
    uint32_t own;              /* ple: experts of each tower, before the shared ones; mmoe: 0 */
    uint32_t levels;           /* levels of experts; 0 without experts */
    uint32_t second;           /* index of the first array of layer 1 */
    bool attention;            /* of tower 1 to tower 0 (worker/model/attention.h) */
    uint32_t first_width;      /* outputs of the first product: T H1, or layout_level_width */
    bool zero;                 /* every initial value is 0: it is counted (method.counts) */
    float bias[TOWERS_MAX];    /* initial output biases; NAN: uniform like hidden biases */
};

/* Lays out the model of `config` on `schema`. rate_ctr and rate_cvr (clicks per impression,
 * conversions per click) set the initial output biases if config->prior_bias is set and the rate is
 * inside (0,1): those of CTR and CTCVR to the log odds, that of CVR to config->prior_cvr times the
 * log odds. ERR_CONFIG: sides with unequal dims, or an override for a field that the schema lacks.
 */
enum status layout_init(struct layout *l, const struct config *config, const struct schema *schema,
                        double rate_ctr, double rate_cvr);

/* Whether this column of the tower's first layer belongs to the other tower's dictionary. */
bool layout_foreign(const struct layout *l, uint32_t tower, uint32_t column);
/* Zeroes those columns of the first layers' weights in a vector of l->count floats. */
void layout_clear_foreign(const struct layout *l, float *dense);

/* The number of gates (and so of mixtures) of a level: one per tower, and the shared one in all
 * levels except the last. */
static inline uint32_t layout_gates(const struct layout *l, uint32_t level) {
    return l->towers + (level + 1 < l->levels ? 1 : 0);
}
/* The number of weight arrays of a level, and of bias arrays: E experts and its gates; T in a first
 * layer without experts. */
static inline uint32_t layout_blocks(const struct layout *l, uint32_t level) {
    return l->experts + layout_gates(l, level);
}
/* A block of a level is an expert's number, or E + a gate's strand. The weights of all blocks are
 * adjacent, and so are their biases. */
static inline const struct layout_array *layout_block(const struct layout *l, uint32_t level,
                                                      uint32_t block) {
    return &l->array[2 * level * (l->experts + l->towers + 1) + block]; /* none below is the last */
}
static inline const struct layout_array *layout_block_bias(const struct layout *l, uint32_t level,
                                                           uint32_t block) {
    return layout_block(l, level, block) + layout_blocks(l, level);
}
/* Arrays of layer 0..layers: weights of one tower, biases of all (adjacent). In layer 0 of a model
 * with experts `tower` is a block of the first level. */
static inline const struct layout_array *layout_weight(const struct layout *l, uint32_t layer,
                                                       uint32_t tower) {
    return layer == 0 ? layout_block(l, 0, tower)
                      : &l->array[l->second + 2 * l->towers * (layer - 1) + tower];
}
static inline const struct layout_array *layout_bias(const struct layout *l, uint32_t layer,
                                                     uint32_t tower) {
    return layout_weight(l, layer, tower) + (layer == 0 ? layout_blocks(l, 0) : l->towers);
}
/* The arrays of the attention, if there is one; they are the last. */
static inline const struct layout_array *layout_attention(const struct layout *l,
                                                          enum layout_part part) {
    return &l->array[l->array_count - LAYOUT_PARTS + part];
}
/* Whether the array is a matrix, even if it has only one column. */
static inline bool layout_is_weight(const struct layout *l, const struct layout_array *a) {
    return a->layer > l->layers ? a->tower != PART_BIAS
           : a->layer > 0       ? a == layout_weight(l, a->layer, a->tower)
                                : a == layout_block(l, a->level, a->tower);
}
/* The name of a strand: its tower's name, or that of the shared strand, which comes after the
 * towers. */
static inline const char *layout_strand(const struct layout *l, uint32_t strand) {
    return strand < l->towers ? l->tower[strand] : "shared";
}
/* The number of experts that a strand's gate chooses among: S for a tower, all for the shared one.
 */
static inline uint32_t layout_choices(const struct layout *l, uint32_t strand) {
    return strand < l->towers ? l->choices : l->experts;
}
/* The expert of choice j of a strand's gate. A tower chooses among its own, then the shared ones.
 */
static inline uint32_t layout_expert(const struct layout *l, uint32_t strand, uint32_t j) {
    return strand == l->towers ? j : j < l->own ? strand * l->own + j : l->experts - l->choices + j;
}
/* Width of a level's outputs side by side, experts first: E H1 + T S, plus E if it has a shared
 * gate. */
static inline uint32_t layout_level_width(const struct layout *l, uint32_t level) {
    const uint32_t shared = layout_gates(l, level) - l->towers; /* shared gates: 0 or 1 */
    return l->experts * (l->hidden[0] + shared) + l->towers * l->choices;
}

/* Where the slice of a bucket begins: buckets [b, e) own the floats [slice(b), slice(e)). */
static inline uint64_t layout_slice(const struct layout *l, uint32_t bucket) {
    return (uint64_t)(((unsigned __int128)l->count * bucket) / BUCKETS);
}

/* Writes the initial values of floats [begin, end) to out; each depends only on (seed, array name,
 * index). Weights and hidden biases are uniform in +-1/sqrt(fan_in) (the default of
 * torch.nn.Linear), the weights of experts above the first level in +-sqrt(6 S/fan_in) (He et al.
 * 2015, of a mean of S).
 */
void layout_initial(const struct layout *l, uint64_t seed, uint64_t begin, uint64_t end,
                    float *out);
