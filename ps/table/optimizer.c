/* optimizer.c - the update rules, written so that the compiler vectorises them.
 *
 * Every loop works element by element, without a branch, over restrict pointers; what differs per
 * row (bias corrections, rates) is a scalar computed before the loop. The loops use only IEEE
 * operations, without reassociation: the result of an element depends neither on the width of the
 * vector unit nor on where the row lies, so a run is reproducible bit by bit. The only sum
 * (mean_square) has a fixed order.
 * For the same reason it is compiled for each level of the CPU (common/cpu/level.h).
 *
 * The code needs -fno-math-errno and -fno-trapping-math (CMakeLists.txt sets them): with errno,
 * sqrtf is a call and the loop stays scalar. For the same reason a choice between two values is
 * written as ?:.
 */
#include "optimizer.h"

#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

/* 1 - beta1^t and 1 - beta2^t by repeated squaring: a dozen multiplications for any t. */
static void bias_corrections(const struct optimizer_config *o, uint32_t t, float *c1, float *c2) {
    double b1 = (double)o->beta1, b2 = (double)o->beta2, p1 = 1.0, p2 = 1.0;
    for (; t != 0; t >>= 1) {
        if (t & 1) {
            p1 *= b1;
            p2 *= b2;
        }
        b1 *= b1;
        b2 *= b2;
    }
    *c1 = (float)(1.0 - p1);
    *c2 = (float)(1.0 - p2);
}

/* eps as it is added to sqrt(v / c2), scale = 1 / c2: see optimizer.h. */
static float eps_of(const struct optimizer_config *o, float scale) {
    return o->correction == CORRECT_ROW ? o->eps : o->eps * sqrtf(scale);
}

/* The factor that decay leaves of a weight. Without decay it is exactly 1 and changes no result. */
static float kept(const struct optimizer_config *o, float lr) {
    return 1.0f - lr * o->decay;
}

static void apply_sgd(const struct optimizer_config *o, size_t n, float lr, float *restrict w,
                      const float *restrict g) {
    const float l2 = o->l2, keep = kept(o, lr);
    for (size_t i = 0; i < n; i++) {
        w[i] = keep * w[i] - lr * (g[i] + l2 * w[i]);
    }
}

static void apply_adam(const struct optimizer_config *o, size_t n, float lr, uint32_t step,
                       float *restrict w, float *restrict m, float *restrict v,
                       const float *restrict g) {
    float c1, c2;
    bias_corrections(o, step, &c1, &c2);
    const float rate = lr / c1, scale = 1.0f / c2;
    const float b1 = o->beta1, b2 = o->beta2, a1 = 1.0f - b1, a2 = 1.0f - b2;
    const float eps = eps_of(o, scale);
    const float l2 = o->l2, keep = kept(o, lr);
    for (size_t i = 0; i < n; i++) {
        const float d = g[i] + l2 * w[i];
        const float mi = b1 * m[i] + a1 * d;
        const float vi = b2 * v[i] + a2 * d * d;
        m[i] = mi;
        v[i] = vi;
        w[i] = keep * w[i] - rate * mi / (sqrtf(vi * scale) + eps);
    }
}

static void apply_rmsprop(const struct optimizer_config *o, size_t n, float lr, uint32_t step,
                          float *restrict w, float *restrict v, const float *restrict g) {
    float c1, c2;
    bias_corrections(o, step, &c1, &c2);
    const float scale = 1.0f / c2, b2 = o->beta2, a2 = 1.0f - b2, eps = eps_of(o, scale);
    const float l2 = o->l2, keep = kept(o, lr);
    for (size_t i = 0; i < n; i++) {
        const float d = g[i] + l2 * w[i];
        const float vi = b2 * v[i] + a2 * d * d;
        v[i] = vi;
        w[i] = keep * w[i] - lr * d / (sqrtf(vi * scale) + eps);
    }
}

static void apply_adagrad(const struct optimizer_config *o, size_t n, float lr, float *restrict w,
                          float *restrict acc, const float *restrict g) {
    const float eps = o->eps, l2 = o->l2, keep = kept(o, lr);
    for (size_t i = 0; i < n; i++) {
        const float d = g[i] + l2 * w[i];
        const float s = acc[i] + d * d;
        acc[i] = s;
        w[i] = keep * w[i] - lr * d / (sqrtf(s) + eps);
    }
}

/* Four lanes of the sum; the compiler makes vectors of the loop over eight only with shuffles. */
typedef float lanes4 __attribute__((vector_size(16)));

static inline lanes4 squares4(float l2, const float *w, const float *g) {
    lanes4 a, b;
    memcpy(&a, g, sizeof a);
    memcpy(&b, w, sizeof b);
    const lanes4 d = a + l2 * b;
    return d * d;
}

/* The same of the last n < 4 elements; zeros change no sum of squares. */
static inline lanes4 squares_rest(size_t n, float l2, const float *w, const float *g) {
    lanes4 all = {0};
    for (size_t k = 0; k < 3; k++) {
        const float d = k < n ? g[k] + l2 * w[k] : 0;
        all[k] = d * d;
    }
    return all;
}

/* The mean square. Eight partial sums are added in a fixed order. */
static float mean_square(size_t n, float l2, const float *restrict w, const float *restrict g) {
    lanes4 low = {0}, high = {0};
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        low += squares4(l2, w + i, g + i);
        high += squares4(l2, w + i + 4, g + i + 4);
    }
    if (i + 4 <= n) {
        low += squares4(l2, w + i, g + i);
        high += squares_rest(n - i - 4, l2, w + i + 4, g + i + 4);
    } else {
        low += squares_rest(n - i, l2, w + i, g + i);
    }
    const float even = (low[0] + high[0]) + (low[2] + high[2]);
    const float odd = (low[1] + high[1]) + (low[3] + high[3]);
    return (even + odd) / (float)n;
}

static void apply_rowwise_adagrad(const struct optimizer_config *o, size_t n, float lr,
                                  float *restrict w, float *restrict acc, const float *restrict g) {
    const float l2 = o->l2, keep = kept(o, lr);
    acc[0] += mean_square(n, l2, w, g);
    const float rate = lr / (sqrtf(acc[0]) + o->eps);
    for (size_t i = 0; i < n; i++) {
        w[i] = keep * w[i] - rate * (g[i] + l2 * w[i]);
    }
}

static void apply_rowwise_rmsprop(const struct optimizer_config *o, size_t n, float lr,
                                  uint32_t step, float *restrict w, float *restrict v,
                                  const float *restrict g) {
    float c1, c2;
    bias_corrections(o, step, &c1, &c2);
    const float scale = 1.0f / c2, l2 = o->l2, keep = kept(o, lr);
    v[0] = o->beta2 * v[0] + (1.0f - o->beta2) * mean_square(n, l2, w, g);
    const float rate = lr / (sqrtf(v[0] * scale) + eps_of(o, scale));
    for (size_t i = 0; i < n; i++) {
        w[i] = keep * w[i] - rate * (g[i] + l2 * w[i]);
    }
}

static void apply_ftrl(const struct optimizer_config *o, size_t n, float *restrict w,
                       float *restrict z, float *restrict acc, const float *restrict g) {
    const float inv = 1.0f / o->lr, l1 = o->ftrl_l1, l2f = o->ftrl_l2, beta = o->ftrl_beta;
    const float l2 = o->l2;
    for (size_t i = 0; i < n; i++) {
        const float d = g[i] + l2 * w[i];
        const float before = sqrtf(acc[i]);
        const float sum = acc[i] + d * d;
        const float after = sqrtf(sum);
        const float zi = z[i] + d - (after - before) * inv * w[i];
        const float shrunk = zi - copysignf(l1, zi);
        const float curve = (beta + after) * inv + l2f;
        const float value = -shrunk / (curve > 0.0f ? curve : 1.0f);
        z[i] = zi;
        acc[i] = sum;
        w[i] = fabsf(zi) <= l1 ? 0.0f : value;
    }
}

static void state_init(const struct optimizer_config *o, uint32_t dim, const float *w,
                       float *state) {
    const uint32_t floats = optimizer_state_floats(o->kind, dim);
    const bool accumulates = o->kind == OPT_ADAGRAD || o->kind == OPT_ROWWISE_ADAGRAD;
    for (uint32_t i = 0; i < floats; i++) {
        state[i] = accumulates ? o->adagrad_init : 0.0f;
    }
    if (o->kind == OPT_FTRL) {
        /* The inverse of w(z) at n = 0. For a weight of exactly 0, z stays 0. */
        const float curve = o->ftrl_beta / o->lr + o->ftrl_l2;
        for (uint32_t i = 0; i < dim; i++) {
            state[i] =
                w[i] < 0.0f || w[i] > 0.0f ? -w[i] * curve - copysignf(o->ftrl_l1, w[i]) : 0.0f;
        }
    }
}

static void apply_arrays(const struct optimizer_config *o, size_t n, float lr, uint32_t step,
                         float *w, float *s0, float *s1, const float *g) {
    switch (o->kind) {
    case OPT_SGD: apply_sgd(o, n, lr, w, g); return;
    case OPT_ADAM:
        assert(step > 0);
        apply_adam(o, n, lr, step, w, s0, s1, g);
        return;
    case OPT_ADAGRAD: apply_adagrad(o, n, lr, w, s0, g); return;
    case OPT_ROWWISE_ADAGRAD: apply_rowwise_adagrad(o, n, lr, w, s0, g); return;
    case OPT_FTRL: apply_ftrl(o, n, w, s0, s1, g); return;
    case OPT_RMSPROP:
        assert(step > 0);
        apply_rmsprop(o, n, lr, step, w, s0, g);
        return;
    case OPT_ROWWISE_RMSPROP:
        assert(step > 0);
        apply_rowwise_rmsprop(o, n, lr, step, w, s0, g);
        return;
    }
    assert(false && "unknown optimizer");
}

static void apply(const struct optimizer_config *o, uint32_t dim, float lr, uint32_t step, float *w,
                  float *state, const float *g) {
    apply_arrays(o, dim, lr, step, w, state, state + dim, g);
}

/* What the rules above compute before their loops. They do not call this: it made updates of f32
 * rows 7 ns longer. */
static struct rule_pace pace_of(const struct optimizer_config *o, float lr, uint32_t step) {
    float c1 = 1.0f, c2 = 1.0f;
    if (o->kind == OPT_ADAM || o->kind == OPT_RMSPROP || o->kind == OPT_ROWWISE_RMSPROP) {
        assert(step > 0);
        bias_corrections(o, step, &c1, &c2);
    }
    const float scale = 1.0f / c2;
    return (struct rule_pace){.rate = o->kind == OPT_ADAM ? lr / c1 : lr,
                              .scale = scale,
                              .eps = eps_of(o, scale),
                              .keep = kept(o, lr)};
}

const struct optimizer_rules LEVEL(optimizer_rules) = {state_init, apply, apply_arrays, pace_of};
