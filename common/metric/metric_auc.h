/* metric_auc.h - exact area under the ROC curve, whole and by groups, of rows in order of score.
 *
 * Ties count one half: each tie group adds pos * (neg_below + neg_tie / 2). label: 0/1 by row;
 * weight: what each row counts, not negative, NULL: 1 each. NaN where a class is missing or counts
 * nothing, or where a score is not a number. */
#pragma once

#include "metric_order.h"

double metric_order_auc(const struct metric_order *o, const uint8_t *label, const float *weight);
/* AUC with soft labels: row i is positive by p[i] and negative by 1 - p[i]. */
double metric_order_auc_soft(const struct metric_order *o, const float *p, const float *weight);
/* The mean AUC over groups (rows of one `group` value) that have both classes, each by the weight
 * of its rows; *coverage: the weight in such groups / that of all. Uses the order up (it is
 * finished afterwards, also on failure), so it comes last. At most UINT32_MAX rows. ERR_MEMORY. */
enum status metric_order_gauc(struct metric_order *o, const uint8_t *label, const float *weight,
                              const uint64_t *group, double *gauc, double *coverage);
/* Hanley-McNeil standard deviation of an AUC of so many rows of each class; NaN if one is missing.
 */
double metric_auc_sd(double auc, double positives, double negatives);
