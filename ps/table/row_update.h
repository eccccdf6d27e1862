/* row_update.h - one update of a row whose cells are not f32 alone (common/checkpoint/row_cells.h).
 *
 * Decodes what is coded, applies the rule (optimizer.h) in f32, and codes it again. Weights of f32
 * are updated in place. The result follows from the row, the gradient and the key. Rows of u8 have
 * an update that does all of it in registers (row_fused.h), with the same bits. */
#pragma once

#include "row_fused.h"

void row_updates_init(struct row_updates *u, const struct row_layout *l,
                      const struct optimizer_config *o, enum cpu_level level);
/* Sets rate and step of the updates that follow. All rows of a push have the same, unless a row
 * counts its own updates: what they need is computed when they change. step > 0. */
void row_updates_set(struct row_updates *u, float lr, uint32_t step);
static inline void row_updates_pace(struct row_updates *u, float lr, uint32_t step) {
    if (u->step != step || u->lr < lr || u->lr > lr) {
        row_updates_set(u, lr, step);
    }
}
/* cells: of the record, 4-byte aligned. key: row_key of this update. */
void row_update_by_steps(const struct row_updates *u, uint64_t key, void *cells, const float *g);
static inline void row_update(const struct row_updates *u, uint64_t key, void *cells,
                              const float *g) {
    (u->fused != NULL ? u->fused : row_update_by_steps)(u, key, cells, g);
}
/* The cells of a fresh row with the weights w[dim], and the state that follows from them. */
void row_fresh(const struct row_layout *l, const struct optimizer_config *o, uint64_t key,
               const float *w, void *cells);
