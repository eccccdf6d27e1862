/* model_naive.h - a training step again, without sharing anything: the oracle of
 * worker/model/model.c. */
#pragma once

#include "worker/model/model.h"

/* The naive twin: groups share nothing, double precision, plain loops. Operands of the hidden
 * layers' products are rounded to `precision`; dropout NULL: none. Writes logit [towers][B]. */
enum status model_train_naive(const struct layout *layout, enum precision precision,
                              const struct loss_spec *loss, const struct dropout *dropout,
                              const struct batch *b, const float *const *rows, const float *dense,
                              double *const *logit, double *const *drows, double *ddense,
                              double *loss_mean);
