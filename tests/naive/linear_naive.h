/* linear_naive.h - the products again, one after the other: the oracle of
 * worker/kernel/linear.c. */
#pragma once

#include "worker/kernel/linear.h"

/* The naive twins: double sums, operands rounded to `precision`. y, dx and dw are dense (stride =
 * width); y and dx are overwritten, dw is added to. */
float linear_naive_round(enum precision precision, double x);
void linear_naive_forward(enum precision precision, struct matrix w, struct matrix x, uint32_t m,
                          uint32_t out, uint32_t in, double *y);
void linear_naive_input(enum precision precision, struct matrix w, struct matrix dy, uint32_t m,
                        uint32_t out, uint32_t in, double *dx);
void linear_naive_weight(enum precision precision, struct matrix dy, struct matrix x, uint32_t m,
                         uint32_t out, uint32_t in, double *dw);
