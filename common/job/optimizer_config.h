/* optimizer_config.h - an update rule and its constants, of rows ([table]) or of the dense vector
 * ([dense]). ps/optimizer.h applies them; docs/config.md has ranges and defaults. */
#pragma once

#include "optimizer_kind.h"

/* Whose count of steps corrects the bias of Adam's moments in rows: all batches' (as in
 * torch.optim.SparseAdam and TensorFlow's LazyAdam), or the row's own updates. */
enum bias_correction { CORRECT_BATCH, CORRECT_ROW };

struct optimizer_config {
    enum optimizer_kind kind;
    enum bias_correction correction; /* adam, rows */
    float lr;
    float beta1, beta2, eps; /* adam (eps also adagrad) */
    float adagrad_init;      /* initial accumulator */
    float ftrl_l1, ftrl_l2, ftrl_beta;
    float l2;    /* gradient += l2 * w, on touched rows only */
    float decay; /* w -= lr * decay * w beside the update; not for ftrl */
};
