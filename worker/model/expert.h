/* expert.h - experts that the towers share (mmoe, ple): each tower's first activations are a
 * mixture of experts' outputs, with weights that depend on the impression; and ple's further levels
 * of experts.
 *
 * Shapes: n impressions, E experts of H1 outputs, T towers, S experts that a tower's gate chooses
 * among (all for mmoe; its own and the shared ones for ple: layout_expert). A row of a level's
 * outputs has the experts side by side, then the gates: [E H1 + T S] = layout_level_width. For
 * tower k, j over its S experts:
 *
 *     g_k = softmax(gate logits of k)           [S]
 *     h_k = sum_j g_kj e_j                      [H1]
 *
 *     dg_kj = dh_k . e_j,   de_j = sum_k g_kj dh_k,   dlogit_kj = g_kj (dg_kj - sum_i g_ki dg_ki)
 *
 * Every level of ple except the last has one more gate and mixture, those of the shared strand: its
 * k is T, and its j runs over all E (below). G = layout_gates is the number of gates, T or T + 1.
 *
 * A level of ple above the first has experts and gates that read mixtures of the level below
 * instead of the input. They belong to T + 1 strands: one for each tower, and the shared one. Each
 * strand has E / (T + 1) experts and reads its mixture x_s [H1] of the level below:
 *
 *     e_j = relu(x_s W_j^T + b_j)            [H1], for the experts j of strand s
 *     l_s = x_s V_s^T + c_s                  [S], or [E] for the shared strand: its gate's logits
 *
 * Mixtures [n, G H1] are made from these as from the first level's. Below the last level all
 * strands have a mixture, which the next level reads. At the last level only the towers have one,
 * and it is their first activations.
 *
 * Ma et al., KDD 2018 (MMoE); Tang et al., RecSys 2020 (PLE; with one level: CGC), whose section
 * 4.2 too has a gate of the shared strand over all experts in a level, and none in the last. One
 * thread; nothing blocks.
 */
#pragma once

#include "common/job/layout.h"
#include "worker/kernel/linear.h"

/* out [n, layout_level_width] holds the experts' outputs and the gates' logits; the logits become
 * g. h [n, G H1] is overwritten. */
void expert_mix_forward(const struct layout *l, uint32_t level, float *out, uint32_t n, float *h);
/* out: as expert_mix_forward left it; dh [n, G H1]. dout [n, layout_level_width] is overwritten
 * with the gradients of the experts' outputs and of the gates' logits. */
void expert_mix_backward(const struct layout *l, uint32_t level, const float *out, const float *dh,
                         uint32_t n, float *dout);

struct expert_level {
    const struct layout *layout; /* borrowed */
    uint32_t number;             /* of the level in the layout, from 1 */
    const float *dense;          /* borrowed, of the last expert_level_load */
    struct linear expert[STRANDS_MAX],
        gate[STRANDS_MAX]; /* expert: all experts of a strand in one product */
    float *x;              /* [rows, (T + 1) H1], its input, filled by the caller */
    float *out;            /* [rows, layout_level_width], of the last expert_level_forward */
};

/* Room for `rows` impressions at a time. ERR_MEMORY; expert_level_fini accepts a half-built or
 * zeroed struct. */
enum status expert_level_init(struct expert_level *t, const struct layout *layout, uint32_t number,
                              const struct kernel *kernel, size_t rows);
void expert_level_fini(struct expert_level *t);
/* Like tower_load. */
void expert_level_load(struct expert_level *t, const float *dense, bool backward);

/* Computes h [n, G H1] from t->x. `work` has room for layout.first_width columns. */
void expert_level_forward(struct expert_level *t, const struct linear_work *work, uint32_t n,
                          float *h);
/* For the chunk of the last expert_level_forward: computes dx [n, (T + 1) H1], which is
 * overwritten, from dh [n, G H1], and adds to ddense. dout is scratch, [n, layout_level_width]. */
void expert_level_backward(struct expert_level *t, const struct linear_work *work, const float *dh,
                           uint32_t n, float *dout, float *ddense, float *dx);
