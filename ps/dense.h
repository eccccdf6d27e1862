/* dense.h - a partition's slice of the dense parameter vector, with its optimizer state.
 *
 * One array per kind (weights, state 0, state 1), so that an update of any sub-range is one
 * vectorised pass. Offsets count floats of the whole vector, as in common/job/layout.h. */
#pragma once

#include "common/job/layout.h"

#define DENSE_STATE_MAX 2

struct dense {
    uint64_t begin, end;
    uint32_t state; /* state vectors in use: 0..DENSE_STATE_MAX */
    struct optimizer_config opt;
    float *w;
    float *s[DENSE_STATE_MAX];
};

/* Makes the slice of buckets [bucket_begin, bucket_end) with its initial values. The update rule is
 * sgd or adam (config_keys.c allows no other). read_only: no state. ERR_MEMORY. */
enum status dense_init(struct dense *d, const struct config *config, const struct layout *layout,
                       uint32_t bucket_begin, uint32_t bucket_end, bool read_only);
void dense_fini(struct dense *d);
/* Updates floats [begin, end) with their gradient g[end - begin]; step counts from 1. */
void dense_apply(struct dense *d, uint64_t begin, uint64_t end, float lr, uint32_t step,
                 const float *g);
static inline size_t dense_floats(const struct dense *d) {
    return (size_t)(d->end - d->begin);
}
/* Vector k: 0 is the weights, 1 and above are the state vectors. */
static inline float *dense_vector(const struct dense *d, uint32_t k) {
    return k == 0 ? d->w : d->s[k - 1];
}
size_t dense_bytes(const struct dense *d);
