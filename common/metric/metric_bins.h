/* metric_bins.h - a running AUC in bounded memory. It counts positives and negatives in bins of
 * equal width in logit over [-16,16]; two counts are merged by addition. Logits beyond fall into
 * the outermost bins. */
#pragma once

#include <stdint.h>

#define METRIC_BINS 4096
struct metric_bins { /* starts zeroed */
    uint32_t positive[METRIC_BINS];
    uint32_t negative[METRIC_BINS];
};
void metric_bins_add(struct metric_bins *b, float logit, int label); /* a NaN is not counted */
void metric_bins_merge(struct metric_bins *into, const struct metric_bins *from);
/* NaN if a class is missing. The error is at most the sum over the bins of P_k N_k / (2 P N), which
 * is written to *error_bound unless that is NULL. */
double metric_bins_auc(const struct metric_bins *b, double *error_bound);
