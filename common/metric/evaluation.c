/* evaluation.c - computes all figures of one evaluation.
 *
 * Three populations, always named (docs/metrics.md): CTR is judged on all impressions by the click;
 * CVR on clicked impressions by the conversion; CTCVR on all impressions by click AND conversion. A
 * truth file adds a fourth one that no log can give: CVR on all impressions. The p_ctr of a
 * reference net adds a fifth one: CTCVR as in the table of the paper.
 *
 * Populations are judged one after another, so memory is needed for only one at a time. Its scores
 * and labels are sorted once, and every figure is one pass over that order. Only its strip for the
 * bootstrap is kept. The bootstrap runs at the end and draws once for all figures.
 *
 * CTCVR is ranked by the logit of p_ctr * p_cvr in double: two logits as floats keep more of the
 * order than their product as one float. Log losses are computed from logits, like the training
 * loss, so they are finite and not clipped.
 */
#include "evaluation.h"

#include <math.h>

#include "common/base/logit.h"
#include "common/base/mem.h"
#include "metric_auc.h"
#include "metric_bootstrap.h"
#include "metric_order.h"
#include "metric_pr.h"
#include "metric_sweep.h"
#include "common/data/record.h"

/* What is judged, and on which population. */
enum task { TASK_CTR, TASK_CVR_CLICKED, TASK_CTCVR, TASK_CVR_ENTIRE, TASK_REFERENCE };

struct work {
    const struct score *scores;
    size_t n;
    const struct evaluation_spec *spec;
    uint64_t *user;             /* [n] */
    struct bootstrap bootstrap; /* without resamples: empty */
};

static bool clicked(const struct score *s) {
    return (s->labels & LABEL_CLICK) != 0;
}

static bool converted(const struct score *s) { /* a conversion without a click is none */
    return clicked(s) && (s->labels & LABEL_CONVERSION) != 0;
}

static enum metric_scale cvr_scale(enum score_form form) {
    return form == SCORE_CTCVR ? SCALE_LOG : SCALE_LOGIT;
}

/* The p_ctr of the reference times a p_cvr of the given scale. The result is a logit, or the
 * logarithm of the product. */
static double reference_score(double ctr, double cvr, enum metric_scale scale) {
    return scale == SCALE_LOGIT ? ctcvr_logit(ctr, cvr) : cvr - softplus(-ctr);
}

static double score_of(const struct work *w, size_t i, enum task task) {
    enum score_form form = w->spec->form;
    const struct score_ranks r = score_ranks(w->scores[i].a, w->scores[i].b, form);
    switch (task) {
    case TASK_CTR: return r.ctr;
    case TASK_CTCVR: return r.ctcvr;
    case TASK_REFERENCE:
        return reference_score((double)w->spec->reference_ctr[i], r.cvr, cvr_scale(form));
    default: return r.cvr;
    }
}

/* --- one population --------------------------------------------------------------------------- */

struct population {
    double *score; /* [n] */
    enum metric_scale scale;
    uint8_t *label;
    float *weight; /* [n], or NULL: 1 each */
    uint32_t *row; /* [n] the impression of each, or NULL: all of them */
    size_t n;
    uint64_t positives;
    double all, positive; /* weights, of all and of the positives; unweighted n and positives */
    struct metric_order order;
};

static void population_fini(struct population *p) {
    mem_free(&p->score);
    mem_free(&p->label);
    mem_free(&p->weight);
    mem_free(&p->row);
    metric_order_fini(&p->order);
}

static size_t count_clicked(const struct work *w) {
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++) {
        n += clicked(&w->scores[i]);
    }
    return n;
}

/* Scores, labels and their order; safe to fini whatever it returns. */
static enum status population_init(struct population *p, const struct work *w, enum task task) {
    bool some = task == TASK_CVR_CLICKED, cvr = some || task == TASK_CVR_ENTIRE;
    size_t n = some ? count_clicked(w) : w->n, k = 0;
    *p = (struct population){.n = n, .scale = cvr ? cvr_scale(w->spec->form) : SCALE_LOGIT};
    TRY(mem_array(&p->score, n));
    TRY(mem_array(&p->label, n));
    if (w->spec->weighted) {
        TRY(mem_array(&p->weight, n));
    }
    if (some) {
        TRY(mem_array(&p->row, n));
    }
    for (size_t i = 0; i < w->n; i++) {
        const struct score *s = &w->scores[i];
        if (some && !clicked(s)) {
            continue;
        }
        p->score[k] = score_of(w, i, task);
        p->label[k] = task == TASK_CTR ? clicked(s) : converted(s);
        p->positives += p->label[k];
        if (p->weight != NULL) {
            p->weight[k] = s->weight;
        }
        const double counts = weight_at(p->weight, k);
        p->all += counts;
        p->positive += p->label[k] != 0 ? counts : 0.0;
        if (some) {
            p->row[k] = (uint32_t)i;
        }
        k++;
    }
    return metric_order_f64(&p->order, p->score, n);
}

static enum status resample(struct work *w, const struct population *p, const float *soft,
                            struct interval *out) {
    return w->spec->resamples == 0
               ? OK
               : bootstrap_add(&w->bootstrap, &p->order, p->row, soft != NULL ? NULL : p->label,
                               soft, p->weight, out);
}

/* --- the three tasks -------------------------------------------------------------------------- */

static double ratio(double over, double under) {
    return under > 0.0 ? over / under : NAN;
}

static void losses(const struct population *p, struct task_figures *f) {
    double loss = 0.0, predicted = 0.0;
    for (size_t i = 0; i < p->n; i++) {
        const double counts = weight_at(p->weight, i);
        loss += counts * metric_loss(p->score[i], p->scale, p->label[i] != 0);
        predicted += counts * metric_probability(p->score[i], p->scale);
    }
    f->logloss = ratio(loss, p->all);
    f->ne = metric_normalised_entropy(f->logloss, p->positive, p->all);
    f->pcoc = ratio(predicted, p->positive);
}

/* The effective number of rows: so many rows of equal weight carry as much information as these
 * rows of unequal weights. (sum w)^2 / sum w^2 (Kish 1965). */
static double effective(const struct population *p, bool positive) {
    double sum = 0.0, squares = 0.0;
    for (size_t i = 0; i < p->n; i++) {
        const double w = (p->label[i] != 0) == positive ? weight_at(p->weight, i) : 0.0;
        sum += w;
        squares += w * w;
    }
    return squares > 0.0 ? sum * sum / squares : 0.0;
}

static enum status judge_task(struct work *w, enum task task, struct task_figures *f,
                              uint64_t *positives, double *weight) {
    struct population p;
    enum status status;
    TRY_OUT(population_init(&p, w, task));
    *positives = p.positives;
    *weight = p.positive;
    f->auc = metric_order_auc(&p.order, p.label, p.weight);
    f->auc_sd = metric_auc_sd(f->auc, effective(&p, true), effective(&p, false));
    f->pr_auc = metric_order_pr_auc(&p.order, p.label, p.weight);
    losses(&p, f);
    metric_reliability(&p.order, p.score, p.scale, p.label, p.weight, &f->reliability, &f->ece,
                       &f->ece_max);
    TRY_OUT(resample(w, &p, NULL, &f->auc_95));
    if (task != TASK_CVR_CLICKED) { /* last, because it destroys the order */
        TRY_OUT(
            metric_order_gauc(&p.order, p.label, p.weight, w->user, &f->gauc, &f->gauc_coverage));
    }
out:
    population_fini(&p);
    return status;
}

static enum status judge_tasks(struct evaluation *e, struct work *w) {
    e->impressions = w->n;
    e->weighted = w->spec->weighted;
    e->unlabelled = w->spec->form == SCORE_CTR_UNLABELLED;
    for (size_t i = 0; i < w->n; i++) {
        e->weight += e->weighted ? (double)w->scores[i].weight : 1.0;
    }
    TRY(judge_task(w, TASK_CTR, &e->ctr, &e->clicks, &e->weight_clicks));
    TRY(judge_task(w, TASK_CVR_CLICKED, &e->cvr_clicked, &e->conversions, &e->weight_conversions));
    return judge_task(w, TASK_CTCVR, &e->ctcvr, &e->conversions, &e->weight_conversions);
}

/* --- what a log cannot tell ------------------------------------------------------------------- */

/* Mean predicted / mean true p_cvr, on all, on clicked and on unclicked impressions. */
static void truth_ratios(struct evaluation *e, const struct work *w, const struct population *p) {
    double predicted[2] = {0.0, 0.0}, expected[2] = {0.0, 0.0};
    for (size_t i = 0; i < w->n; i++) {
        bool part = clicked(&w->scores[i]);
        const double counts = weight_at(p->weight, i);
        predicted[part] += counts * metric_probability(p->score[i], p->scale);
        expected[part] += counts * (double)w->spec->truth_cvr[i];
    }
    e->ratio_cvr_entire = ratio(predicted[0] + predicted[1], expected[0] + expected[1]);
    e->ratio_cvr_unclicked = ratio(predicted[0], expected[0]);
    e->ratio_cvr_clicked_truth = ratio(predicted[1], expected[1]);
}

/* Judges CVR on all impressions, with the true probabilities as soft labels. */
static enum status judge_truth(struct evaluation *e, struct work *w) {
    const float *truth = w->spec->truth_cvr;
    struct population p;
    struct metric_order best = {0};
    enum status status;
    TRY_OUT(population_init(&p, w, TASK_CVR_ENTIRE));
    e->auc_cvr_entire = metric_order_auc_soft(&p.order, truth, p.weight);
    truth_ratios(e, w, &p);
    TRY_OUT(resample(w, &p, truth, &e->auc_cvr_entire_95));
    metric_order_fini(&p.order);
    TRY_OUT(metric_order_f32(&best, truth, w->n));
    e->auc_cvr_entire_best = metric_order_auc_soft(&best, truth, p.weight);
    e->has_truth = 1;
out:
    metric_order_fini(&best);
    population_fini(&p);
    return status;
}

static enum status judge_reference(struct evaluation *e, struct work *w) {
    struct population p;
    enum status status;
    TRY_OUT(population_init(&p, w, TASK_REFERENCE));
    e->auc_ctcvr_reference = metric_order_auc(&p.order, p.label, p.weight);
    e->has_reference = 1;
    TRY_OUT(resample(w, &p, NULL, &e->auc_ctcvr_reference_95));
out:
    population_fini(&p);
    return status;
}

/* --- all of it -------------------------------------------------------------------------------- */

static struct evaluation nothing_known(void) {
    const struct interval unknown = {NAN, NAN};
    return (struct evaluation){
        .auc_ctcvr_reference = NAN,
        .auc_cvr_entire = NAN,
        .auc_cvr_entire_best = NAN,
        .ratio_cvr_entire = NAN,
        .ratio_cvr_clicked_truth = NAN,
        .ratio_cvr_unclicked = NAN,
        .ctr.auc_95 = unknown,
        .cvr_clicked.auc_95 = unknown,
        .ctcvr.auc_95 = unknown,
        .auc_cvr_entire_95 = unknown,
        .auc_ctcvr_reference_95 = unknown,
    };
}

static enum status work_init(struct work *w, const struct score *scores, size_t n,
                             const struct evaluation_spec *spec) {
    *w = (struct work){.scores = scores, .n = n, .spec = spec};
    if (n > UINT32_MAX) {
        return fail(ERR_LIMIT, "%zu impressions to evaluate; at most %u at a time", n, UINT32_MAX);
    }
    TRY(mem_array(&w->user, n));
    for (size_t i = 0; i < n; i++) {
        w->user[i] = scores[i].user;
    }
    return spec->resamples == 0
               ? OK
               : bootstrap_init(&w->bootstrap, w->user, n, spec->resamples, spec->seed);
}

enum status evaluation_compute(struct evaluation *e, const struct score *scores, size_t n,
                               const struct evaluation_spec *spec) {
    struct work w;
    enum status status;
    *e = nothing_known();
    TRY_OUT(work_init(&w, scores, n, spec));
    TRY_OUT(judge_tasks(e, &w));
    if (spec->reference_ctr != NULL) {
        TRY_OUT(judge_reference(e, &w));
    }
    if (spec->truth_cvr != NULL) {
        TRY_OUT(judge_truth(e, &w));
    }
    if (spec->resamples > 0) {
        e->bootstrap_resamples = spec->resamples;
        e->bootstrap_groups = w.bootstrap.groups;
        bootstrap_run(&w.bootstrap);
    }
out:
    bootstrap_fini(&w.bootstrap);
    mem_free(&w.user);
    return status;
}

enum status evaluations_compute(struct evaluation *e, uint32_t *count, const struct score *scores,
                                size_t n, const struct evaluation_spec *spec) {
    struct evaluation_spec of = *spec;
    *count = 0;
    of.weighted = false;
    TRY(evaluation_compute(&e[0], scores, n, &of));
    *count = 1;
    if (scores_weighted(scores, n)) {
        of.weighted = true;
        TRY(evaluation_compute(&e[1], scores, n, &of));
        *count = 2;
    }
    return OK;
}
