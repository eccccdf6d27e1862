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

struct user_columns user_columns_all(const struct layout *l) {
    struct user_columns c = {.width = l->user_width};
    memcpy(c.column, l->column, sizeof c.column);
    return c;
}

/* A side: its fields [first, last) and their columns, the input column it begins at, and its width;
 * and whether it has those of the fields that are shared, or the others. */
struct pool_side {
    uint32_t first, last;
    const uint32_t *columns;
    uint32_t column, width;
    bool shared;
    const bool *left_out; /* NULL: none */
};

static struct pool_side user_side(const struct layout *l, const struct user_columns *c) {
    return (struct pool_side){0, l->user_fields, c->column, 0, c->width, false, c->left_out};
}

static struct pool_side shared_side(const struct layout *l) {
    return (struct pool_side){0, l->user_fields, l->column, 0, l->user_width, true, NULL};
}

static struct pool_side item_side(const struct layout *l) {
    return (struct pool_side){l->user_fields, l->fields, l->column, l->user_width,
                              l->item_width,  false,     NULL};
}

static bool side_has(const struct pool_side *s, const struct batch *b, uint32_t f) {
    return b->field[f].shared == s->shared && (s->left_out == NULL || !s->left_out[f]);
}

static void side_forward(const struct layout *l, const struct batch *b, struct pool_side s,
                         const float *const *rows, uint32_t begin, uint32_t end, float *x) {
    if (s.width == 0 || begin == end) {
        return;
    }
    memset(x, 0, (size_t)(end - begin) * s.width * sizeof *x);
    for (uint32_t f = s.first; f < s.last; f++) {
        struct bags in = {&b->field[f], begin, end, s.width};
        if (side_has(&s, b, f)) {
            field_forward(in, rows[f], x + (s.columns[f] - s.column), l->dim[f]);
        }
    }
}

static void side_backward(const struct layout *l, const struct batch *b, struct pool_side s,
                          const float *dx, uint32_t begin, uint32_t end, float *const *drows) {
    for (uint32_t f = s.first; f < s.last; f++) {
        struct bags in = {&b->field[f], begin, end, s.width};
        if (side_has(&s, b, f)) {
            field_backward(in, dx + (s.columns[f] - s.column), drows[f], l->dim[f]);
        }
    }
}

void pool_users(const struct layout *l, const struct user_columns *c, const struct batch *b,
                const float *const *rows, float *xu) {
    side_forward(l, b, user_side(l, c), rows, 0, b->groups, xu);
}

void pool_shared(const struct layout *l, const struct batch *b, const float *const *rows,
                 float *x) {
    side_forward(l, b, shared_side(l), rows, 0, b->shared_groups, x);
}

void pool_items(const struct layout *l, const struct batch *b, const float *const *rows,
                uint32_t begin, uint32_t end, float *xi) {
    side_forward(l, b, item_side(l), rows, begin, end, xi);
}

void pool_clear(const struct layout *l, const struct batch *b, float *const *drows) {
    for (uint32_t f = 0; f < l->fields; f++) {
        size_t floats = (size_t)b->field[f].unique * l->dim[f];
        if (floats > 0 && (!b->field[f].shared || b->shared_last)) {
            memset(drows[f], 0, floats * sizeof *drows[f]);
        }
    }
}

void pool_users_backward(const struct layout *l, const struct user_columns *c,
                         const struct batch *b, const float *dxu, float *const *drows) {
    side_backward(l, b, user_side(l, c), dxu, 0, b->groups, drows);
}

void pool_shared_backward(const struct layout *l, const struct batch *b, const float *dx,
                          float *const *drows) {
    side_backward(l, b, shared_side(l), dx, 0, b->shared_groups, drows);
}

void pool_items_backward(const struct layout *l, const struct batch *b, uint32_t begin,
                         uint32_t end, const float *dxi, float *const *drows) {
    side_backward(l, b, item_side(l), dxi, begin, end, drows);
}

void pool_forward(const struct layout *l, const struct batch *b, const float *const *rows,
                  float *xu, float *xi) {
    const struct user_columns all = user_columns_all(l);
    pool_users(l, &all, b, rows, xu);
    pool_items(l, b, rows, 0, b->impressions, xi);
}

void pool_backward(const struct layout *l, const struct batch *b, const float *dxu,
                   const float *dxi, float *const *drows) {
    const struct user_columns all = user_columns_all(l);
    pool_clear(l, b, drows);
    pool_users_backward(l, &all, b, dxu, drows);
    pool_items_backward(l, b, 0, b->impressions, dxi, drows);
}
