/* expert_mix.h - experts that the towers share (mmoe, ple): each tower's first activations are a
 * mixture of experts' outputs, with weights that depend on the impression.
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
 * k is T, and its j runs over all E (expert_level.h). G = layout_gates is the number of gates, T or
 * T + 1.
 *
 * Ma et al., KDD 2018 (MMoE); Tang et al., RecSys 2020 (PLE; with one level: CGC). Nothing blocks
 * or keeps state.
 */
#pragma once

#include "common/job/layout.h"

/* out [n, layout_level_width] holds the experts' outputs and the gates' logits; the logits become
 * g. h [n, G H1] is overwritten. */
void expert_mix_forward(const struct layout *l, uint32_t level, float *out, uint32_t n, float *h);
/* out: as expert_mix_forward left it; dh [n, G H1]. dout [n, layout_level_width] is overwritten
 * with the gradients of the experts' outputs and of the gates' logits. */
void expert_mix_backward(const struct layout *l, uint32_t level, const float *out, const float *dh,
                         uint32_t n, float *dout);
