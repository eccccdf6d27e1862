/* pool_bags.c - weighted sums of rows; compiled for each level of the CPU.
 *
 * The rows of a batch are compact (distinct features only, in the order of their ids). But between
 * two chunks the towers' activations push them out of the nearer caches, so rows are prefetched
 * some values ahead. The work is one multiply-add of `dim` floats per feature value; a bag's sum
 * stays in registers until the bag ends. The usual widths are compiled with dim as a constant,
 * which makes the inner loop straight-line vector code. Any other width runs the same code with dim
 * unknown.
 */
#include "pool_bags.h"

#include <string.h>

#define ALWAYS_INLINE      static inline __attribute__((always_inline))
#define ACCUMULATOR_FLOATS 256 /* the largest dim that config.h allows */
#define VALUES_AHEAD       12

ALWAYS_INLINE void add_scaled(float *restrict sum, const float *restrict row, float weight,
                              size_t dim) {
    for (size_t d = 0; d < dim; d++) {
        sum[d] += weight * row[d];
    }
}

ALWAYS_INLINE void add_plain(float *restrict sum, const float *restrict row, size_t dim) {
    for (size_t d = 0; d < dim; d++) {
        sum[d] += row[d];
    }
}

/* The row that value v + VALUES_AHEAD of the field will need. */
ALWAYS_INLINE void prefetch(const struct batch_field *f, uint32_t v, const float *rows,
                            size_t dim) {
    if (v + VALUES_AHEAD < f->values) {
        const float *row = rows + (size_t)f->index[v + VALUES_AHEAD] * dim;
        __builtin_prefetch(row);
        __builtin_prefetch(row + dim - 1);
    }
}

ALWAYS_INLINE void forward(struct bags in, const float *restrict rows, float *restrict x,
                           size_t dim) {
    const struct batch_field *f = in.field;
    for (uint32_t i = in.begin; i < in.end; i++, x += in.stride) {
        float sum[ACCUMULATOR_FLOATS];
        memcpy(sum, x, dim * sizeof *sum);
        for (uint32_t v = f->start[i]; v < f->start[i + 1]; v++) {
            const float *row = rows + (size_t)f->index[v] * dim;
            prefetch(f, v, rows, dim);
            if (f->weight == NULL) {
                add_plain(sum, row, dim);
            } else {
                add_scaled(sum, row, f->weight[v], dim);
            }
        }
        memcpy(x, sum, dim * sizeof *sum);
    }
}

ALWAYS_INLINE void backward(struct bags in, const float *restrict dx, float *restrict drows,
                            size_t dim) {
    const struct batch_field *f = in.field;
    for (uint32_t i = in.begin; i < in.end; i++, dx += in.stride) {
        for (uint32_t v = f->start[i]; v < f->start[i + 1]; v++) {
            float *drow = drows + (size_t)f->index[v] * dim;
            prefetch(f, v, drows, dim);
            if (f->weight == NULL) {
                add_plain(drow, dx, dim);
            } else {
                add_scaled(drow, dx, f->weight[v], dim);
            }
        }
    }
}

#define COMMON_DIMS(X) X(4) X(8) X(12) X(16) X(18) X(24) X(32) X(64)

static void field_forward(struct bags in, const float *rows, float *x, uint32_t dim) {
    switch (dim) {
#define X(width)                                                                                   \
    case width: forward(in, rows, x, width); break;
        COMMON_DIMS(X)
#undef X
    default: forward(in, rows, x, dim); break;
    }
}

static void field_backward(struct bags in, const float *dx, float *drows, uint32_t dim) {
    switch (dim) {
#define X(width)                                                                                   \
    case width: backward(in, dx, drows, width); break;
        COMMON_DIMS(X)
#undef X
    default: backward(in, dx, drows, dim); break;
    }
}

const struct pool_bags LEVEL(pool_bags) = {field_forward, field_backward};
