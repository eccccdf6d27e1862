/* model.h - pooling, towers, loss: forward and backward over one batch, for every model.
 *
 * The first layer works once per group on the user side and once per impression on the item side:
 *     h1 = relu( (W1[:, user] xu)[group_of] + W1[:, item] xi + b1 )
 * for all towers in one product each. In training fields with few distinct features go through it
 * once per feature instead (factor.h). Impressions are computed in chunks (TOWER_CHUNK, for the
 * cache); the results depend only on the inputs and the kernel.
 *
 * Each trainer thread has one model. It owns its activations, which grow to the largest batch seen.
 * Products run in the calling thread alone (blas.h). Threads may not share a model; each may use
 * its own at the same time.
 */
#pragma once

#include "common/data/batch.h"
#include "common/job/layout.h"
#include "common/job/usage.h"
#include "dropout.h"
#include "worker/kernel/kernel.h"
#include "loss.h"

struct model;
/* loss: of the same config as the layout. kernel: from kernel_find; NULL is OpenBLAS. The kernel
 * decides the precision. ERR_MEMORY; ERR_CONFIG of linear_init. */
enum status model_create(struct model **m, const struct layout *layout,
                         const struct loss_spec *loss, const struct kernel *kernel);
/* Charges POOL, FORWARD, LOSS and BACKWARD to the laps of the calling thread. */
void model_charge(struct model *m, struct laps *laps);
/* From now on model_train leaves units out, unless the rate is 0. Without this call it leaves out
 * none. model_forward never leaves out any. */
void model_drop(struct model *m, struct dropout dropout);
void model_destroy(struct model **m);

/* The scores a[B], b[B] of the batch (loss_scores). rows[f] = [U_f, dim_f], dense = [layout.count].
 */
enum status model_forward(struct model *m, const struct batch *b, const float *const *rows,
                          const float *dense, float *logit_a, float *logit_b);

/* Forward, loss and backward of the batch's mean loss: drows[f] = [U_f, dim_f] and ddense
 * [layout.count] are overwritten. Scores are written too (for the running AUC); with dropout they
 * are those of the thinned net. b->name decides which units are left out. Batches that share bags
 * are given in order, all to one model: only the first reads rows[f] of a shared field, and only
 * the last writes drows[f], which then is the gradient of the sum of their losses. */
enum status model_train(struct model *m, const struct batch *b, const float *const *rows,
                        const float *dense, float *logit_a, float *logit_b, float *const *drows,
                        float *ddense, struct loss_sums *sums);
