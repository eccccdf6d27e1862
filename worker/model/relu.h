/* relu.h - the passes over a row of activations around a product: bias and relu, and their way
 * back. relu has gradient 0 at 0, and lets NaN through so that a damaged weight shows in the loss.
 */
#pragma once

#include <stddef.h>

static inline float relu(float z) {
    return z < 0.0f ? 0.0f : z; /* NaN stays */
}

static inline void add_relu(float *restrict h, const float *restrict bias, size_t width) {
    for (size_t j = 0; j < width; j++) {
        h[j] = relu(h[j] + bias[j]);
    }
}

/* d := gradient before the relu; sum += d. A unit that was left out is 0 like one that relu cut;
 * `scale` is the others' (1: as it was, to the bit). */
static inline void mask_and_sum(float *restrict d, const float *restrict h, float scale,
                                float *restrict sum, size_t width) {
    for (size_t j = 0; j < width; j++) {
        float v = h[j] > 0.0f ? d[j] * scale : 0.0f;
        d[j] = v;
        sum[j] += v;
    }
}

/* The same without a relu, as gates are. */
static inline void add_to(float *restrict sum, const float *restrict d, size_t width) {
    for (size_t j = 0; j < width; j++) {
        sum[j] += d[j];
    }
}
