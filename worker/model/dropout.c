/* dropout.c - see dropout.h.
 *
 * Each unit costs one mixing of 64 bits, which the compiler does for several units at a time. What
 * is common to a layer and to an impression is mixed before. There is no stream and no state: a
 * generator whose numbers are drawn in turn would make the masks depend on the order in which
 * chunks and threads run.
 */
#include "dropout.h"

#include "common/base/rng.h"
#include "passes.h"

struct dropout dropout_of(const struct config *c) {
    return (struct dropout){c->dropout, c->seed};
}

/* `batch` has 32 bits and there are few layers, so each (batch, layer) has a word of its own. */
static uint64_t layer_key(const struct dropout *d, struct batch_name name, uint32_t layer) {
    const uint64_t purpose = 0x64726f706f7574; /* "dropout": the seed has other uses */
    return rng_u64(d->seed ^ purpose, (uint64_t)name.epoch << 32 | name.shard,
                   (uint64_t)layer << 32 | name.batch);
}

struct dropout_layer dropout_layer(const struct dropout *d, struct batch_name name,
                                   uint32_t layer) {
    return (struct dropout_layer){.key = layer_key(d, name, layer),
                                  .least = (uint64_t)((double)d->rate * 0x1p32),
                                  .scale = 1.0f / (1.0f - d->rate)};
}

void dropout_apply(const struct dropout_layer *l, uint32_t impression, size_t n,
                   float *restrict h) {
    const uint64_t row = rng_mix(rng_mix(l->key) ^ impression); /* as in rng_u64 */
    passes_at(cpu_level())->drop(h, row, l->least, l->scale, n);
}
