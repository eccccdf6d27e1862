/* metric_pr.h - average precision, the area under the precision-recall curve. */
#pragma once

#include "metric_order.h"

/* The sum over tie groups, from the top, of pos_k / P * precision down to and with group k: the
 * step form, no interpolation (docs/metrics.md). label, weight and NaN are as in metric_auc.h. */
double metric_order_pr_auc(const struct metric_order *o, const uint8_t *label, const float *weight);
