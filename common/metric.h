/* metric.h - what is measured about predictions; sources in docs/metrics.md.
 *
 * Populations are named at the call: CTR on all impressions, CVR on clicked ones, CTCVR on all.
 * A metric whose population lacks a class is NaN ("undefined"), never 0.5.
 */
#ifndef COMMON_METRIC_H
#define COMMON_METRIC_H

#include <stddef.h>
#include <stdint.h>
#include "status.h"

/* Exact AUC with ties: each tie group adds pos*(neg_below + neg_tie/2). Radix sort on the float's
 * ordered bits, O(n). weights as soft labels: row i counts pos[i] as positive and neg[i] as
 * negative (hard labels: 1/0). `score` is any monotone score (logit or probability); if one is NaN
 * there is no order and the AUC is NaN. Memory meanwhile: 32 bytes a row. ERR_MEMORY. */
enum status metric_auc(const float *score, const double *pos, const double *neg, size_t n,
                       double *auc);
/* The same for 0/1 labels. */
enum status metric_auc_labels(const float *score, const uint8_t *label, size_t n, double *auc,
                              uint64_t *positives, uint64_t *negatives);
/* For scores whose differences a float cannot hold: log p_ctcvr of two logits. */
enum status metric_auc_labels_f64(const double *score, const uint8_t *label, size_t n, double *auc,
                                  uint64_t *positives, uint64_t *negatives);
/* Hanley-McNeil standard deviation of an AUC; NaN if a class is missing. */
double metric_auc_sd(double auc, uint64_t positives, uint64_t negatives);

/* Impression-weighted mean AUC over groups (same group value = same group) having both classes.
 * *coverage = impressions in such groups / n. */
enum status metric_gauc(const float *score, const uint8_t *label, const uint64_t *group, size_t n,
                        double *gauc, double *coverage);
enum status metric_gauc_f64(const double *score, const uint8_t *label, const uint64_t *group,
                            size_t n, double *gauc, double *coverage);

/* Running AUC by bins uniform in logit over [-16,16]; mergeable by addition. |error| is at most
 * sum P_k N_k / (2 P N), which metric_bins_auc also gives. A NaN logit is not counted. */
#define METRIC_BINS 4096
struct metric_bins {
    uint32_t positive[METRIC_BINS];
    uint32_t negative[METRIC_BINS];
};
void metric_bins_add(struct metric_bins *b, float logit, int label);
void metric_bins_merge(struct metric_bins *into, const struct metric_bins *from);
double metric_bins_auc(const struct metric_bins *b, double *error_bound);

/* One scored impression, as workers send and tools collect them. */
struct score {
    uint64_t impression_id;
    uint64_t user;      /* group of GAUC */
    float a, b;         /* logits of p_ctr and p_cvr */
    uint8_t labels;     /* LABEL_CLICK, LABEL_CONVERSION */
};
struct evaluation {
    uint64_t impressions, clicks, conversions;
    double auc_ctr, auc_cvr_clicked, auc_ctcvr;
    double auc_ctr_sd, auc_cvr_clicked_sd, auc_ctcvr_sd;
    double gauc_ctr, gauc_ctcvr, gauc_ctr_coverage, gauc_ctcvr_coverage;
    double logloss_ctr, logloss_cvr_clicked, logloss_ctcvr;
    double pcoc_ctr, pcoc_cvr_clicked, pcoc_ctcvr; /* sum of predictions / sum of labels */
    /* with a truth file: over the entire space, against the true p(conversion | click) */
    int has_truth;
    double auc_cvr_entire;      /* soft labels */
    double auc_cvr_entire_best; /* of the truth itself: the ceiling */
    double ratio_cvr_entire;    /* mean predicted / mean true */
};
/* truth_cvr: NULL, or one true p_cvr per score. Log losses come from logits: finite for all. */
enum status evaluation_compute(struct evaluation *e, const struct score *scores, size_t n,
                               const float *truth_cvr);
struct json;
void evaluation_json(const struct evaluation *e, struct json *j); /* keys into an open object */
/* A table for people; populations and counts beside each figure. */
struct buf;
enum status evaluation_table(const struct evaluation *e, struct buf *out);

/* log(1+e^x), stable. p_ctcvr as a logit: a + b - log(1+e^a+e^b), algorithm.md section 3. */
double softplus(double x);
double ctcvr_logit(double a, double b);

#endif
