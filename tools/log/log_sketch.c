#include "log_sketch.h"

#include <math.h>

void log_sketch_join(struct log_sketch *to, const struct log_sketch *from) {
    for (uint32_t k = 0; k < SKETCH_REGISTERS; k++) {
        to->rank[k] = from->rank[k] > to->rank[k] ? from->rank[k] : to->rank[k];
    }
}

/* Uses the harmonic mean; while many registers are empty, their number gives a better estimate. */
double log_sketch_count(const struct log_sketch *s) {
    const double m = SKETCH_REGISTERS, alpha = 0.7213 / (1 + 1.079 / m);
    double sum = 0, empty = 0;
    for (uint32_t k = 0; k < SKETCH_REGISTERS; k++) {
        sum += ldexp(1, -(int)s->rank[k]);
        empty += s->rank[k] == 0;
    }
    const double estimate = alpha * m * m / sum;
    return estimate <= 2.5 * m && empty > 0 ? m * log(m / empty) : estimate;
}
