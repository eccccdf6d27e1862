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
#include "metric_order.h"

#include <math.h>

#include "mem.h"
#include "metric_sweep.h"

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

/* Closes the open tie group if row i begins another. */
static void sweep_enter(struct sweep *s, const struct ranked *rows, size_t i) {
    if (i > 0 && rows[i].key != rows[i - 1].key) {
        sweep_close(s);
    }
}

double metric_order_auc(const struct metric_order *o, const uint8_t *label) {
    struct sweep s = {0};
    for (size_t i = 0; i < o->n; i++) {
        sweep_enter(&s, o->rows, i);
        bool positive = label[o->rows[i].tag] != 0;
        s.pos += positive;
        s.neg += !positive;
    }
    return o->nan ? NAN : sweep_auc(&s);
}

double metric_order_auc_soft(const struct metric_order *o, const float *p) {
    struct sweep s = {0};
    for (size_t i = 0; i < o->n; i++) {
        sweep_enter(&s, o->rows, i);
        double positive = (double)p[o->rows[i].tag];
        s.pos += positive;
        s.neg += 1.0 - positive;
    }
    return o->nan ? NAN : sweep_auc(&s);
}

enum status metric_auc(const float *score, const double *pos, const double *neg, size_t n,
                       double *auc) {
    struct metric_order o;
    struct sweep s = {0};
    TRY(metric_order_f32(&o, score, n));
    for (size_t i = 0; i < n; i++) {
        sweep_enter(&s, o.rows, i);
        s.pos += pos[o.rows[i].tag];
        s.neg += neg[o.rows[i].tag];
    }
    *auc = o.nan ? NAN : sweep_auc(&s);
    metric_order_fini(&o);
    return OK;
}

static void auc_of_labels(struct metric_order *o, const uint8_t *label, double *auc,
                          uint64_t *positives, uint64_t *negatives) {
    *positives = 0;
    for (size_t i = 0; i < o->n; i++) {
        *positives += label[i] != 0;
    }
    *negatives = o->n - *positives;
    *auc = metric_order_auc(o, label);
    metric_order_fini(o);
}

enum status metric_auc_labels(const float *score, const uint8_t *label, size_t n, double *auc,
                              uint64_t *positives, uint64_t *negatives) {
    struct metric_order o;
    TRY(metric_order_f32(&o, score, n));
    auc_of_labels(&o, label, auc, positives, negatives);
    return OK;
}

enum status metric_auc_labels_f64(const double *score, const uint8_t *label, size_t n, double *auc,
                                  uint64_t *positives, uint64_t *negatives) {
    struct metric_order o;
    TRY(metric_order_f64(&o, score, n));
    auc_of_labels(&o, label, auc, positives, negatives);
    return OK;
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

/* AUC of sorted rows whose tag's lowest bit is the label. */
static double auc_of_ranked(const struct ranked *rows, size_t n) {
    struct sweep s = {0};
    for (size_t i = 0; i < n; i++) {
        sweep_enter(&s, rows, i);
        s.pos += (double)(rows[i].tag & 1);
        s.neg += (double)(~rows[i].tag & 1);
    }
    return sweep_auc(&s);
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

enum status metric_order_gauc(struct metric_order *o, const uint8_t *label, const uint64_t *group,
                              double *gauc, double *coverage) {
    enum status status;
    TRY_OUT(by_group(o->rows, label, group, o->n));
    gauc_of_grouped(o->rows, o->n, gauc, coverage);
    *gauc = o->nan ? NAN : *gauc;
out:
    metric_order_fini(o);
    return status;
}

enum status metric_gauc(const float *score, const uint8_t *label, const uint64_t *group, size_t n,
                        double *gauc, double *coverage) {
    struct metric_order o;
    TRY(metric_order_f32(&o, score, n));
    return metric_order_gauc(&o, label, group, gauc, coverage);
}

enum status metric_gauc_f64(const double *score, const uint8_t *label, const uint64_t *group,
                            size_t n, double *gauc, double *coverage) {
    struct metric_order o;
    TRY(metric_order_f64(&o, score, n));
    return metric_order_gauc(&o, label, group, gauc, coverage);
}
