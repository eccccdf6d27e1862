/* evaluation.c - every figure of one evaluation, as numbers, as JSON and as a table for people.
 *
 * Three populations, always named (docs/metrics.md): CTR is judged on all impressions by the click;
 * CVR on clicked impressions by the conversion; CTCVR on all impressions by click AND conversion.
 * With a truth file there is a fourth that no log can offer: CVR on all impressions.
 *
 * CTCVR is ranked by the logit of p_ctr * p_cvr in double: two floats of logits hold more order
 * than one float of their product. Log losses are those of the training loss, from logits, so they
 * are finite and unclipped.
 */
#include "metric.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "json.h"
#include "mem.h"
#include "shard.h"

/* The columns the metrics want, taken apart from the scores. */
struct columns {
    float *a; /* CTR logit, all */
    float *b; /* CVR logit, all; and of clicked ones alone: */
    float *b_clicked;
    double *c;             /* CTCVR logit, all */
    uint8_t *click, *both; /* both: click and conversion */
    uint8_t *converted;    /* of clicked ones */
    uint64_t *user;
    size_t n, clicked;
};

static void columns_fini(struct columns *k) {
    mem_free(&k->a);
    mem_free(&k->b);
    mem_free(&k->b_clicked);
    mem_free(&k->c);
    mem_free(&k->click);
    mem_free(&k->both);
    mem_free(&k->converted);
    mem_free(&k->user);
}

static enum status columns_init(struct columns *k, const struct score *scores, size_t n) {
    *k = (struct columns){.n = n};
    TRY(mem_array((void **)&k->a, n, sizeof *k->a));
    TRY(mem_array((void **)&k->b, n, sizeof *k->b));
    TRY(mem_array((void **)&k->b_clicked, n, sizeof *k->b_clicked));
    TRY(mem_array((void **)&k->c, n, sizeof *k->c));
    TRY(mem_array((void **)&k->click, n, sizeof *k->click));
    TRY(mem_array((void **)&k->both, n, sizeof *k->both));
    TRY(mem_array((void **)&k->converted, n, sizeof *k->converted));
    TRY(mem_array((void **)&k->user, n, sizeof *k->user));
    for (size_t i = 0; i < n; i++) {
        const struct score *s = &scores[i];
        k->a[i] = s->a;
        k->b[i] = s->b;
        k->c[i] = ctcvr_logit((double)s->a, (double)s->b);
        k->click[i] = (s->labels & LABEL_CLICK) != 0;
        k->both[i] = k->click[i] && (s->labels & LABEL_CONVERSION) != 0;
        k->user[i] = s->user;
        if (k->click[i]) {
            k->b_clicked[k->clicked] = s->b;
            k->converted[k->clicked++] = k->both[i];
        }
    }
    return OK;
}

static double sigmoid(double x) {
    double e = exp(-fabs(x));
    return x >= 0.0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
}

/* Sums of one task: log loss, predictions, labels. */
struct sums {
    double loss, predicted, labels, n;
};

static void sums_add(struct sums *s, double logit, bool label) {
    s->loss += softplus(label ? -logit : logit);
    s->predicted += sigmoid(logit);
    s->labels += label;
    s->n += 1.0;
}

static double ratio(double over, double under) {
    return under > 0.0 ? over / under : NAN;
}

static void losses(struct evaluation *e, const struct columns *k) {
    struct sums ctr = {0}, cvr = {0}, ctcvr = {0};
    for (size_t i = 0; i < k->n; i++) {
        sums_add(&ctr, (double)k->a[i], k->click[i]);
        sums_add(&ctcvr, k->c[i], k->both[i]);
    }
    for (size_t i = 0; i < k->clicked; i++) {
        sums_add(&cvr, (double)k->b_clicked[i], k->converted[i]);
    }
    e->impressions = k->n;
    e->clicks = k->clicked;
    e->conversions = (uint64_t)ctcvr.labels;
    e->logloss_ctr = ratio(ctr.loss, ctr.n);
    e->logloss_cvr_clicked = ratio(cvr.loss, cvr.n);
    e->logloss_ctcvr = ratio(ctcvr.loss, ctcvr.n);
    e->pcoc_ctr = ratio(ctr.predicted, ctr.labels);
    e->pcoc_cvr_clicked = ratio(cvr.predicted, cvr.labels);
    e->pcoc_ctcvr = ratio(ctcvr.predicted, ctcvr.labels);
}

static enum status aucs(struct evaluation *e, const struct columns *k) {
    uint64_t p, n;
    TRY(metric_auc_labels(k->a, k->click, k->n, &e->auc_ctr, &p, &n));
    e->auc_ctr_sd = metric_auc_sd(e->auc_ctr, p, n);
    TRY(metric_auc_labels(k->b_clicked, k->converted, k->clicked, &e->auc_cvr_clicked, &p, &n));
    e->auc_cvr_clicked_sd = metric_auc_sd(e->auc_cvr_clicked, p, n);
    TRY(metric_auc_labels_f64(k->c, k->both, k->n, &e->auc_ctcvr, &p, &n));
    e->auc_ctcvr_sd = metric_auc_sd(e->auc_ctcvr, p, n);
    TRY(metric_gauc(k->a, k->click, k->user, k->n, &e->gauc_ctr, &e->gauc_ctr_coverage));
    return metric_gauc_f64(k->c, k->both, k->user, k->n, &e->gauc_ctcvr, &e->gauc_ctcvr_coverage);
}

/* CVR on the entire space against the true probability, as soft labels. */
static enum status truths(struct evaluation *e, const struct columns *k, const float *truth) {
    double *pos = NULL, *neg = NULL, predicted = 0.0, expected = 0.0;
    enum status status;
    TRY_OUT(mem_array((void **)&pos, k->n, sizeof *pos));
    TRY_OUT(mem_array((void **)&neg, k->n, sizeof *neg));
    for (size_t i = 0; i < k->n; i++) {
        pos[i] = (double)truth[i];
        neg[i] = 1.0 - (double)truth[i];
        predicted += sigmoid((double)k->b[i]);
        expected += (double)truth[i];
    }
    TRY_OUT(metric_auc(k->b, pos, neg, k->n, &e->auc_cvr_entire));
    TRY_OUT(metric_auc(truth, pos, neg, k->n, &e->auc_cvr_entire_best));
    e->ratio_cvr_entire = ratio(predicted, expected);
    e->has_truth = 1;
out:
    mem_free(&pos);
    mem_free(&neg);
    return status;
}

enum status evaluation_compute(struct evaluation *e, const struct score *scores, size_t n,
                               const float *truth_cvr) {
    struct columns k;
    enum status status;
    *e = (struct evaluation){
        .auc_cvr_entire = NAN, .auc_cvr_entire_best = NAN, .ratio_cvr_entire = NAN};
    TRY_OUT(columns_init(&k, scores, n));
    losses(e, &k);
    TRY_OUT(aucs(e, &k));
    if (truth_cvr != NULL) {
        TRY_OUT(truths(e, &k, truth_cvr));
    }
out:
    columns_fini(&k);
    return status;
}

/* --- output -------------------------------------------------------------------------------- */

void evaluation_json(const struct evaluation *e, struct json *j) {
    json_u64(j, "impressions", e->impressions);
    json_u64(j, "clicks", e->clicks);
    json_u64(j, "conversions", e->conversions);
    json_f64(j, "auc_ctr", e->auc_ctr);
    json_f64(j, "auc_ctr_sd", e->auc_ctr_sd);
    json_f64(j, "auc_cvr_clicked", e->auc_cvr_clicked);
    json_f64(j, "auc_cvr_clicked_sd", e->auc_cvr_clicked_sd);
    json_f64(j, "auc_ctcvr", e->auc_ctcvr);
    json_f64(j, "auc_ctcvr_sd", e->auc_ctcvr_sd);
    json_f64(j, "gauc_ctr", e->gauc_ctr);
    json_f64(j, "gauc_ctr_coverage", e->gauc_ctr_coverage);
    json_f64(j, "gauc_ctcvr", e->gauc_ctcvr);
    json_f64(j, "gauc_ctcvr_coverage", e->gauc_ctcvr_coverage);
    json_f64(j, "logloss_ctr", e->logloss_ctr);
    json_f64(j, "logloss_cvr_clicked", e->logloss_cvr_clicked);
    json_f64(j, "logloss_ctcvr", e->logloss_ctcvr);
    json_f64(j, "pcoc_ctr", e->pcoc_ctr);
    json_f64(j, "pcoc_cvr_clicked", e->pcoc_cvr_clicked);
    json_f64(j, "pcoc_ctcvr", e->pcoc_ctcvr);
    if (e->has_truth) {
        json_f64(j, "auc_cvr_entire", e->auc_cvr_entire);
        json_f64(j, "auc_cvr_entire_best", e->auc_cvr_entire_best);
        json_f64(j, "ratio_cvr_entire", e->ratio_cvr_entire);
    }
}

/* A population: its name, size, and what counts as a positive. */
struct population {
    const char *name, *label;
    uint64_t n, positives;
};

static enum status line(struct buf *out, const char *metric, const struct population *p,
                        double value, double spread) {
    char shown[32], plus_minus[32] = "";
    if (isnan(value)) {
        snprintf(shown, sizeof shown, "undefined");
    } else {
        snprintf(shown, sizeof shown, "%.5f", value);
    }
    if (!isnan(spread) && !isnan(value)) {
        snprintf(plus_minus, sizeof plus_minus, " sd %.5f", spread);
    }
    return buf_printf(out, "%-20s %-12s %12llu %12llu  %-22s %10s%s\n", metric, p->name,
                      (unsigned long long)p->n, (unsigned long long)p->positives, p->label, shown,
                      plus_minus);
}

static enum status gauc_line(struct buf *out, const char *metric, const struct population *p,
                             double value, double coverage) {
    TRY(line(out, metric, p, value, NAN));
    char name[40];
    snprintf(name, sizeof name, "  coverage %.1f %%", isnan(coverage) ? 0.0 : 100.0 * coverage);
    return buf_printf(out, "%-20s of the impressions are in groups with both classes\n", name);
}

static enum status truth_lines(struct buf *out, const struct evaluation *e) {
    TRY(buf_printf(out,
                   "\nCVR on the entire space: all %llu impressions, label: true p(conversion | "
                   "click)\n",
                   (unsigned long long)e->impressions));
    if (isnan(e->auc_cvr_entire)) {
        return buf_printf(out, "  auc undefined\n");
    }
    return buf_printf(out,
                      "  auc %.5f, of the truth itself %.5f; mean predicted / mean true %.3f\n",
                      e->auc_cvr_entire, e->auc_cvr_entire_best, e->ratio_cvr_entire);
}

enum status evaluation_table(const struct evaluation *e, struct buf *out) {
    struct population ctr = {"all", "click", e->impressions, e->clicks};
    struct population cvr = {"clicked", "conversion", e->clicks, e->conversions};
    struct population ctcvr = {"all", "click and conversion", e->impressions, e->conversions};
    TRY(buf_printf(out, "%-20s %-12s %12s %12s  %-22s %10s\n", "metric", "population", "n",
                   "positives", "label", "value"));
    TRY(line(out, "auc ctr", &ctr, e->auc_ctr, e->auc_ctr_sd));
    TRY(line(out, "auc cvr", &cvr, e->auc_cvr_clicked, e->auc_cvr_clicked_sd));
    TRY(line(out, "auc ctcvr", &ctcvr, e->auc_ctcvr, e->auc_ctcvr_sd));
    TRY(gauc_line(out, "gauc ctr", &ctr, e->gauc_ctr, e->gauc_ctr_coverage));
    TRY(gauc_line(out, "gauc ctcvr", &ctcvr, e->gauc_ctcvr, e->gauc_ctcvr_coverage));
    TRY(line(out, "log loss ctr", &ctr, e->logloss_ctr, NAN));
    TRY(line(out, "log loss cvr", &cvr, e->logloss_cvr_clicked, NAN));
    TRY(line(out, "log loss ctcvr", &ctcvr, e->logloss_ctcvr, NAN));
    TRY(line(out, "predicted/seen ctr", &ctr, e->pcoc_ctr, NAN));
    TRY(line(out, "predicted/seen cvr", &cvr, e->pcoc_cvr_clicked, NAN));
    TRY(line(out, "predicted/seen ctcvr", &ctcvr, e->pcoc_ctcvr, NAN));
    return e->has_truth ? truth_lines(out, e) : OK;
}
