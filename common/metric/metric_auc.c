/* metric_auc.c - exact area under the ROC curve, over all rows and by groups.
 *
 * AUC is the share of (positive, negative) pairs that the score orders correctly; a tie counts one
 * half. Rows are sorted by score; each tie group adds pos * (neg_below + neg_tie / 2), and the sum
 * is divided by P N. Threshold bins are too inexact: on CTCVR scores around 2.5e-4 two hundred
 * uniform bins give 0.5003 for a true 0.7143 (docs/metrics.md).
 *
 * With 0/1 labels every sum consists of whole numbers and halves below 2^53, so it is exact; only
 * the last division rounds.
 */
#include "metric_auc.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "common/base/mem.h"
#include "metric_sweep.h"

double metric_auc_sd(double auc, double p, double n) {
    if (!(p > 0.0 && n > 0.0) || isnan(auc)) {
        return NAN;
    }
    double square = auc * auc;
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

double metric_order_auc(const struct metric_order *o, const uint8_t *label, const float *weight) {
    struct sweep s = {0};
    for (size_t i = 0; i < o->n; i++) {
        sweep_enter(&s, o->rows, i);
        const bool positive = label[o->rows[i].tag] != 0;
        const double w = weight_at(weight, o->rows[i].tag);
        s.pos += positive ? w : 0.0;
        s.neg += positive ? 0.0 : w;
    }
    return o->nan ? NAN : sweep_auc(&s);
}

double metric_order_auc_soft(const struct metric_order *o, const float *p, const float *weight) {
    struct sweep s = {0};
    for (size_t i = 0; i < o->n; i++) {
        sweep_enter(&s, o->rows, i);
        double positive = (double)p[o->rows[i].tag], w = weight_at(weight, o->rows[i].tag);
        s.pos += w * positive;
        s.neg += w * (1.0 - positive);
    }
    return o->nan ? NAN : sweep_auc(&s);
}

/* --- by groups -------------------------------------------------------------------------------- */

/* A tag holds all that the sweep of a group needs of a row: the number of its distinct score (32
 * bits), its label (1), and its weight, a float whose sign is not needed (31). */
#define TAG_PLACE 32
#define TAG_LABEL ((uint64_t)1 << 31)

static uint64_t tag_of(uint64_t place, bool positive, double weight) {
    const float w = fabsf((float)weight);
    uint32_t bits;
    memcpy(&bits, &w, sizeof bits);
    return place << TAG_PLACE | (positive ? TAG_LABEL : 0) | bits;
}

static double weight_in(uint64_t tag) {
    const uint32_t bits = (uint32_t)(tag & (TAG_LABEL - 1));
    float w;
    memcpy(&w, &bits, sizeof w);
    return (double)w;
}

/* rows are sorted by score, tag = index. Sorts them by group; the order of scores within a group
 * stays, because the sort is stable. */
static enum status by_group(struct ranked *rows, const uint8_t *label, const float *weight,
                            const uint64_t *group, size_t n) {
    uint64_t place = 0, previous = 0;
    assert(n <= UINT32_MAX);
    for (size_t i = 0; i < n; i++) {
        place += i > 0 && rows[i].key != previous;
        previous = rows[i].key;
        size_t row = (size_t)rows[i].tag;
        rows[i] =
            (struct ranked){group[row], tag_of(place, label[row] != 0, weight_at(weight, row))};
    }
    return rank_sort(rows, n);
}

/* AUC of sorted rows that have tags; *weight is the weight of all rows. */
static double auc_of_ranked(const struct ranked *rows, size_t n, double *weight) {
    struct sweep s = {0};
    *weight = 0.0;
    for (size_t i = 0; i < n; i++) {
        sweep_enter(&s, rows, i);
        const double w = weight_in(rows[i].tag);
        const bool positive = (rows[i].tag & TAG_LABEL) != 0;
        s.pos += positive ? w : 0.0;
        s.neg += positive ? 0.0 : w;
        *weight += w;
    }
    return sweep_auc(&s);
}

/* A group is a run of rows with one key. For its sweep its rows get new keys from their scores. */
static void gauc_of_grouped(struct ranked *rows, size_t n, double *gauc, double *coverage) {
    double sum = 0.0, weight = 0.0, all = 0.0;
    for (size_t begin = 0, end; begin < n; begin = end) {
        uint64_t group = rows[begin].key;
        for (end = begin; end < n && rows[end].key == group; end++) {
        }
        for (size_t i = begin; i < end; i++) {
            rows[i].key = rows[i].tag >> TAG_PLACE;
        }
        double counts, auc = auc_of_ranked(rows + begin, end - begin, &counts);
        all += counts;
        if (!isnan(auc)) {
            sum += auc * counts;
            weight += counts;
        }
    }
    *gauc = weight > 0.0 ? sum / weight : NAN;
    *coverage = all > 0.0 ? weight / all : NAN;
}

enum status metric_order_gauc(struct metric_order *o, const uint8_t *label, const float *weight,
                              const uint64_t *group, double *gauc, double *coverage) {
    enum status status;
    TRY_OUT(by_group(o->rows, label, weight, group, o->n));
    gauc_of_grouped(o->rows, o->n, gauc, coverage);
    *gauc = o->nan ? NAN : *gauc;
out:
    metric_order_fini(o);
    return status;
}
