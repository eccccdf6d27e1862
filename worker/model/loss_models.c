/* loss_models.c - the losses of the models other than esmm, one impression at a time, and the
 * choice.
 *
 * Each is a few lines over the same binary cross entropy from a logit (loss_terms.h).
 */
#include "loss_terms.h"

#include <float.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/data/shard.h"

#define STREAM_UNBIAS 0x756e626961730000u

struct loss_spec loss_spec_of(const struct config *c) {
    return (struct loss_spec){.model = c->model,
                              .w = c->ctcvr_weight,
                              .unbias = c->unbias,
                              .unbias_clip = c->unbias_clip,
                              .seed = c->seed,
                              .delay = c->delay,
                              .cvr_weight = c->cvr_weight,
                              .propensity_min = c->propensity_min,
                              .counterfactual_weight = c->counterfactual_weight,
                              .behaviours = c->behaviours,
                              .behaviour_weight = c->behaviour_weight,
                              .calibrator_weight = c->calibrator_weight};
}

float loss_shift_of(const struct config *c, double sample_rate) {
    return c->sample_correction == CORRECT_PREDICT ? (float)log(sample_rate) : 0.0f;
}

uint32_t loss_towers(const struct loss_spec *s) {
    return (s->model == MODEL_CHAIN ? 2 + s->behaviours : method_of(s->model)->towers) +
           method_heads(s->delay);
}

/* How much a click counts, the more surprising the more: min(1, c / p), or a coin that falls so. */
static double unbias_weight(const struct loss_spec *s, double logit_ctr, uint64_t impression_id) {
    const double share = fmin(1.0, (double)s->unbias_clip / sigmoid(logit_ctr));
    if (s->unbias == UNBIAS_WEIGHT) {
        return share;
    }
    return rng_unit(s->seed ^ STREAM_UNBIAS, impression_id, 0) < share ? 1.0 : 0.0;
}

/* aitm's max(r - p, 0), since a conversion is a click: with r = s(c), p = s(a) the difference is
 * s(c) s(-a) (1 - e^(a-c)), which cancels nowhere. Slopes times `weight` are added to d. */
static double calibrator(const double *logit, double weight, double *d) {
    const double a = logit[0], c = logit[1];
    if (!(c > a)) {
        return 0.0;
    }
    d[0] -= weight * sigmoid(a) * sigmoid(-a);
    d[1] += weight * sigmoid(c) * sigmoid(-c);
    return sigmoid(c) * sigmoid(-a) * -expm1(a - c);
}

void loss_one(const struct loss_spec *s, const double *logit, uint8_t labels,
              uint64_t impression_id, struct loss_sums *terms, double *dlogit) {
    const bool y = (labels & LABEL_CLICK) != 0, t = y && (labels & LABEL_CONVERSION) != 0;
    const double w = (double)s->w;
    double m = 1.0;
    *terms = (struct loss_sums){0};
    memset(dlogit, 0, loss_towers(s) * sizeof *dlogit);
    switch (s->model) {
    case MODEL_ESMM:
    case MODEL_ESMM_NS:
    case MODEL_MMOE:
    case MODEL_PLE:
        terms->ctr = softplus(y ? -logit[0] : logit[0]);
        loss_esmm_one(logit[0], logit[1], y, t, w, &terms->total, &dlogit[0], &dlogit[1]);
        terms->ctcvr = t ? softplus(-logit[0]) + softplus(-logit[1])
                         : softplus(ctcvr_logit(logit[0], logit[1]));
        break;
    case MODEL_UNBIAS:
        m = unbias_weight(s, logit[0], impression_id);
        /* fall through */
    case MODEL_SHARE:
        terms->ctr = loss_bce(logit[0], y, 1.0, &dlogit[0]);
        terms->ctcvr = y ? m * loss_bce(logit[1], t, w * m, &dlogit[1]) : 0.0;
        break;
    case MODEL_DIVISION:
        terms->ctr = loss_bce(logit[0], y, 1.0, &dlogit[0]);
        terms->ctcvr = loss_bce(logit[1], t, w, &dlogit[1]);
        break;
    case MODEL_AITM:
        m = (double)s->calibrator_weight;
        terms->ctr = loss_bce(logit[0], y, 1.0, &dlogit[0]);
        terms->ctcvr = loss_bce(logit[1], t, w, &dlogit[1]);
        terms->total = terms->ctr + w * terms->ctcvr + m * calibrator(logit, m, dlogit);
        return;
    case MODEL_CTR: terms->ctr = loss_bce(logit[0], y, 1.0, &dlogit[0]); break;
    case MODEL_BASE:
    case MODEL_AMAN:
    case MODEL_OVERSAMPLING: terms->ctcvr = loss_bce(logit[0], t, w, &dlogit[0]); break;
    case MODEL_ESCM2_IPS:
    case MODEL_ESCM2_DR:
    case MODEL_DCMT: loss_causal(s, logit, y, t, terms, dlogit); return;
    case MODEL_ESM2:
    case MODEL_CHAIN: loss_chain(s, logit, labels, terms, dlogit); return;
    }
    terms->total = terms->ctr + w * terms->ctcvr;
}

/* Other towers, the same loss. */
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
            memset(dlogit[k], 0, n * sizeof *dlogit[k]); /* a log teaches heads nothing */
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

/* Of models with more than two towers, p_cvr is that of the second or made of all after the first.
 */
static double cvr_logit(const struct loss_spec *s, const float *const *logit, size_t i) {
    double x[TOWERS_MAX];
    for (uint32_t k = 0; k < loss_towers(s); k++) {
        x[k] = (double)logit[k][i];
    }
    return s->model == MODEL_ESM2 || s->model == MODEL_CHAIN ? loss_chain_cvr(s, x) : x[1];
}

/* p_ctr becomes that of a + shift and p_cvr = p_ctcvr / p_ctr stays: the logit of what p_ctcvr
 * becomes. It is below the old one, hence below 1; where rounding says otherwise, just below. */
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
