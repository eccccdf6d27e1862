/* optimizer_naive.c - the update rules again, one weight at a time in double precision, written
 * like the formulas of optimizer.h. Slow on purpose: the oracle of
 * tests/unit/ps/table/test_optimizer.c. */
#include "optimizer_naive.h"

#include <math.h>

static double naive_adam(const struct optimizer_config *o, double lr, uint32_t t, double w,
                         float *m, float *v, double g) {
    const double b1 = (double)o->beta1, b2 = (double)o->beta2;
    const double mt = b1 * (double)*m + (1 - b1) * g;
    const double vt = b2 * (double)*v + (1 - b2) * g * g;
    *m = (float)mt;
    *v = (float)vt;
    const double m_hat = mt / (1 - pow(b1, t));
    const double c2 = 1 - pow(b2, t);
    return o->correction == CORRECT_ROW ? w - lr * m_hat / (sqrt(vt / c2) + (double)o->eps)
                                        : w - lr * sqrt(c2) * m_hat / (sqrt(vt) + (double)o->eps);
}

static double naive_rms(const struct optimizer_config *o, double lr, uint32_t t, double w, double v,
                        double g) {
    const double c2 = 1 - pow((double)o->beta2, t);
    return o->correction == CORRECT_ROW ? w - lr * g / (sqrt(v / c2) + (double)o->eps)
                                        : w - lr * sqrt(c2) * g / (sqrt(v) + (double)o->eps);
}

static double naive_ftrl(const struct optimizer_config *o, double w, float *z, float *n, double g) {
    const double alpha = (double)o->lr, l1 = (double)o->ftrl_l1;
    const double after = (double)*n + g * g;
    const double s = (sqrt(after) - sqrt((double)*n)) / alpha;
    const double zt = (double)*z + g - s * w;
    *z = (float)zt;
    *n = (float)after;
    if (fabs(zt) <= l1) {
        return 0;
    }
    const double sign = zt < 0 ? -1 : 1;
    return -(zt - sign * l1) / (((double)o->ftrl_beta + sqrt(after)) / alpha + (double)o->ftrl_l2);
}

void optimizer_apply_naive(const struct optimizer_config *o, uint32_t dim, float lr, uint32_t step,
                           float *w, float *state, const float *g) {
    const double b2 = (double)o->beta2;
    double mean = 0;
    for (uint32_t i = 0; i < dim; i++) {
        const double d = (double)g[i] + (double)o->l2 * (double)w[i];
        mean += d * d / dim;
    }
    if (o->kind == OPT_ROWWISE_ADAGRAD) {
        state[0] = (float)((double)state[0] + mean);
    } else if (o->kind == OPT_ROWWISE_RMSPROP) {
        state[0] = (float)(b2 * (double)state[0] + (1 - b2) * mean);
    }
    for (uint32_t i = 0; i < dim; i++) {
        const double wi = (double)w[i], rate = (double)lr;
        const double d = (double)g[i] + (double)o->l2 * wi;
        const double decayed = wi - rate * (double)o->decay * wi;
        switch (o->kind) {
        case OPT_SGD: w[i] = (float)(decayed - rate * d); break;
        case OPT_ADAM:
            w[i] = (float)naive_adam(o, rate, step, decayed, &state[i], &state[dim + i], d);
            break;
        case OPT_ADAGRAD:
            state[i] = (float)((double)state[i] + d * d);
            w[i] = (float)(decayed - rate * d / (sqrt((double)state[i]) + (double)o->eps));
            break;
        case OPT_ROWWISE_ADAGRAD:
            w[i] = (float)(decayed - rate * d / (sqrt((double)state[0]) + (double)o->eps));
            break;
        case OPT_RMSPROP:
            state[i] = (float)(b2 * (double)state[i] + (1 - b2) * d * d);
            w[i] = (float)naive_rms(o, rate, step, decayed, (double)state[i], d);
            break;
        case OPT_ROWWISE_RMSPROP:
            w[i] = (float)naive_rms(o, rate, step, decayed, (double)state[0], d);
            break;
        case OPT_FTRL: w[i] = (float)naive_ftrl(o, wi, &state[i], &state[dim + i], d); break;
        }
    }
}
