/* method.c - the table of models. */
#include "method.h"

#include <assert.h>
#include <stddef.h>

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
    [MODEL_ESCM2_IPS] = {2, {"ctr", "cvr"}, 1, true, true, true},
    [MODEL_ESCM2_DR] = {3, {"ctr", "cvr", "error"}, 1, true, true, true},
    [MODEL_DCMT] = {3, {"ctr", "cvr", "counter"}, 1, true, true, true, .whole_batch = true},
    [MODEL_ESM2] = {4, {"ctr", "act", "buy", "skip"}, 1, true, true, true},
    [MODEL_CHAIN] =
        {2 + BEHAVIOURS_MAX, {"ctr", "b1", "b2", "b3", "b4", "cvr"}, 1, true, true, true},
    [MODEL_MMOE] = {2, {"ctr", "cvr"}, 1, true, true, true, .experts_per = 1},
    [MODEL_PLE] = {2, {"ctr", "cvr"}, 1, true, true, true, .experts_per = 3},
    [MODEL_AITM] = {2, {"ctr", "ctcvr"}, 1, true, true, true, .attention = true},
    [MODEL_COUNT] = {1, {"ctr"}, 1, true, true, false, .counts = true},
};

const struct method *method_of(enum model_name name) {
    assert((size_t)name < sizeof methods / sizeof *methods);
    return &methods[name];
}

/* In the order of enum delay_method. */
#define HEADS_MAX 2
static const char *const heads[DELAY_METHODS][HEADS_MAX] = {
    [DELAY_NONE] = {NULL},   [DELAY_FNW] = {NULL},   [DELAY_PU] = {NULL},
    [DELAY_ES_DFM] = {"rn"}, [DELAY_DEFER] = {"dp"}, [DELAY_DEFUSE] = {"rn", "dp"},
    [DELAY_DFM] = {"lag"},
};

uint32_t method_heads(enum delay_method delay) {
    assert((unsigned)delay < DELAY_METHODS);
    uint32_t n = 0;
    while (n < HEADS_MAX && heads[delay][n] != NULL) {
        n++;
    }
    return n;
}

struct method method_with(enum model_name name, uint32_t behaviours, enum delay_method delay) {
    struct method m = *method_of(name);
    if (name == MODEL_CHAIN) {
        m.tower[1 + behaviours] = m.tower[m.towers - 1];
        m.towers = 2 + behaviours;
    }
    m.heads = method_heads(delay);
    assert(m.towers + m.heads <= TOWERS_MAX);
    for (uint32_t k = 0; k < m.heads; k++) {
        m.tower[m.towers++] = heads[delay][k];
    }
    return m;
}
