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
 * A model with experts (mmoe, ple) has its experts' first layers in place of the towers', then the
 * gates of the towers; again all of them are one product:
 *
 *     expert0.w1 [H1,I] ... gate.ctr.w1 [S,I] gate.cvr.w1 [S,I]
 *     expert0.b1 [H1] ... gate.ctr.b1 [S] ...
 *
 * where S is how many experts a gate chooses among.
 *
 * ple with several levels of experts (model.levels) has the further levels above that, before the
 * towers' second layers, each in the same order, named level2.expert0.w1 and so on. Experts and
 * gates of a level belong to T + 1 strands: those of the towers, and the shared one. From the
 * second level on they read their strand's mixture of the level below, which is [H1] wide. So every
 * level but the last has one gate more, the shared strand's, which chooses among all E experts:
 *
 *     ... gate.cvr.w1 [S,I]  gate.shared.w1 [E,I]  expert0.b1 [H1] ...
 *     level2.expert0.w1 [H1,H1] ... level2.gate.ctr.w1 [S,H1] level2.gate.cvr.w1 [S,H1]
 *     level2.expert0.b1 [H1] ...
 *
 * A model with attention (aitm) has the attention's maps behind all that, L = Hn
 * (worker/model/attention.h):
 *
 *     g.w [L,L]  k.w [L,L]  q.w [L,L]  v.w [L,L]  g.b [L]
 *
 * Weights are row-major [out, in]: y = x W^T + b.
 *
 * Input columns: `concat`: the fields side by side in slot order, each its table's dim wide (so the
 * user fields come first). `sides`: the sum over the user fields (dim wide), then the sum over the
 * item fields; all dims must be equal.
 *
 * With two dictionaries a field is twice as wide: the first half is tower 0's, the second tower
 * 1's. The weights between a tower and the other's columns are zero and stay so (layout_foreign).
 * That wastes a block of the product, and saves a second way through the model.
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
    uint32_t tower, layer; /* layer from 0; of the attention's: part, layers + 1 */
    uint32_t level;        /* of experts and gates, from 0, whose layer is 0 and tower a block */
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
    uint32_t experts, choices; /* E, and S of a gate; 0 without */
    uint32_t own;              /* ple: experts of one tower, which come first; mmoe: 0 */
    uint32_t levels;           /* of experts; 0 without */
    uint32_t second;           /* the array that layer 1 begins with */
    bool attention;            /* of tower 1 to tower 0 (worker/model/attention.h) */
    uint32_t first_width;      /* outputs of the first product: T H1, or layout_level_width */
    float bias[TOWERS_MAX];    /* initial output biases; NAN: uniform like the hidden ones */
};

/* Lays out the model of `config` on `schema`. rate_ctr and rate_cvr (clicks per impression,
 * conversions per click) set the initial output biases if config->prior_bias and the rate is inside
 * (0,1): CTR's and CTCVR's to the log odds, CVR's to config->prior_cvr of them. ERR_CONFIG: sides
 * with unequal dims, or an override for no field. */
enum status layout_init(struct layout *l, const struct config *config, const struct schema *schema,
                        double rate_ctr, double rate_cvr);

/* Does the column of tower's first layer belong to the other tower's dictionary? */
bool layout_foreign(const struct layout *l, uint32_t tower, uint32_t column);
/* Sets those columns of the first layers' weights in a vector of l->count floats to zero. */
void layout_clear_foreign(const struct layout *l, float *dense);

/* How many gates a level has, and so mixtures: the towers', and in all levels but the last the
 * shared one. */
static inline uint32_t layout_gates(const struct layout *l, uint32_t level) {
    return l->towers + (level + 1 < l->levels ? 1 : 0);
}
/* How many arrays of weights a level has, and of biases: E experts and its gates; T in a first
 * layer without experts. */
static inline uint32_t layout_blocks(const struct layout *l, uint32_t level) {
    return l->experts + layout_gates(l, level);
}
/* A block of a level is an expert, or E + the strand of a gate. The weights of all blocks are
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
/* The arrays of the attention, where there is one: the last of all. */
static inline const struct layout_array *layout_attention(const struct layout *l,
                                                          enum layout_part part) {
    return &l->array[l->array_count - LAYOUT_PARTS + part];
}
/* Is it a matrix, even if one column wide? */
static inline bool layout_is_weight(const struct layout *l, const struct layout_array *a) {
    return a->layer > l->layers ? a->tower != PART_BIAS
           : a->layer > 0       ? a == layout_weight(l, a->layer, a->tower)
                                : a == layout_block(l, a->level, a->tower);
}
/* The name of a strand: its tower's, or behind those of all towers the shared one. */
static inline const char *layout_strand(const struct layout *l, uint32_t strand) {
    return strand < l->towers ? l->tower[strand] : "shared";
}
/* How many experts the gate of a strand chooses among: a tower's S, the shared one all. */
static inline uint32_t layout_choices(const struct layout *l, uint32_t strand) {
    return strand < l->towers ? l->choices : l->experts;
}
/* The expert that choice j of a strand's gate is: of a tower its own, then the shared ones. */
static inline uint32_t layout_expert(const struct layout *l, uint32_t strand, uint32_t j) {
    return strand == l->towers ? j : j < l->own ? strand * l->own + j : l->experts - l->choices + j;
}
/* Outputs of a level side by side, experts first: E H1 + T S, and E of the shared gate. */
static inline uint32_t layout_level_width(const struct layout *l, uint32_t level) {
    const uint32_t shared = layout_gates(l, level) - l->towers; /* gates: 0 or 1 */
    return l->experts * (l->hidden[0] + shared) + l->towers * l->choices;
}

/* Where the slice of a bucket begins: buckets [b, e) own the floats [slice(b), slice(e)). */
static inline uint64_t layout_slice(const struct layout *l, uint32_t bucket) {
    return (uint64_t)(((unsigned __int128)l->count * bucket) / BUCKETS);
}

/* Initial values of floats [begin, end) into out, each from (seed, array name, index) alone.
 * Weights and hidden biases are uniform in +-1/sqrt(fan_in) (the default of torch.nn.Linear), the
 * weights of experts above the first level in +-sqrt(6 S/fan_in) (He et al. 2015, of a mean of S).
 */
void layout_initial(const struct layout *l, uint64_t seed, uint64_t begin, uint64_t end,
                    float *out);
