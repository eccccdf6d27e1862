/* evaluation_output.c - an evaluation as JSON and as tables for people.
 *
 * The same word, "AUC of CVR", means three things in the field, so no figure stands without its
 * population, the population's size, its positives, and what counts as one.
 */
#include "evaluation.h"

#include <math.h>
#include <stdio.h>

#include "common/base/json.h"
#include "common/base/log.h"

/* --- JSON ------------------------------------------------------------------------------------- */

static void interval_keys(struct json *j, const char *key, const struct interval *i) {
    char name[64];
    snprintf(name, sizeof name, "%s_low", key);
    json_f64(j, name, i->low);
    snprintf(name, sizeof name, "%s_high", key);
    json_f64(j, name, i->high);
}

static void reliability_key(struct json *j, const char *key, const struct reliability *r,
                            bool weighted) {
    json_open(j, key, '[');
    for (uint32_t k = 0; k < r->buckets; k++) {
        json_open(j, NULL, '{');
        json_f64(j, "predicted", r->bucket[k].predicted);
        json_f64(j, "observed", r->bucket[k].observed);
        json_u64(j, "n", r->bucket[k].n);
        if (weighted) {
            json_f64(j, "weight", r->bucket[k].weight);
        }
        json_close(j);
    }
    json_close(j);
}

#define F64(key)      json_f64(j, #key, e->key)
#define INTERVAL(key) interval_keys(j, #key, &e->key)

static void ranking_keys(const struct evaluation *e, struct json *j) {
    F64(auc_ctr);
    F64(auc_ctr_sd);
    INTERVAL(auc_ctr_95);
    F64(auc_cvr_clicked);
    F64(auc_cvr_clicked_sd);
    INTERVAL(auc_cvr_clicked_95);
    F64(auc_ctcvr);
    F64(auc_ctcvr_sd);
    INTERVAL(auc_ctcvr_95);
    F64(gauc_ctr);
    F64(gauc_ctr_coverage);
    F64(gauc_ctcvr);
    F64(gauc_ctcvr_coverage);
    F64(pr_auc_ctr);
    F64(pr_auc_cvr_clicked);
    F64(pr_auc_ctcvr);
}

static void calibration_keys(const struct evaluation *e, struct json *j) {
    F64(logloss_ctr);
    F64(logloss_cvr_clicked);
    F64(logloss_ctcvr);
    F64(ne_ctr);
    F64(ne_cvr_clicked);
    F64(ne_ctcvr);
    F64(pcoc_ctr);
    F64(pcoc_cvr_clicked);
    F64(pcoc_ctcvr);
    F64(ece_ctr);
    F64(ece_cvr_clicked);
    F64(ece_ctcvr);
    F64(ece_max_ctr);
    F64(ece_max_cvr_clicked);
    F64(ece_max_ctcvr);
    reliability_key(j, "reliability_ctr", &e->reliability_ctr, e->weighted);
    reliability_key(j, "reliability_cvr_clicked", &e->reliability_cvr_clicked, e->weighted);
    reliability_key(j, "reliability_ctcvr", &e->reliability_ctcvr, e->weighted);
}

void evaluation_json(const struct evaluation *e, struct json *j) {
    json_u64(j, "impressions", e->impressions);
    json_u64(j, "clicks", e->clicks);
    if (e->unlabelled) {
        json_f64(j, "conversions", NAN);
    } else {
        json_u64(j, "conversions", e->conversions);
    }
    json_bool(j, "weighted", e->weighted);
    if (e->weighted) {
        F64(weight);
        F64(weight_clicks);
        F64(weight_conversions);
    }
    ranking_keys(e, j);
    calibration_keys(e, j);
    if (e->has_reference) {
        F64(auc_ctcvr_reference);
        INTERVAL(auc_ctcvr_reference_95);
    }
    if (e->has_truth) {
        F64(auc_cvr_entire);
        INTERVAL(auc_cvr_entire_95);
        F64(auc_cvr_entire_best);
        F64(ratio_cvr_entire);
        F64(ratio_cvr_clicked_truth);
        F64(ratio_cvr_unclicked);
    }
    json_u64(j, "bootstrap_resamples", e->bootstrap_resamples);
    json_u64(j, "bootstrap_groups", e->bootstrap_groups);
}

void evaluations_json(const struct evaluation *e, uint32_t count, struct json *j) {
    evaluation_json(&e[0], j);
    if (count > 1) {
        json_open(j, "with_weights", '{');
        evaluation_json(&e[1], j);
        json_close(j);
    }
}

/* --- the table -------------------------------------------------------------------------------- */

/* A population: its name, size, and what counts as a positive; weighted: the sums of weights.
 * positives: NaN where they are not known. */
struct population {
    const char *name, *label;
    double n, positives;
};

struct populations {
    struct population ctr, cvr, ctcvr;
};

static struct populations populations_of(const struct evaluation *e) {
    const double conversions = e->unlabelled ? NAN : e->weight_conversions;
    return (struct populations){.ctr = {"all", "click", e->weight, e->weight_clicks},
                                .cvr = {"clicked", "conversion", e->weight_clicks, conversions},
                                .ctcvr = {"all", "click and conversion", e->weight, conversions}};
}

/* "undefined", or the value after the format. */
static const char *shown(char *text, size_t bytes, const char *format, double value) {
    snprintf(text, bytes, isnan(value) ? "undefined" : format, value);
    return text;
}

static const char *positives_shown(char *text, size_t bytes, const struct population *p) {
    snprintf(text, bytes, isnan(p->positives) ? "unknown" : "%.0f", p->positives);
    return text;
}

/* A line, `note` (may be empty) behind its value. */
static enum status line(struct buf *out, const char *metric, const struct population *p,
                        double value, const char *note) {
    char text[32], positives[32];
    return buf_printf(out, "%-20s %-10s %10.0f %10s  %-20s %9s%s%s\n", metric, p->name, p->n,
                      positives_shown(positives, sizeof positives, p), p->label,
                      shown(text, sizeof text, "%.5f", value), note[0] != '\0' ? "  " : "", note);
}

/* sd: NaN, none is shown; interval: NaN, none is shown. */
static enum status auc_line(struct buf *out, const char *metric, const struct population *p,
                            double auc, double sd, const struct interval *i) {
    char note[96] = "";
    size_t at = 0;
    if (!isnan(i->low) && !isnan(auc)) {
        at = (size_t)snprintf(note, sizeof note, "95 %% %.5f - %.5f ", i->low, i->high);
    }
    if (!isnan(sd) && !isnan(auc)) {
        snprintf(note + at, sizeof note - at, "sd %.5f", sd);
    }
    return line(out, metric, p, auc, note);
}

static enum status gauc_line(struct buf *out, const char *metric, const struct population *p,
                             double value, double coverage) {
    char note[32];
    snprintf(note, sizeof note, "coverage %.1f %%", isnan(coverage) ? 0.0 : 100.0 * coverage);
    return line(out, metric, p, value, note);
}

static enum status pr_line(struct buf *out, const char *metric, const struct population *p,
                           double value) {
    char note[64] = "";
    if (p->n > 0 && !isnan(p->positives)) {
        snprintf(note, sizeof note, "base rate %.5f", p->positives / p->n);
    }
    return line(out, metric, p, value, note);
}

static enum status ece_line(struct buf *out, const char *metric, const struct population *p,
                            double value, double largest) {
    char note[64] = "";
    if (!isnan(largest)) {
        snprintf(note, sizeof note, "largest of a bucket %.5f", largest);
    }
    return line(out, metric, p, value, note);
}

static enum status ranking_lines(struct buf *out, const struct evaluation *e,
                                 const struct populations *p) {
    TRY(auc_line(out, "auc ctr", &p->ctr, e->auc_ctr, e->auc_ctr_sd, &e->auc_ctr_95));
    TRY(auc_line(out, "auc cvr", &p->cvr, e->auc_cvr_clicked, e->auc_cvr_clicked_sd,
                 &e->auc_cvr_clicked_95));
    TRY(auc_line(out, "auc ctcvr", &p->ctcvr, e->auc_ctcvr, e->auc_ctcvr_sd, &e->auc_ctcvr_95));
    if (e->has_reference) {
        TRY(auc_line(out, "auc ctcvr, ref. ctr", &p->ctcvr, e->auc_ctcvr_reference, NAN,
                     &e->auc_ctcvr_reference_95));
    }
    TRY(gauc_line(out, "gauc ctr", &p->ctr, e->gauc_ctr, e->gauc_ctr_coverage));
    TRY(gauc_line(out, "gauc ctcvr", &p->ctcvr, e->gauc_ctcvr, e->gauc_ctcvr_coverage));
    TRY(pr_line(out, "pr auc ctr", &p->ctr, e->pr_auc_ctr));
    TRY(pr_line(out, "pr auc cvr", &p->cvr, e->pr_auc_cvr_clicked));
    return pr_line(out, "pr auc ctcvr", &p->ctcvr, e->pr_auc_ctcvr);
}

static enum status loss_lines(struct buf *out, const struct evaluation *e,
                              const struct populations *p) {
    TRY(line(out, "log loss ctr", &p->ctr, e->logloss_ctr, ""));
    TRY(line(out, "log loss cvr", &p->cvr, e->logloss_cvr_clicked, ""));
    TRY(line(out, "log loss ctcvr", &p->ctcvr, e->logloss_ctcvr, ""));
    TRY(line(out, "norm. entropy ctr", &p->ctr, e->ne_ctr, ""));
    TRY(line(out, "norm. entropy cvr", &p->cvr, e->ne_cvr_clicked, ""));
    TRY(line(out, "norm. entropy ctcvr", &p->ctcvr, e->ne_ctcvr, ""));
    TRY(line(out, "predicted/seen ctr", &p->ctr, e->pcoc_ctr, ""));
    TRY(line(out, "predicted/seen cvr", &p->cvr, e->pcoc_cvr_clicked, ""));
    TRY(line(out, "predicted/seen ctcvr", &p->ctcvr, e->pcoc_ctcvr, ""));
    TRY(ece_line(out, "ece ctr", &p->ctr, e->ece_ctr, e->ece_max_ctr));
    TRY(ece_line(out, "ece cvr", &p->cvr, e->ece_cvr_clicked, e->ece_max_cvr_clicked));
    return ece_line(out, "ece ctcvr", &p->ctcvr, e->ece_ctcvr, e->ece_max_ctcvr);
}

static enum status truth_lines(struct buf *out, const struct evaluation *e) {
    char all[32], clicked[32], unclicked[32];
    TRY(buf_printf(out,
                   "\nCVR on the entire space: all %llu impressions, label: true p(conversion | "
                   "click)\n",
                   (unsigned long long)e->impressions));
    if (isnan(e->auc_cvr_entire)) {
        TRY(buf_printf(out, "  auc undefined\n"));
    } else {
        TRY(buf_printf(out, "  auc %.5f", e->auc_cvr_entire));
        if (!isnan(e->auc_cvr_entire_95.low)) {
            TRY(buf_printf(out, " (95 %% %.5f - %.5f)", e->auc_cvr_entire_95.low,
                           e->auc_cvr_entire_95.high));
        }
        TRY(buf_printf(out, ", of the truth itself %.5f\n", e->auc_cvr_entire_best));
    }
    return buf_printf(out,
                      "  mean predicted / mean true: all %s, the %llu clicked %s, the %llu "
                      "unclicked %s\n",
                      shown(all, sizeof all, "%.3f", e->ratio_cvr_entire),
                      (unsigned long long)e->clicks,
                      shown(clicked, sizeof clicked, "%.3f", e->ratio_cvr_clicked_truth),
                      (unsigned long long)(e->impressions - e->clicks),
                      shown(unclicked, sizeof unclicked, "%.3f", e->ratio_cvr_unclicked));
}

bool evaluation_doubt(double auc_ctr, double auc_cvr, double auc_ctcvr) {
    const double perfect = 0.999995;
    const char *what = auc_ctr >= perfect     ? "ctr"
                       : auc_cvr >= perfect   ? "cvr"
                       : auc_ctcvr >= perfect ? "ctcvr"
                                              : NULL;
    if (what != NULL) {
        log_warn(
            "the AUC of %s is 1.00000: does a field tell the label? What is known only after the "
            "click or the conversion is no field",
            what);
    }
    return what != NULL;
}

enum status evaluation_table(const struct evaluation *e, struct buf *out) {
    const struct populations p = populations_of(e);
    if (e->weighted) {
        TRY(buf_printf(out, "by weight: %llu impressions count %.6g, %llu clicks %.6g, ",
                       (unsigned long long)e->impressions, e->weight, (unsigned long long)e->clicks,
                       e->weight_clicks));
        TRY(e->unlabelled ? buf_printf(out, "conversions are unknown")
                          : buf_printf(out, "%llu conversions %.6g",
                                       (unsigned long long)e->conversions, e->weight_conversions));
        TRY(buf_printf(out, "; n and positives are such sums\n"));
    }
    TRY(buf_printf(out, "%-20s %-10s %10s %10s  %-20s %9s\n", "metric", "population", "n",
                   "positives", "label", "value"));
    TRY(ranking_lines(out, e, &p));
    TRY(loss_lines(out, e, &p));
    if (e->has_truth) {
        TRY(truth_lines(out, e));
    }
    if (e->bootstrap_resamples > 0) {
        TRY(buf_printf(out, "\n95 %%: %u bootstrap resamples of %llu groups%s\n",
                       e->bootstrap_resamples, (unsigned long long)e->bootstrap_groups,
                       e->bootstrap_groups < 2 ? ": too few for intervals" : ""));
    }
    return OK;
}

/* --- the reliability tables ------------------------------------------------------------------- */

static enum status reliability_table(struct buf *out, const char *task, const struct population *p,
                                     const struct reliability *r) {
    char positives[32];
    TRY(buf_printf(out, "\nreliability %s: %s, %.0f impressions, %s positives (%s)\n", task,
                   p->name, p->n, positives_shown(positives, sizeof positives, p), p->label));
    if (r->buckets == 0) {
        return buf_printf(out, "  undefined\n");
    }
    TRY(buf_printf(out, "  %6s %11s %13s %13s %13s\n", "bucket", "n", "predicted", "observed",
                   "difference"));
    for (uint32_t k = 0; k < r->buckets; k++) {
        const struct reliability_bucket *b = &r->bucket[k];
        TRY(buf_printf(out, "  %6u %11llu %13.4e %13.4e %+13.4e\n", k + 1, (unsigned long long)b->n,
                       b->predicted, b->observed, b->predicted - b->observed));
    }
    return OK;
}

enum status evaluation_calibration(const struct evaluation *e, struct buf *out) {
    const struct populations p = populations_of(e);
    TRY(reliability_table(out, "ctr", &p.ctr, &e->reliability_ctr));
    TRY(reliability_table(out, "cvr", &p.cvr, &e->reliability_cvr_clicked));
    return reliability_table(out, "ctcvr", &p.ctcvr, &e->reliability_ctcvr);
}
