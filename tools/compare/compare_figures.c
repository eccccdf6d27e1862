/* compare_figures.c - the figures of a comparison, and their summary over seeds. */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "compare_result.h"

#define SEEDS_MAX 100

static uint64_t all(const struct evaluation *e) {
    return e->impressions;
}
static uint64_t clicks(const struct evaluation *e) {
    return e->clicks;
}
static uint64_t unclicked(const struct evaluation *e) {
    return e->impressions - e->clicks;
}
static uint64_t conversions(const struct evaluation *e) {
    return e->conversions;
}

#define AT(field) offsetof(struct evaluation, field)
const struct compare_figure compare_figures[COMPARE_FIGURES] = {
    {"auc_ctr", "CTR", "all", 100, NAN, AT(ctr.auc), AT(ctr.auc_95), all, clicks},
    {"auc_cvr_clicked", "CVR", "clicked", 100, NAN, AT(cvr_clicked.auc), AT(cvr_clicked.auc_95),
     clicks, conversions},
    {"auc_ctcvr", "CTCVR", "all, own CTR", 100, NAN, AT(ctcvr.auc), AT(ctcvr.auc_95), all,
     conversions},
    {"auc_ctcvr_reference", "CTCVR", "all, common CTR", 100, NAN, AT(auc_ctcvr_reference),
     AT(auc_ctcvr_reference_95), all, conversions},
    {"ne_cvr_clicked", "CVR norm. entropy", "clicked", 1, NAN, AT(cvr_clicked.ne), 0, clicks,
     conversions},
    {"pcoc_cvr_clicked", "CVR pred./observed", "clicked", 1, 1, AT(cvr_clicked.pcoc), 0, clicks,
     conversions},
    {"auc_cvr_entire", "CVR vs truth", "entire space", 100, NAN, AT(auc_cvr_entire),
     AT(auc_cvr_entire_95), all, NULL},
    {"ratio_cvr_entire", "predicted/true", "all", 1, 1, AT(ratio_cvr_entire), 0, all, NULL},
    {"ratio_cvr_clicked_truth", "predicted/true", "clicked", 1, 1, AT(ratio_cvr_clicked_truth), 0,
     clicks, NULL},
    {"ratio_cvr_unclicked", "predicted/true", "unclicked", 1, 1, AT(ratio_cvr_unclicked), 0,
     unclicked, NULL},
};

size_t compare_figure_count(const struct compare_result *r) {
    return r->truth != NULL ? COMPARE_FIGURES : COMPARE_FIGURES_LABELS;
}

const struct compare_cell *compare_cell_at(const struct compare_result *r, size_t method,
                                           size_t seed) {
    assert(method < r->methods->count && seed < r->seeds && r->seeds <= SEEDS_MAX);
    return &r->cells[method * r->seeds + seed];
}

const struct evaluation *compare_counts(const struct compare_result *r) {
    return &compare_cell_at(r, r->methods->count - 1, 0)->evaluation;
}

void compare_mean_sd(const double *x, size_t n, double *mean, double *sd, size_t *used) {
    double sum = 0, squares = 0;
    *used = 0;
    for (size_t i = 0; i < n; i++) {
        if (isfinite(x[i])) {
            sum += x[i];
            ++*used;
        }
    }
    *mean = *used > 0 ? sum / (double)*used : NAN;
    for (size_t i = 0; i < n; i++) {
        squares += isfinite(x[i]) ? (x[i] - *mean) * (x[i] - *mean) : 0;
    }
    *sd = *used > 1 ? sqrt(squares / (double)(*used - 1)) : NAN;
}

double compare_value(const struct compare_cell *c, const struct compare_figure *f) {
    double v;
    memcpy(&v, (const char *)&c->evaluation + f->value, sizeof v);
    return v;
}

static struct interval interval_of(const struct compare_cell *c, const struct compare_figure *f) {
    struct interval v = {NAN, NAN};
    if (f->interval != 0) {
        memcpy(&v, (const char *)&c->evaluation + f->interval, sizeof v);
    }
    return v;
}

struct compare_summary compare_summarise(const struct compare_result *r, size_t method,
                                         const struct compare_figure *f) {
    double x[SEEDS_MAX], low[SEEDS_MAX], high[SEEDS_MAX];
    struct compare_summary s;
    double unused;
    size_t count;
    for (size_t i = 0; i < r->seeds; i++) {
        const struct compare_cell *c = compare_cell_at(r, method, i);
        const struct interval v = interval_of(c, f);
        x[i] = compare_value(c, f);
        low[i] = r->resamples > 0 ? v.low : NAN;
        high[i] = r->resamples > 0 ? v.high : NAN;
    }
    compare_mean_sd(x, r->seeds, &s.mean, &s.sd, &s.seeds);
    compare_mean_sd(low, r->seeds, &s.interval.low, &unused, &count);
    compare_mean_sd(high, r->seeds, &s.interval.high, &unused, &count);
    return s;
}

struct compare_summary compare_against_base(const struct compare_result *r, size_t method,
                                            const struct compare_figure *f) {
    struct compare_summary s = {0, NAN, NAN, {NAN, NAN}};
    double x[SEEDS_MAX];
    size_t base = 0;
    while (base < r->methods->count && strcmp(r->methods->method[base].label, "base") != 0) {
        base++;
    }
    if (base == r->methods->count || base == method) {
        return s;
    }
    for (size_t i = 0; i < r->seeds; i++) {
        x[i] = compare_value(compare_cell_at(r, method, i), f) -
               compare_value(compare_cell_at(r, base, i), f);
    }
    compare_mean_sd(x, r->seeds, &s.mean, &s.sd, &s.seeds);
    return s;
}

void compare_print(const struct compare_summary *s, double scale, char *out, size_t bytes) {
    if (!isfinite(s->mean)) {
        snprintf(out, bytes, "-");
    } else if (!isfinite(s->sd)) {
        snprintf(out, bytes, "%.2f", s->mean * scale);
    } else {
        snprintf(out, bytes, "%.2f ± %.2f", s->mean * scale, s->sd * scale);
    }
}
