/* attention.h - what the click's tower passes on to the conversion's tower (aitm): after the last
 * hidden layer the second tower's activations become an attention over a vector of its own and a
 * vector from the first tower.
 *
 * Shapes: n impressions, L the last hidden width, two towers with last activations q1, q2 [L]. Both
 * vectors use the same K, Q, V [L,L], which have no bias; G has one:
 *
 *     u_0 = q2,  u_1 = relu(q1 G^T + bg)                      [L]
 *     k_i = u_i K^T, r_i = u_i Q^T, v_i = u_i V^T             [L]
 *     a = softmax over i of <k_i, r_i> / sqrt(L)              [2]
 *     z1 = q1,  z2 = a_0 v_0 + a_1 v_1                        [L], which the output layers read
 *
 *     dv_i = a_i dz2,  da_i = dz2 . v_i,  ds_i = a_i (da_i - sum_j a_j da_j) / sqrt(L)
 *     dk_i = ds_i r_i, dr_i = ds_i k_i,   du_i = dk_i K + dr_i Q + dv_i V
 *
 * Xi et al., KDD 2021 (AITM), section 3.3. Nothing blocks; one thread.
 */
#pragma once

#include "common/job/layout.h"
#include "worker/kernel/linear.h"

enum { ATTENTION_VECTORS = 2 };

struct attention {
    const struct layout *layout; /* borrowed */
    const float *dense;          /* borrowed, of the last attention_load */
    struct linear g, k, q, v;
    float *u, *uk, *uq, *uv; /* [rows, 2, L]: u, k, r, v of an impression side by side */
    float *du, *dk, *dq;     /* the same; dk is used for dv when K and Q are done */
    float *a;                /* [rows, 2] */
    float *z;                /* [rows, 2 L], of the last attention_forward */
};

/* Room for `rows` impressions at a time. ERR_MEMORY; attention_fini accepts a half-built or zeroed
 * struct. */
enum status attention_init(struct attention *t, const struct layout *layout,
                           const struct kernel *kernel, size_t rows);
void attention_fini(struct attention *t);
/* Like tower_load. */
void attention_load(struct attention *t, const float *dense, bool backward);

/* Computes t->z from h [n, 2 L] of both towers. `work` has room for L columns. */
void attention_forward(struct attention *t, const struct linear_work *work, const float *h,
                       uint32_t n);
/* For the chunk of the last attention_forward, with the same h: d [n, 2 L] is the gradient of z at
 * first and that of h in the end. Adds to ddense. */
void attention_backward(struct attention *t, const struct linear_work *work, const float *h,
                        uint32_t n, float *ddense, float *d);
