/* mix.h - a first layer of experts that the towers share (mmoe, ple): each tower's first activations are
 * a mixture of experts' outputs, by weights that depend on the impression.
 *
 * Shapes: n impressions, E experts of H1 outputs, T towers, S experts that a tower's gate chooses among
 * (all for mmoe; its own and the shared ones for ple: layout_expert). A row of `first` has the experts
 * side by side, then the gates: [E H1 + T S] = layout.first_width. For tower k, j over its S experts:
 *
 *     g_k = softmax(gate logits of k)           [S]
 *     h_k = sum_j g_kj e_j                      [H1]
 *
 *     dg_kj = dh_k . e_j,   de_j = sum_k g_kj dh_k,   dlogit_kj = g_kj (dg_kj - sum_i g_ki dg_ki)
 *
 * Ma et al., KDD 2018 (MMoE); Tang et al., RecSys 2020 (PLE, one level: CGC). Nothing blocks, no state.
 */
#ifndef WORKER_MIX_H
#define WORKER_MIX_H

#include "common/layout.h"

/* first: experts' outputs and gates' logits, which become g; h [n, T H1] is overwritten. */
void mix_forward(const struct layout *l, float *first, uint32_t n, float *h);
/* first: of mix_forward, unchanged; dh [n, T H1]. dfirst [n, first_width] is overwritten with the
 * gradients of the experts' outputs and of the gates' logits. */
void mix_backward(const struct layout *l, const float *first, const float *dh, uint32_t n,
                  float *dfirst);

#endif
