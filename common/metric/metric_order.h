/* metric_order.h - the rows of one population in ascending order of score. A population is sorted
 * once; every figure (metric_auc.h, metric_pr.h, metric_calibration.h, metric_bootstrap.h) is then
 * one pass over that order. */
#pragma once

#include <stdbool.h>

#include "common/base/rank.h"
#include "common/base/status.h"

struct metric_order {
    struct ranked *rows; /* [n] key: the score's ordered bits, equal for ties; tag: the row */
    size_t n;
    bool nan; /* a score is not a number: there is no order, and figures are NaN */
};
/* Sorts the rows. This needs 32 bytes per row, of which 16 stay allocated. The scores are not kept.
 * ERR_MEMORY. */
enum status metric_order_f32(struct metric_order *o, const float *score, size_t n);
enum status metric_order_f64(struct metric_order *o, const double *score, size_t n);
void metric_order_fini(struct metric_order *o); /* safe on a zeroed struct */
