/* metric_of.h - figures of plain arrays, for tests and benches: sort, read one figure, forget. */
#pragma once

#include <math.h>

#include "common/metric/metric_auc.h"
#include "common/metric/metric_sweep.h"

static inline uint64_t positives_of(const uint8_t *label, size_t n) {
    uint64_t positives = 0;
    for (size_t i = 0; i < n; i++) {
        positives += label[i] != 0;
    }
    return positives;
}

/* Soft labels: row i counts pos[i] as positive and neg[i] as negative. */
static inline enum status metric_auc(const float *score, const double *pos, const double *neg,
                                     size_t n, double *auc) {
    struct metric_order o;
    struct sweep s = {0};
    *auc = 0;
    TRY(metric_order_f32(&o, score, n));
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && o.rows[i].key != o.rows[i - 1].key) {
            sweep_close(&s);
        }
        s.pos += pos[o.rows[i].tag];
        s.neg += neg[o.rows[i].tag];
    }
    *auc = o.nan ? NAN : sweep_auc(&s);
    metric_order_fini(&o);
    return OK;
}

static inline enum status metric_auc_labels(const float *score, const uint8_t *label, size_t n,
                                            double *auc, uint64_t *positives, uint64_t *negatives) {
    struct metric_order o;
    *auc = 0;
    *positives = *negatives = 0;
    TRY(metric_order_f32(&o, score, n));
    *positives = positives_of(label, n);
    *negatives = n - *positives;
    *auc = metric_order_auc(&o, label, NULL);
    metric_order_fini(&o);
    return OK;
}

static inline enum status metric_auc_labels_f64(const double *score, const uint8_t *label, size_t n,
                                                double *auc, uint64_t *positives,
                                                uint64_t *negatives) {
    struct metric_order o;
    *auc = 0;
    *positives = *negatives = 0;
    *auc = 0;
    *positives = *negatives = 0;
    TRY(metric_order_f64(&o, score, n));
    *positives = positives_of(label, n);
    *negatives = n - *positives;
    *auc = metric_order_auc(&o, label, NULL);
    metric_order_fini(&o);
    return OK;
}

static inline enum status metric_gauc(const float *score, const uint8_t *label,
                                      const uint64_t *group, size_t n, double *gauc,
                                      double *coverage) {
    struct metric_order o;
    TRY(metric_order_f32(&o, score, n));
    return metric_order_gauc(&o, label, NULL, group, gauc, coverage);
}

static inline enum status metric_gauc_f64(const double *score, const uint8_t *label,
                                          const uint64_t *group, size_t n, double *gauc,
                                          double *coverage) {
    struct metric_order o;
    TRY(metric_order_f64(&o, score, n));
    return metric_order_gauc(&o, label, NULL, group, gauc, coverage);
}
