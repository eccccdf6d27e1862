#include "row_cells.h"

#include <assert.h>
#include <string.h>
#include "common/base/rng.h"

/* --- layouts ---------------------------------------------------------------------------------- */

const char *cell_kind_name(enum cell_kind kind) {
    static const char *const names[] = {
        [CELLS_F32] = "f32", [CELLS_BF16] = "bf16", [CELLS_U8] = "u8"};
    return (size_t)kind < sizeof names / sizeof *names ? names[kind] : "unknown";
}

static uint32_t vector_bytes(uint32_t dim, enum cell_kind kind) {
    return kind == CELLS_F32 ? 4 * dim : kind == CELLS_BF16 ? 2 * dim : dim + 1;
}

struct row_layout row_layout(uint32_t dim, enum optimizer_kind rule, enum cell_kind weights,
                             enum cell_kind state) {
    const uint32_t floats = optimizer_state_floats(rule, dim);
    const bool single = rule == OPT_ROWWISE_ADAGRAD || rule == OPT_ROWWISE_RMSPROP;
    struct row_layout l = {.dim = dim,
                           .weights = weights,
                           .vectors = single || dim == 0 ? 0 : floats / dim,
                           .singles = single ? floats : 0,
                           .first_signed = rule == OPT_ADAM || rule == OPT_FTRL,
                           .weight_bytes = vector_bytes(dim, weights),
                           .codes = cell_codes_at(cpu_level())};
    assert(weights != CELLS_U8);
    l.state = l.vectors == 0 ? CELLS_F32 : state;
    l.vector_bytes = l.vectors == 0 ? 0 : vector_bytes(dim, l.state);
    l.cell_bytes = l.weight_bytes + l.vectors * l.vector_bytes + 4 * l.singles;
    const uint32_t unit = row_layout_plain(&l) ? 8 : 4;
    l.row_bytes = (ROW_HEADER + l.cell_bytes + unit - 1) / unit * unit;
    return l;
}

bool row_layout_equal(const struct row_layout *a, const struct row_layout *b) {
    return a->dim == b->dim && a->weights == b->weights && a->state == b->state &&
           a->vectors == b->vectors && a->singles == b->singles &&
           a->first_signed == b->first_signed;
}

/* --- cells of a row --------------------------------------------------------------------------- */

static size_t vector_at(const struct row_layout *l, uint32_t k) {
    return l->weight_bytes + (size_t)k * l->vector_bytes;
}

void row_weights_get(const struct row_layout *l, const void *cells, float *w) {
    if (l->weights == CELLS_F32) {
        memcpy(w, cells, l->dim * sizeof(float));
    } else {
        l->codes->bf16_get(l->dim, cells, w);
    }
}

void row_weights_put(const struct row_layout *l, void *cells, const float *w, uint64_t key) {
    if (l->weights == CELLS_F32) {
        memcpy(cells, w, l->dim * sizeof(float));
    } else {
        l->codes->bf16_put(l->dim, w, true, key, 0, cells);
    }
}

void row_vector_get(const struct row_layout *l, const void *cells, uint32_t k, float *out) {
    const uint8_t *at = (const uint8_t *)cells + vector_at(l, k);
    switch (l->state) {
    case CELLS_F32: memcpy(out, at, l->dim * sizeof(float)); return;
    case CELLS_BF16: l->codes->bf16_get(l->dim, at, out); return;
    case CELLS_U8: l->codes->u8_get(l->dim, at, l->first_signed && k == 0, out); return;
    }
}

void row_vector_put(const struct row_layout *l, void *cells, uint32_t k, const float *x,
                    uint64_t key) {
    uint8_t *at = (uint8_t *)cells + vector_at(l, k);
    const uint32_t place = ROW_PLACE(k);
    const bool has_sign = l->first_signed && k == 0;
    switch (l->state) {
    case CELLS_F32: memcpy(at, x, l->dim * sizeof(float)); return;
    case CELLS_BF16: l->codes->bf16_put(l->dim, x, has_sign, key, place, at); return;
    case CELLS_U8: l->codes->u8_put(l->dim, x, has_sign, key, place, at); return;
    }
}

void row_state_get(const struct row_layout *l, const void *cells, float *state) {
    for (uint32_t k = 0; k < l->vectors; k++) {
        row_vector_get(l, cells, k, state + (size_t)k * l->dim);
    }
    if (l->singles > 0) {
        memcpy(state, (const uint8_t *)cells + vector_at(l, l->vectors), sizeof *state);
    }
}

void row_state_put(const struct row_layout *l, void *cells, const float *state, uint64_t key) {
    for (uint32_t k = 0; k < l->vectors; k++) {
        row_vector_put(l, cells, k, state + (size_t)k * l->dim, key);
    }
    if (l->singles > 0) {
        memcpy((uint8_t *)cells + vector_at(l, l->vectors), state, sizeof *state);
    }
}

uint64_t row_stream(uint64_t seed, uint64_t salt) {
    return rng_mix(rng_mix(seed) ^ salt);
}

void row_convert(const struct row_layout *from, const void *record, const struct row_layout *to,
                 void *out, uint64_t stream) {
    float floats[ROW_STATE_MAX];
    const uint8_t *in = (const uint8_t *)record + ROW_HEADER;
    uint8_t *cells = (uint8_t *)out + ROW_HEADER;
    uint64_t id;
    uint32_t step;
    assert(from->dim == to->dim);
    memset(out, 0, to->row_bytes);
    memcpy(out, record, ROW_HEADER);
    memcpy(&id, record, sizeof id);
    memcpy(&step, (const uint8_t *)record + sizeof id, sizeof step);
    const uint64_t key = row_key(stream, id, ~step); /* no update has it before 2^31 others */
    if (from->weights == to->weights) {
        memcpy(cells, in, to->weight_bytes);
    } else {
        row_weights_get(from, in, floats);
        row_weights_put(to, cells, floats, key);
    }
    if (to->vectors == 0 && to->singles == 0) {
        return;
    }
    assert(from->vectors == to->vectors && from->singles == to->singles);
    if (from->state == to->state) {
        memcpy(cells + to->weight_bytes, in + from->weight_bytes,
               to->cell_bytes - to->weight_bytes);
    } else {
        row_state_get(from, in, floats);
        row_state_put(to, cells, floats, key);
    }
}
