/* pool_bags.h - the sums of one field's bags, and the gradients' way back to its rows. */
#pragma once

#include "common/cpu/level.h"
#include "common/data/batch.h"

/* Bags [begin, end) of a field; stride floats from bag to bag in x and dx. */
struct bags {
    const struct batch_field *field;
    uint32_t begin, end;
    size_t stride;
};

/* rows, drows: [U, dim]; x, dx: the field's first column of bag `begin`. dim <= 256. */
struct pool_bags {
    void (*forward)(struct bags in, const float *rows, float *x, uint32_t dim);    /* x += */
    void (*backward)(struct bags in, const float *dx, float *drows, uint32_t dim); /* drows += */
};
LEVELLED(struct pool_bags, pool_bags)
