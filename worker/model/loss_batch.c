/* loss_batch.c - the loss of a batch, and the two scores that a model gives each impression. */
#include "loss_terms.h"

#include <float.h>
#include <string.h>

/* These models have other towers but the same loss. */
static bool is_esmm(enum model_name model) {
    return model == MODEL_ESMM || model == MODEL_ESMM_NS || model == MODEL_MMOE ||
           model == MODEL_PLE;
}

void loss_batch(const struct loss_spec *s, const struct loss_rows *rows, size_t n, float scale,
                float *const *dlogit, struct loss_sums *sums) {
    const uint32_t towers = loss_towers(s);
    double logit[TOWERS_MAX], d[TOWERS_MAX];
    struct loss_sums terms;
    if (rows->kind == NULL && is_esmm(s->model)) {
        for (uint32_t k = 2; k < towers; k++) {
            memset(dlogit[k], 0, n * sizeof *dlogit[k]); /* heads learn nothing from a log */
        }
        loss_esmm(rows->logit[0], rows->logit[1], rows->labels, rows->weight, n, s->w, scale,
                  dlogit[0], dlogit[1], sums);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < towers; k++) {
            logit[k] = (double)rows->logit[k][i];
        }
        loss_record(s, logit, rows, i, &terms, d);
        const double m = rows->weight == NULL ? 1.0 : (double)rows->weight[i];
        for (uint32_t k = 0; k < towers; k++) {
            dlogit[k][i] = (float)((double)scale * m * d[k]);
        }
        sums->ctr += m * terms.ctr;
        sums->ctcvr += m * terms.ctcvr;
        sums->total += m * terms.total;
    }
}

/* In models with more than two towers p_cvr comes from the second, or from all after the first. */
static double cvr_logit(const struct loss_spec *s, const float *const *logit, size_t i) {
    double x[TOWERS_MAX];
    for (uint32_t k = 0; k < loss_towers(s); k++) {
        x[k] = (double)logit[k][i];
    }
    return s->model == MODEL_ESM2 || s->model == MODEL_CHAIN ? loss_chain_cvr(s, x) : x[1];
}

/* p_ctr becomes that of a + shift, and p_cvr = p_ctcvr / p_ctr stays. Returns the logit of the new
 * p_ctcvr. That is below the old one, hence below 1; if rounding says otherwise, it is set just
 * below 1. */
static float shifted_ctcvr(double a, double b, double shift) {
    const double log_r = softplus(-a) - softplus(-(a + shift)) - softplus(-b);
    const double below = fmin(log_r, -DBL_EPSILON);
    return (float)(below - log(-expm1(below)));
}

static void shift_scores(const struct loss_spec *s, bool has_ctcvr, size_t n, float *a, float *b) {
    for (size_t i = 0; i < n; i++) {
        if (has_ctcvr) {
            b[i] = shifted_ctcvr((double)a[i], (double)b[i], (double)s->ctr_shift);
        }
        a[i] += s->ctr_shift;
    }
}

void loss_scores(const struct loss_spec *s, const float *const *logit, size_t n, float *a,
                 float *b) {
    const struct method *method = method_of(s->model);
    const uint32_t towers = loss_towers(s);
    const float *cvr = method->has_cvr && towers <= 2 ? logit[towers - 1] : NULL;
    for (size_t i = 0; i < n; i++) {
        a[i] = method->has_ctr ? logit[0][i] : 0.0f;
        b[i] = cvr != NULL ? cvr[i] : towers > 2 ? (float)cvr_logit(s, logit, i) : 0.0f;
    }
    if (s->ctr_shift != 0.0f && method->has_ctr) {
        const bool quotient = s->model == MODEL_DIVISION || s->model == MODEL_AITM;
        shift_scores(s, quotient, n, a, b);
    }
}
