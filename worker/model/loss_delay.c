/* loss_delay.c - the loss of one training record: which terms it touches, and how much it counts
 * while its conversion may still come (docs/stream.md).
 *
 * Several records tell of a click's conversion, some of them too early. Every method here gives a
 * CTCVR record of a click two weights,
 *
 *     u L1 + v L0,   L1 = -log(p q),  L0 = -log(1 - p q)
 *
 * chosen such that the sum over the records of a click is, in the mean, r L1 + (1 - r) L0, which
 * one record with the final label would give; r is the true p(conversion | click). No gradient goes
 * through weights. With d = P(late | click), hence P(late | negative so far) = g = d / (1 - r + d):
 *
 *     method   observed negative        observed positive   late conversion        heads
 *     none     0, 1                     1, 0                1, 0
 *     fnw      0, 1-q                   1, 0                1, 0
 *     pu       0, 1                     1, 0                1, -1 (up to PU_CAP)
 *     es-dfm   0, 1-g                   1, 0                1, 0                   rn
 *     defuse   g d/(1+d), 1-g           1, 0                1/(1+d), 0             rn, dp
 *     defer    0, (1-q)/(1-q+d/2)/2     q/(q-d/2)/2, 0      as a positive          dp
 *     dfm      s(b-u), 1-s(b-u)         1, 0                (has none)             lag
 *
 * The papers weigh the records of fnw, es-dfm and defuse by one more factor, 1+q or 1+d: the number
 * of records of a click. It corrects for clicks occurring more often. Among clicks that does not
 * matter; against unclicked impressions, which occur once, it would count a click 1+d times. So it
 * is divided away here (and es-dfm then needs neither d nor its head).
 *
 * Heads are towers that learn from the same records, on the same rows. Their gradients go on into
 * the rows, which is worth more than it costs (docs/quality.md):
 *
 *     dp   0 for every observation, 1 for every late conversion. A click gives one of the first
 *          and with probability d one of the second, so cross entropy has its minimum at
 *          s(h) = d/(1+d): the odds e^h are d.
 *     rn   the same, of observed negatives: e^h is g. (s(h) is of the records, not of the clicks.)
 *     lag  the rate l = sp(h) of the delay, per day. Converted after d days: -log l + l d. Not
 *          converted after e: g l e, where u = l e and g = q e^-u / (1 - q + q e^-u) = s(b - u) is
 *          the probability that it will (Chapelle 2014, as a step of EM).
 *
 * Chapelle's likelihood of a click that has not converted is -log(1 - q (1 - e^-u)). With p q in
 * place of q, and with plain -log(1 - p q) for unclicked impressions, it is not the likelihood of
 * one model: where clicks are rare it shrinks p q by about 1 - e^-u. The EM form has the same
 * gradient in q if only clicks count, and is right on all impressions.
 *
 * Weights are computed from logits, so everything is finite for finite logits.
 */
#include "loss.h"

#include <math.h>
#include <string.h>

#include "common/base/logit.h"
#include "common/data/record.h"

#define PU_CAP  3.0 /* a late conversion pushes the logit of p q no further than here: 95 % */
#define LOG_TWO 0.69314718055994531

struct weights {
    double converted, not ; /* u, v */
};

/* A CTCVR record of a click. */
struct news {
    bool converted, late, final; /* from labels and kind; final: the second record */
    double elapsed_days;
};

/* The odds that stand for a probability. */
static double odds(double logit) {
    return exp(fmin(logit, 0.0));
}

/* --- weights ---------------------------------------------------------------------------------- */

static struct weights delay_plain(bool converted) {
    return converted ? (struct weights){1, 0} : (struct weights){0, 1};
}

static struct weights delay_fnw(double b, const struct news *n) {
    return n->converted ? delay_plain(true) : (struct weights){0, sigmoid(-b)};
}

static struct weights pu(double a, double b, const struct news *n) {
    if (!n->late) {
        return delay_plain(n->converted);
    }
    return ctcvr_logit(a, b) < PU_CAP ? (struct weights){1, -1} : (struct weights){0, 0};
}

static struct weights delay_es_dfm(double rn, const struct news *n) {
    return n->converted ? delay_plain(true) : (struct weights){0, -expm1(fmin(rn, 0.0))};
}

static struct weights defuse(double rn, double dp, const struct news *n) {
    const double d = odds(dp), g = odds(rn);
    if (n->late) {
        return (struct weights){1 / (1 + d), 0};
    }
    return n->converted ? delay_plain(true)
                        : (struct weights){g * d / (1 + d), -expm1(fmin(rn, 0.0))};
}

/* d <= q, because d is a part of q: the weight of a positive is in [1, 2]. */
static struct weights delay_defer(double b, double dp, const struct news *n) {
    const double log_d = fmin(dp, 0.0);
    if (n->converted) {
        const double late = fmin(log_d + softplus(-b), 0.0); /* log d/q */
        return (struct weights){0.5 / (1 - 0.5 * exp(late)), 0};
    }
    return (struct weights){0, 0.5 * sigmoid(LOG_TWO - log_d - softplus(b))};
}

static struct weights delay_dfm(double b, double lag, const struct news *n) {
    const double left = b - softplus(lag) * n->elapsed_days;
    return n->converted ? delay_plain(true) : (struct weights){sigmoid(left), sigmoid(-left)};
}

static struct weights weigh(const struct loss_spec *s, const double *logit, const struct news *n) {
    const double a = logit[0], b = logit[1];
    const bool repeats = n->final && !n->late; /* the first record said the same */
    if (s->delay == DELAY_NONE) {
        return delay_plain(n->converted);
    }
    if (s->delay == DELAY_DEFER) {
        return delay_defer(b, logit[2], n);
    }
    if (repeats || (s->delay == DELAY_DFM && n->late)) {
        return (struct weights){0, 0};
    }
    switch (s->delay) {
    case DELAY_FNW: return delay_fnw(b, n);
    case DELAY_PU: return pu(a, b, n);
    case DELAY_ES_DFM: return delay_es_dfm(logit[2], n);
    case DELAY_DEFUSE: return defuse(logit[2], logit[3], n);
    default: return delay_dfm(b, logit[2], n);
    }
}

/* --- heads ------------------------------------------------------------------------------------ */

/* Binary cross entropy of a head: returns the value, sets *d to the slope. */
static double delay_head(double logit, bool label, double *d) {
    *d = label ? -sigmoid(-logit) : sigmoid(logit);
    return softplus(label ? -logit : logit);
}

static double head_rn(double logit, const struct news *n, double *d) {
    return n->late || !n->converted ? delay_head(logit, n->late, d) : 0.0;
}

static double head_lag(double b, double logit, const struct news *n, double *d) {
    const double rate = softplus(logit), slope = sigmoid(logit), e = n->elapsed_days;
    if (!n->converted) {
        const double g = sigmoid(b - rate * e);
        *d = g * e * slope;
        return g * rate * e;
    }
    /* Below -700 the rate is e^h, which may round to 0. */
    *d = (logit > -700.0 ? -slope / rate : -1.0) + e * slope;
    return -(logit > -700.0 ? log(rate) : logit) + rate * e;
}

static double teach_heads(const struct loss_spec *s, const double *logit, const struct news *n,
                          double *dlogit) {
    if (n->final && !n->late) {
        return 0.0;
    }
    switch (s->delay) {
    case DELAY_ES_DFM: return head_rn(logit[2], n, &dlogit[2]);
    case DELAY_DEFER: return delay_head(logit[2], n->late, &dlogit[2]);
    case DELAY_DEFUSE:
        return head_rn(logit[2], n, &dlogit[2]) + delay_head(logit[3], n->late, &dlogit[3]);
    case DELAY_DFM: return n->late ? 0.0 : head_lag(logit[1], logit[2], n, &dlogit[2]);
    default: return 0.0;
    }
}

/* --- records ---------------------------------------------------------------------------------- */

/* Returns u L1 + v L0, and adds w times its slopes to d[0], d[1]. A term of weight 0 is left out:
 * for finite logits 0 times the term would be 0, but for an infinite one it would be NaN. */
static double ctcvr_term(double a, double b, struct weights by, double w, double *d) {
    double loss = 0.0;
    if (by.converted != 0.0) {
        loss += by.converted * (softplus(-a) + softplus(-b));
        d[0] -= w * by.converted * sigmoid(-a);
        d[1] -= w * by.converted * sigmoid(-b);
    }
    if (by.not != 0.0) {
        loss += by.not *softplus(ctcvr_logit(a, b));
        d[0] += w * by.not *sigmoid(a) * sigmoid(b - softplus(a));
        d[1] += w * by.not *sigmoid(b) * sigmoid(a - softplus(b));
    }
    return loss;
}

static void click_record(const double *logit, struct loss_sums *terms, double *dlogit) {
    dlogit[0] = -sigmoid(-logit[0]);
    terms->ctr = terms->total = softplus(-logit[0]);
}

static void conversion_record(const struct loss_spec *s, const double *logit, const struct news *n,
                              struct loss_sums *terms, double *dlogit) {
    const double w = (double)s->w, learnt = teach_heads(s, logit, n, dlogit);
    terms->ctcvr = ctcvr_term(logit[0], logit[1], weigh(s, logit, n), w, dlogit);
    terms->total = w * terms->ctcvr + learnt;
}

/* For a model other than esmm. The click's term is the loss with the other terms' weights set to 0;
 * the other terms are the whole loss without it. */
static void part_of_loss(const struct loss_spec *s, const double *logit, uint8_t labels,
                         uint64_t impression_id, bool ctr, struct loss_sums *terms,
                         double *dlogit) {
    struct loss_spec click_alone = *s;
    struct loss_sums click_terms;
    double click[TOWERS_MAX];
    const uint32_t towers = loss_towers(s);
    click_alone.w = click_alone.cvr_weight = click_alone.behaviour_weight = 0;
    click_alone.calibrator_weight = 0;
    loss_one(&click_alone, logit, labels, impression_id, &click_terms, click);
    loss_one(s, logit, labels, impression_id, terms, dlogit);
    for (uint32_t k = 0; k < towers; k++) {
        dlogit[k] = ctr ? click[k] : dlogit[k] - click[k];
    }
    terms->total = ctr ? click_terms.total : terms->total - click_terms.total;
    terms->ctr = ctr ? click_terms.ctr : 0.0;
    terms->ctcvr = ctr ? 0.0 : terms->ctcvr;
}

void loss_record(const struct loss_spec *s, const double *logit, const struct loss_rows *rows,
                 size_t i, struct loss_sums *terms, double *dlogit) {
    const uint8_t kind = rows->kind == NULL ? KIND_LOG : rows->kind[i], labels = rows->labels[i];
    *terms = (struct loss_sums){0};
    memset(dlogit, 0, loss_towers(s) * sizeof *dlogit);
    if (kind_has_ctr(kind) && kind_has_ctcvr(kind)) {
        loss_one(s, logit, labels, rows->impression_id[i], terms, dlogit);
    } else if (s->model != MODEL_ESMM) {
        part_of_loss(s, logit, labels, rows->impression_id[i], kind_has_ctr(kind), terms, dlogit);
    } else if (kind_has_ctr(kind)) {
        click_record(logit, terms, dlogit);
    } else {
        const struct news news = {.converted = (labels & LABEL_CONVERSION) != 0,
                                  .late = (labels & LABEL_LATE) != 0,
                                  .final = kind == KIND_FINAL,
                                  .elapsed_days = (double)rows->elapsed_days[i]};
        conversion_record(s, logit, &news, terms, dlogit);
    }
}
