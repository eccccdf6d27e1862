/* factor.h - user fields with few distinct features: the first layer takes their rows instead of
 * their bags.
 *
 * Pooling is linear, so W_f (sum of weight * row) = sum of weight * (W_f row). With W_f the columns
 * of field f in the first layer's weights, E_f [U_f, dim_f] its rows, H = first_width:
 *
 *     forward   T_f = E_f W_f^T                       [U_f, H]
 *               hu[g] += weight * T_f[index]          for every value of the bags of group g
 *     backward  dT_f[index] += weight * dhu[g]        for every value
 *               drows_f = dT_f W_f,  dW_f += dT_f^T E_f
 *
 * A product then has U_f rows in place of G, and a value costs H additions each way. It is the same
 * function; only sums are taken in another order, and with bf16 rows are rounded in place of sums
 * of rows. factor_choose says for each batch which fields are so much cheaper: a function of the
 * batch, the layout and the kernel alone. The others keep their columns in xu, without gaps
 * (pool.h). Fields that batches share are among these, and with `sides` all are.
 *
 * One thread; nothing blocks. Only factor_init and factor_choose allocate.
 */
#pragma once

#include "common/data/batch.h"
#include "common/job/layout.h"
#include "linear.h"
#include "pool.h"

/* Neighbouring user columns of the layout, and where they begin among those that are left. */
struct factor_run {
    uint32_t from, to, width;
};

struct factor {
    const struct layout *layout; /* borrowed */
    struct user_columns columns; /* what is left to xu */
    struct factor_run run[FIELDS_MAX];
    uint32_t runs;
    bool any;              /* whether a field is factored */
    struct linear w;       /* W_f of one field at a time */
    size_t at[FIELDS_MAX]; /* the first row of T_f in t */
    float *t;              /* T of all factored fields, then dT: [sum of U_f, H] */
    float *left, *dleft;   /* what is left of W1's user columns and their gradient: [H, width] */
    size_t rows, t_cap, left_cap, dleft_cap;
};

/* As chosen for no batch: nothing is factored. ERR_MEMORY, and the errors of linear_init;
 * factor_fini accepts a half-built or zeroed struct. */
enum status factor_init(struct factor *f, const struct layout *layout, const struct kernel *kernel);
void factor_fini(struct factor *f);

/* Chooses the fields for this batch; NULL: none. ERR_MEMORY. */
enum status factor_choose(struct factor *f, const struct batch *b);

/* Of W1 (from its first user column on; all have the layout's input_width as stride): the columns
 * that are left, valid until the next factor_choose. */
struct matrix factor_left(const struct factor *f, const float *w1);
/* Where their gradient is summed, [H, columns.width], zeroed; factor_add_left adds it to dw1. */
float *factor_dleft(const struct factor *f);
void factor_add_left(const struct factor *f, float *dw1);

/* rows and drows as in model.h. `work` has room for H columns and the layout's dims. The forward
 * part adds to hu [groups, H]; the backward part adds to dw1 and overwrites drows of the factored
 * fields. */
void factor_forward(struct factor *f, const struct linear_work *work, const struct batch *b,
                    const float *w1, const float *const *rows, float *hu);
void factor_backward(struct factor *f, const struct linear_work *work, const struct batch *b,
                     const float *w1, const float *const *rows, const float *dhu, float *dw1,
                     float *const *drows);
