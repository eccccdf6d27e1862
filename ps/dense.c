/* dense.c - see dense.h. */
#include "dense.h"

#include <assert.h>
#include "common/base/mem.h"
#include "optimizer.h"

static enum status dense_init_state(struct dense *d) {
    const size_t n = dense_floats(d);
    for (uint32_t k = 0; k < d->state; k++) {
        TRY(mem_array(&d->s[k], n));
    }
    /* One weight at a time: optimizer_state_init lays the vectors out side by side. */
    for (size_t i = 0; i < n && d->state > 0; i++) {
        float state[DENSE_STATE_MAX];
        optimizer_state_init(&d->opt, 1, &d->w[i], state);
        for (uint32_t k = 0; k < d->state; k++) {
            d->s[k][i] = state[k];
        }
    }
    return OK;
}

enum status dense_init(struct dense *d, const struct config *config, const struct layout *layout,
                       uint32_t bucket_begin, uint32_t bucket_end, bool read_only) {
    *d = (struct dense){.begin = layout_slice(layout, bucket_begin),
                        .end = layout_slice(layout, bucket_end),
                        .opt = config->dense};
    if (d->opt.kind == OPT_ROWWISE_ADAGRAD) {
        return fail(ERR_CONFIG, "dense.optimizer: rowwise_adagrad needs rows; use adam, adagrad, "
                                "ftrl or sgd");
    }
    d->state = read_only ? 0 : optimizer_state_floats(d->opt.kind, 1);
    assert(d->state <= DENSE_STATE_MAX);
    TRY(mem_array(&d->w, dense_floats(d)));
    layout_initial(layout, config->seed, d->begin, d->end, d->w);
    return dense_init_state(d);
}

void dense_fini(struct dense *d) {
    mem_free(&d->w);
    for (uint32_t k = 0; k < DENSE_STATE_MAX; k++) {
        mem_free(&d->s[k]);
    }
}

void dense_apply(struct dense *d, uint64_t begin, uint64_t end, float lr, uint32_t step,
                 const float *g) {
    assert(d->begin <= begin && begin <= end && end <= d->end);
    const size_t at = (size_t)(begin - d->begin);
    float *s0 = d->s[0] == NULL ? NULL : d->s[0] + at;
    float *s1 = d->s[1] == NULL ? NULL : d->s[1] + at;
    if (end > begin) {
        optimizer_apply_arrays(&d->opt, (size_t)(end - begin), lr, step, d->w + at, s0, s1, g);
    }
}

size_t dense_bytes(const struct dense *d) {
    return dense_floats(d) * sizeof(float) * (1 + d->state);
}
