/* evaluation.h - all figures of one evaluation; docs/metrics.md has their sources.
 *
 * Every figure names its population: CTR on all impressions, CVR on clicked ones, CTCVR on all. A
 * figure whose population lacks a class is NaN ("undefined"), never 0.5.
 */
#pragma once

#include "metric_bootstrap.h"
#include "metric_calibration.h"
#include "score.h"

struct evaluation_spec {
    enum score_form form;
    const float *truth_cvr;     /* NULL, or one true p(conversion | click) per score */
    const float *reference_ctr; /* NULL, or the logit of p_ctr by one common CTR net, per score: the
                                   paper's CTCVR protocol */
    uint32_t resamples;         /* bootstrap over groups (score.user); 0: no intervals */
    uint64_t seed;              /* of the bootstrap */
    bool weighted;              /* each impression counts score.weight, else 1 */
};
/* The figures of one task, on its population. */
struct task_figures {
    double auc, auc_sd;         /* sd: Hanley and McNeil's */
    struct interval auc_95;     /* bootstrap over groups: the middle 95 % of the resamples' AUCs */
    double gauc, gauc_coverage; /* of CTR and CTCVR */
    double pr_auc;              /* the base rate is the baseline */
    double logloss;
    double ne;           /* log loss / entropy of the base rate */
    double pcoc;         /* sum of predictions / sum of labels */
    double ece, ece_max; /* mean gap of the buckets, by their n; largest gap */
    struct reliability reliability;
};
struct evaluation {
    uint64_t impressions, clicks, conversions;
    bool unlabelled; /* SCORE_CTR_UNLABELLED: conversions are not known, so 0 here */
    bool weighted;
    /* Sums of weights; unweighted: the same as the counts. */
    double weight, weight_clicks, weight_conversions;
    struct task_figures ctr, cvr_clicked, ctcvr;
    /* with a reference net: p_ctr of the reference times p_cvr, all impressions */
    int has_reference;
    double auc_ctcvr_reference;
    struct interval auc_ctcvr_reference_95;
    /* with a truth file: against the true p(conversion | click) */
    int has_truth;
    double auc_cvr_entire; /* all impressions, soft labels */
    struct interval auc_cvr_entire_95;
    double auc_cvr_entire_best; /* of the truth itself: the ceiling */
    double ratio_cvr_entire;    /* mean predicted / mean true, all impressions */
    double ratio_cvr_clicked_truth, ratio_cvr_unclicked; /* of clicked, of unclicked ones */
    uint32_t bootstrap_resamples;                        /* 0: none were asked for */
    uint64_t bootstrap_groups;
};
/* Computes all figures of n scores. Undefined figures are NaN. Log losses are computed from logits,
 * so they are finite for all finite logits. It needs 50 bytes of memory per score, with a bootstrap
 * up to 28 more, weighted up to 16 more. A bootstrap takes resamples * figures * n row visits.
 * ERR_MEMORY; ERR_LIMIT: more than 2^30 groups. */
enum status evaluation_compute(struct evaluation *e, const struct score *scores, size_t n,
                               const struct evaluation_spec *spec);
/* Computes e[0] with every impression counting 1. If a weight is not 1, also computes e[1] by
 * weight. *count is the number of evaluations, 1 or 2. spec->weighted is ignored. */
enum status evaluations_compute(struct evaluation *e, uint32_t *count, const struct score *scores,
                                size_t n, const struct evaluation_spec *spec);
struct json;
void evaluation_json(const struct evaluation *e, struct json *j); /* keys into an open object */
/* Writes e[0] in the same way, and e[1], if there is one, in an object "with_weights". */
void evaluations_json(const struct evaluation *e, uint32_t count, struct json *j);
/* Logs a warning if one of these AUCs rounds to 1.00000: no real prediction is so good, so a field
 * probably holds the label. Returns true if it warned. */
bool evaluation_doubt(double auc_ctr, double auc_cvr, double auc_ctcvr);
/* Appends tables for people, with populations and counts beside each figure. ERR_MEMORY. */
struct buf;
enum status evaluation_table(const struct evaluation *e, struct buf *out);
enum status evaluation_calibration(const struct evaluation *e, struct buf *out);
/* Appends the reliability picture of the three tasks, one self-contained SVG document. ERR_MEMORY.
 */
enum status evaluation_picture(const struct evaluation *e, const char *title, struct buf *out);
