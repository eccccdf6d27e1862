/* dropout.h - which hidden units a training step leaves out, and by what it scales the others.
 *
 * Inverted dropout (Srivastava et al., JMLR 2014; scaled as in TensorFlow and PyTorch): with rate p
 * a unit becomes 0 with probability p, otherwise it is multiplied by 1 / (1 - p). Its mean is then
 * the same as without dropout, and evaluation uses the net unchanged.
 *
 *     h~ = m h,   dh = m dh~,   m = 0 with probability p, else 1 / (1 - p)
 *
 * Whether a unit is left out is a pure function of (seed, name of the batch, layer, place of the
 * impression in the batch, tower, unit): rng.h. So a batch that is computed again, by any worker,
 * gets the same masks. Rates are exact to 2^-32.
 *
 * All functions are pure and do not block.
 */
#pragma once

#include <stddef.h>

#include "common/job/applied.h"
#include "common/job/config.h"

struct dropout {
    float rate; /* p; 0: none */
    uint64_t seed;
};
struct dropout dropout_of(const struct config *c);

/* The masks of one layer in one batch. */
struct dropout_layer {
    uint64_t key;
    uint64_t least; /* a unit whose 32 random bits are below this is left out */
    float scale;    /* of the units that are kept */
};
struct dropout_layer dropout_layer(const struct dropout *d, struct batch_name name, uint32_t layer);

/* Replaces h by m h for one impression; `impression` counts from the batch's first. h [n]: the
 * units of all towers side by side. */
void dropout_apply(const struct dropout_layer *l, uint32_t impression, size_t n, float *h);
