/* relu.h - the passes over a row of activations before and after a product: bias and relu, and
 * their gradients. relu has gradient 0 at 0. It lets NaN through, so that a damaged weight shows in
 * the loss.
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

/* d becomes the gradient before the relu and is added to sum. A unit that dropout left out is 0,
 * like one that the relu cut. `scale` is the factor of the units that dropout kept; 1 leaves d as
 * it is, to the bit. */
static inline void mask_and_sum(float *restrict d, const float *restrict h, float scale,
                                float *restrict sum, size_t width) {
    for (size_t j = 0; j < width; j++) {
        float v = h[j] > 0.0f ? d[j] * scale : 0.0f;
        d[j] = v;
        sum[j] += v;
    }
}

/* The same without a relu, for gates. */
static inline void add_to(float *restrict sum, const float *restrict d, size_t width) {
    for (size_t j = 0; j < width; j++) {
        sum[j] += d[j];
    }
}
