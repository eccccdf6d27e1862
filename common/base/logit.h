/* logit.h - functions of logits that neither overflow nor lose digits, whatever their arguments.
 *
 * a = logit of p_ctr, b = logit of p_cvr unless said otherwise (docs/model.md). All are pure; NaN
 * gives NaN. */
#pragma once

#include <math.h>

/* log(1 + e^x). */
double softplus(double x);
/* 1 / (1 + e^-x). */
static inline double sigmoid(double x) {
    const double e = exp(-fabs(x));
    return x >= 0.0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
}
/* The logit of p_ctcvr = sigmoid(a) sigmoid(b): a + b - log(1 + e^a + e^b). */
double ctcvr_logit(double a, double b);
/* log p_cvr = log p_ctcvr - log p_ctr where b is the logit of p_ctcvr; may be above 0. */
double division_log(double a, double b);
