#include "sampling.h"

struct sampling sampling_of(const struct config *c) {
    struct sampling s = {.unclicked = method_of(c->model)->all ? 1.0 : 0.0, .copies = 1};
    if (c->model == MODEL_AMAN) {
        s.unclicked = (double)c->aman_rate;
    } else if (c->model == MODEL_OVERSAMPLING) {
        s.copies = c->oversampling_factor;
    }
    return s;
}

uint32_t sampling_run(const struct config *c) {
    return sampling_of(c).copies > 1 ? 0 : c->run;
}

uint64_t sampling_count(const struct sampling *s, uint32_t impressions, uint32_t clicks,
                        uint32_t conversions) {
    const double unclicked = s->unclicked * (double)(impressions - clicks);
    return clicks + (uint64_t)(s->copies - 1) * conversions + (uint64_t)(unclicked + 0.5);
}
