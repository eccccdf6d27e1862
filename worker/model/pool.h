/* pool.h - weighted sum pooling of a batch's bags into the towers' input, and back.
 *
 *     concat: x[i, column_f .. column_f + dim_f) = sum over bag i of weight * row
 *     sides:  every field of a side is summed into the same dim columns
 *
 * rows[f] = [U_f, dim_f]. User fields go to xu [G, user_width], item fields to xi [B, item_width].
 * User fields that several batches share (batch.h) are left out of xu and dxu: pool_shared puts
 * them into x [S, user_width], and pool_shared_backward takes them from dx. In x the columns of
 * other fields are 0. Only the last of the batches has gradients of their rows.
 */
#pragma once

#include "common/data/batch.h"
#include "common/job/layout.h"

/* Which fields of a side have columns in xu or xi, where, and how wide that is: all as in the
 * layout, or some left out and the others without gaps (factor.h). */
struct side_columns {
    uint32_t first, last; /* its fields */
    uint32_t width;
    bool left_out[FIELDS_MAX];
    uint32_t column[FIELDS_MAX]; /* from the side's first column on */
};
struct side_columns user_columns(const struct layout *l);
struct side_columns item_columns(const struct layout *l);

void pool_forward(const struct layout *l, const struct batch *b, const float *const *rows,
                  float *xu, float *xi);
/* drows[f] = [U_f, dim_f], overwritten (not accumulated). */
void pool_backward(const struct layout *l, const struct batch *b, const float *dxu,
                   const float *dxi, float *const *drows);
/* The parts of the two functions above, for a caller that works in chunks: all groups at once;
 * impressions [begin, end) with xi, dxi = [end - begin, item_width]. The backward parts accumulate:
 * call pool_clear first. However the range is cut, the sums and their order are the same. */
void pool_users(const struct layout *l, const struct side_columns *c, const struct batch *b,
                const float *const *rows, float *xu);
void pool_items(const struct layout *l, const struct side_columns *c, const struct batch *b,
                const float *const *rows, uint32_t begin, uint32_t end, float *xi);
void pool_clear(const struct layout *l, const struct batch *b, float *const *drows);
void pool_users_backward(const struct layout *l, const struct side_columns *c,
                         const struct batch *b, const float *dxu, float *const *drows);
void pool_shared(const struct layout *l, const struct batch *b, const float *const *rows, float *x);
void pool_shared_backward(const struct layout *l, const struct batch *b, const float *dx,
                          float *const *drows);
void pool_items_backward(const struct layout *l, const struct side_columns *c,
                         const struct batch *b, uint32_t begin, uint32_t end, const float *dxi,
                         float *const *drows);
