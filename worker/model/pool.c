/* pool.c - weighted sum pooling.
 *
 * The rows of a batch are compact (distinct features only, in the order of their ids). But between
 * two chunks the towers' activations push them out of the nearer caches, so rows are prefetched
 * some values ahead. The work is one multiply-add of `dim` floats per feature value; a bag's sum
 * stays in registers until the bag ends. The usual widths are compiled with dim as a constant,
 * which makes the inner loop straight-line vector code. Any other width runs the same code with dim
 * unknown.
 *
 * In `concat` a field owns its columns and writes all its bags there, empty ones as zeros. In
 * `sides` the fields of a side share columns: the block is cleared, then every field adds to it in
 * slot order. The order of additions depends only on slots and values, not on the range.
 */
#include "pool.h"

#include <string.h>

#define ALWAYS_INLINE      static inline __attribute__((always_inline))
#define ACCUMULATOR_FLOATS 256 /* the largest dim that config.h allows */
#define VALUES_AHEAD       12

/* One field's bags [begin, end). x: first column of bag `begin`; stride floats between bags. */
struct bags {
    const struct batch_field *field;
    uint32_t begin, end;
    size_t stride;
};

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

static struct side_columns columns_from(const struct layout *l, uint32_t first, uint32_t last,
                                        uint32_t begin, uint32_t width) {
    struct side_columns c = {.first = first, .last = last, .width = width};
    for (uint32_t f = first; f < last; f++) {
        c.column[f] = l->column[f] - begin;
    }
    return c;
}

struct side_columns user_columns(const struct layout *l) {
    return columns_from(l, 0, l->user_fields, 0, l->user_width);
}

struct side_columns item_columns(const struct layout *l) {
    return columns_from(l, l->user_fields, l->fields, l->user_width, l->item_width);
}

/* Of a side the fields that are shared, or the others. */
static bool side_has(const struct side_columns *c, const struct batch *b, bool shared, uint32_t f) {
    return b->field[f].shared == shared && !c->left_out[f];
}

static void side_forward(const struct layout *l, const struct side_columns *c,
                         const struct batch *b, bool shared, const float *const *rows,
                         uint32_t begin, uint32_t end, float *x) {
    if (c->width == 0 || begin == end) {
        return;
    }
    memset(x, 0, (size_t)(end - begin) * c->width * sizeof *x);
    for (uint32_t f = c->first; f < c->last; f++) {
        struct bags in = {&b->field[f], begin, end, c->width};
        if (side_has(c, b, shared, f)) {
            field_forward(in, rows[f], x + c->column[f], l->dim[f]);
        }
    }
}

static void side_backward(const struct layout *l, const struct side_columns *c,
                          const struct batch *b, bool shared, const float *dx, uint32_t begin,
                          uint32_t end, float *const *drows) {
    for (uint32_t f = c->first; f < c->last; f++) {
        struct bags in = {&b->field[f], begin, end, c->width};
        if (side_has(c, b, shared, f)) {
            field_backward(in, dx + c->column[f], drows[f], l->dim[f]);
        }
    }
}

void pool_users(const struct layout *l, const struct side_columns *c, const struct batch *b,
                const float *const *rows, float *xu) {
    side_forward(l, c, b, false, rows, 0, b->groups, xu);
}

void pool_shared(const struct layout *l, const struct batch *b, const float *const *rows,
                 float *x) {
    const struct side_columns all = user_columns(l);
    side_forward(l, &all, b, true, rows, 0, b->shared_groups, x);
}

void pool_items(const struct layout *l, const struct side_columns *c, const struct batch *b,
                const float *const *rows, uint32_t begin, uint32_t end, float *xi) {
    side_forward(l, c, b, false, rows, begin, end, xi);
}

void pool_clear(const struct layout *l, const struct batch *b, float *const *drows) {
    for (uint32_t f = 0; f < l->fields; f++) {
        size_t floats = (size_t)b->field[f].unique * l->dim[f];
        if (floats > 0 && (!b->field[f].shared || b->shared_last)) {
            memset(drows[f], 0, floats * sizeof *drows[f]);
        }
    }
}

void pool_users_backward(const struct layout *l, const struct side_columns *c,
                         const struct batch *b, const float *dxu, float *const *drows) {
    side_backward(l, c, b, false, dxu, 0, b->groups, drows);
}

void pool_shared_backward(const struct layout *l, const struct batch *b, const float *dx,
                          float *const *drows) {
    const struct side_columns all = user_columns(l);
    side_backward(l, &all, b, true, dx, 0, b->shared_groups, drows);
}

void pool_items_backward(const struct layout *l, const struct side_columns *c,
                         const struct batch *b, uint32_t begin, uint32_t end, const float *dxi,
                         float *const *drows) {
    side_backward(l, c, b, false, dxi, begin, end, drows);
}

void pool_forward(const struct layout *l, const struct batch *b, const float *const *rows,
                  float *xu, float *xi) {
    const struct side_columns users = user_columns(l), items = item_columns(l);
    pool_users(l, &users, b, rows, xu);
    pool_items(l, &items, b, rows, 0, b->impressions, xi);
}

void pool_backward(const struct layout *l, const struct batch *b, const float *dxu,
                   const float *dxi, float *const *drows) {
    const struct side_columns users = user_columns(l), items = item_columns(l);
    pool_clear(l, b, drows);
    pool_users_backward(l, &users, b, dxu, drows);
    pool_items_backward(l, &items, b, 0, b->impressions, dxi, drows);
}
