/* linear_naive.c - the oracle of linear.c: sums in double, one product after the other.
 *
 * The product of two bf16 values is exact in float and in double, so a kernel may differ only by
 * the rounding of its float32 sums.
 */
#include "linear_naive.h"

#include <math.h>
#include <string.h>

/* Rounds to the nearest bf16, ties to even; subnormals become zero, as in the CPU's conversion. */
static float round_bf16(float x) {
    uint32_t bits;
    if (isnan(x)) {
        return x;
    }
    if (fabsf(x) < 0x1p-126f) {
        return copysignf(0.0f, x);
    }
    memcpy(&bits, &x, sizeof bits);
    bits += 0x7fffu + ((bits >> 16) & 1u);
    bits &= 0xffff0000u;
    memcpy(&x, &bits, sizeof bits);
    return x;
}

float linear_naive_round(enum precision precision, double x) {
    return precision == PRECISION_BF16 ? round_bf16((float)x) : (float)x;
}

static double at(enum precision precision, struct matrix x, uint32_t i, uint32_t j) {
    return (double)linear_naive_round(precision, (double)x.at[i * x.stride + j]);
}

void linear_naive_forward(enum precision precision, struct matrix w, struct matrix x, uint32_t m,
                          uint32_t out, uint32_t in, double *y) {
    for (uint32_t i = 0; i < m; i++) {
        for (uint32_t o = 0; o < out; o++) {
            double sum = 0.0;
            for (uint32_t j = 0; j < in; j++) {
                sum += at(precision, x, i, j) * at(precision, w, o, j);
            }
            y[(size_t)i * out + o] = sum;
        }
    }
}

void linear_naive_input(enum precision precision, struct matrix w, struct matrix dy, uint32_t m,
                        uint32_t out, uint32_t in, double *dx) {
    for (uint32_t i = 0; i < m; i++) {
        for (uint32_t j = 0; j < in; j++) {
            double sum = 0.0;
            for (uint32_t o = 0; o < out; o++) {
                sum += at(precision, dy, i, o) * at(precision, w, o, j);
            }
            dx[(size_t)i * in + j] = sum;
        }
    }
}

void linear_naive_weight(enum precision precision, struct matrix dy, struct matrix x, uint32_t m,
                         uint32_t out, uint32_t in, double *dw) {
    for (uint32_t o = 0; o < out; o++) {
        for (uint32_t j = 0; j < in; j++) {
            for (uint32_t i = 0; i < m; i++) {
                dw[(size_t)o * in + j] += at(precision, dy, i, o) * at(precision, x, i, j);
            }
        }
    }
}
