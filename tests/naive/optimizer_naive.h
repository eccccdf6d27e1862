/* optimizer_naive.h - the update rules again, one weight at a time: the oracle of
 * ps/table/optimizer.c. */
#pragma once

#include "ps/table/optimizer.h"

/* The naive scalar twin, oracle of the test. */
void optimizer_apply_naive(const struct optimizer_config *o, uint32_t dim, float lr, uint32_t step,
                           float *w, float *state, const float *g);
