#include "score.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "common/base/logit.h"
#include "common/job/config.h"

enum score_form score_form_of(const struct config *c) {
    const struct method *m = method_of(c->model);
    const bool gives_ctcvr = m->towers > 1 && strcmp(m->tower[1], "ctcvr") == 0;
    return gives_ctcvr   ? SCORE_CTCVR
           : !m->has_cvr ? SCORE_CTR_ALONE
           : !m->has_ctr ? SCORE_CVR_ALONE
                         : SCORE_CVR;
}

enum status score_form_judged(const struct config *c, bool no_conversion, const char *data,
                              enum score_form *out) {
    *out = no_conversion ? SCORE_CTR_UNLABELLED : score_form_of(c);
    return !no_conversion || method_of(c->model)->has_ctr
               ? OK
               : fail(ERR_CONFIG,
                      "%s has no conversions (its log's schema says conversion = none), "
                      "and the model predicts no clicks: there is nothing to judge",
                      data);
}

struct score_ranks score_ranks(float logit_a, float logit_b, enum score_form form) {
    double a = form == SCORE_CVR_ALONE ? NAN : (double)logit_a;
    double b = form == SCORE_CTR_ALONE || form == SCORE_CTR_UNLABELLED ? NAN : (double)logit_b;
    if (form == SCORE_CTCVR) {
        return (struct score_ranks){.ctr = a, .cvr = division_log(a, b), .ctcvr = b};
    }
    return (struct score_ranks){.ctr = a, .cvr = b, .ctcvr = ctcvr_logit(a, b)};
}

struct score_rates score_rates(const struct score *s, enum score_form form) {
    struct score_ranks r = score_ranks(s->a, s->b, form);
    double ctr = sigmoid(r.ctr);
    if (form == SCORE_CTCVR) {
        return (struct score_rates){ctr, fmin(exp(r.cvr), DBL_MAX), sigmoid(r.ctcvr)};
    }
    return (struct score_rates){ctr, sigmoid(r.cvr), ctr * sigmoid(r.cvr)};
}

bool scores_weighted(const struct score *scores, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (scores[i].weight != 1.0f) {
            return true;
        }
    }
    return false;
}
