/* metric_calibration.c - checks whether probabilities are right: log loss, its normalised form, and
 * predicted against observed rates in buckets of the score.
 *
 * Normalised entropy (He et al. 2014) divides the log loss by the log loss of the best constant,
 * which is the base rate. 1 means "no better than a constant", and tasks with base rates of 4 % and
 * 0.02 % can be compared.
 *
 * The expected calibration error uses buckets of equal count, not of equal width: if all
 * predictions lie between 0 and 1 %, equal widths put them into one bucket. Rows of one score
 * always share a bucket; otherwise the figure would depend on their order in the file.
 */
#include "metric_calibration.h"

#include <math.h>

#include "common/base/logit.h"
#include "metric_sweep.h"

/* The largest float below 1. A quotient of two nets that reaches 1 counts as this, so its loss
 * stays finite. */
#define PROBABILITY_MOST (1.0 - 0x1p-24)

/* log(1 - e^x) for x < 0, without cancellation on either side. */
static double log1mexp(double x) {
    return x > -0.6931471805599453 ? log(-expm1(x)) : log1p(-exp(x));
}

double metric_probability(double score, enum metric_scale scale) {
    return scale == SCALE_LOGIT ? sigmoid(score)
           : score < 0.0        ? exp(score)
           : score >= 0.0       ? 1.0
                                : NAN;
}

double metric_loss(double score, enum metric_scale scale, bool label) {
    if (scale == SCALE_LOGIT) {
        return softplus(label ? -score : score);
    }
    const double most = log(PROBABILITY_MOST);
    double log_p = score > most ? most : score;
    return label ? -log_p : -log1mexp(log_p);
}

double metric_normalised_entropy(double logloss, double positives, double n) {
    if (!(positives > 0.0 && positives < n)) {
        return NAN;
    }
    double rate = positives / n;
    return logloss / (-rate * log(rate) - (1.0 - rate) * log1p(-rate));
}

/* Turns the sums of a full bucket into means. */
static void bucket_close(struct reliability_bucket *b) {
    b->predicted /= b->weight;
    b->observed /= b->weight;
}

static void gaps(const struct reliability *r, double n, double *ece, double *ece_max) {
    *ece = *ece_max = 0.0;
    for (uint32_t k = 0; k < r->buckets; k++) {
        const struct reliability_bucket *b = &r->bucket[k];
        double gap = fabs(b->predicted - b->observed);
        *ece += gap * b->weight / n;
        *ece_max = fmax(*ece_max, gap);
    }
}

/* With numbers of rows (32 bits) the quotient in double (53 bits) is never rounded up to a whole
 * number. With sums of weights it may be, so the result is bounded. */
static size_t bucket_of(double below, double all) {
    const size_t at = (size_t)(below * RELIABILITY_BUCKETS / all);
    return at < RELIABILITY_BUCKETS ? at : RELIABILITY_BUCKETS - 1;
}

void metric_reliability(const struct metric_order *o, const double *score, enum metric_scale scale,
                        const uint8_t *label, const float *weight, struct reliability *r,
                        double *ece, double *ece_max) {
    struct reliability_bucket *b = NULL;
    double all = 0.0, seen = 0.0, below = 0.0; /* weights: of all rows, so far, of a lower score */
    size_t place = 0;                          /* bucket of this tie group */
    *r = (struct reliability){0};
    *ece = *ece_max = NAN;
    for (size_t i = 0; i < o->n; i++) {
        all += weight_at(weight, i);
    }
    for (size_t i = 0; i < o->n && !o->nan; i++) {
        const double w = weight_at(weight, o->rows[i].tag);
        if (i == 0 || o->rows[i].key != o->rows[i - 1].key) {
            below = seen;
        }
        if (w == 0.0) {
            continue;
        }
        seen += w;
        size_t now = bucket_of(below, all);
        if (b == NULL || now != place) {
            place = now;
            if (b != NULL) {
                bucket_close(b);
            }
            b = &r->bucket[r->buckets++];
        }
        b->predicted += w * metric_probability(score[o->rows[i].tag], scale);
        b->observed += label[o->rows[i].tag] != 0 ? w : 0.0;
        b->weight += w;
        b->n++;
    }
    if (b != NULL) {
        bucket_close(b);
        gaps(r, all, ece, ece_max);
    }
}
