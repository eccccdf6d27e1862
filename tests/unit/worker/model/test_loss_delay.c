/* Unit tests of worker/model/loss_delay.c: which terms a record touches, every method's weights
 * against their formulas in probabilities, slopes against central differences with held weights,
 * heads, and that a click's records together teach what its final label would. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/data/record.h"
#include "worker/model/loss.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEED 20260714u

enum {
    CLICKED = LABEL_CLICK,
    CONVERTED = LABEL_CLICK | LABEL_CONVERSION,
    LATE = CONVERTED | LABEL_LATE
};

/* Labels and kind of all records that a click can give. */
static const struct event {
    uint8_t labels, kind;
} events[] = {
    {CLICKED, KIND_CONVERSION}, {CONVERTED, KIND_CONVERSION}, {LATE, KIND_LATE},
    {CLICKED, KIND_FINAL},      {CONVERTED, KIND_FINAL},      {LATE, KIND_FINAL},
};
enum { EVENTS = sizeof events / sizeof *events };

static bool close_to(double got, double want, double relative, double absolute) {
    return fabs(got - want) <= relative * fabs(want) + absolute;
}

static struct loss_spec spec_of(enum delay_method delay) {
    return (struct loss_spec){.model = MODEL_ESMM, .w = 0.75f, .delay = delay};
}

static uint32_t towers_of(enum delay_method delay) {
    return 2 + method_heads(delay);
}

static void one(const struct loss_spec *s, const double *logit, struct event e, float elapsed,
                struct loss_sums *terms, double *d) {
    const uint64_t id = 7;
    const struct loss_rows rows = {NULL, &e.labels, &id, NULL, &e.kind, &elapsed};
    loss_record(s, logit, &rows, 0, terms, d);
}

/* --- the slow reference: the table of loss_delay.c, with probabilities ------------------------ */

static double probability(double logit) {
    return 1 / (1 + exp(-logit));
}

struct held {
    double converted, not, posterior; /* weights, and of dfm's delay */
};

static struct held held_of(enum delay_method m, const double *logit, struct event e, double days) {
    const double p = probability(logit[0]), q = probability(logit[1]);
    const double third = fmin(1, exp(logit[2])), fourth = fmin(1, exp(logit[3]));
    const bool z = (e.labels & LABEL_CONVERSION) != 0, late = (e.labels & LABEL_LATE) != 0;
    const bool repeats = e.kind == KIND_FINAL && !late;
    const struct held nothing = {0, 0, 0}, positive = {1, 0, 0}, negative = {0, 1, 0};
    switch (m) {
    case DELAY_NONE: return z ? positive : negative;
    case DELAY_FNW: return repeats ? nothing : z ? positive : (struct held){0, 1 - q, 0};
    case DELAY_PU:
        if (late) {
            return log(p * q / (1 - p * q)) < 3 ? (struct held){1, -1, 0} : nothing;
        }
        return repeats ? nothing : z ? positive : negative;
    case DELAY_ES_DFM: return repeats ? nothing : z ? positive : (struct held){0, 1 - third, 0};
    case DELAY_DEFER: {
        const double d = third;
        return z ? (struct held){0.5 * q / (q - 0.5 * fmin(d, q)), 0, 0}
                 : (struct held){0, 0.5 * (1 - q) / (1 - q + 0.5 * d), 0};
    }
    case DELAY_DEFUSE: {
        const double g = third, d = fourth;
        return repeats ? nothing
               : late  ? (struct held){1 / (1 + d), 0, 0}
               : z     ? positive
                       : (struct held){g * d / (1 + d), 1 - g, 0};
    }
    default: {
        const double none_yet = exp(-log(1 + exp(logit[2])) * days);
        const double g = q * none_yet / (1 - q + q * none_yet);
        return repeats || late ? nothing : z ? positive : (struct held){g, 1 - g, g};
    }
    }
}

static double bce_of(double p, bool label) {
    return -log(label ? p : 1 - p);
}

/* The whole loss of a record, weights as held. */
static double literal(const struct loss_spec *s, const double *logit, struct event e, double days,
                      struct held h) {
    const double pq = probability(logit[0]) * probability(logit[1]);
    const bool z = (e.labels & LABEL_CONVERSION) != 0, late = (e.labels & LABEL_LATE) != 0;
    double loss = -h.converted * log(pq) - h.not *log(1 - pq);
    loss *= (double)s->w;
    if (e.kind == KIND_FINAL && !late) {
        return loss;
    }
    const double third = probability(logit[2]), rate = log(1 + exp(logit[2]));
    switch (s->delay) {
    case DELAY_ES_DFM: return loss + (late || !z ? bce_of(third, late) : 0);
    case DELAY_DEFER: return loss + bce_of(third, late);
    case DELAY_DEFUSE:
        return loss + (late || !z ? bce_of(third, late) : 0) + bce_of(probability(logit[3]), late);
    case DELAY_DFM:
        return loss + (late ? 0 : z ? -log(rate) + rate * days : h.posterior * rate * days);
    default: return loss;
    }
}

static void random_logits(uint64_t k, double scale, double *logit) {
    for (uint32_t i = 0; i < TOWERS_MAX; i++) {
        logit[i] = scale * rng_normal(SEED, k, i);
    }
}

static void test_methods_literally(void **state) {
    (void)state;
    for (uint64_t k = 0; k < 20000; k++) {
        const enum delay_method m = (enum delay_method)(k % DELAY_METHODS);
        const struct loss_spec s = spec_of(m);
        const struct event e = events[rng_below(SEED, k, 40, EVENTS)];
        const double days = (double)(float)(3 * rng_unit(SEED, k, 41)), h = 1e-5;
        double logit[TOWERS_MAX], d[TOWERS_MAX];
        struct loss_sums terms;
        random_logits(k, 2, logit);
        const struct held held = held_of(m, logit, e, days);
        one(&s, logit, e, (float)days, &terms, d);
        assert_true(close_to(terms.total, literal(&s, logit, e, days, held), 1e-9, 1e-11));
        assert_true(terms.ctr == 0);
        for (uint32_t i = 0; i < towers_of(m); i++) {
            double up[TOWERS_MAX], down[TOWERS_MAX];
            memcpy(up, logit, sizeof up);
            memcpy(down, logit, sizeof down);
            up[i] += h;
            down[i] -= h;
            const double slope =
                (literal(&s, up, e, days, held) - literal(&s, down, e, days, held)) / (2 * h);
            if (!close_to(d[i], slope, 1e-5, 1e-8)) {
                fail_msg("method %d labels %u kind %u tower %u: slope %.12g, expected %.12g", m,
                         e.labels, e.kind, i, d[i], slope);
            }
        }
    }
}

/* --- what the weights are for ----------------------------------------------------------------- */

static double logit_of(double p) {
    return log(p / (1 - p));
}

static void add(const struct loss_spec *s, const double *logit, uint8_t labels, uint8_t kind,
                double days, double times, double *sum) {
    struct loss_sums terms;
    double d[TOWERS_MAX];
    one(s, logit, (struct event){labels, kind}, (float)days, &terms, d);
    for (uint32_t i = 0; i < towers_of(s->delay); i++) {
        sum[i] += times * d[i];
    }
}

/* With r, d and heads at the truth, the mean gradient of a click's records is that of its final
 * label, whatever p: on a, which a factor on all records of a click would spoil, and on b. */
static void test_stream_teaches_the_final_label(void **state) {
    (void)state;
    for (uint64_t k = 0; k < 500; k++) {
        const double r = 0.02 + 0.9 * rng_unit(SEED, k, 50), d = r * rng_unit(SEED, k, 51);
        const double g = d / (1 - r + d), days = 0.5, rate = 0.8;
        const double a = 3 * rng_normal(SEED, k, 52);
        const struct loss_spec none = spec_of(DELAY_NONE);
        double final[TOWERS_MAX] = {0};
        const double truth[] = {a, logit_of(r), 0, 0};
        add(&none, truth, CONVERTED, KIND_CONVERSION, 0, r, final);
        add(&none, truth, CLICKED, KIND_CONVERSION, 0, 1 - r, final);
        for (uint32_t m = DELAY_FNW; m < DELAY_METHODS; m++) {
            const struct loss_spec s = spec_of((enum delay_method)m);
            double logit[] = {a, logit_of(r), log(g), log(d), 0, 0}, sum[TOWERS_MAX] = {0};
            if (m == DELAY_FNW || m == DELAY_PU) {
                add(&s, logit, CLICKED, KIND_CONVERSION, 0, 1, sum);
                add(&s, logit, LATE, KIND_LATE, 0, r, sum);
            } else if (m == DELAY_DFM) {
                const double seen = r * (1 - exp(-rate * days));
                logit[2] = log(expm1(rate));
                add(&s, logit, CONVERTED, KIND_CONVERSION, 0.1, seen, sum);
                add(&s, logit, CLICKED, KIND_CONVERSION, days, 1 - seen, sum);
            } else {
                logit[2] = m == DELAY_DEFER ? log(d) : log(g);
                add(&s, logit, CONVERTED, KIND_CONVERSION, 0, r - d, sum);
                add(&s, logit, CLICKED, KIND_CONVERSION, 0, 1 - r + d, sum);
                add(&s, logit, LATE, m == DELAY_DEFER ? KIND_FINAL : KIND_LATE, 0, d, sum);
                if (m == DELAY_DEFER) {
                    add(&s, logit, CONVERTED, KIND_FINAL, 0, r - d, sum);
                    add(&s, logit, CLICKED, KIND_FINAL, 0, 1 - r, sum);
                }
            }
            if (m == DELAY_PU && logit_of(probability(a) * r) > 2.99) {
                continue; /* capped */
            }
            if (!close_to(sum[0], final[0], 1e-6, 1e-7) ||
                !close_to(sum[1], final[1], 1e-6, 1e-7)) {
                fail_msg("method %u r %g d %g a %g: %.9g %.9g, expected %.9g %.9g", m, r, d, a,
                         sum[0], sum[1], final[0], final[1]);
            }
        }
    }
}

/* The odds of the heads: their gradient over a click's records vanishes at log d and log g. */
static void test_odds_of_heads(void **state) {
    (void)state;
    const double r = 0.3, d = 0.12, g = d / (1 - r + d);
    const struct loss_spec s = spec_of(DELAY_DEFUSE), half = spec_of(DELAY_DEFER);
    for (int off = -1; off <= 1; off++) {
        const double logit[] = {0.4, -1, log(g) + 0.3 * off, log(d) + 0.3 * off, 0, 0};
        const double other[] = {0.4, -1, log(d) + 0.3 * off, 0, 0, 0};
        double sum[TOWERS_MAX] = {0}, defer[TOWERS_MAX] = {0};
        add(&s, logit, CONVERTED, KIND_CONVERSION, 0, r - d, sum);
        add(&s, logit, CLICKED, KIND_CONVERSION, 0, 1 - r + d, sum);
        add(&s, logit, LATE, KIND_LATE, 0, d, sum);
        add(&half, other, CONVERTED, KIND_CONVERSION, 0, r - d, defer);
        add(&half, other, CLICKED, KIND_CONVERSION, 0, 1 - r + d, defer);
        add(&half, other, CONVERTED, KIND_FINAL, 0, r - d, defer);
        add(&half, other, CLICKED, KIND_FINAL, 0, 1 - r, defer);
        add(&half, other, LATE, KIND_FINAL, 0, d, defer);
        const double slopes[] = {sum[2], sum[3], defer[2]};
        for (int k = 0; k < 3; k++) {
            assert_true(off == 0 ? fabs(slopes[k]) < 1e-12 : slopes[k] * off > 1e-3);
        }
    }
}

/* The mean gradient of the rate vanishes at the true rate, whenever clicks are looked at. */
static void test_rate_of_delay(void **state) {
    (void)state;
    const struct loss_spec s = spec_of(DELAY_DFM);
    const double q = 0.35, rate = 1.3, days = 0.7;
    enum { STEPS = 4000 };
    for (int off = -1; off <= 1; off++) {
        const double logit[] = {-1, logit_of(q), log(expm1(rate * (1 + 0.2 * off))), 0, 0, 0};
        double sum[TOWERS_MAX] = {0};
        for (int i = 0; i < STEPS; i++) {
            const double d = days * (i + 0.5) / STEPS;
            add(&s, logit, CONVERTED, KIND_CONVERSION, d, q * rate * exp(-rate * d) * days / STEPS,
                sum);
        }
        add(&s, logit, CLICKED, KIND_CONVERSION, days, 1 - q * -expm1(-rate * days), sum);
        assert_true(off == 0 ? fabs(sum[2]) < 1e-6 : sum[2] * off > 1e-3);
    }
}

/* Where every impression is a click, dfm's gradient is that of Chapelle's likelihood. */
static void test_dfm_is_chapelle_on_clicks(void **state) {
    (void)state;
    const struct loss_spec s = {.model = MODEL_ESMM, .w = 1, .delay = DELAY_DFM};
    for (uint64_t k = 0; k < 1000; k++) {
        const float elapsed = (float)(3 * rng_unit(SEED, k, 45));
        const double logit[TOWERS_MAX] = {60, 2 * rng_normal(SEED, k, 46), rng_normal(SEED, k, 47)};
        const double step = 1e-5;
        double d[TOWERS_MAX], slope[2];
        struct loss_sums terms;
        one(&s, logit, events[0], elapsed, &terms, d);
        for (int i = 0; i < 2; i++) {
            double value[2];
            for (int side = 0; side < 2; side++) {
                const double b = logit[1] + (i == 0) * (2 * side - 1) * step;
                const double rate = log(1 + exp(logit[2] + (i == 1) * (2 * side - 1) * step));
                value[side] = -log(1 - probability(b) * (1 - exp(-rate * (double)elapsed)));
            }
            slope[i] = (value[1] - value[0]) / (2 * step);
        }
        assert_true(close_to(d[1], slope[0], 1e-5, 1e-8) && close_to(d[2], slope[1], 1e-5, 1e-8));
    }
}

/* --- kinds ------------------------------------------------------------------------------------ */

static const enum model_name models[] = {
    MODEL_ESMM,         MODEL_CTR,     MODEL_BASE,  MODEL_AMAN, MODEL_UNBIAS, MODEL_DIVISION,
    MODEL_OVERSAMPLING, MODEL_ESMM_NS, MODEL_SHARE, MODEL_MMOE, MODEL_PLE};
enum { MODELS = sizeof models / sizeof *models };

/* Of every model: a click's record and its CTCVR record are the two halves of one of both terms,
 * and that is an impression of a log. */
static void test_terms_of_kinds(void **state) {
    (void)state;
    for (uint64_t k = 0; k < 300 * MODELS; k++) {
        const struct loss_spec s = {
            .model = models[k % MODELS], .w = 0.6f, .unbias_clip = 0.3f, .seed = SEED};
        const uint32_t towers = method_of(s.model)->towers;
        const uint8_t labels = rng_below(SEED, k, 60, 2) ? CONVERTED : CLICKED;
        const uint64_t id = 7;
        double logit[TOWERS_MAX], log[TOWERS_MAX], both[TOWERS_MAX], x[TOWERS_MAX], y[TOWERS_MAX];
        struct loss_sums log_terms, both_terms, x_terms, y_terms;
        random_logits(k, 3, logit);
        loss_one(&s, logit, labels, id, &log_terms, log);
        one(&s, logit, (struct event){labels, KIND_BOTH}, 0, &both_terms, both);
        one(&s, logit, (struct event){CLICKED, KIND_CLICK}, 0, &x_terms, x);
        one(&s, logit, (struct event){labels, KIND_CONVERSION}, 0, &y_terms, y);
        assert_memory_equal(&log_terms, &both_terms, sizeof log_terms);
        assert_true(x_terms.ctcvr == 0 && y_terms.ctr == 0);
        assert_true(x_terms.ctr == log_terms.ctr && y_terms.ctcvr == log_terms.ctcvr);
        assert_true(close_to(x_terms.total + y_terms.total, log_terms.total, 1e-12, 1e-14));
        assert_true(close_to(x_terms.total, x_terms.ctr, 1e-12, 0));
        assert_true(close_to(y_terms.total, (double)s.w * y_terms.ctcvr, 1e-12, 1e-14));
        for (uint32_t i = 0; i < towers; i++) {
            assert_true(log[i] == both[i]);
            assert_true(close_to(x[i] + y[i], log[i], 1e-12, 1e-14));
        }
    }
}

/* A click's record says nothing of what follows, of models with more terms than two either. */
static void test_click_teaches_the_click(void **state) {
    (void)state;
    static const enum model_name more[] = {MODEL_ESCM2_IPS, MODEL_ESCM2_DR, MODEL_DCMT,
                                           MODEL_ESM2,      MODEL_CHAIN,    MODEL_AITM};
    for (uint64_t k = 0; k < 500; k++) {
        const struct loss_spec s = {.model = more[k % 6],
                                    .w = 0.6f,
                                    .cvr_weight = 0.5f,
                                    .propensity_min = 0.01f,
                                    .counterfactual_weight = 0.1f,
                                    .behaviours = 2,
                                    .behaviour_weight = 0.7f,
                                    .calibrator_weight = 0.8f};
        double logit[TOWERS_MAX], x[TOWERS_MAX], y[TOWERS_MAX], both[TOWERS_MAX];
        struct loss_sums terms, rest, whole;
        random_logits(k, 2, logit);
        one(&s, logit, (struct event){CLICKED, KIND_CLICK}, 0, &terms, x);
        one(&s, logit, (struct event){CONVERTED, KIND_CONVERSION}, 0, &rest, y);
        one(&s, logit, (struct event){CONVERTED, KIND_BOTH}, 0, &whole, both);
        assert_true(close_to(terms.total, -log(probability(logit[0])), 1e-9, 1e-12));
        assert_true(close_to(x[0], probability(logit[0]) - 1, 1e-9, 1e-12));
        assert_true(close_to(terms.total + rest.total, whole.total, 1e-12, 1e-12));
        for (uint32_t i = 0; i < loss_towers(&s); i++) {
            assert_true(i == 0 || x[i] == 0);
            assert_true(close_to(x[i] + y[i], both[i], 1e-12, 1e-12));
        }
    }
}

/* What is final is not weighed: an unclicked impression, and a log's. */
static void test_final_labels_are_plain(void **state) {
    (void)state;
    const uint8_t labels[] = {0, CLICKED, CONVERTED};
    for (uint32_t m = 0; m < DELAY_METHODS; m++) {
        const struct loss_spec s = spec_of((enum delay_method)m), none = spec_of(DELAY_NONE);
        for (uint32_t k = 0; k < 6; k++) {
            const struct event e = {labels[k % 3], k < 3 ? KIND_BOTH : KIND_LOG};
            const double logit[TOWERS_MAX] = {-0.3, 0.6, -2, 1, 0, 0};
            double d[TOWERS_MAX], want[TOWERS_MAX];
            struct loss_sums terms, plain;
            one(&s, logit, e, 2, &terms, d);
            one(&none, logit, e, 2, &plain, want);
            assert_memory_equal(&terms, &plain, sizeof terms);
            for (uint32_t i = 0; i < towers_of(s.delay); i++) {
                assert_true(d[i] == (i < 2 ? want[i] : 0));
            }
        }
    }
}

/* --- batches and extremes --------------------------------------------------------------------- */

static void test_batch_against_record(void **state) {
    (void)state;
    enum { N = 600 };
    static float logit[TOWERS_MAX][N], d[TOWERS_MAX][N], elapsed[N];
    static uint8_t labels[N], kind[N];
    static uint64_t id[N];
    const float *logits[TOWERS_MAX];
    float *slopes[TOWERS_MAX];
    for (uint32_t k = 0; k < TOWERS_MAX; k++) {
        logits[k] = logit[k];
        slopes[k] = d[k];
    }
    for (size_t i = 0; i < N; i++) {
        const struct event e = events[rng_below(SEED, i, 70, EVENTS)];
        const bool whole = i % 3 == 0;
        labels[i] = whole ? 0 : e.labels;
        kind[i] = whole ? KIND_BOTH : e.kind;
        elapsed[i] = (float)rng_unit(SEED, i, 71);
        for (uint32_t k = 0; k < TOWERS_MAX; k++) {
            logit[k][i] = (float)(5 * rng_normal(SEED, i, 72 + k));
        }
    }
    for (uint32_t m = 0; m < DELAY_METHODS; m++) {
        for (int of_log = 0; of_log < 2; of_log++) {
            const struct loss_spec s = spec_of((enum delay_method)m);
            const struct loss_rows rows = {logits, labels, id, NULL, of_log ? NULL : kind, elapsed};
            struct loss_sums sums = {.ctr = 1, .ctcvr = 2, .total = 3}, want = sums;
            memset(d, 0xff, sizeof d);
            loss_batch(&s, &rows, N, 0.5f, slopes, &sums);
            for (size_t i = 0; i < N; i++) {
                double z[TOWERS_MAX], slope[TOWERS_MAX];
                struct loss_sums terms;
                for (uint32_t k = 0; k < TOWERS_MAX; k++) {
                    z[k] = (double)logit[k][i];
                }
                loss_record(&s, z, &rows, i, &terms, slope);
                want.ctr += terms.ctr;
                want.ctcvr += terms.ctcvr;
                want.total += terms.total;
                for (uint32_t k = 0; k < towers_of(s.delay); k++) {
                    assert_true(close_to((double)d[k][i], 0.5 * slope[k], 1e-6, 1e-16));
                }
            }
            assert_true(close_to(sums.ctr, want.ctr, 1e-11, 0));
            assert_true(close_to(sums.ctcvr, want.ctcvr, 1e-11, 0));
            assert_true(close_to(sums.total, want.total, 1e-11, 0));
        }
    }
}

static const float extremes[] = {-FLT_MAX, -1e30f, -2e4f, -750,  -88.8f, -17,  -0.0f,
                                 0,        1e-38f, 17,    88.8f, 750,    2e4f, FLT_MAX};
enum { EXTREMES = sizeof extremes / sizeof *extremes };

/* Any finite logits: a finite loss, and gradients within w of the model's towers. A rate may be as
 * large as its logit, so of dfm's head the slope alone is bounded, by 1 + the elapsed time. */
static void test_finite_everywhere(void **state) {
    (void)state;
    for (uint64_t k = 0; k < 400000; k++) {
        const struct loss_spec s = spec_of((enum delay_method)(k % DELAY_METHODS));
        const struct event e = events[rng_below(SEED, k, 80, EVENTS)];
        const float elapsed = (float[]){0, 1e-5f, 1, 7, 1e6f}[rng_below(SEED, k, 81, 5)];
        double logit[TOWERS_MAX], d[TOWERS_MAX];
        struct loss_sums terms;
        for (uint32_t i = 0; i < TOWERS_MAX; i++) {
            logit[i] = (double)extremes[rng_below(SEED, k, 82 + i, EXTREMES)];
        }
        one(&s, logit, e, elapsed, &terms, d);
        const double w = (double)s.w * (s.delay == DELAY_PU ? 2 : 1);
        assert_true(isfinite(terms.total) && isfinite(terms.ctcvr));
        for (uint32_t i = 0; i < towers_of(s.delay); i++) {
            const double bound = i < 2 ? w : s.delay == DELAY_DFM ? 1 + (double)elapsed : 1;
            if (!(fabs(d[i]) <= bound)) {
                fail_msg("method %d labels %u kind %u logits %g %g %g %g: slope %u is %g", s.delay,
                         e.labels, e.kind, logit[0], logit[1], logit[2], logit[3], i, d[i]);
            }
        }
    }
}

/* A late conversion pushes no further once it is believed. */
static void test_pu_is_capped(void **state) {
    (void)state;
    const struct loss_spec s = spec_of(DELAY_PU);
    struct loss_sums terms;
    double d[TOWERS_MAX];
    const double believed[TOWERS_MAX] = {9, 3.1}, not_yet[TOWERS_MAX] = {9, 2.9};
    one(&s, believed, events[2], 0, &terms, d);
    assert_true(terms.total == 0 && d[0] == 0 && d[1] == 0);
    one(&s, not_yet, events[2], 0, &terms, d);
    assert_true(terms.total < 0 && d[0] < 0 && d[1] < 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_methods_literally),
        cmocka_unit_test(test_stream_teaches_the_final_label),
        cmocka_unit_test(test_odds_of_heads),
        cmocka_unit_test(test_rate_of_delay),
        cmocka_unit_test(test_dfm_is_chapelle_on_clicks),
        cmocka_unit_test(test_terms_of_kinds),
        cmocka_unit_test(test_click_teaches_the_click),
        cmocka_unit_test(test_final_labels_are_plain),
        cmocka_unit_test(test_batch_against_record),
        cmocka_unit_test(test_finite_everywhere),
        cmocka_unit_test(test_pu_is_capped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
