/* tower.h - the dense stacks of all towers over one chunk of impressions: forward and backward.
 *
 * Shapes: G groups of the batch, n <= TOWER_CHUNK impressions of the chunk, Iu and Ii the widths of
 * the user and item input, H1..HL the hidden widths, T towers in the order of the layout. They lie
 * side by side in every activation: h_k = [n, T Hk].
 *
 *     hu  = xu W1[:, user]^T + b1                       [G, T H1], once per batch
 *     h1  = relu(xi W1[:, item]^T + hu[group_of])       one product for all towers
 *     h_k = relu(h_{k-1} Wk^T + bk)                     one product per tower
 *     logit = h_L w^T + bias                            [T][n]
 *
 * With experts (expert.h) the first product computes the experts' outputs and the gates'
 * logits, [n, first_width] in place of [n, T H1]; hu and dhu have this width too. The mixture of
 * the experts is h1. With several levels of experts (expert.h) each level reads the mixtures
 * of the level below, and h1 is the mixture of the last level. With attention (attention.h) the
 * output layer reads its z in place of h_L.
 *
 * In training dropout (dropout.h) may thin each h_k that comes out of a relu of its own tower.
 * Without experts these are all layers; with experts all but the first, since experts and their
 * mixture are not thinned.
 *
 * relu has gradient 0 at 0. It lets NaN through, so that a damaged weight shows in the loss. The
 * kernel decides the format of the products' operands (linear.h); all else is float32. `dense` and
 * `ddense` are vectors as layout.h describes them. The backward functions accumulate into ddense
 * and dhu; they overwrite dxi and dxu. One thread; nothing blocks.
 */
#pragma once

#include "common/job/layout.h"
#include "attention.h"
#include "dropout.h"
#include "expert.h"
#include "factor.h"
#include "worker/kernel/linear.h"

/* The number of impressions computed at a time: the activations of a chunk stay in cache. */
#define TOWER_CHUNK 128

struct tower {
    const struct layout *layout;                         /* borrowed */
    const float *dense;                                  /* borrowed, of the last tower_load */
    struct linear user, item;                            /* the columns of W1 */
    struct linear hidden[CONFIG_LAYERS_MAX][TOWERS_MAX]; /* W2 is hidden[1] */
    struct linear_work work;
    struct factor users, items; /* the columns that `user` and `item` do not have */
    bool begun;                 /* the first layer has what tower_begin left there */
    const float *dh;            /* of the last tower_backward, see there */
    struct attention attention; /* zero without */
    float *first, *dfirst;      /* experts and gates, [TOWER_CHUNK, first_width]; NULL without */
    struct expert_level level[LEVELS_MAX - 1]; /* those above the first; zero without */
    float *h[CONFIG_LAYERS_MAX]; /* activations of the last forward, [TOWER_CHUNK, T Hk] */
    float scale;                 /* of the units that the last forward kept; 1 without dropout */
    float *d[2];                 /* gradients of one layer and of the one below it */
};

/* Room for the activations; kernel NULL: OpenBLAS. ERR_MEMORY; tower_fini accepts a half-built or
 * zeroed struct. */
enum status tower_init(struct tower *t, const struct layout *layout, const struct kernel *kernel);
void tower_fini(struct tower *t);

/* Sets the parameters for all calls until the next load, for the columns that t->users and t->items
 * leave to xu and xi: all, unless factor_choose was called before. Without `backward` they serve
 * forward only. */
void tower_load(struct tower *t, const float *dense, bool backward);

/* hu from xu [groups, Iu]. */
void tower_users(const struct tower *t, const float *xu, uint32_t groups, float *hu);
/* What dropout leaves out in the layers of a chunk. */
struct tower_dropout {
    struct dropout dropout;
    struct batch_name name;
    uint32_t begin; /* the chunk's first impression, counted from the batch's first */
};

/* The first layer's sums [n, first_width] before the next tower_forward, zeroed: it adds the
 * product with xi to what the caller puts there. */
float *tower_begin(struct tower *t, uint32_t n);
/* logit[T][n] from xi [n, Ii]; group_of[n] are rows of hu; drop NULL: nothing is left out. Keeps
 * the activations. */
void tower_forward(struct tower *t, const float *xi, const float *hu, const uint32_t *group_of,
                   uint32_t n, const struct tower_dropout *drop, float *const *logit);
/* For the chunk of the last tower_forward: dlogit[T][n] -> ddense (all but user columns and b1;
 * item columns to t->items if fields are factored), dxi [n, width of xi], and dhu [G, T H1] summed
 * over each group's impressions. t->dh is then the gradient of the first layer's sums,
 * [n, first_width]. */
void tower_backward(struct tower *t, const float *xi, const uint32_t *group_of, uint32_t n,
                    const float *const *dlogit, float *ddense, float *dxi, float *dhu);
/* From dhu of the whole batch: ddense (b1, and user columns of W1; with fields factored these go to
 * t->users), dxu [groups, width of xu]. */
void tower_users_backward(const struct tower *t, const float *xu, const float *dhu, uint32_t groups,
                          float *ddense, float *dxu);
