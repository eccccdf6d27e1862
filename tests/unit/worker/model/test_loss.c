#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/data/record.h"
#include "worker/model/loss.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEED 20240517u

static int agree(double got, double want, double relative, double absolute) {
    return fabs(got - want) <= relative * fabs(want) + absolute;
}

struct vector {
    double a, b, w, loss, da, db;
    int click, conversion;
};

static FILE *open_vectors(void) {
    FILE *f = fopen(TESTS_DIR "/golden/loss_vectors.tsv", "r");
    assert_non_null(f);
    return f;
}

static int next_vector(FILE *f, struct vector *v) {
    char line[512];
    while (fgets(line, sizeof line, f) != NULL) {
        if (line[0] == '#') {
            continue;
        }
        assert_int_equal(sscanf(line, "%lf %lf %d %d %lf %lf %lf %lf", &v->a, &v->b, &v->click,
                                &v->conversion, &v->w, &v->loss, &v->da, &v->db),
                         8);
        return 1;
    }
    return 0;
}

/* Where y = 1, t = 0 and p -> 1, two terms of about e^-a cancel: absolute error, harmless. */
static void test_one_against_vectors(void **state) {
    (void)state;
    FILE *f = open_vectors();
    struct vector v;
    int rows = 0;
    while (next_vector(f, &v)) {
        double loss, da, db;
        loss_esmm_one(v.a, v.b, v.click, v.conversion, v.w, &loss, &da, &db);
        if (!agree(loss, v.loss, 1e-14, 0) || !agree(da, v.da, 1e-12, 1e-16 * (1 + v.w)) ||
            !agree(db, v.db, 1e-14, 0)) {
            fail_msg("a %g b %g click %d conv %d w %g: loss %.17g (%.17g) da %.17g (%.17g) db "
                     "%.17g (%.17g)",
                     v.a, v.b, v.click, v.conversion, v.w, loss, v.loss, da, v.da, db, v.db);
        }
        rows++;
    }
    fclose(f);
    assert_int_equal(rows, 708);
}

static uint8_t labels_of(int click, int conversion) {
    return (uint8_t)((click ? LABEL_CLICK : 0) | (conversion ? LABEL_CONVERSION : 0));
}

/* The batch form is the exact value rounded to float: 6e-8 relative, of the larger of the two terms
 * where they cancel. */
static void test_batch_against_vectors(void **state) {
    (void)state;
    FILE *f = open_vectors();
    struct vector v;
    while (next_vector(f, &v)) {
        float a = (float)v.a, b = (float)v.b, da, db;
        uint8_t label = labels_of(v.click, v.conversion);
        struct loss_sums sums = {0};
        loss_esmm(&a, &b, &label, NULL, 1, (float)v.w, 1.0f, &da, &db, &sums);
        if ((double)a == v.a && (double)b == v.b) {
            assert_true(agree(sums.ctr + v.w * sums.ctcvr, v.loss, 1e-14, 0));
            assert_true(agree((double)da, v.da, 1e-7, 1e-16 * (1 + v.w)));
            assert_true(agree((double)db, v.db, 1e-7, 1e-40));
        } else {
            double loss, xa, xb;
            loss_esmm_one((double)a, (double)b, v.click, v.conversion, v.w, &loss, &xa, &xb);
            assert_true(agree((double)da, xa, 1e-7, 1e-16 * (1 + v.w)));
            assert_true(agree((double)db, xb, 1e-7, 1e-40));
            assert_true(agree(sums.ctr + v.w * sums.ctcvr, v.loss, 1e-6, 0));
        }
    }
    fclose(f);
}

static void test_conversion_without_click(void **state) {
    (void)state;
    for (int i = -40; i <= 40; i += 7) {
        double with[3], without[3];
        loss_esmm_one(i, 3 - i, 0, 1, 2, &with[0], &with[1], &with[2]);
        loss_esmm_one(i, 3 - i, 0, 0, 2, &without[0], &without[1], &without[2]);
        assert_memory_equal(with, without, sizeof with);
        float a = (float)i, b = (float)(3 - i), g[4];
        uint8_t labels[2] = {LABEL_CONVERSION, 0};
        struct loss_sums s[2] = {{0}};
        loss_esmm(&a, &b, &labels[0], NULL, 1, 2, 1, &g[0], &g[1], &s[0]);
        loss_esmm(&a, &b, &labels[1], NULL, 1, 2, 1, &g[2], &g[3], &s[1]);
        assert_memory_equal(&g[0], &g[2], 2 * sizeof *g);
        assert_memory_equal(&s[0], &s[1], sizeof *s);
    }
}

static const float extremes[] = {-FLT_MAX, -1e30f,  -2e4f, -750, -104,   -88.8f,
                                 -17,      -1e-20f, -0.0f, 0,    1e-38f, 17,
                                 88.8f,    104,     750,   2e4f, 1e30f,  FLT_MAX};
#define EXTREMES (sizeof extremes / sizeof *extremes)

/* Any finite logits: a finite loss, and gradients within their bounds. */
static void test_finite_everywhere(void **state) {
    (void)state;
    float w = 5.0f;
    for (size_t i = 0; i < EXTREMES; i++) {
        for (size_t j = 0; j < EXTREMES; j++) {
            for (uint8_t label = 0; label < 4; label++) {
                struct loss_sums s = {0};
                float da, db;
                loss_esmm(&extremes[i], &extremes[j], &label, NULL, 1, w, 1, &da, &db, &s);
                assert_true(isfinite(s.ctr) && isfinite(s.ctcvr) && s.ctr >= 0 && s.ctcvr >= 0);
                assert_true(fabsf(da) <= 1.0f + w && fabsf(db) <= w);
                double loss, xa, xb;
                loss_esmm_one((double)extremes[i], (double)extremes[j], label & 1, label & 2,
                              (double)w, &loss, &xa, &xb);
                assert_true(isfinite(loss) && isfinite(xa) && isfinite(xb));
            }
        }
    }
}

static void test_gradient_is_the_slope(void **state) {
    (void)state;
    const double h = 1e-5;
    double worst = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        double a = 60 * rng_unit(SEED, i, 0) - 30, b = 60 * rng_unit(SEED, i, 1) - 30;
        int click = (int)(i & 1), conversion = (int)(i >> 1 & 1);
        double l[4], da, db, x, y;
        loss_esmm_one(a - h, b, click, conversion, 1.5, &l[0], &x, &y);
        loss_esmm_one(a + h, b, click, conversion, 1.5, &l[1], &x, &y);
        loss_esmm_one(a, b - h, click, conversion, 1.5, &l[2], &x, &y);
        loss_esmm_one(a, b + h, click, conversion, 1.5, &l[3], &x, &y);
        loss_esmm_one(a, b, click, conversion, 1.5, &x, &da, &db);
        worst = fmax(worst, fabs(da - (l[1] - l[0]) / (2 * h)));
        worst = fmax(worst, fabs(db - (l[3] - l[2]) / (2 * h)));
    }
    assert_true(worst < 3e-9);
}

/* The batch form against the oracle on many rows at once, with scale and running sums. */
static void test_batch_against_one(void **state) {
    (void)state;
    enum { N = 4096 };
    static float a[N], b[N], da[N], db[N];
    static uint8_t labels[N];
    double ctr = 0, both = 0;
    for (uint64_t i = 0; i < N; i++) {
        a[i] = (float)(8 * rng_normal(SEED, i, 2));
        b[i] = (float)(8 * rng_normal(SEED, i, 3));
        labels[i] = (uint8_t)(rng_u64(SEED, i, 4) & 3);
    }
    struct loss_sums sums = {.ctr = 10, .ctcvr = 20};
    loss_esmm(a, b, labels, NULL, N, 0.5f, 0.25f, da, db, &sums);
    for (size_t i = 0; i < N; i++) {
        double l0, l1, xa, xb, x, y;
        int click = labels[i] & LABEL_CLICK, conversion = labels[i] & LABEL_CONVERSION;
        loss_esmm_one((double)a[i], (double)b[i], click, conversion, 0, &l0, &x, &y);
        loss_esmm_one((double)a[i], (double)b[i], click, conversion, 0.5, &l1, &xa, &xb);
        ctr += l0;
        both += l1;
        assert_true(agree((double)da[i], 0.25 * xa, 1e-7, 1e-16));
        assert_true(agree((double)db[i], 0.25 * xb, 1e-7, 1e-40));
    }
    assert_true(agree(sums.ctr, 10 + ctr, 1e-12, 0));
    assert_true(agree(sums.ctcvr, 20 + (both - ctr) / 0.5, 1e-11, 0));
}

/* --- the other models ------------------------------------------------------------------------- */

static const enum model_name models[] = {
    MODEL_CTR,     MODEL_BASE,  MODEL_AMAN, MODEL_OVERSAMPLING, MODEL_UNBIAS,   MODEL_DIVISION,
    MODEL_ESMM_NS, MODEL_SHARE, MODEL_ESMM, MODEL_ESCM2_IPS,    MODEL_ESCM2_DR, MODEL_DCMT,
    MODEL_ESM2,    MODEL_CHAIN, MODEL_MMOE, MODEL_PLE,          MODEL_AITM};
enum { MODELS = sizeof models / sizeof *models };

static struct loss_spec spec_of(enum model_name model, enum unbias unbias) {
    return (struct loss_spec){.model = model,
                              .w = 0.75f,
                              .unbias = unbias,
                              .unbias_clip = 0.2f,
                              .seed = SEED,
                              .cvr_weight = 0.6f,
                              .propensity_min = 0.05f,
                              .counterfactual_weight = 0.3f,
                              .behaviours = 3,
                              .behaviour_weight = 0.4f,
                              .calibrator_weight = 0.9f,
                              .norm = {0.7, 1.2}};
}

/* Labels that occur: a click may come with any behaviours. */
static uint8_t some_labels(uint64_t k) {
    const uint8_t outcome = (uint8_t[]){0, 1, 3}[rng_below(SEED, k, 20, 3)];
    return outcome == 0 ? 0 : (uint8_t)(outcome | (LABEL_BEHAVIOURS & rng_u64(SEED, k, 21)));
}

static double bce_of(double probability, int label) {
    return -log(label ? probability : 1.0 - probability);
}

/* The weights that no gradient goes through: at `held`, wherever the formula itself is evaluated.
 */
static double inverse(const struct loss_spec *s, double probability) {
    return 1 / fmax(probability, (double)s->propensity_min);
}

/* The CVR terms of the causal models, in probabilities x; p held. */
static double literal_causal(const struct loss_spec *s, const double *x, int y, int z, double p,
                             double imputed) {
    const double e = bce_of(x[1], z), apart = fabs(1 - (x[1] + x[2]));
    const double gap = e - imputed;
    switch (s->model) {
    case MODEL_ESCM2_IPS: return y * e * inverse(s, p);
    case MODEL_ESCM2_DR: return imputed + y * (gap + gap * gap) * inverse(s, p);
    default:
        return y * s->norm.clicked * inverse(s, p) * e +
               (1 - y) * s->norm.unclicked * inverse(s, 1 - p) * bce_of(x[2], 1) +
               (double)s->counterfactual_weight * apart;
    }
}

/* Every prefix of the product has a label: done, or something later done. */
static double literal_chain(const struct loss_spec *s, const double *x, uint8_t labels) {
    const uint32_t stages = 2 + s->behaviours;
    double loss = bce_of(x[0], labels & 1), product = x[0];
    for (uint32_t k = 1; k < stages; k++) {
        int reached = (labels & 2) != 0;
        for (uint32_t later = k; later <= s->behaviours; later++) {
            reached |= (labels >> (2 + later)) & 1;
        }
        product *= x[k];
        loss += (double)(k + 1 < stages ? s->behaviour_weight : s->w) * bce_of(product, reached);
    }
    return loss;
}

/* The formulas of loss.h with probabilities, as they are written there. */
static double literal(const struct loss_spec *s, const double *logit, uint8_t labels, double m,
                      double held) {
    const int y = labels & 1, t = (labels & 3) == 3;
    const double w = (double)s->w, h = (double)s->behaviour_weight;
    double x[TOWERS_MAX];
    for (uint32_t k = 0; k < TOWERS_MAX; k++) {
        x[k] = 1 / (1 + exp(-logit[k]));
    }
    const double p = x[0], second = x[1];
    switch (s->model) {
    case MODEL_ESMM:
    case MODEL_MMOE:
    case MODEL_PLE:
    case MODEL_ESMM_NS: return bce_of(p, y) + w * bce_of(p * second, t);
    case MODEL_SHARE: return bce_of(p, y) + w * y * bce_of(second, t);
    case MODEL_UNBIAS: return bce_of(p, y) + w * y * m * bce_of(second, t);
    case MODEL_DIVISION: return bce_of(p, y) + w * bce_of(second, t);
    case MODEL_CTR: return bce_of(p, y);
    case MODEL_AITM:
        return bce_of(p, y) + w * bce_of(second, t) +
               (double)s->calibrator_weight * fmax(second - p, 0);
    case MODEL_ESCM2_IPS:
    case MODEL_ESCM2_DR:
    case MODEL_DCMT:
        return bce_of(p, y) + w * bce_of(p * second, t) +
               (double)s->cvr_weight * literal_causal(s, x, y, t, held, log1p(exp(logit[2])));
    case MODEL_ESM2:
        return bce_of(p, y) + h * bce_of(p * second, (labels & LABEL_BEHAVIOURS) != 0) +
               w * bce_of(p * (second * x[2] + (1 - second) * x[3]), t);
    case MODEL_CHAIN: return literal_chain(s, x, labels);
    default: return w * bce_of(p, t);
    }
}

static double weight_of(const struct loss_spec *s, const double *logit) {
    return fmin(1.0, (double)s->unbias_clip * (1 + exp(-logit[0])));
}

static void test_models_literally(void **state) {
    (void)state;
    for (uint64_t k = 0; k < MODELS * 3000; k++) {
        const struct loss_spec s = spec_of(models[k % MODELS], UNBIAS_WEIGHT);
        double logit[TOWERS_MAX], d[TOWERS_MAX];
        for (uint32_t i = 0; i < TOWERS_MAX; i++) {
            logit[i] = 3 * rng_normal(SEED, k, i);
        }
        const uint8_t labels = some_labels(k);
        const double m = weight_of(&s, logit), h = 1e-5, p = 1 / (1 + exp(-logit[0]));
        struct loss_sums terms;
        loss_one(&s, logit, labels, k, &terms, d);
        assert_true(agree(terms.total, literal(&s, logit, labels, m, p), 1e-9, 1e-11));
        if (s.model < MODEL_ESCM2_IPS) {
            assert_true(agree(terms.ctr + (double)s.w * terms.ctcvr, terms.total, 1e-12, 1e-15));
        }
        for (uint32_t i = 0; i < loss_towers(&s); i++) {
            double up[TOWERS_MAX], down[TOWERS_MAX];
            memcpy(up, logit, sizeof up);
            memcpy(down, logit, sizeof down);
            up[i] += h;
            down[i] -= h;
            const double slope =
                (literal(&s, up, labels, m, p) - literal(&s, down, labels, m, p)) / (2 * h);
            if (!agree(d[i], slope, 1e-5, 1e-7)) { /* weights are held: no gradient through them */
                fail_msg("model %d, labels %u, slope %u: %.12g, expected %.12g", s.model, labels, i,
                         d[i], slope);
            }
        }
    }
}

/* What a chain and ESM2 say of p_cvr is what their loss takes the product of. */
static void test_chain_cvr(void **state) {
    (void)state;
    for (uint64_t k = 0; k < 2000; k++) {
        const struct loss_spec s = spec_of(k % 2 == 0 ? MODEL_CHAIN : MODEL_ESM2, UNBIAS_WEIGHT);
        float value[TOWERS_MAX], a, b;
        const float *logit[TOWERS_MAX];
        double x[TOWERS_MAX];
        for (uint32_t i = 0; i < TOWERS_MAX; i++) {
            value[i] = (float)(2 * rng_normal(SEED, k, i));
            logit[i] = &value[i];
            x[i] = 1 / (1 + exp(-(double)value[i]));
        }
        loss_scores(&s, logit, 1, &a, &b);
        const double q =
            s.model == MODEL_CHAIN ? x[1] * x[2] * x[3] * x[4] : x[1] * x[2] + (1 - x[1]) * x[3];
        assert_true(a == value[0]);
        assert_true(agree((double)b, log(q / (1 - q)), 1e-6, 1e-6));
    }
}

/* The models with more than two logits, at all corners of what a float can be. */
static void test_models_finite(void **state) {
    (void)state;
    static const double corners[] = {0, -1e-30, 40, -40, 800, -800, 3e38, -3e38};
    for (uint32_t m = 0; m < MODELS; m++) {
        const struct loss_spec s = spec_of(models[m], UNBIAS_WEIGHT);
        for (uint32_t k = 0; k < 8 * 8 * 8 * 8 * 6; k++) {
            double logit[TOWERS_MAX] = {0}, d[TOWERS_MAX];
            struct loss_sums terms;
            for (uint32_t i = 0; i < 4; i++) {
                logit[i] = corners[k / 6 >> 3 * i & 7];
            }
            logit[4] = -logit[2];
            const uint8_t labels = (uint8_t[]){0,
                                               1,
                                               3,
                                               1 | LABEL_BEHAVIOUR(1),
                                               3 | LABEL_BEHAVIOUR(2),
                                               3 | LABEL_BEHAVIOUR(3)}[k % 6];
            loss_one(&s, logit, labels, k, &terms, d);
            /* the square of an error of 1e38 is what it is */
            bool fine = isfinite(terms.total);
            for (uint32_t i = 0; i < loss_towers(&s); i++) {
                fine = fine && isfinite(d[i]);
            }
            if (!fine) {
                fail_msg("model %d, labels %u, logits %g %g %g %g", s.model, labels, logit[0],
                         logit[1], logit[2], logit[3]);
            }
        }
    }
}

/* Over a batch the weights of either kind of impression have mean 1, and no click at all is no
 * division by zero. */
static void test_normalise(void **state) {
    (void)state;
    enum { N = 300 };
    float a[N];
    uint8_t labels[N];
    struct loss_spec s = spec_of(MODEL_DCMT, UNBIAS_WEIGHT);
    struct loss_totals sums = {0};
    double mean[2] = {0};
    for (size_t i = 0; i < N; i++) {
        a[i] = (float)(2 * rng_normal(SEED, i, 9) - 2);
        labels[i] = some_labels(i);
    }
    for (size_t i = 0; i < N; i += 100) {
        loss_totals_add(&sums, &s, a + i, labels + i, NULL, 100);
    }
    loss_normalise(&s, &sums);
    for (size_t i = 0; i < N; i++) {
        const double p = 1 / (1 + exp(-(double)a[i]));
        mean[labels[i] & 1] += (labels[i] & 1) != 0 ? s.norm.clicked * inverse(&s, p)
                                                    : s.norm.unclicked * inverse(&s, 1 - p);
    }
    assert_true(agree(mean[0] / N, 1, 1e-12, 0) && agree(mean[1] / N, 1, 1e-12, 0));
    loss_normalise(&s, &(struct loss_totals){N, 0, 5});
    assert_true(s.norm.clicked == 0 && agree(s.norm.unclicked, N / 5.0, 1e-15, 0));
}

/* A rejection is the weight in the mean, and one impression's coin falls the same way again. */
static void test_rejection(void **state) {
    (void)state;
    const struct loss_spec weight = spec_of(MODEL_UNBIAS, UNBIAS_WEIGHT);
    const struct loss_spec reject = spec_of(MODEL_UNBIAS, UNBIAS_REJECTION);
    const double logit[TOWERS_MAX] = {0.3, -1};
    struct loss_sums terms, again, expected;
    double d[TOWERS_MAX], sum = 0;
    enum { N = 40000 };
    loss_one(&weight, logit, LABEL_CLICK, 0, &expected, d);
    for (uint64_t i = 0; i < N; i++) {
        loss_one(&reject, logit, LABEL_CLICK, i, &terms, d);
        loss_one(&reject, logit, LABEL_CLICK, i, &again, d);
        assert_true(terms.ctcvr == again.ctcvr);
        sum += terms.ctcvr;
    }
    const double share = weight_of(&reject, logit);
    const double sd = sqrt(share * (1 - share) / N) * expected.ctcvr / share;
    assert_true(fabs(sum / N - expected.ctcvr) < 5 * sd);
}

static void test_models_batch_against_one(void **state) {
    (void)state;
    enum { N = 500 };
    static float logit[TOWERS_MAX][N], d[TOWERS_MAX][N], a[N], b[N];
    static uint8_t labels[N];
    static uint64_t id[N];
    const float *logits[TOWERS_MAX];
    float *slopes[TOWERS_MAX];
    for (uint32_t k = 0; k < TOWERS_MAX; k++) {
        logits[k] = logit[k];
        slopes[k] = d[k];
        for (size_t i = 0; i < N; i++) {
            logit[k][i] = (float)(20 * rng_normal(SEED, i, 5 + k));
        }
    }
    for (size_t i = 0; i < N; i++) {
        labels[i] = some_labels(i);
        id[i] = 77 * i;
    }
    for (uint32_t k = 0; k < MODELS; k++) {
        const struct loss_spec s = spec_of(models[k], UNBIAS_REJECTION);
        const uint32_t towers = loss_towers(&s);
        struct loss_sums sums = {0}, want = {0};
        loss_batch(&s, &(struct loss_rows){logits, labels, id, NULL, NULL, NULL}, N, 0.5f, slopes,
                   &sums);
        loss_scores(&s, logits, N, a, b);
        for (size_t i = 0; i < N; i++) {
            double z[TOWERS_MAX], one[TOWERS_MAX];
            struct loss_sums terms;
            for (uint32_t j = 0; j < TOWERS_MAX; j++) {
                z[j] = (double)logit[j][i];
            }
            loss_one(&s, z, labels[i], id[i], &terms, one);
            want.ctr += terms.ctr;
            want.ctcvr += terms.ctcvr;
            want.total += terms.total;
            for (uint32_t j = 0; j < towers; j++) {
                assert_true(isfinite(d[j][i]));
                assert_true(agree((double)d[j][i], 0.5 * one[j], 1e-6, 1e-30));
            }
            assert_true(a[i] == (method_of(s.model)->has_ctr ? logit[0][i] : 0.0f));
            if (s.model != MODEL_ESM2 && s.model != MODEL_CHAIN) {
                const uint32_t cvr = towers > 1 ? 1 : 0;
                assert_true(b[i] == (method_of(s.model)->has_cvr ? logit[cvr][i] : 0.0f));
            }
        }
        assert_true(agree(sums.ctr, want.ctr, 1e-12, 0));
        assert_true(agree(sums.ctcvr, want.ctcvr, 1e-12, 0));
        assert_true(agree(sums.total, want.total, 1e-12, 0));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_against_vectors),
        cmocka_unit_test(test_batch_against_vectors),
        cmocka_unit_test(test_conversion_without_click),
        cmocka_unit_test(test_finite_everywhere),
        cmocka_unit_test(test_gradient_is_the_slope),
        cmocka_unit_test(test_batch_against_one),
        cmocka_unit_test(test_models_literally),
        cmocka_unit_test(test_chain_cvr),
        cmocka_unit_test(test_models_finite),
        cmocka_unit_test(test_normalise),
        cmocka_unit_test(test_rejection),
        cmocka_unit_test(test_models_batch_against_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
