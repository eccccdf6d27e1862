/* pool.c - weighted sum pooling: which fields, which columns. pool_bags.c has the sums.
 *
 * In `concat` a field owns its columns and writes all its bags there, empty ones as zeros. In
 * `sides` the fields of a side share columns: the block is cleared, then every field adds to it in
 * slot order. The order of additions depends only on slots and values, not on the range.
 */
#include "pool.h"

#include <string.h>

#include "pool_bags.h"

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
    const struct pool_bags *sums = pool_bags_at(cpu_level());
    if (c->width == 0 || begin == end) {
        return;
    }
    memset(x, 0, (size_t)(end - begin) * c->width * sizeof *x);
    for (uint32_t f = c->first; f < c->last; f++) {
        const struct bags in = {&b->field[f], begin, end, c->width};
        if (side_has(c, b, shared, f)) {
            sums->forward(in, rows[f], x + c->column[f], l->dim[f]);
        }
    }
}

static void side_backward(const struct layout *l, const struct side_columns *c,
                          const struct batch *b, bool shared, const float *dx, uint32_t begin,
                          uint32_t end, float *const *drows) {
    const struct pool_bags *sums = pool_bags_at(cpu_level());
    for (uint32_t f = c->first; f < c->last; f++) {
        const struct bags in = {&b->field[f], begin, end, c->width};
        if (side_has(c, b, shared, f)) {
            sums->backward(in, dx + c->column[f], drows[f], l->dim[f]);
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
