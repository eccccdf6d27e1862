/* dropout_naive.h - one mask of dropout: the oracle of worker/model/dropout.c. */
#pragma once

#include "worker/model/dropout.h"

/* The naive twin: the mask m of one of the n units. */
double dropout_naive(const struct dropout *d, struct batch_name name, uint32_t layer,
                     uint32_t impression, uint32_t unit);
