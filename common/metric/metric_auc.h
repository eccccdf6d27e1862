/* metric_auc.h - exact area under the ROC curve of rows in order of score, over all rows and by
 * groups.
 *
 * Ties count one half: each tie group adds pos * (neg_below + neg_tie / 2). label: 0/1 of each row;
 * weight: how much each row counts, not negative; NULL: 1 each. The result is NaN if a class is
 * missing or has the weight 0, or if a score is not a number. */
#pragma once

#include "metric_order.h"

double metric_order_auc(const struct metric_order *o, const uint8_t *label, const float *weight);
/* AUC with soft labels: row i counts p[i] as a positive and 1 - p[i] as a negative. */
double metric_order_auc_soft(const struct metric_order *o, const float *p, const float *weight);
/* The mean AUC over the groups that have both classes, weighted by the weight of their rows. A
 * group is the rows with one `group` value. *coverage is the weight in such groups / the weight of
 * all. The call destroys the order, also on failure, so it must be the last one on it. At most
 * UINT32_MAX rows. ERR_MEMORY. */
enum status metric_order_gauc(struct metric_order *o, const uint8_t *label, const float *weight,
                              const uint64_t *group, double *gauc, double *coverage);
/* Hanley-McNeil standard deviation of an AUC, from the numbers of rows of each class; NaN if one is
 * 0.
 */
double metric_auc_sd(double auc, double positives, double negatives);
