/* row_update.h - one update of a row whose cells are not f32 alone (common/checkpoint/row_cells.h).
 *
 * Decodes what is coded, applies the rule (optimizer.h) in f32, and codes it again. Weights of f32
 * are updated in place. Pure; the result follows from the row, the gradient and the key. */
#pragma once

#include "common/checkpoint/row_cells.h"
#include "optimizer.h"

/* cells: of the record, 4-byte aligned. step: t of the rule. key: row_key of this update. */
void row_update(const struct row_layout *l, const struct optimizer_rules *rules,
                const struct optimizer_config *o, float lr, uint32_t step, uint64_t key,
                void *cells, const float *g);
/* The cells of a fresh row with the weights w[dim], and the state that follows from them. */
void row_fresh(const struct row_layout *l, const struct optimizer_config *o, uint64_t key,
               const float *w, void *cells);
