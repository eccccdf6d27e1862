/* model.h - ESMM: pooling, two towers, loss; forward and backward over one batch.
 *
 * The first layer works once per group on the user side and once per impression on the item side:
 *     h1 = relu( (W1[:, user] xu)[group_of] + W1[:, item] xi + b1 )
 * for both towers in one product each. Impressions are computed in chunks of about 256 rows
 * (cache); the results do not depend on anything but the inputs.
 *
 * One model per trainer thread; owns its activations, grown to the largest batch seen. BLAS is
 * serial (OpenBLAS limited to one thread). Not thread-safe.
 */
#ifndef WORKER_MODEL_H
#define WORKER_MODEL_H

#include "batch.h"
#include "common/layout.h"
#include "common/usage.h"
#include "loss.h"

struct model;
enum status model_create(struct model **m, const struct layout *layout, float ctcvr_weight);
/* Charges POOL, FORWARD, LOSS and BACKWARD to the laps of the calling thread. */
void model_charge(struct model *m, struct laps *laps);
void model_destroy(struct model **m);

/* Logits a[B], b[B] of the batch. rows[f] = [U_f, dim_f], dense = [layout.count]. */
enum status model_forward(struct model *m, const struct batch *b, const float *const *rows,
                          const float *dense, float *logit_a, float *logit_b);

/* Forward, loss, backward of the batch's mean loss: drows[f] = [U_f, dim_f] and ddense
 * [layout.count] are overwritten. Logits are written too (for the running AUC). */
enum status model_train(struct model *m, const struct batch *b, const float *const *rows,
                        const float *dense, float *logit_a, float *logit_b, float *const *drows,
                        float *ddense, struct loss_sums *sums);

/* The naive twin: no sharing of groups, double precision, loops. The oracle of the tests. */
enum status model_train_naive(const struct layout *layout, float ctcvr_weight, const struct batch *b,
                              const float *const *rows, const float *dense, double *logit_a,
                              double *logit_b, double *const *drows, double *ddense,
                              double *loss_mean);

#endif
