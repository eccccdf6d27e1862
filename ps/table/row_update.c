#include "row_update.h"

static row_update_fn *fused_of(const struct row_layout *l, const struct optimizer_config *o,
                               const struct row_fused *f) {
    if (l->state != CELLS_U8 || l->dim < f->dim_min) {
        return NULL;
    }
    switch (o->kind) {
    case OPT_ADAM: return f->adam;
    case OPT_RMSPROP: return f->rmsprop;
    case OPT_ADAGRAD: return f->adagrad;
    default: return NULL;
    }
}

void row_updates_init(struct row_updates *u, const struct row_layout *l,
                      const struct optimizer_config *o, enum cpu_level level) {
    *u = (struct row_updates){.layout = l,
                              .config = o,
                              .rules = optimizer_rules_at(level),
                              .fused = fused_of(l, o, row_fused_at(level))};
}

void row_updates_set(struct row_updates *u, float lr, uint32_t step) {
    u->lr = lr;
    u->step = step;
    if (u->fused != NULL) { /* the rules compute it themselves */
        u->pace = u->rules->pace(u->config, lr, step);
    }
}

void row_update_by_steps(const struct row_updates *u, uint64_t key, void *cells, const float *g) {
    const struct row_layout *l = u->layout;
    float decoded[DIM_MAX], state[ROW_STATE_MAX];
    float *w = l->weights == CELLS_F32 ? cells : decoded;
    if (w == decoded) {
        row_weights_get(l, cells, w);
    }
    row_state_get(l, cells, state);
    u->rules->apply(u->config, l->dim, u->lr, u->step, w, state, g);
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
