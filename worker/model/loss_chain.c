/* loss_chain.c - models with behaviours between click and conversion: a chain of any number of
 * them, and ESM2 (Wen et al., SIGIR 2020) with its one decision.
 *
 * chain: stage k counts as reached if k or anything later is known to have happened, so that a
 * conversion without a cart counts like one with a cart. The product of all stages is then
 * P(conversion), whatever the log left out. Each prefix of the product has its label. ESM2 keeps
 * two ways apart: a click leads to a direct action (any of the behaviours) or not, and a conversion
 * may follow either:
 *
 *   q = y2 y3 + (1 - y2) y4        y2 P(action | click), y3 P(conversion | action), y4 P(.. | none)
 *
 * Products. c = logit(r) of r = prod p_k is computed by ctcvr_logit from two factors at a time; no
 * logit overflows it. BCE(t, r) is sum sp(-x_k) or sp(c). Its slopes are -(1 - p_k), or r (1 - p_k)
 * / (1 - r) = e^(c - sp(x_k)): c is below every x_k, so the exponent is never positive.
 *
 * The decision. u = logit(q) = lse(A3, A4) - lse(B3, B4) with A3 = log y2 y3, A4 = log (1-y2) y4,
 * B3 = log y2 (1-y3), B4 = log (1-y2) (1-y4). With alpha = P(action | conversion) and beta =
 * P(action | no conversion), both softmaxes of those pairs:
 *
 *   du/dx2 = alpha - beta,  du/dx3 = alpha (1-y3) + beta y3,
 *   du/dx4 = (1-alpha) (1-y4) + (1-beta) y4
 */
#include "loss_terms.h"

#include "common/data/record.h"

double loss_bce_product(const double *x, uint32_t n, bool label, double weight, double *d) {
    double c = x[0], sum = 0.0;
    for (uint32_t k = 0; k < n; k++) {
        sum += softplus(-x[k]);
        c = k > 0 ? ctcvr_logit(c, x[k]) : c;
    }
    for (uint32_t k = 0; k < n; k++) {
        const double slope = label ? -sigmoid(-x[k]) : exp(fmin(0.0, c - softplus(x[k])));
        d[k] += weight * slope;
    }
    return label ? sum : softplus(c);
}

/* Returns log(e^a + e^b); *share becomes e^a's share of the sum. */
static double log_sum(double a, double b, double *share) {
    *share = sigmoid(a - b);
    return a > b ? a + softplus(b - a) : b + softplus(a - b);
}

/* Returns u = logit(q) of ESM2, and its slopes in du; x = logits of y2, y3, y4. */
static double decision(const double *x, double *du) {
    double alpha, beta;
    const double yes =
        log_sum(-softplus(-x[0]) - softplus(-x[1]), -softplus(x[0]) - softplus(-x[2]), &alpha);
    const double no =
        log_sum(-softplus(-x[0]) - softplus(x[1]), -softplus(x[0]) - softplus(x[2]), &beta);
    du[0] = alpha - beta;
    du[1] = alpha * sigmoid(-x[1]) + beta * sigmoid(x[1]);
    du[2] = (1.0 - alpha) * sigmoid(-x[2]) + (1.0 - beta) * sigmoid(x[2]);
    return yes - no;
}

static void esm2(const struct loss_spec *s, const double *logit, uint8_t labels,
                 struct loss_sums *terms, double *dlogit) {
    const bool y = (labels & LABEL_CLICK) != 0, act = y && (labels & LABEL_BEHAVIOURS) != 0;
    const bool t = y && (labels & LABEL_CONVERSION) != 0;
    const double w = (double)s->w, w_act = (double)s->behaviour_weight;
    double du[3], d[2] = {0};
    const double pair[2] = {logit[0], decision(logit + 1, du)};
    terms->ctr = loss_bce(logit[0], y, 1.0, &dlogit[0]);
    const double action = loss_bce_product(logit, 2, act, w_act, dlogit);
    terms->ctcvr = loss_bce_product(pair, 2, t, w, d);
    dlogit[0] += d[0];
    for (int k = 0; k < 3; k++) {
        dlogit[1 + k] += d[1] * du[k];
    }
    terms->total = terms->ctr + w_act * action + w * terms->ctcvr;
}

void loss_chain(const struct loss_spec *s, const double *logit, uint8_t labels,
                struct loss_sums *terms, double *dlogit) {
    if (s->model == MODEL_ESM2) {
        esm2(s, logit, labels, terms, dlogit);
        return;
    }
    const bool y = (labels & LABEL_CLICK) != 0;
    bool reached = y && (labels & LABEL_CONVERSION) != 0;
    terms->ctcvr = loss_bce_product(logit, 2 + s->behaviours, reached, (double)s->w, dlogit);
    terms->total = (double)s->w * terms->ctcvr;
    for (uint32_t k = s->behaviours; k > 0; k--) {
        reached = reached || (y && (labels & LABEL_BEHAVIOUR(k)) != 0);
        const double weight = (double)s->behaviour_weight;
        terms->total += weight * loss_bce_product(logit, 1 + k, reached, weight, dlogit);
    }
    terms->ctr = loss_bce(logit[0], y, 1.0, &dlogit[0]);
    terms->total += terms->ctr;
}

double loss_chain_cvr(const struct loss_spec *s, const double *logit) {
    double du[3], c = logit[1];
    if (s->model == MODEL_ESM2) {
        return decision(logit + 1, du);
    }
    for (uint32_t k = 2; k < 2 + s->behaviours; k++) {
        c = ctcvr_logit(c, logit[k]);
    }
    return c;
}
