/* shard_weights.h - the weights of impressions, and their sums.
 *
 * A weight is a float from 0 to SHARD_WEIGHT_MAX (shard_format.h); if an array of weights is NULL,
 * every impression counts 1.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The sums of weights of one shard or of many. Without weights `there` is false, and the other
 * members are as if each impression counted 1. */
struct weight_sums {
    bool there;
    float least, most;
    double all, clicked, converted; /* sums; converted: clicked too */
};
struct weight_sums weight_sums_of(const float *weight, const uint8_t *labels, size_t n);
/* Adds the sums of one shard to the sums of a directory, which start zeroed. */
void weight_sums_add(struct weight_sums *to, const struct weight_sums *from);
/* Clicks per impression and conversions per click, weighted by impression; 0 without clicks.
 * sample_rate: the share of the unclicked impressions that the log kept. */
void weight_sums_rates(const struct weight_sums *w, double sample_rate, double *ctr, double *cvr);
