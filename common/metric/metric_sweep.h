/* metric_sweep.h - the sum under every AUC, over rows in ascending order of score: add the rows of
 * a tie group, close it, and each adds pos * (neg_below + neg_tie / 2). For the files of
 * metric_*.c. */
#pragma once

#include <math.h>
#include <stddef.h>

/* What a row counts; weight NULL: 1. */
static inline double weight_at(const float *weight, size_t row) {
    return weight == NULL ? 1.0 : (double)weight[row];
}

struct sweep {
    double pairs, below; /* ordered pairs so far; negatives below the open tie group */
    double pos, neg;     /* of the open tie group: the caller adds here */
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
