/* dropout.h - which hidden units a training step leaves out, and by what it scales the others.
 *
 * Inverted dropout (Srivastava et al., JMLR 2014; scaled as in TensorFlow and PyTorch): with rate p
 * a unit becomes 0 with probability p, else 1 / (1 - p) times itself, so that its mean is what it
 * is without, and evaluation takes the net as it is.
 *
 *     h~ = m h,   dh = m dh~,   m = 0 with probability p, else 1 / (1 - p)
 *
 * A unit's fate is a pure function of (seed, name of the batch, layer, place of the impression in
 * the batch, tower, unit): rng.h. So a batch that is computed again, by whomever, is computed
 * alike. Rates are exact to 2^-32.
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
    uint64_t least; /* a unit whose 32 random bits are below is left out */
    float scale;    /* of the others */
};
struct dropout_layer dropout_layer(const struct dropout *d, struct batch_name name, uint32_t layer);

/* m h of one impression, counted from the batch's first. h [n]: the units of all towers side by
 * side. */
void dropout_apply(const struct dropout_layer *l, uint32_t impression, size_t n, float *h);
