/* row_fused.h - updates of rows whose state vectors are u8, a block of cells at a time in
 * registers. They give the bits of row_update_by_steps (row_update.h) on every level of the CPU. */
#pragma once

#include "common/checkpoint/row_cells.h"
#include "common/cpu/level.h"
#include "optimizer.h"

struct row_updates;
/* cells: of the record, 4-byte aligned; updated in place. key: row_key of this update. g[dim]. */
typedef void row_update_fn(const struct row_updates *u, uint64_t key, void *cells, const float *g);

/* What the updates of a table have in common. Layout and config are the caller's, and stay. */
struct row_updates {
    const struct row_layout *layout;
    const struct optimizer_config *config;
    const struct optimizer_rules *rules;
    row_update_fn *fused; /* NULL: step by step */
    float lr;
    uint32_t step; /* t of the rule; 0: none yet */
    struct rule_pace pace;
};

struct row_fused {
    uint32_t dim_min; /* shorter rows are no whole block */
    row_update_fn *adam, *rmsprop, *adagrad;
};
LEVELLED(struct row_fused, row_fused)
