/* linear.h - one weight matrix W [out, in] and its three products.
 *
 *     linear_forward    y  = x W^T  (+ y)     [m, out]
 *     linear_input      dx = dy W  (+ dx)     [m, in]
 *     linear_weight     dW += dy^T x          [out, in]
 *
 * With a kernel (kernel.h) W is packed once per batch, by linear_load; without one, OpenBLAS
 * multiplies W where it lies. Operands are rounded to bf16 if the kernel is of that kind; results
 * are float32 sums always. Equal inputs give equal bits, and a row of y or dx depends on its own
 * row of x or dy only. A width may be 0, m too. Nothing but the init functions allocates.
 */
#pragma once

#include "kernel.h"

#define LINEAR_ROWS   128 /* of x and dy that are converted and multiplied at a time */
#define LINEAR_NARROW 24  /* columns of W, up to which the transpose of dW is computed */

struct linear {
    const struct kernel *kernel; /* NULL: OpenBLAS */
    uint32_t out, in, in_max;    /* in_max: of linear_init */
    struct matrix w;             /* borrowed, of the last linear_load */
    void *forward, *input;       /* right operands: W^T and W */
};

/* Scratch of the products, shared by the matrices of one thread. */
struct linear_work {
    void *left, *right;
    float *across; /* a weight gradient's transpose */
};

/* For matrices with `widest` columns and rows at most. ERR_MEMORY. */
enum status linear_work_init(struct linear_work *work, const struct kernel *kernel,
                             uint32_t widest);
void linear_work_fini(struct linear_work *work);

/* ERR_MEMORY; without a kernel also the errors of blas_ready, so that nothing multiplies before it
 * has asked. linear_fini accepts a half-built or zeroed struct. */
enum status linear_init(struct linear *l, const struct kernel *kernel, uint32_t out, uint32_t in);
void linear_fini(struct linear *l);
/* From the next linear_load on W has `in` columns, no more than at linear_init. */
void linear_narrow(struct linear *l, uint32_t in);
/* Takes the weights of a batch. With `backward` for all products, else for linear_forward only. */
void linear_load(struct linear *l, struct matrix w, bool backward);
/* Takes them for linear_input and linear_weight only. */
void linear_load_back(struct linear *l, struct matrix w);

void linear_forward(const struct linear *l, const struct linear_work *work, struct matrix x,
                    uint32_t m, bool add, float *y, size_t stride);
void linear_input(const struct linear *l, const struct linear_work *work, struct matrix dy,
                  uint32_t m, bool add, float *dx, size_t stride);
void linear_weight(const struct linear *l, const struct linear_work *work, struct matrix dy,
                   struct matrix x, uint32_t m, float *dw, size_t stride);
