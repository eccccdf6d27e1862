/* output_layer.c - each sum is cut into LANES partial sums, which are added only at the end. So
 * they can be vectors, and the order of additions is the same whatever vectors the CPU has: the
 * bits are the same too. */
#include "output_layer.h"

#include <string.h>

#define LANES 16

/* Vectors of a width that every x86-64 CPU has: if a CPU lacks a wider vector, compilers keep that
 * vector in memory. */
#define WIDTH   4
#define VECTORS (LANES / WIDTH)
typedef float vector __attribute__((vector_size(WIDTH * sizeof(float)), aligned(4), may_alias));

#define INLINE static inline __attribute__((always_inline))

/* VECTORS: lane l + 8 is added to l, then l + 4, l + 2, l + 1. */
INLINE float add_up(const vector *sum) {
    const vector four = (sum[0] + sum[2]) + (sum[1] + sum[3]);
    return (four[0] + four[2]) + (four[1] + four[3]);
}

INLINE void multiply_add(const float *x, const float *w, vector *sum) {
    for (int v = 0; v < VECTORS; v++) {
        sum[v] += *(const vector *)(x + WIDTH * v) * *(const vector *)(w + WIDTH * v);
    }
}

/* Lane l sums the columns l, l + LANES, ... */
INLINE float dot(const float *x, const float *w, uint32_t in) {
    vector sum[VECTORS] = {{0}};
    uint32_t j = 0;
    for (; j + LANES <= in; j += LANES) {
        multiply_add(x + j, w + j, sum);
    }
    if (j < in) {
        float tail[2][LANES] = {{0}};
        memcpy(tail[0], x + j, (in - j) * sizeof *x);
        memcpy(tail[1], w + j, (in - j) * sizeof *w);
        multiply_add(tail[0], tail[1], sum);
    }
    return add_up(sum);
}

void output_layer_forward(const float *x, size_t stride, uint32_t n, const float *w, uint32_t in,
                          float bias, float *logit) {
    for (uint32_t i = 0; i < n; i++) {
        logit[i] = bias + dot(x + i * stride, w, in);
    }
}

/* Computes LANES columns of dw. */
INLINE void weigh(const float *x, size_t stride, uint32_t n, const float *dlogit, float *dw) {
    vector sum[VECTORS] = {{0}};
    for (uint32_t i = 0; i < n; i++) {
        for (int v = 0; v < VECTORS; v++) {
            sum[v] += dlogit[i] * *(const vector *)(x + i * stride + WIDTH * v);
        }
    }
    for (int v = 0; v < VECTORS; v++) {
        *(vector *)(dw + WIDTH * v) += sum[v];
    }
}

void output_layer_weight(const float *x, size_t stride, uint32_t n, const float *dlogit,
                         uint32_t in, float *dw) {
    uint32_t j = 0;
    for (; j + LANES <= in; j += LANES) {
        weigh(x + j, stride, n, dlogit, dw + j);
    }
    for (; j < in; j++) {
        float sum = 0.0f;
        for (uint32_t i = 0; i < n; i++) {
            sum += dlogit[i] * x[i * stride + j];
        }
        dw[j] += sum;
    }
}

void output_layer_input(const float *dlogit, uint32_t n, const float *w, uint32_t in,
                        float *restrict dx, size_t stride) {
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < in; j++) {
            dx[i * stride + j] = dlogit[i] * w[j];
        }
    }
}
