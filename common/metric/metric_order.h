/* metric_order.h - the rows of one population in ascending order of score, and the figures that are
 * read off such an order. A population is sorted once; every figure is then one pass.
 *
 * A score says its scale: SCALE_LOGIT is a logit; SCALE_LOG the logarithm of a probability that may
 * exceed 1 (division), which counts as 1 where a probability is wanted.
 */
#ifndef COMMON_METRIC_METRIC_ORDER_H
#define COMMON_METRIC_METRIC_ORDER_H

#include <stdbool.h>

#include "metric.h"
#include "common/base/rank.h"

struct metric_order {
    struct ranked *rows; /* [n] key: the score's ordered bits, equal for ties; tag: the row */
    size_t n;
    bool nan; /* some score is not a number: there is no order, and what needs one is NaN */
};
/* Sorts; 32 bytes a row, of which 16 stay. The scores are not kept. ERR_MEMORY. */
enum status metric_order_f32(struct metric_order *o, const float *score, size_t n);
enum status metric_order_f64(struct metric_order *o, const double *score, size_t n);
void metric_order_fini(struct metric_order *o); /* safe on a zeroed struct */

/* label: 0/1 by row; weight: what each row counts, not negative; NULL: 1 each, as wherever it is an
 * argument here. AUC and average precision; NaN if a class is missing or counts nothing.
 * Average precision: sum over tie groups, from the top, of pos_k / P * precision down to and with
 * group k; the step form, no interpolation (docs/metrics.md). */
double metric_order_auc(const struct metric_order *o, const uint8_t *label, const float *weight);
double metric_order_pr_auc(const struct metric_order *o, const uint8_t *label, const float *weight);
/* AUC with soft labels: row i is positive by p[i] and negative by 1 - p[i]. */
double metric_order_auc_soft(const struct metric_order *o, const float *p, const float *weight);
/* GAUC as metric_gauc, groups by the weight of their rows; uses the order up (it is finished
 * afterwards, also on failure), so it comes last. At most UINT32_MAX rows. ERR_MEMORY. */
enum status metric_order_gauc(struct metric_order *o, const uint8_t *label, const float *weight,
                              const uint64_t *group, double *gauc, double *coverage);

enum metric_scale { SCALE_LOGIT, SCALE_LOG };
double metric_probability(double score, enum metric_scale scale); /* in [0,1] */
/* -log p of a positive, -log(1-p) of a negative; finite for finite scores: with SCALE_LOG, p counts
 * as at most 1 - 2^-24. */
double metric_loss(double score, enum metric_scale scale, bool label);
/* Log loss / entropy of the base rate; NaN if a class is missing. */
double metric_normalised_entropy(double logloss, double positives, double n);

/* A row with s rows of a lower score belongs to bucket floor(s * RELIABILITY_BUCKETS / n); with
 * weights s and n are sums of them. So equal scores share a bucket, and the order of rows does not
 * matter; empty buckets are left out. *ece and *ece_max: mean and largest |predicted - observed|.
 * No row, or a NaN: 0 buckets, NaN. */
void metric_reliability(const struct metric_order *o, const double *score, enum metric_scale scale,
                        const uint8_t *label, const float *weight, struct reliability *r,
                        double *ece, double *ece_max);

#endif
