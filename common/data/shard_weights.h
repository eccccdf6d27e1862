/* shard_weights.h - what impressions count, each and together.
 *
 * A weight is a float from 0 to SHARD_WEIGHT_MAX (shard_format.h); where an array of weights is
 * NULL every impression counts 1.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the impressions of a shard, or of many, count together. Without weights `there` is false and
 * the rest is as if each counted 1. */
struct weight_sums {
    bool there;
    float least, most;
    double all, clicked, converted; /* sums; converted: clicked too */
};
struct weight_sums weight_sums_of(const float *weight, const uint8_t *labels, size_t n);
/* Adds one shard's to those of a directory, which start zeroed. */
void weight_sums_add(struct weight_sums *to, const struct weight_sums *from);
/* Clicks per impression and conversions per click, each impression by its weight; 0 without clicks.
 * sample_rate: the share of the unclicked impressions that the log kept. */
void weight_sums_rates(const struct weight_sums *w, double sample_rate, double *ctr, double *cvr);
