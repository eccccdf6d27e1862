/* expert_level.h - a level of ple's experts above the first: experts and gates that read mixtures
 * of the level below instead of the input.
 *
 * Shapes: n impressions, T towers, E experts of H1 outputs. Experts and gates belong to T + 1
 * strands, those of the towers and the shared one, of E / (T + 1) experts each. A strand reads its
 * mixture x_s [H1] of the level below:
 *
 *     e_j = relu(x_s W_j^T + b_j)            [H1], for the experts j of strand s
 *     l_s = x_s V_s^T + c_s                  [S], of the shared strand [E]: its gate's logits
 *
 * and of these expert_mix.h makes the mixtures, [n, G H1]: of all strands, for the next level; at
 * the last level those of the towers alone, which are the towers' first activations.
 *
 * Tang et al., RecSys 2020 (PLE), section 4.2: there too a level has a gate of the shared experts
 * among all experts, and the last none. Nothing blocks; one thread.
 */
#pragma once

#include "common/job/layout.h"
#include "linear.h"

struct expert_level {
    const struct layout *layout; /* borrowed */
    uint32_t number;             /* from 1: that of the layout */
    const float *dense;          /* borrowed, of the last expert_level_load */
    struct linear expert[STRANDS_MAX],
        gate[STRANDS_MAX]; /* expert: all of a strand's in one product */
    float *x;              /* [rows, (T + 1) H1], what it reads; the caller's to fill */
    float *out;            /* [rows, layout_level_width], of the last expert_level_forward */
};

/* Room for `rows` impressions at a time. ERR_MEMORY; expert_level_fini accepts a half-built or
 * zeroed struct. */
enum status expert_level_init(struct expert_level *t, const struct layout *layout, uint32_t number,
                              const struct kernel *kernel, size_t rows);
void expert_level_fini(struct expert_level *t);
/* As tower_load. */
void expert_level_load(struct expert_level *t, const float *dense, bool backward);

/* t->x -> h [n, G H1]. `work` has room for layout.first_width columns. */
void expert_level_forward(struct expert_level *t, const struct linear_work *work, uint32_t n,
                          float *h);
/* For the chunk of the last expert_level_forward: dh [n, G H1] -> dx [n, (T + 1) H1], overwritten;
 * ddense is added to. dout is scratch, [n, layout_level_width]. */
void expert_level_backward(struct expert_level *t, const struct linear_work *work, const float *dh,
                           uint32_t n, float *dout, float *ddense, float *dx);
