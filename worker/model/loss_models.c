/* loss_models.c - the losses of the models other than esmm, for one impression at a time, and the
 * choice between them.
 *
 * Each is a few lines over the same binary cross entropy from a logit (loss_terms.h).
 */
#include "loss_terms.h"

#include <string.h>

#include "common/base/rng.h"
#include "common/data/record.h"

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

/* How much a click counts: min(1, c / p), or randomly 1 with that probability, else 0. So a more
 * surprising click counts more. */
static double unbias_weight(const struct loss_spec *s, double logit_ctr, uint64_t impression_id) {
    const double share = fmin(1.0, (double)s->unbias_clip / sigmoid(logit_ctr));
    if (s->unbias == UNBIAS_WEIGHT) {
        return share;
    }
    return rng_unit(s->seed ^ STREAM_UNBIAS, impression_id, 0) < share ? 1.0 : 0.0;
}

/* aitm's max(r - p, 0), because a conversion is a click. With r = s(c), p = s(a) the difference is
 * s(c) s(-a) (1 - e^(a-c)), which loses no digits. Slopes times `weight` are added to d. */
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
    case MODEL_COUNT: return;
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
