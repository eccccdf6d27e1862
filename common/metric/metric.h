/* metric.h - what is measured about predictions; sources in docs/metrics.md.
 *
 * Populations are named at the call: CTR on all impressions, CVR on clicked ones, CTCVR on all.
 * A metric whose population lacks a class is NaN ("undefined"), never 0.5.
 */
#ifndef COMMON_METRIC_METRIC_H
#define COMMON_METRIC_METRIC_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "common/base/logit.h"
#include "common/base/status.h"

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
/* Hanley-McNeil standard deviation of an AUC of so many rows of each class; NaN if one is missing.
 */
double metric_auc_sd(double auc, double positives, double negatives);

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
    uint64_t user;  /* group of GAUC and of the bootstrap */
    float a, b;     /* logit of p_ctr; and of what the model's form says */
    uint8_t labels; /* LABEL_CLICK, LABEL_CONVERSION */
    float weight;   /* what it counts in weighted figures; 1 where the data say nothing */
};
/* What the second number of a score says. */
enum score_form {
    SCORE_CVR,   /* b = logit of p_cvr; p_ctcvr = p_ctr p_cvr */
    SCORE_CTCVR, /* b = logit of p_ctcvr (division, aitm): p_cvr = p_ctcvr / p_ctr may exceed 1; it
                    is ranked by its logarithm unclipped, clipped to [0,1] for log loss and
                        calibration only */
    SCORE_CTR_ALONE, /* a model without p_cvr: b says nothing */
    SCORE_CVR_ALONE  /* one without p_ctr (base): a says nothing, b as with SCORE_CVR */
};
struct config;
enum score_form score_form_of(const struct config *c);
/* What ranks each task. NaN where the model does not predict it: a constant has the AUC 0.5. */
struct score_ranks {
    double ctr;   /* logit */
    double cvr;   /* logit; with SCORE_CTCVR the logarithm of p_cvr */
    double ctcvr; /* logit */
};
struct score_ranks score_ranks(float a, float b, enum score_form form);
/* The three probabilities of a score, NaN where not predicted; cvr may exceed 1 with SCORE_CTCVR,
 * but is finite. */
struct score_rates {
    double ctr, cvr, ctcvr;
};
struct score_rates score_rates(const struct score *s, enum score_form form);

struct interval {
    double low, high; /* NaN where not computed or undefined */
};
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

struct evaluation_spec {
    enum score_form form;
    const float *truth_cvr;     /* NULL, or one true p(conversion | click) per score */
    const float *reference_ctr; /* NULL, or the logit of p_ctr by one common CTR net, per score: the
                                   paper's CTCVR protocol */
    uint32_t resamples;         /* bootstrap over groups (score.user); 0: no intervals */
    uint64_t seed;              /* of the bootstrap */
    bool weighted;              /* each impression counts score.weight, else 1 */
};
struct evaluation {
    uint64_t impressions, clicks, conversions;
    bool weighted;
    double weight, weight_clicks,
        weight_conversions; /* what they count together; unweighted: the same */
    double auc_ctr, auc_cvr_clicked, auc_ctcvr;
    double auc_ctr_sd, auc_cvr_clicked_sd, auc_ctcvr_sd;
    double gauc_ctr, gauc_ctcvr, gauc_ctr_coverage, gauc_ctcvr_coverage;
    double pr_auc_ctr, pr_auc_cvr_clicked, pr_auc_ctcvr; /* the base rate is the baseline */
    double logloss_ctr, logloss_cvr_clicked, logloss_ctcvr;
    double ne_ctr, ne_cvr_clicked, ne_ctcvr;       /* log loss / entropy of the base rate */
    double pcoc_ctr, pcoc_cvr_clicked, pcoc_ctcvr; /* sum of predictions / sum of labels */
    double ece_ctr, ece_cvr_clicked, ece_ctcvr;    /* mean gap of the buckets, by their n */
    double ece_max_ctr, ece_max_cvr_clicked, ece_max_ctcvr; /* largest gap */
    struct reliability reliability_ctr, reliability_cvr_clicked, reliability_ctcvr;
    /* with a reference net: p_ctr of the reference times p_cvr, all impressions */
    int has_reference;
    double auc_ctcvr_reference;
    /* with a truth file: against the true p(conversion | click) */
    int has_truth;
    double auc_cvr_entire;      /* all impressions, soft labels */
    double auc_cvr_entire_best; /* of the truth itself: the ceiling */
    double ratio_cvr_entire;    /* mean predicted / mean true, all impressions */
    double ratio_cvr_clicked_truth, ratio_cvr_unclicked; /* of clicked, of unclicked ones */
    /* bootstrap over groups: the middle 95 % of the resamples' AUCs */
    uint32_t bootstrap_resamples; /* 0: none were asked for */
    uint64_t bootstrap_groups;
    struct interval auc_ctr_95, auc_cvr_clicked_95, auc_ctcvr_95;
    struct interval auc_cvr_entire_95, auc_ctcvr_reference_95;
};
/* Does one count other than 1? */
bool scores_weighted(const struct score *scores, size_t n);
/* Every figure of n scores. Undefined figures are NaN. Log losses come from logits: finite for all
 * finite ones. Memory meanwhile: 50 bytes a score, with a bootstrap up to 28 more, weighted up to
 * 16 more. Time of a bootstrap: resamples * figures * n row visits. ERR_MEMORY; ERR_LIMIT: more
 * than 2^30 groups. */
enum status evaluation_compute(struct evaluation *e, const struct score *scores, size_t n,
                               const struct evaluation_spec *spec);
/* The same with each impression counting 1 and, where one counts other than that, by weight too;
 * spec's `weighted` does not matter. e[2]; *count: how many there are. */
enum status evaluations_compute(struct evaluation *e, uint32_t *count, const struct score *scores,
                                size_t n, const struct evaluation_spec *spec);
struct json;
void evaluation_json(const struct evaluation *e, struct json *j); /* keys into an open object */
/* The first of e[count] likewise, a second in an object "with_weights". */
void evaluations_json(const struct evaluation *e, uint32_t count, struct json *j);
/* Logs a warning if one of these AUCs rounds to 1.00000: nothing real is told so well, so a field
 * is likely to hold the label. true: it did. */
bool evaluation_doubt(double auc_ctr, double auc_cvr, double auc_ctcvr);
/* Tables for people; populations and counts beside each figure. ERR_MEMORY. */
struct buf;
enum status evaluation_table(const struct evaluation *e, struct buf *out);
enum status evaluation_calibration(const struct evaluation *e, struct buf *out);
/* The reliability picture of the three tasks: one self-contained SVG document. ERR_MEMORY. */
enum status evaluation_picture(const struct evaluation *e, const char *title, struct buf *out);

#endif
