/* method.c - the table of models. */
#include "method.h"

#include <assert.h>

/* In the order of enum model_name. */
static const struct method methods[] = {
    [MODEL_ESMM] = {2, {"ctr", "cvr"}, 1, true, true, true},
    [MODEL_CTR] = {1, {"ctr"}, 1, true, true, false},
    [MODEL_BASE] = {1, {"cvr"}, 1, false, false, true},
    [MODEL_AMAN] = {1, {"cvr"}, 1, false, false, true},
    [MODEL_OVERSAMPLING] = {1, {"cvr"}, 1, false, false, true},
    [MODEL_UNBIAS] = {2, {"ctr", "cvr"}, 2, true, true, true},
    [MODEL_DIVISION] = {2, {"ctr", "ctcvr"}, 2, true, true, true},
    [MODEL_ESMM_NS] = {2, {"ctr", "cvr"}, 2, true, true, true},
    [MODEL_SHARE] = {2, {"ctr", "cvr"}, 1, true, true, true},
};

const struct method *method_of(enum model_name name) {
    assert((size_t)name < sizeof methods / sizeof *methods);
    return &methods[name];
}

/* In the order of enum delay_method. */
static const char *const heads[DELAY_METHODS][2] = {
    [DELAY_NONE] = {NULL},       [DELAY_FNW] = {NULL},          [DELAY_PU] = {NULL},
    [DELAY_ES_DFM] = {"rn"},     [DELAY_DEFER] = {"dp"},        [DELAY_DEFUSE] = {"rn", "dp"},
    [DELAY_DFM] = {"lag"},
};

struct method_towers method_towers(enum model_name name, enum delay_method delay) {
    const struct method *m = method_of(name);
    assert((unsigned)delay < DELAY_METHODS);
    struct method_towers t = {.count = m->towers};
    for (uint32_t k = 0; k < m->towers; k++) {
        t.name[k] = m->tower[k];
    }
    for (uint32_t k = 0; k < 2 && heads[delay][k] != NULL; k++) {
        t.name[t.count++] = heads[delay][k];
    }
    assert(t.count <= TOWERS_MAX);
    return t;
}

struct sampling sampling_of(const struct config *c) {
    struct sampling s = {.unclicked = method_of(c->model)->all ? 1.0 : 0.0, .copies = 1};
    if (c->model == MODEL_AMAN) {
        s.unclicked = (double)c->aman_rate;
    } else if (c->model == MODEL_OVERSAMPLING) {
        s.copies = c->oversampling_factor;
    }
    return s;
}

uint64_t sampling_count(const struct sampling *s, uint32_t impressions, uint32_t clicks,
                        uint32_t conversions) {
    const double unclicked = s->unclicked * (double)(impressions - clicks);
    return clicks + (uint64_t)(s->copies - 1) * conversions + (uint64_t)(unclicked + 0.5);
}
