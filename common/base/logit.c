#include "logit.h"

double softplus(double x) {
    return fmax(x, 0.0) + log1p(exp(-fabs(x)));
}

/* log(1 + e^a + e^b) with its largest term taken out, so that nothing overflows and no two large
 * numbers are subtracted. */
double ctcvr_logit(double a, double b) {
    double high = a > b ? a : b, low = a > b ? b : a;
    if (high > 0.0) {
        return low - log1p(exp(-high) + exp(low - high));
    }
    return low + high - log1p(exp(high) + exp(low));
}

double division_log(double a, double b) {
    return softplus(-a) - softplus(-b);
}
