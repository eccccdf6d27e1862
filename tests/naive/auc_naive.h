/* auc_naive.h - the AUC by its definition, over all pairs: the oracle of the tests of metrics. */
#pragma once

#include <math.h>
#include <stddef.h>

/* Row i counts pos[i] times as positive and neg[i] times as negative. NaN if there is no pair. */
static inline double auc_naive(const double *score, const double *pos, const double *neg,
                               size_t n) {
    double pairs = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            double weight = pos[i] * neg[j];
            all += weight;
            pairs += weight * (score[i] > score[j] ? 1.0 : score[i] == score[j] ? 0.5 : 0.0);
        }
    }
    return all > 0 ? pairs / all : NAN;
}
