/* passes.h - the passes over a row of activations before and after a product: bias and relu, their
 * gradients, dropout, weighted sums. relu has gradient 0 at 0. It lets NaN through, so that a
 * damaged weight shows in the loss.
 *
 * Each array has `width` floats; those that are written do not overlap the others.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "common/cpu/level.h"

#define PASS_TERMS 4

struct passes {
    /* h = relu(h + bias) */
    void (*add_relu)(float *h, const float *bias, size_t width);
    /* d becomes the gradient before the relu and is added to sum. A unit that dropout left out is
     * 0, like one that the relu cut. `scale` is the factor of the units that dropout kept; 1 leaves
     * d as it is, to the bit. */
    void (*mask_and_sum)(float *d, const float *h, float scale, float *sum, size_t width);
    /* sum += d: the same without a relu, for gates. */
    void (*add)(float *sum, const float *d, size_t width);
    /* sum += weight * row; and for PASS_TERMS rows, in their order. */
    void (*add_weighted)(float *sum, const float *row, float weight, size_t width);
    void (*add_weighted_terms)(float *sum, const float *const *row, const float *weight,
                               size_t width);
    /* Unit j is 0 if the upper half of rng_mix(key ^ j) is less than `least`, else scaled. */
    void (*drop)(float *h, uint64_t key, uint64_t least, float scale, size_t width);
};
LEVELLED(struct passes, passes)
