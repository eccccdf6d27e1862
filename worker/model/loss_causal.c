/* loss_causal.c - models that weigh clicked impressions by 1 / p_ctr, so that a CVR trained on
 * clicks is valid for all impressions: ESCM2 (Wang et al., SIGIR 2022) and DCMT (Zhu et al., ICDE
 * 2023).
 *
 * The formulas are in loss.h. Three points follow the papers and are easy to get wrong. No gradient
 * goes through the weights: otherwise the CTR tower would learn to make the CVR loss small. The
 * weights 1 / max(p, propensity_min) are bounded: one surprising click must not outweigh the batch.
 * And DCMT normalises the weights by their own sum over the batch, which loss_totals collects
 * beforehand.
 *
 * The imputed error of escm2-dr is softplus of a third tower's logit, because it stands for a cross
 * entropy, which is positive and unbounded. Its gradient goes through both terms, and so does that
 * of q.
 */
#include "loss_terms.h"

#include "common/data/record.h"

static double weight_of(const struct loss_spec *s, double probability) {
    return 1.0 / fmax(probability, (double)s->propensity_min);
}

/* With the error e = BCE(z, q): d + y (e - d) / p + y (e - d)^2 / p. */
static double doubly_robust(const struct loss_spec *s, const double *logit, bool y, bool t,
                            double *dlogit) {
    const double factor = (double)s->cvr_weight, imputed = softplus(logit[2]);
    const double slope_imputed = sigmoid(logit[2]);
    if (!y) {
        dlogit[2] += factor * slope_imputed;
        return imputed;
    }
    const double m = weight_of(s, sigmoid(logit[0]));
    double de = 0.0;
    const double gap = loss_bce(logit[1], t, 1.0, &de) - imputed;
    const double dgap = m * (1.0 + 2.0 * gap);
    dlogit[1] += factor * dgap * de;
    dlogit[2] += factor * (1.0 - dgap) * slope_imputed;
    return imputed + m * gap + m * gap * gap;
}

/* Self-normalised: clicked impressions train q; the others train q*, as if they had converted. A
 * third term keeps q + q* near 1. */
static double counterfactual(const struct loss_spec *s, const double *logit, bool y, bool t,
                             double *dlogit) {
    const double factor = (double)s->cvr_weight, agree = (double)s->counterfactual_weight;
    const double m = y ? s->norm.clicked * weight_of(s, sigmoid(logit[0]))
                       : s->norm.unclicked * weight_of(s, sigmoid(-logit[0]));
    const double fit = y ? loss_bce(logit[1], t, factor * m, &dlogit[1])
                         : loss_bce(logit[2], true, factor * m, &dlogit[2]);
    const double q = sigmoid(logit[1]), counter = sigmoid(logit[2]);
    const double off = sigmoid(-logit[1]) - counter; /* 1 - (q + q*) */
    const double sign = (double)((off > 0.0) - (off < 0.0));
    dlogit[1] -= factor * agree * sign * q * sigmoid(-logit[1]);
    dlogit[2] -= factor * agree * sign * counter * sigmoid(-logit[2]);
    return m * fit + agree * fabs(off);
}

void loss_causal(const struct loss_spec *s, const double *logit, bool y, bool t,
                 struct loss_sums *terms, double *dlogit) {
    const double w = (double)s->w;
    double cvr = 0.0;
    terms->ctr = loss_bce(logit[0], y, 1.0, &dlogit[0]);
    terms->ctcvr = loss_bce_product(logit, 2, t, w, dlogit);
    if (s->model == MODEL_ESCM2_DR) {
        cvr = doubly_robust(s, logit, y, t, dlogit);
    } else if (s->model == MODEL_DCMT) {
        cvr = counterfactual(s, logit, y, t, dlogit);
    } else if (y) {
        const double m = weight_of(s, sigmoid(logit[0]));
        cvr = m * loss_bce(logit[1], t, (double)s->cvr_weight * m, &dlogit[1]);
    }
    terms->total = terms->ctr + w * terms->ctcvr + (double)s->cvr_weight * cvr;
}

void loss_totals_add(struct loss_totals *sums, const struct loss_spec *s, const float *logit_ctr,
                     const uint8_t *labels, const float *weight, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const double a = (double)logit_ctr[i], m = weight == NULL ? 1.0 : (double)weight[i];
        sums->all += m;
        if ((labels[i] & LABEL_CLICK) != 0) {
            sums->clicked += m * weight_of(s, sigmoid(a));
        } else {
            sums->unclicked += m * weight_of(s, sigmoid(-a));
        }
    }
}

void loss_normalise(struct loss_spec *s, const struct loss_totals *sums) {
    s->norm.clicked = sums->clicked > 0.0 ? sums->all / sums->clicked : 0.0;
    s->norm.unclicked = sums->unclicked > 0.0 ? sums->all / sums->unclicked : 0.0;
}
