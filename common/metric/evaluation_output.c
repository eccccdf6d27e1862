/* evaluation_output.c - writes an evaluation as JSON and as tables for people.
 *
 * "AUC of CVR" has three meanings in the literature. So every figure is shown with its population,
 * the size of the population, its positives, and what counts as a positive.
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

/* Keys are FIGURE_TASK; each figure is there for all tasks, one after the other. */
enum { CTR, CVR, CTCVR, TASKS };
static const char *const task_keys[TASKS] = {"ctr", "cvr_clicked", "ctcvr"};

static const struct task_figures *figures_of(const struct evaluation *e, size_t task) {
    const struct task_figures *const all[TASKS] = {&e->ctr, &e->cvr_clicked, &e->ctcvr};
    return all[task];
}

/* Figures that are one number per task. */
#define FIGURE(figure) #figure, offsetof(struct task_figures, figure)
static const struct number {
    const char *key;
    size_t at;
    const char *title; /* in the table; NULL: it has a line of another form */
} numbers[] = {{FIGURE(pr_auc), NULL},        {FIGURE(logloss), "log loss"},
               {FIGURE(ne), "norm. entropy"}, {FIGURE(pcoc), "predicted/seen"},
               {FIGURE(ece), NULL},           {FIGURE(ece_max), NULL}};
#define NUMBERS (sizeof numbers / sizeof *numbers)

static double number_of(const struct task_figures *f, const struct number *n) {
    return *(const double *)(const void *)((const char *)f + n->at);
}

static const char *task_key(char out[64], const char *figure, size_t task, const char *more) {
    snprintf(out, 64, "%s_%s%s", figure, task_keys[task], more);
    return out;
}

static void ranking_keys(const struct evaluation *e, struct json *j) {
    char key[64];
    for (size_t t = 0; t < TASKS; t++) {
        const struct task_figures *f = figures_of(e, t);
        json_f64(j, task_key(key, "auc", t, ""), f->auc);
        json_f64(j, task_key(key, "auc", t, "_sd"), f->auc_sd);
        interval_keys(j, task_key(key, "auc", t, "_95"), &f->auc_95);
    }
    for (size_t t = CTR; t <= CTCVR; t += CTCVR) {
        json_f64(j, task_key(key, "gauc", t, ""), figures_of(e, t)->gauc);
        json_f64(j, task_key(key, "gauc", t, "_coverage"), figures_of(e, t)->gauc_coverage);
    }
}

static void number_keys(const struct evaluation *e, struct json *j) {
    char key[64];
    for (size_t k = 0; k < NUMBERS * TASKS; k++) {
        const struct number *n = &numbers[k / TASKS];
        json_f64(j, task_key(key, n->key, k % TASKS, ""), number_of(figures_of(e, k % TASKS), n));
    }
    for (size_t t = 0; t < TASKS; t++) {
        reliability_key(j, task_key(key, "reliability", t, ""), &figures_of(e, t)->reliability,
                        e->weighted);
    }
}

#define F64(key)      json_f64(j, #key, e->key)
#define INTERVAL(key) interval_keys(j, #key, &e->key)

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
    number_keys(e, j);
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

/* A task and its population: name, size, and what counts as a positive; weighted: the sums of
 * weights. positives: NaN where they are not known. */
struct population {
    const char *task, *name, *label;
    double n, positives;
    const struct task_figures *figures;
};

static void populations_of(const struct evaluation *e, struct population p[TASKS]) {
    const double conversions = e->unlabelled ? NAN : e->weight_conversions;
    p[CTR] = (struct population){"ctr", "all", "click", e->weight, e->weight_clicks, &e->ctr};
    p[CVR] = (struct population){"cvr",       "clicked",      "conversion", e->weight_clicks,
                                 conversions, &e->cvr_clicked};
    p[CTCVR] = (struct population){"ctcvr",   "all",       "click and conversion",
                                   e->weight, conversions, &e->ctcvr};
}

/* Writes the value in the format, or "undefined". */
static const char *shown(char *text, size_t bytes, const char *format, double value) {
    snprintf(text, bytes, isnan(value) ? "undefined" : format, value);
    return text;
}

static const char *positives_shown(char *text, size_t bytes, const struct population *p) {
    snprintf(text, bytes, isnan(p->positives) ? "unknown" : "%.0f", p->positives);
    return text;
}

/* Appends a line; `note`, which may be empty, follows the value. */
static enum status line(struct buf *out, const char *metric, const struct population *p,
                        double value, const char *note) {
    char name[64], text[32], positives[32];
    snprintf(name, sizeof name, "%s %s", metric, p->task);
    return buf_printf(out, "%-20s %-10s %10.0f %10s  %-20s %9s%s%s\n", name, p->name, p->n,
                      positives_shown(positives, sizeof positives, p), p->label,
                      shown(text, sizeof text, "%.5f", value), note[0] != '\0' ? "  " : "", note);
}

/* If sd or the interval is NaN, it is not shown. */
static enum status auc_line(struct buf *out, const struct population *p, double auc, double sd,
                            const struct interval *i) {
    char note[96] = "";
    size_t at = 0;
    if (!isnan(i->low) && !isnan(auc)) {
        at = (size_t)snprintf(note, sizeof note, "95 %% %.5f - %.5f ", i->low, i->high);
    }
    if (!isnan(sd) && !isnan(auc)) {
        snprintf(note + at, sizeof note - at, "sd %.5f", sd);
    }
    return line(out, "auc", p, auc, note);
}

static enum status gauc_line(struct buf *out, const struct population *p) {
    const double coverage = p->figures->gauc_coverage;
    char note[32];
    snprintf(note, sizeof note, "coverage %.1f %%", isnan(coverage) ? 0.0 : 100.0 * coverage);
    return line(out, "gauc", p, p->figures->gauc, note);
}

static enum status pr_line(struct buf *out, const struct population *p) {
    char note[64] = "";
    if (p->n > 0 && !isnan(p->positives)) {
        snprintf(note, sizeof note, "base rate %.5f", p->positives / p->n);
    }
    return line(out, "pr auc", p, p->figures->pr_auc, note);
}

static enum status ece_line(struct buf *out, const struct population *p) {
    char note[64] = "";
    if (!isnan(p->figures->ece_max)) {
        snprintf(note, sizeof note, "largest of a bucket %.5f", p->figures->ece_max);
    }
    return line(out, "ece", p, p->figures->ece, note);
}

static enum status ranking_lines(struct buf *out, const struct evaluation *e,
                                 const struct population *p) {
    for (size_t t = 0; t < TASKS; t++) {
        const struct task_figures *f = p[t].figures;
        TRY(auc_line(out, &p[t], f->auc, f->auc_sd, &f->auc_95));
    }
    if (e->has_reference) {
        struct population common = p[CTCVR];
        common.task = "ctcvr, ref. ctr";
        TRY(auc_line(out, &common, e->auc_ctcvr_reference, NAN, &e->auc_ctcvr_reference_95));
    }
    TRY(gauc_line(out, &p[CTR]));
    TRY(gauc_line(out, &p[CTCVR]));
    for (size_t t = 0; t < TASKS; t++) {
        TRY(pr_line(out, &p[t]));
    }
    return OK;
}

static enum status loss_lines(struct buf *out, const struct population *p) {
    for (size_t k = 0; k < NUMBERS * TASKS; k++) {
        const struct number *n = &numbers[k / TASKS];
        const struct population *of = &p[k % TASKS];
        TRY(n->title == NULL ? OK : line(out, n->title, of, number_of(of->figures, n), ""));
    }
    for (size_t t = 0; t < TASKS; t++) {
        TRY(ece_line(out, &p[t]));
    }
    return OK;
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
    struct population p[TASKS];
    populations_of(e, p);
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
    TRY(ranking_lines(out, e, p));
    TRY(loss_lines(out, p));
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

static enum status reliability_table(struct buf *out, const struct population *p) {
    const struct reliability *r = &p->figures->reliability;
    char positives[32];
    TRY(buf_printf(out, "\nreliability %s: %s, %.0f impressions, %s positives (%s)\n", p->task,
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
    struct population p[TASKS];
    populations_of(e, p);
    for (size_t t = 0; t < TASKS; t++) {
        TRY(reliability_table(out, &p[t]));
    }
    return OK;
}
