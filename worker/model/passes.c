/* passes.c - see passes.h; compiled for each level of the CPU. */
#include "passes.h"

#include "common/base/rng.h"

static inline float relu(float z) {
    return z < 0.0f ? 0.0f : z; /* NaN stays */
}

static void add_relu(float *restrict h, const float *restrict bias, size_t width) {
    for (size_t j = 0; j < width; j++) {
        h[j] = relu(h[j] + bias[j]);
    }
}

static void mask_and_sum(float *restrict d, const float *restrict h, float scale,
                         float *restrict sum, size_t width) {
    for (size_t j = 0; j < width; j++) {
        float v = h[j] > 0.0f ? d[j] * scale : 0.0f;
        d[j] = v;
        sum[j] += v;
    }
}

static void add(float *restrict sum, const float *restrict d, size_t width) {
    for (size_t j = 0; j < width; j++) {
        sum[j] += d[j];
    }
}

static void add_weighted(float *restrict sum, const float *restrict row, float weight,
                         size_t width) {
    for (size_t j = 0; j < width; j++) {
        sum[j] += weight * row[j];
    }
}

static void add_weighted_terms(float *restrict sum, const float *const *row, const float *weight,
                               size_t width) {
    const float *a = row[0], *b = row[1], *c = row[2], *d = row[3];
    const float wa = weight[0], wb = weight[1], wc = weight[2], wd = weight[3];
    for (size_t j = 0; j < width; j++) {
        sum[j] = (((sum[j] + wa * a[j]) + wb * b[j]) + wc * c[j]) + wd * d[j];
    }
}

static void drop(float *restrict h, uint64_t key, uint64_t least, float scale, size_t width) {
    for (size_t j = 0; j < width; j++) {
        const uint64_t bits = rng_mix(key ^ j) >> 32;
        h[j] = bits < least ? 0.0f : h[j] * scale;
    }
}

const struct passes LEVEL(passes) = {add_relu,     mask_and_sum,       add,
                                     add_weighted, add_weighted_terms, drop};
