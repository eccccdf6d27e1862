/* metric_calibration.h - checks whether probabilities are right: log loss, its normalised form, and
 * predicted against observed rates in buckets of the score.
 *
 * A score has a scale. SCALE_LOGIT is a logit. SCALE_LOG is the logarithm of a probability that may
 * exceed 1 (division); it counts as 1 where a probability is needed.
 */
#pragma once

#include "metric_order.h"

/* Buckets of about equal count (weighted: of equal weight) in ascending order of score; equal
 * scores share a bucket. */
#define RELIABILITY_BUCKETS 20
struct reliability {
    uint32_t buckets; /* used; 0: undefined */
    struct reliability_bucket {
        double predicted, observed; /* means */
        double weight;              /* sum; unweighted n */
        uint64_t n;
    } bucket[RELIABILITY_BUCKETS];
};

enum metric_scale { SCALE_LOGIT, SCALE_LOG };
double metric_probability(double score, enum metric_scale scale); /* in [0,1] */
/* -log p of a positive, -log(1-p) of a negative; finite for finite scores: with SCALE_LOG, p counts
 * as at most 1 - 2^-24. */
double metric_loss(double score, enum metric_scale scale, bool label);
/* Log loss / entropy of the base rate; NaN if a class is missing. */
double metric_normalised_entropy(double logloss, double positives, double n);

/* If s rows have a lower score, a row belongs to bucket floor(s * RELIABILITY_BUCKETS / n); with
 * weights, s and n are sums of weights. So equal scores share a bucket, and the order of rows does
 * not matter. Empty buckets are left out. *ece and *ece_max: mean and largest |predicted -
 * observed|. Without rows, or with a NaN, there are 0 buckets and both are NaN. */
void metric_reliability(const struct metric_order *o, const double *score, enum metric_scale scale,
                        const uint8_t *label, const float *weight, struct reliability *r,
                        double *ece, double *ece_max);
