/* row_cells.h - the record of a row: where its cells lie (docs/rows.md). cell_code.h has the codes.
 *
 *     u64 id | u32 step | u32 last | weights | state vectors | padding
 *
 * The weights are f32[dim] or bf16[dim]. A state vector is f32[dim], bf16[dim] or {u8 scale, u8
 * code[dim]}; the one number of a row-wise rule is always an f32. Nothing but the padding lies
 * between them, and cells may be unaligned. A record with f32 cells alone is a multiple of 8 bytes
 * long, any other a multiple of 4. A table, its part of a checkpoint, and whatever reads that share
 * this file.
 *
 * All functions are pure. `cells` points behind the header of a record.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "cell_code.h"
#include "common/job/table_config.h"

#define ROW_HEADER      16u
#define ROW_VECTORS_MAX 2u
#define ROW_STATE_MAX   (ROW_VECTORS_MAX * DIM_MAX) /* floats of state */
/* Where the random bits of state vector k begin: vectors draw from places of their own, the weights
 * from 0 on. */
#define ROW_PLACE(k) (((uint32_t)(k) + 1) * DIM_MAX * 2)

struct row_layout {
    uint32_t dim;
    enum cell_kind weights; /* f32 or bf16 */
    enum cell_kind state;   /* of vectors; f32 where there is none */
    uint32_t vectors;       /* of dim cells: adam 2, adagrad 1, sgd 0 */
    uint32_t singles;       /* f32 numbers: of a row-wise rule 1 */
    bool first_signed;      /* the first vector has signs: adam's m, ftrl's z */
    uint32_t weight_bytes;
    uint32_t vector_bytes; /* of one state vector */
    uint32_t cell_bytes;   /* weights and state */
    uint32_t row_bytes;    /* header, cells, padding */
    const struct cell_codes *codes;
};

/* The layout that follows from a rule and the kinds of cells. dim 0: only the header. */
struct row_layout row_layout(uint32_t dim, enum optimizer_kind rule, enum cell_kind weights,
                             enum cell_kind state);
/* Whether the cells are f32 alone: then they are float w[dim], state[]. */
static inline bool row_layout_plain(const struct row_layout *l) {
    return l->weights == CELLS_F32 && l->state == CELLS_F32;
}
bool row_layout_equal(const struct row_layout *a, const struct row_layout *b);
/* "f32", "bf16" or "u8". */
const char *cell_kind_name(enum cell_kind kind);

/* Decodes w[dim]. */
void row_weights_get(const struct row_layout *l, const void *cells, float *w);
/* Decodes the state: vector after vector of dim floats each, or the single accumulator. */
void row_state_get(const struct row_layout *l, const void *cells, float *state);
/* Vector k of the state, to out[dim]. */
void row_vector_get(const struct row_layout *l, const void *cells, uint32_t k, float *out);
/* The same the other way. key: of the random bits (row_key). */
void row_weights_put(const struct row_layout *l, void *cells, const float *w, uint64_t key);
void row_state_put(const struct row_layout *l, void *cells, const float *state, uint64_t key);
void row_vector_put(const struct row_layout *l, void *cells, uint32_t k, const float *x,
                    uint64_t key);

/* What the random bits of a table's rows begin with. */
uint64_t row_stream(uint64_t seed, uint64_t salt);
/* The key of a row at its update number `step`: the same whichever server has the row. */
static inline uint64_t row_key(uint64_t stream, uint64_t id, uint32_t step) {
    uint64_t x = (stream ^ id) + step * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Writes the record `from` of one layout as a record of another of the same dim: header, weights,
 * and the state where `to` has one (both must then have the same rule). Cells of the same kind are
 * copied as they are; others are decoded and coded. */
void row_convert(const struct row_layout *from, const void *record, const struct row_layout *to,
                 void *out, uint64_t stream);
