/* metric_sweep.h - the sum that every AUC needs, over rows in ascending order of score. The caller
 * adds the rows of a tie group and closes it; each tie group adds pos * (neg_below + neg_tie / 2).
 * Only for metric_*.c. */
#pragma once

#include <math.h>
#include <stddef.h>

/* The weight of a row; 1 if `weight` is NULL. */
static inline double weight_at(const float *weight, size_t row) {
    return weight == NULL ? 1.0 : (double)weight[row];
}

struct sweep {
    double pairs, below; /* ordered pairs so far; negatives below the open tie group */
    double pos, neg;     /* of the open tie group; the caller adds to them */
    double positives;
};

static inline void sweep_close(struct sweep *s) {
    s->pairs += s->pos * (s->below + 0.5 * s->neg);
    s->below += s->neg;
    s->positives += s->pos;
    s->pos = s->neg = 0.0;
}

static inline double sweep_auc(struct sweep *s) {
    sweep_close(s);
    double pairs = s->positives * s->below;
    return pairs > 0.0 ? s->pairs / pairs : NAN;
}
