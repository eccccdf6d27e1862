/* compare_json.c - writes the comparison as JSON: everything, unscaled, with the whole evaluation
 * of each run. */
#include "common/base/json.h"
#include "compare_result.h"

static void figures(const struct compare_result *r, struct json *j) {
    const struct evaluation *e = compare_counts(r);
    json_open(j, "figures", '[');
    for (size_t i = 0; i < compare_figure_count(r); i++) {
        const struct compare_figure *f = &compare_figures[i];
        json_open(j, NULL, '{');
        json_str(j, "key", f->key);
        json_str(j, "title", f->title);
        json_str(j, "population", f->population);
        json_u64(j, "n", f->n(e));
        if (f->positives != NULL) {
            json_u64(j, "positives", f->positives(e));
        }
        json_close(j);
    }
    json_close(j);
}

static void json_summary(const char *key, const struct compare_summary *s, bool interval,
                         struct json *j) {
    json_open(j, key, '{');
    json_u64(j, "seeds", s->seeds);
    json_f64(j, "mean", s->mean);
    json_f64(j, "sd", s->sd);
    if (interval) {
        json_f64(j, "low", s->interval.low);
        json_f64(j, "high", s->interval.high);
    }
    json_close(j);
}

static void summaries(const struct compare_result *r, size_t method, struct json *j) {
    json_open(j, "over_seeds", '{');
    for (size_t i = 0; i < compare_figure_count(r); i++) {
        const struct compare_summary s = compare_summarise(r, method, &compare_figures[i]);
        json_summary(compare_figures[i].key, &s, compare_figures[i].interval != 0, j);
    }
    json_close(j);
    json_open(j, "against_base", '{');
    for (size_t i = 0; i < compare_figure_count(r); i++) {
        const struct compare_summary s = compare_against_base(r, method, &compare_figures[i]);
        if (s.seeds > 0) {
            json_summary(compare_figures[i].key, &s, false, j);
        }
    }
    json_close(j);
}

static void paper(const struct compare_paper *p, struct json *j) {
    json_open(j, "paper", '{'); /* AUCs, not times 100, like everything else here */
    json_f64(j, "auc_cvr_clicked", p->cvr / 100);
    json_f64(j, "auc_cvr_clicked_sd", p->cvr_sd / 100);
    json_f64(j, "auc_ctcvr_reference", p->ctcvr / 100);
    json_f64(j, "auc_ctcvr_reference_sd", p->ctcvr_sd / 100);
    json_close(j);
}

static void json_method(const struct compare_result *r, size_t at, struct json *j) {
    const struct compare_method *m = &r->methods->method[at];
    json_open(j, NULL, '{');
    json_str(j, "method", m->label);
    json_str(j, "model", m->model);
    json_str(j, "variant", m->variant);
    paper(&m->paper, j);
    summaries(r, at, j);
    json_open(j, "runs", '[');
    for (size_t s = 0; s < r->seeds; s++) {
        const struct compare_cell *c = compare_cell_at(r, at, s);
        json_open(j, NULL, '{');
        json_u64(j, "seed", s + 1);
        json_f64(j, "trained_impressions", c->impressions);
        json_f64(j, "trained_seconds", c->seconds);
        json_str(j, "kernel", c->kernel);
        evaluation_json(&c->evaluation, j);
        json_close(j);
    }
    json_close(j);
    json_close(j);
}

enum status compare_json(const struct compare_result *r, struct buf *out) {
    struct json j;
    json_init(&j, out, true);
    json_open(&j, NULL, '{');
    json_str(&j, "data", r->data);
    json_str(&j, "eval", r->eval);
    if (r->truth != NULL) {
        json_str(&j, "truth", r->truth);
    }
    json_u64(&j, "seeds", r->seeds);
    json_u64(&j, "resamples", r->resamples);
    json_bool(&j, "weighted", compare_counts(r)->weighted);
    figures(r, &j);
    json_open(&j, "methods", '[');
    for (size_t m = 0; m < r->methods->count; m++) {
        json_method(r, m, &j);
    }
    json_close(&j);
    json_close(&j);
    return j.status != OK ? j.status : buf_printf(out, "\n");
}
