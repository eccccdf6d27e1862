/* pool_naive.h - pooling again, one impression after the other: the oracle of
 * worker/model/pool.c. */
#pragma once

#include "worker/model/pool.h"

/* The naive twin: one impression at a time, doubles; x [B, input_width] without sharing groups. */
void pool_forward_naive(const struct layout *l, const struct batch *b, const float *const *rows,
                        double *x);
