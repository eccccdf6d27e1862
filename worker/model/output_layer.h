/* output_layer.h - the output layer of one tower: a weight vector w [in], and what it does to n
 * rows.
 *
 *     output_layer_forward    logit_i = bias + x_i w                 [n]
 *     output_layer_weight     dw += sum_i dlogit_i x_i               [in]
 *     output_layer_input      dx_i = dlogit_i w                      [n, in]
 *
 * A product with one column is too small for a tile of kernel.h, so it has code of its own, which
 * all kernels share. Sums run in a fixed order, so the bits are the same on every CPU, and a row's
 * logit and dx depend on that row only. float32; `stride` floats from row to row. `in` and n may be
 * 0.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

void output_layer_forward(const float *x, size_t stride, uint32_t n, const float *w, uint32_t in,
                          float bias, float *logit);
void output_layer_weight(const float *x, size_t stride, uint32_t n, const float *dlogit,
                         uint32_t in, float *dw);
void output_layer_input(const float *dlogit, uint32_t n, const float *w, uint32_t in, float *dx,
                        size_t stride);
