#include "row_update.h"

void row_update(const struct row_layout *l, const struct optimizer_rules *rules,
                const struct optimizer_config *o, float lr, uint32_t step, uint64_t key,
                void *cells, const float *g) {
    float decoded[DIM_MAX], state[ROW_STATE_MAX];
    float *w = l->weights == CELLS_F32 ? cells : decoded;
    if (w == decoded) {
        row_weights_get(l, cells, w);
    }
    row_state_get(l, cells, state);
    rules->apply(o, l->dim, lr, step, w, state, g);
    if (w == decoded) {
        row_weights_put(l, cells, w, key);
    }
    row_state_put(l, cells, state, key);
}

void row_fresh(const struct row_layout *l, const struct optimizer_config *o, uint64_t key,
               const float *w, void *cells) {
    float state[ROW_STATE_MAX];
    optimizer_state_init(o, l->dim, w, state);
    row_weights_put(l, cells, w, key);
    row_state_put(l, cells, state, key);
}
