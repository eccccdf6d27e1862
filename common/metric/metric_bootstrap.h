/* metric_bootstrap.h - 95 % intervals of AUCs by resampling groups with replacement (Efron 1979,
 * percentile interval; groups, because rows of one user are alike, Field and Welsh 2007).
 *
 * Resample r of G groups draws groups rng_below(seed, r, 0..G-1, G), so it depends only on (seed,
 * r, G), and all figures of one call use the same draws. Usage: init, add each figure, run, fini.
 */
#pragma once

#include "metric_order.h"

#define BOOTSTRAP_FIGURES    8
#define BOOTSTRAP_GROUPS_MAX (1u << 30)

struct interval {
    double low, high; /* NaN if not computed or undefined */
};
struct bootstrap_figure {
    uint32_t
        *strip;  /* [n] rows in order of score: group << 2 | first of its tie group << 1 | label */
    float *soft; /* [n] in the same order, or NULL */
    float *counts; /* [n] in the same order, weight of a row; NULL: 1 each */
    size_t n;
    double *auc;          /* [resamples] */
    struct interval *out; /* the caller's */
};
struct bootstrap {
    uint64_t seed;
    uint32_t resamples;
    uint32_t groups;
    uint32_t *group;  /* [rows] of each row: 0..groups-1 by ascending name */
    uint32_t *weight; /* [groups] how often a group was drawn */
    struct bootstrap_figure figure[BOOTSTRAP_FIGURES];
    uint32_t figures;
};
/* name: [rows] the group of each row. ERR_MEMORY, ERR_LIMIT. */
enum status bootstrap_init(struct bootstrap *b, const uint64_t *name, size_t rows,
                           uint32_t resamples, uint64_t seed);
/* Adds a figure over the rows of `o`. row: for each row of o its index in `name`; NULL: the same
 * index. label: the labels of o's rows; or, if label is NULL, soft: the probabilities of a
 * positive. weight: how much o's rows count; NULL: 1 each. bootstrap_run fills *out; if the order
 * has a NaN, *out is NaN at once. ERR_MEMORY. */
enum status bootstrap_add(struct bootstrap *b, const struct metric_order *o, const uint32_t *row,
                          const uint8_t *label, const float *soft, const float *weight,
                          struct interval *out);
/* Computes the intervals. An interval is NaN if more than 5 % of the resamples lack a class (then
 * the tail is not known), or if there are fewer than two groups. */
void bootstrap_run(struct bootstrap *b);
void bootstrap_fini(struct bootstrap *b); /* safe on a zeroed struct */

/* The q-quantile of n ascending values, n > 0, linear between neighbours (type 7 of Hyndman and
 * Fan 1996). */
double metric_quantile(const double *ascending, size_t n, double q);
