/* optimizer_config.h - an update rule and its constants, for rows ([table]) or for the dense vector
 * ([dense]). ps/table/optimizer.h applies them; docs/config.md has ranges and defaults. */
#pragma once

#include "optimizer_kind.h"

/* The step count that corrects the bias of Adam's moments in rows: the count of all batches (as in
 * torch.optim.SparseAdam and TensorFlow's LazyAdam), or of the row's own updates. */
enum bias_correction { CORRECT_BATCH, CORRECT_ROW };

struct optimizer_config {
    enum optimizer_kind kind;
    enum bias_correction correction; /* adam and rmsprop, rows */
    float lr;
    float beta1, beta2, eps; /* adam (beta2 and eps also rmsprop, eps also adagrad) */
    float adagrad_init;      /* initial accumulator */
    float ftrl_l1, ftrl_l2, ftrl_beta;
    float l2;    /* gradient += l2 * w, on touched rows only */
    float decay; /* w -= lr * decay * w beside the update; not for ftrl */
};
