/* factor.h - fields with few distinct features: the first layer takes their rows instead of their
 * bags.
 *
 * Pooling is linear, so W_f (sum of weight * row) = sum of weight * (W_f row). With W_f the columns
 * of field f in the first layer's weights, E_f [U_f, dim_f] its rows, H = first_width, and h the
 * first layer's sums (hu of a group, or those of an impression):
 *
 *     forward   T_f = E_f W_f^T                       [U_f, H]
 *               h += weight * T_f[index]              for every value of the bag
 *     backward  dT_f[index] += weight * dh            for every value
 *               drows_f = dT_f W_f,  dW_f += dT_f^T E_f
 *
 * A product then has U_f rows in place of one for each bag, and a value costs H additions each way.
 * It is the same function; only sums are taken in another order, and with bf16 rows are rounded in
 * place of sums of rows. factor_choose says for each batch which fields are so much cheaper: a
 * function of the batch, the layout and the kernel alone. The others keep their columns in xu and
 * xi, without gaps (pool.h). Fields that batches share are among these, and with `sides` all are.
 *
 * There is a factor for each side. In a step: factor_choose, factor_begin, for all bags factor_add
 * and factor_spread, factor_end. One thread; nothing blocks. Only factor_init and factor_choose
 * allocate.
 */
#pragma once

#include "common/data/batch.h"
#include "common/job/layout.h"
#include "worker/kernel/linear.h"
#include "pool.h"

/* Neighbouring columns of the layout, and where they begin among those that are left. */
struct factor_run {
    uint32_t from, to, width;
};

struct factor {
    const struct layout *layout; /* borrowed */
    struct side_columns all;     /* of the side */
    struct side_columns columns; /* what is left to xu or xi */
    struct factor_run run[FIELDS_MAX];
    uint32_t runs;
    bool any;              /* whether a field is factored */
    struct linear w;       /* W_f of one field at a time */
    size_t at[FIELDS_MAX]; /* the first row of T_f */
    size_t rows;           /* the sum of U_f */
    float *t, *dt;         /* of all factored fields, [rows, H] */
    float *left, *dleft;   /* what is left of the side's columns of W1, and its gradient: [H, width]
                            */
    size_t t_cap, dt_cap, left_cap, dleft_cap;
};

/* all: user_columns or item_columns. Chooses nothing yet. ERR_MEMORY, and the errors of
 * linear_init; factor_fini accepts a half-built or zeroed struct. */
enum status factor_init(struct factor *f, const struct layout *layout,
                        const struct side_columns *all, const struct kernel *kernel);
void factor_fini(struct factor *f);

/* Chooses the fields for this batch; NULL: none. ERR_MEMORY. */
enum status factor_choose(struct factor *f, const struct batch *b);

/* w1 and dw1 are W1 [H, input_width] and its gradient; rows and drows as in model.h; `work` has
 * room for H columns and the layout's dims. */

/* The columns that are left, [H, columns.width], valid until the next factor_choose. */
struct matrix factor_left(const struct factor *f, const float *w1);
/* Where their gradient is to be added, and its floats from row to row: in dw1, or a copy that
 * factor_end adds to it. */
float *factor_dleft(const struct factor *f, float *dw1, size_t *stride);

/* Computes T and clears the gradients. */
void factor_begin(struct factor *f, const struct linear_work *work, const struct batch *b,
                  const float *w1, const float *const *rows);
/* Of the bags [begin, end): adds to h, and takes dh, [end - begin, H]. */
void factor_add(const struct factor *f, const struct batch *b, uint32_t begin, uint32_t end,
                float *h);
void factor_spread(struct factor *f, const struct batch *b, uint32_t begin, uint32_t end,
                   const float *dh);
/* Adds to dw1, and overwrites drows of the factored fields. */
void factor_end(struct factor *f, const struct linear_work *work, const struct batch *b,
                const float *w1, const float *const *rows, float *dw1, float *const *drows);
