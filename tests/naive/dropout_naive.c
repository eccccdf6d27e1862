#include "dropout_naive.h"

#include "common/base/rng.h"

double dropout_naive(const struct dropout *d, struct batch_name name, uint32_t layer,
                     uint32_t impression, uint32_t unit) {
    if (!(d->rate > 0.0f)) {
        return 1.0;
    }
    const uint64_t bits = rng_u64(dropout_layer(d, name, layer).key, impression, unit);
    return (double)bits / 0x1p64 < (double)d->rate ? 0.0 : 1.0 / (1.0 - (double)d->rate);
}
