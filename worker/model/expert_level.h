/* expert_level.h - a level of ple's experts above the first: experts and gates that read mixtures
 * of the level below instead of the input.
 *
 * Shapes: n impressions, T towers, E experts of H1 outputs. Experts and gates belong to T + 1
 * strands: one for each tower, and the shared one. Each strand has E / (T + 1) experts and reads
 * its mixture x_s [H1] of the level below:
 *
 *     e_j = relu(x_s W_j^T + b_j)            [H1], for the experts j of strand s
 *     l_s = x_s V_s^T + c_s                  [S], or [E] for the shared strand: its gate's logits
 *
 * expert_mix.h makes the mixtures [n, G H1] from these. Below the last level all strands have a
 * mixture, which the next level reads. At the last level only the towers have one, and it is their
 * first activations.
 *
 * Tang et al., RecSys 2020 (PLE), section 4.2: in that paper too a level has a gate of the shared
 * strand over all experts, and the last level has none. Nothing blocks; one thread.
 */
#pragma once

#include "common/job/layout.h"
#include "linear.h"

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
