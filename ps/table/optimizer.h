/* optimizer.h - sparse and dense update rules. g is the gradient of the batch's mean loss, summed
 * over all occurrences of the row in the batch; l2 adds l2*w to g on touched rows. lr is the rate
 * after warm-up.
 *
 *   sgd              w -= lr g
 *   adam             t += 1; m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2;
 *                    w -= lr * (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps)
 *                    ("lazy Adam": a row that a batch lacks stays as it is.) t is `step`: the
 *                    batches applied so far, this one included (bias_correction = batch, as in
 *                    torch.optim.SparseAdam), or the row's own updates (row). They differ for rows
 *                    that come rarely: with `row` the first step has size lr whenever it comes,
 *                    with `batch` about (1-b1)/sqrt(1-b2) = 3.2 lr once training is under way.
 *                    With `batch`, eps is divided by sqrt(1-b2^t), that is, added to sqrt(v), as
 *                    torch.optim.SparseAdam does. The dense parameters use `row`, which for them is
 *                    torch.optim.Adam.
 *   rmsprop          adam with b1 = 0, bit by bit, without the m that it does not need:
 *                    v = b2 v + (1-b2) g^2;  w -= lr * g / (sqrt(v / (1-b2^t)) + eps)
 *                    with adam's t and eps. Adam hands out a gradient over the row's next ten
 *                    updates or so, which for a rare row may be the rest of the run; torch's dense
 *                    Adam over the next ten batches; this at once.
 *   rowwise_rmsprop  v = b2 v + (1-b2) mean(g^2); the same, one v a row
 *   adagrad          n += g^2;  w -= lr g / (sqrt(n) + eps)              (n starts at adagrad_init)
 *   rowwise_adagrad  n += mean(g^2); the same, one accumulator a row
 *   ftrl             FTRL-proximal (McMahan et al. 2013, algorithm 1): z, n a weight;
 *                    s = (sqrt(n+g^2) - sqrt(n))/lr; z += g - s w; n += g^2;
 *                    w = |z| <= l1 ? 0 : -(z - sign(z) l1) / ((beta + sqrt(n))/lr + l2_ftrl)
 *                    (a fresh row's z is set so that w keeps its initial value; lr here is the
 *                    configured one: z holds w at that rate, so a warm-up must not change it)
 *
 * Decay is decoupled from the gradient (Loshchilov and Hutter, ICLR 2019: AdamW), in all rules but
 * ftrl, which has its own l2 and no w to shrink (config_check refuses):
 *
 *   w = (1 - lr decay) w - ...     with the old w, and what the rule subtracts
 *
 * once per update of a touched row, whatever its gradient; the decay does not enter moments and
 * accumulators.
 *
 * Pure functions on float arrays; state layout: adam m[dim] v[dim]; rmsprop v[dim];
 * rowwise_rmsprop v[1]; adagrad n[dim]; rowwise_adagrad n[1]; ftrl z[dim] n[dim]; sgd none.
 */
#pragma once

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include "common/cpu/level.h"
#include "common/job/optimizer_config.h"

/* What the weights of an update have in common, and all updates of the same rate and step: the
 * rule of one is then w = keep w - rate x / (sqrt(s scale) + eps), for element-wise rules. */
struct rule_pace {
    float rate, scale, eps, keep;
};

struct optimizer_rules {
    /* Sets the state of a fresh row whose weights already have their initial values. */
    void (*state_init)(const struct optimizer_config *o, uint32_t dim, const float *w,
                       float *state);
    /* One update; `step` is t of the rule above (1, 2, ...). */
    void (*apply)(const struct optimizer_config *o, uint32_t dim, float lr, uint32_t step, float *w,
                  float *state, const float *g);
    /* Does the same with the state vectors in separate arrays (NULL if the rule has fewer), for the
     * dense slice. */
    void (*apply_arrays)(const struct optimizer_config *o, size_t n, float lr, uint32_t step,
                         float *w, float *s0, float *s1, const float *g);
    struct rule_pace (*pace)(const struct optimizer_config *o, float lr, uint32_t step);
};
/* optimizer_rules_at(cpu_level()): who updates many rows asks once. */
LEVELLED(struct optimizer_rules, optimizer_rules)

/* Each with the rules of this CPU. */
static inline void optimizer_state_init(const struct optimizer_config *o, uint32_t dim,
                                        const float *w, float *state) {
    optimizer_rules_at(cpu_level())->state_init(o, dim, w, state);
}
static inline void optimizer_apply(const struct optimizer_config *o, uint32_t dim, float lr,
                                   uint32_t step, float *w, float *state, const float *g) {
    optimizer_rules_at(cpu_level())->apply(o, dim, lr, step, w, state, g);
}
static inline void optimizer_apply_arrays(const struct optimizer_config *o, size_t n, float lr,
                                          uint32_t step, float *w, float *s0, float *s1,
                                          const float *g) {
    optimizer_rules_at(cpu_level())->apply_arrays(o, n, lr, step, w, s0, s1, g);
}
