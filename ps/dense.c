/* dense.c - see dense.h. */
#include "dense.h"

#include <assert.h>
#include "common/base/mem.h"
#include "ps/table/optimizer.h"

enum status dense_init(struct dense *d, const struct config *config, const struct layout *layout,
                       uint32_t bucket_begin, uint32_t bucket_end, bool read_only) {
    *d = (struct dense){.begin = layout_slice(layout, bucket_begin),
                        .end = layout_slice(layout, bucket_end),
                        .opt = config->dense};
    assert(d->opt.kind == OPT_SGD || d->opt.kind == OPT_ADAM);
    d->state = read_only ? 0 : optimizer_state_floats(d->opt.kind, 1);
    TRY(mem_array(&d->w, dense_floats(d)));
    layout_initial(layout, config->seed, d->begin, d->end, d->w);
    for (uint32_t k = 0; k < d->state; k++) {
        TRY(mem_array(&d->s[k], dense_floats(d))); /* Adam's moments begin with 0 */
    }
    return OK;
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
