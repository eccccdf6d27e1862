/* attention_naive.h - attention again, for one impression: the oracle of
 * worker/model/attention.c. */
#pragma once

#include "worker/model/attention.h"

/* The naive twin, for one impression in double; operands of the five products are rounded to
 * `precision`. h, z, dz, dh [2 L]; dh is overwritten, ddense is added to. backward computes the
 * forward part anew. `room` has attention_naive_doubles. */
size_t attention_naive_doubles(const struct layout *l);
void attention_naive_forward(const struct layout *l, enum precision precision, const float *dense,
                             const double *h, double *room, double *z);
void attention_naive_backward(const struct layout *l, enum precision precision, const float *dense,
                              const double *h, const double *dz, double *room, double *ddense,
                              double *dh);
