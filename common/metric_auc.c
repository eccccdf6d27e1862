/* metric_auc.c - exact area under the ROC curve, whole and by groups.
 *
 * AUC is the share of (positive, negative) pairs that the score orders rightly, a tie counting one
 * half. Rows are sorted by score; each tie group adds pos * (neg_below + neg_tie / 2), and the sum
 * is divided by P N. Threshold bins are not an option here: on CTCVR scores around 2.5e-4 two
 * hundred uniform bins give 0.5003 for a true 0.7143 (docs/metrics.md).
 *
 * With 0/1 labels every sum is of whole numbers and halves below 2^53, so the result is exact up to
 * its last division.
 */
#include "metric.h"

#include <math.h>
#include <stdbool.h>

#include "mem.h"
#include "rank.h"

double metric_auc_sd(double auc, uint64_t positives, uint64_t negatives) {
    if (positives == 0 || negatives == 0 || isnan(auc)) {
        return NAN;
    }
    double p = (double)positives, n = (double)negatives, square = auc * auc;
    double q1 = auc / (2.0 - auc), q2 = 2.0 * square / (1.0 + auc);
    double variance =
        (auc * (1.0 - auc) + (p - 1.0) * (q1 - square) + (n - 1.0) * (q2 - square)) / (p * n);
    return sqrt(fmax(variance, 0.0));
}

/* The sweep over sorted rows: add one row at a time, close at each change of score. */
struct sweep {
    double pairs, below; /* ordered pairs so far; negatives below the open tie group */
    double pos, neg;     /* of the open tie group */
    double positives;
};

static void sweep_close(struct sweep *s) {
    s->pairs += s->pos * (s->below + 0.5 * s->neg);
    s->below += s->neg;
    s->positives += s->pos;
    s->pos = s->neg = 0.0;
}

static double sweep_auc(struct sweep *s) {
    sweep_close(s);
    double pairs = s->positives * s->below;
    return pairs > 0.0 ? s->pairs / pairs : NAN;
}

/* Scores of either width, so that the code below exists once. */
struct scores {
    const float *f32;
    const double *f64;
};

/* *rows = key of each score, tag = index, sorted (freed by the caller also on failure). *nan: some
 * score is not a number, so there is no order. */
static enum status rank_scores(struct scores scores, size_t n, struct ranked **rows, bool *nan) {
    TRY(mem_array((void **)rows, n, sizeof **rows));
    *nan = false;
    for (size_t i = 0; i < n; i++) {
        double score = scores.f32 != NULL ? (double)scores.f32[i] : scores.f64[i];
        uint64_t key = scores.f32 != NULL ? rank_key_f32(scores.f32[i]) : rank_key_f64(score);
        *nan |= isnan(score);
        (*rows)[i] = (struct ranked){key, i};
    }
    return rank_sort(*rows, n);
}

enum status metric_auc(const float *score, const double *pos, const double *neg, size_t n,
                       double *auc) {
    struct ranked *rows = NULL;
    bool nan;
    enum status status;
    TRY_OUT(rank_scores((struct scores){.f32 = score}, n, &rows, &nan));
    struct sweep s = {0};
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && rows[i].key != rows[i - 1].key) {
            sweep_close(&s);
        }
        s.pos += pos[rows[i].tag];
        s.neg += neg[rows[i].tag];
    }
    *auc = nan ? NAN : sweep_auc(&s);
out:
    mem_free(&rows);
    return status;
}

/* AUC of sorted rows whose tag's lowest bit is the label. */
static double auc_of_ranked(const struct ranked *rows, size_t n) {
    struct sweep s = {0};
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && rows[i].key != rows[i - 1].key) {
            sweep_close(&s);
        }
        s.pos += (double)(rows[i].tag & 1);
        s.neg += (double)(~rows[i].tag & 1);
    }
    return sweep_auc(&s);
}

static enum status auc_of_labels(struct scores scores, const uint8_t *label, size_t n, double *auc,
                                 uint64_t *positives, uint64_t *negatives) {
    struct ranked *rows = NULL;
    bool nan;
    enum status status;
    TRY_OUT(rank_scores(scores, n, &rows, &nan));
    *positives = 0;
    for (size_t i = 0; i < n; i++) {
        rows[i].tag = label[rows[i].tag] != 0;
        *positives += rows[i].tag;
    }
    *negatives = n - *positives;
    *auc = nan ? NAN : auc_of_ranked(rows, n);
out:
    mem_free(&rows);
    return status;
}

enum status metric_auc_labels(const float *score, const uint8_t *label, size_t n, double *auc,
                              uint64_t *positives, uint64_t *negatives) {
    return auc_of_labels((struct scores){.f32 = score}, label, n, auc, positives, negatives);
}

enum status metric_auc_labels_f64(const double *score, const uint8_t *label, size_t n, double *auc,
                                  uint64_t *positives, uint64_t *negatives) {
    return auc_of_labels((struct scores){.f64 = score}, label, n, auc, positives, negatives);
}

/* --- by groups ----------------------------------------------------------------------------- */

/* rows are sorted by score, tag = index. Sorts them by group; the order of scores within a group
 * stays, because the sort is stable. The tag becomes (number of the distinct score, label). */
static enum status by_group(struct ranked *rows, const uint8_t *label, const uint64_t *group,
                            size_t n) {
    uint64_t place = 0, previous = 0;
    for (size_t i = 0; i < n; i++) {
        place += i > 0 && rows[i].key != previous;
        previous = rows[i].key;
        size_t row = (size_t)rows[i].tag;
        rows[i] = (struct ranked){group[row], place << 1 | (label[row] != 0)};
    }
    return rank_sort(rows, n);
}

/* Groups are runs of one key; each is re-keyed by its scores for its own sweep. */
static void gauc_of_grouped(struct ranked *rows, size_t n, double *gauc, double *coverage) {
    double sum = 0.0, weight = 0.0;
    for (size_t begin = 0, end; begin < n; begin = end) {
        uint64_t group = rows[begin].key;
        for (end = begin; end < n && rows[end].key == group; end++) {
        }
        for (size_t i = begin; i < end; i++) {
            rows[i].key = rows[i].tag >> 1;
        }
        double auc = auc_of_ranked(rows + begin, end - begin);
        if (!isnan(auc)) {
            sum += auc * (double)(end - begin);
            weight += (double)(end - begin);
        }
    }
    *gauc = weight > 0.0 ? sum / weight : NAN;
    *coverage = n > 0 ? weight / (double)n : NAN;
}

static enum status gauc_of_scores(struct scores scores, const uint8_t *label, const uint64_t *group,
                                  size_t n, double *gauc, double *coverage) {
    struct ranked *rows = NULL;
    bool nan;
    enum status status;
    TRY_OUT(rank_scores(scores, n, &rows, &nan));
    TRY_OUT(by_group(rows, label, group, n));
    gauc_of_grouped(rows, n, gauc, coverage);
    *gauc = nan ? NAN : *gauc;
out:
    mem_free(&rows);
    return status;
}

enum status metric_gauc(const float *score, const uint8_t *label, const uint64_t *group, size_t n,
                        double *gauc, double *coverage) {
    return gauc_of_scores((struct scores){.f32 = score}, label, group, n, gauc, coverage);
}

enum status metric_gauc_f64(const double *score, const uint8_t *label, const uint64_t *group,
                            size_t n, double *gauc, double *coverage) {
    return gauc_of_scores((struct scores){.f64 = score}, label, group, n, gauc, coverage);
}
