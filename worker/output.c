/* output.c - sums are cut into LANES that do not meet before the end: a compiler makes vectors of them
 * without being allowed to change an order (it is not), whatever the width of the CPU's. */
#include "output.h"

#define LANES 16

/* Lane l has the columns l, l + LANES, ...; then halves are added to halves. */
static float dot(const float *restrict x, const float *restrict w, uint32_t in) {
    float sum[LANES] = {0};
    uint32_t j = 0;
    for (; j + LANES <= in; j += LANES) {
        for (uint32_t l = 0; l < LANES; l++) {
            sum[l] += x[j + l] * w[j + l];
        }
    }
    for (uint32_t l = 0; j + l < in; l++) {
        sum[l] += x[j + l] * w[j + l];
    }
    for (uint32_t half = LANES / 2; half > 0; half /= 2) {
        for (uint32_t l = 0; l < half; l++) {
            sum[l] += sum[l + half];
        }
    }
    return sum[0];
}

void output_forward(const float *x, size_t stride, uint32_t n, const float *w, uint32_t in,
                    float bias, float *logit) {
    for (uint32_t i = 0; i < n; i++) {
        logit[i] = bias + dot(x + i * stride, w, in);
    }
}

/* `lanes` columns: with a constant number of them the sums stay in registers. */
static inline __attribute__((always_inline)) void weigh(const float *restrict x, size_t stride,
                                                        uint32_t n, const float *restrict dlogit,
                                                        uint32_t lanes, float *restrict dw) {
    float sum[LANES] = {0};
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t l = 0; l < lanes; l++) {
            sum[l] += dlogit[i] * x[i * stride + l];
        }
    }
    for (uint32_t l = 0; l < lanes; l++) {
        dw[l] += sum[l];
    }
}

void output_weight(const float *x, size_t stride, uint32_t n, const float *dlogit, uint32_t in,
                   float *dw) {
    uint32_t j = 0;
    for (; j + LANES <= in; j += LANES) {
        weigh(x + j, stride, n, dlogit, LANES, dw + j);
    }
    if (j < in) {
        weigh(x + j, stride, n, dlogit, in - j, dw + j);
    }
}

void output_input(const float *dlogit, uint32_t n, const float *w, uint32_t in, float *restrict dx,
                  size_t stride) {
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < in; j++) {
            dx[i * stride + j] = dlogit[i] * w[j];
        }
    }
}
