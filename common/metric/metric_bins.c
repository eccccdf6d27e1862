#include "metric_bins.h"

#include <math.h>
#include <stddef.h>

#define BINS_LOGIT_MAX 16.0f

static uint32_t bin_of(float logit) {
    float at = (logit + BINS_LOGIT_MAX) * ((float)METRIC_BINS / (2.0f * BINS_LOGIT_MAX));
    if (at <= 0.0f) {
        return 0;
    }
    return at >= (float)METRIC_BINS ? METRIC_BINS - 1 : (uint32_t)at;
}

void metric_bins_add(struct metric_bins *b, float logit, int label) {
    if (isnan(logit)) {
        return;
    }
    uint32_t *count = label != 0 ? b->positive : b->negative;
    count[bin_of(logit)]++;
}

void metric_bins_merge(struct metric_bins *into, const struct metric_bins *from) {
    for (uint32_t k = 0; k < METRIC_BINS; k++) {
        into->positive[k] += from->positive[k];
        into->negative[k] += from->negative[k];
    }
}

double metric_bins_auc(const struct metric_bins *b, double *error_bound) {
    double pairs = 0.0, tied = 0.0, positives = 0.0, below = 0.0;
    for (uint32_t k = 0; k < METRIC_BINS; k++) {
        double p = b->positive[k], n = b->negative[k];
        pairs += p * (below + 0.5 * n);
        tied += p * n;
        positives += p;
        below += n;
    }
    double all = positives * below;
    if (error_bound != NULL) {
        *error_bound = all > 0.0 ? 0.5 * tied / all : NAN;
    }
    return all > 0.0 ? pairs / all : NAN;
}
