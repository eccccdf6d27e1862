/* linear.c - the products of one weight matrix, with a kernel or with OpenBLAS.
 *
 * The kernel reads its right operand in panels. W and W^T become panels once per batch, which serve
 * all its rows. For the weight gradient the right operand is x itself: it is packed a block of rows
 * at a time, and the blocks are summed in dW. A narrow x would fill few lanes of a panel, and dy
 * would be copied for the sake of few columns: then the transpose is computed, x^T dy, which has
 * the same bits.
 */
#include "linear.h"

#include <assert.h>

#include "blas.h"
#include "common/base/mem.h"

#define CELL_BYTES 4

enum status linear_work_init(struct linear_work *work, const struct kernel *kernel,
                             uint32_t widest) {
    *work = (struct linear_work){NULL, NULL, NULL};
    if (kernel == NULL) {
        return OK;
    }
    TRY(mem_array_of(&work->left, kernel->left_cells(LINEAR_ROWS, widest), CELL_BYTES));
    TRY(mem_array(&work->across, (size_t)LINEAR_NARROW * widest));
    return mem_array_of(&work->right, kernel_right_cells(kernel, LINEAR_ROWS, widest), CELL_BYTES);
}

void linear_work_fini(struct linear_work *work) {
    mem_free(&work->left);
    mem_free(&work->right);
    mem_free(&work->across);
}

enum status linear_init(struct linear *l, const struct kernel *kernel, uint32_t out, uint32_t in) {
    *l = (struct linear){.kernel = kernel, .out = out, .in = in, .in_max = in};
    if (kernel == NULL) {
        return blas_ready();
    }
    TRY(mem_array_of(&l->forward, kernel_right_cells(kernel, in, out), CELL_BYTES));
    return mem_array_of(&l->input, kernel_right_cells(kernel, out, in), CELL_BYTES);
}

void linear_fini(struct linear *l) {
    mem_free(&l->forward);
    mem_free(&l->input);
}

void linear_narrow(struct linear *l, uint32_t in) {
    assert(in <= l->in_max);
    l->in = in;
}

void linear_load_back(struct linear *l, struct matrix w) {
    l->w = w;
    if (l->kernel != NULL && l->in > 0) {
        l->kernel->pack(w, l->out, l->in, l->input);
    }
}

void linear_load(struct linear *l, struct matrix w, bool backward) {
    l->w = w;
    if (l->kernel != NULL && l->in > 0) {
        l->kernel->pack_transposed(w, l->in, l->out, l->forward);
    }
    if (backward) {
        linear_load_back(l, w);
    }
}

/* --- blocks of rows --------------------------------------------------------------------------- */

static struct matrix from_row(struct matrix x, uint32_t i) {
    return (struct matrix){x.at + i * x.stride, x.stride};
}

static uint32_t block_rows(uint32_t m, uint32_t i) {
    return m - i < LINEAR_ROWS ? m - i : LINEAR_ROWS;
}

/* c [m, n] (+)= x [m, k] right */
static void multiply(const struct kernel *kernel, const struct linear_work *work, struct matrix x,
                     const void *right, uint32_t m, uint32_t n, uint32_t k, bool add, float *c,
                     size_t stride) {
    for (uint32_t i = 0; i < m; i += LINEAR_ROWS) {
        uint32_t rows = block_rows(m, i);
        struct kernel_left left = kernel->left(from_row(x, i), rows, k, work->left);
        kernel->multiply(left, right, rows, n, k, add, c + i * stride, stride);
    }
}

static struct blas_operand as_it_is(struct matrix x) {
    return (struct blas_operand){x.at, x.stride, false};
}

static struct blas_operand transposed(struct matrix x) {
    return (struct blas_operand){x.at, x.stride, true};
}

/* --- the products ----------------------------------------------------------------------------- */

void linear_forward(const struct linear *l, const struct linear_work *work, struct matrix x,
                    uint32_t m, bool add, float *y, size_t stride) {
    if (l->kernel != NULL) {
        multiply(l->kernel, work, x, l->forward, m, l->out, l->in, add, y, stride);
        return;
    }
    blas_multiply(as_it_is(x), transposed(l->w), m, l->out, l->in, add, y, stride);
}

void linear_input(const struct linear *l, const struct linear_work *work, struct matrix dy,
                  uint32_t m, bool add, float *dx, size_t stride) {
    if (l->kernel != NULL) {
        multiply(l->kernel, work, dy, l->input, m, l->in, l->out, add, dx, stride);
        return;
    }
    blas_multiply(as_it_is(dy), as_it_is(l->w), m, l->in, l->out, add, dx, stride);
}

/* dW += dy^T x for at most LINEAR_ROWS rows. */
static void weight_block(const struct linear *l, const struct linear_work *work, struct matrix dy,
                         struct matrix x, uint32_t rows, float *dw, size_t stride) {
    struct kernel_left left = l->kernel->left_transposed(dy, l->out, rows, work->left);
    l->kernel->pack(x, rows, l->in, work->right);
    l->kernel->multiply(left, work->right, l->out, l->in, rows, true, dw, stride);
}

/* The same through x^T dy. */
static void weight_across(const struct linear *l, const struct linear_work *work, struct matrix dy,
                          struct matrix x, uint32_t rows, float *dw, size_t stride) {
    const size_t out = l->out;
    struct kernel_left left = l->kernel->left_transposed(x, l->in, rows, work->left);
    l->kernel->pack(dy, rows, l->out, work->right);
    l->kernel->multiply(left, work->right, l->in, l->out, rows, false, work->across, out);
    for (size_t o = 0; o < out; o++) {
        for (size_t i = 0; i < l->in; i++) {
            dw[o * stride + i] += work->across[i * out + o];
        }
    }
}

void linear_weight(const struct linear *l, const struct linear_work *work, struct matrix dy,
                   struct matrix x, uint32_t m, float *dw, size_t stride) {
    if (l->kernel == NULL) {
        blas_multiply(transposed(dy), as_it_is(x), l->out, l->in, m, true, dw, stride);
        return;
    }
    const bool across = l->in <= LINEAR_NARROW && l->out > l->in;
    for (uint32_t i = 0; i < m; i += LINEAR_ROWS) {
        uint32_t rows = block_rows(m, i);
        if (across) {
            weight_across(l, work, from_row(dy, i), from_row(x, i), rows, dw, stride);
        } else {
            weight_block(l, work, from_row(dy, i), from_row(x, i), rows, dw, stride);
        }
    }
}
