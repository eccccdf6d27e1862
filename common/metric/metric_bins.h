/* metric_bins.h - a running AUC of bounded memory: counts of positives and negatives in bins
 * uniform in logit over [-16,16], mergeable by addition. What is beyond falls into the outermost
 * bins. */
#pragma once

#include <stdint.h>

#define METRIC_BINS 4096
struct metric_bins { /* starts zeroed */
    uint32_t positive[METRIC_BINS];
    uint32_t negative[METRIC_BINS];
};
void metric_bins_add(struct metric_bins *b, float logit, int label); /* a NaN is not counted */
void metric_bins_merge(struct metric_bins *into, const struct metric_bins *from);
/* NaN if a class is missing. The error is at most sum over the bins of P_k N_k / (2 P N), which
 * goes into *error_bound; NULL: not wanted. */
double metric_bins_auc(const struct metric_bins *b, double *error_bound);
