/* row_fused.c - decodes, updates and codes blocks of cells in registers (see row_fused.h).
 *
 * There are two passes over a row, since a vector's scale is known when all its numbers are. The
 * first one decodes a block, applies the rule, and keeps weights and state as floats on the stack;
 * the second one codes them. Blocks on the stack are read as they were written: where a read takes
 * parts of two writes, the CPU waits until both are in the cache, which cost half of the time when
 * the three steps were functions of their own.
 *
 * The first pass only reads the row, so its last block may lie over the one before it. */
#include "row_fused.h"

#include "common/checkpoint/cell_block.h"

#define BLOCKS_MAX (DIM_MAX / LANES + 1)

/* A block between the passes; `first` is m, `second` v or the sum of squares. */
struct work_block {
    block_f32 w, first, second;
};

struct vector_codes {
    uint8_t *scale, *code;
};

/* What does not change from block to block. */
struct work {
    const struct row_updates *u;
    uint8_t *weights;
    struct vector_codes first, second;
    block_i32 first_top, second_top; /* largest bits without sign so far */
    bool f32;                        /* the weights are */
};

BLOCK_INLINE block_f32 sizes_seen(block_f32 x, block_i32 *top) {
    *top = block_max(*top, (block_i32)x & SIZE_MASK);
    return x;
}

/* The cells from `at` on, updated. The same operations in the same order as in optimizer.c. */
BLOCK_INLINE void work_update(struct work *k, enum optimizer_kind kind, size_t at, const float *g,
                              struct work_block *b) {
    const struct optimizer_config *o = k->u->config;
    const struct rule_pace p = k->u->pace;
    const float b1 = o->beta1, b2 = o->beta2, a1 = 1.0f - b1, a2 = 1.0f - b2;
    const block_f32 w =
        k->f32 ? block_load(k->weights + 4 * at) : bf16_get_block(k->weights + 2 * at);
    const block_f32 d = block_load(g + at) + o->l2 * w;
    const block_f32 s = u8_get_block(k->second.code + at, false, *k->second.scale);
    block_f32 step = d;
    if (kind == OPT_ADAM) {
        step = b1 * u8_get_block(k->first.code + at, true, *k->first.scale) + a1 * d;
        b->first = sizes_seen(step, &k->first_top);
    }
    b->second = sizes_seen(kind == OPT_ADAGRAD ? s + d * d : b2 * s + a2 * d * d, &k->second_top);
    const block_f32 scaled = kind == OPT_ADAGRAD ? b->second : b->second * p.scale;
    b->w = p.keep * w - p.rate * step / (block_root(scaled) + p.eps);
}

BLOCK_INLINE void work_put(const struct work *k, enum optimizer_kind kind, size_t at,
                           const uint32_t *scales, uint64_t key, const struct work_block *b) {
    const uint32_t place = (uint32_t)at;
    if (k->f32) {
        memcpy(k->weights + 4 * at, &b->w, sizeof b->w);
    } else {
        bf16_put_block(b->w, true, key, place, k->weights + 2 * at);
    }
    if (kind == OPT_ADAM) {
        u8_put_block(b->first, true, scales[0], key, ROW_PLACE(0) + place, k->first.code + at);
    }
    u8_put_block(b->second, false, scales[1], key, ROW_PLACE(kind == OPT_ADAM) + place,
                 k->second.code + at);
}

BLOCK_INLINE void update_row(const struct row_updates *u, enum optimizer_kind kind, uint64_t key,
                             void *cells, const float *g) {
    const struct row_layout *l = u->layout;
    const size_t n = l->dim;
    uint8_t *first = (uint8_t *)cells + l->weight_bytes;
    uint8_t *second = kind == OPT_ADAM ? first + l->vector_bytes : first;
    struct work_block blocks[BLOCKS_MAX];
    struct work k = {.u = u,
                     .weights = cells,
                     .first = {first, first + 1},
                     .second = {second, second + 1},
                     .f32 = l->weights == CELLS_F32};
    struct work_block *b = blocks;
    for (size_t i = 0; i < n; i += LANES) {
        work_update(&k, kind, block_at(i, n), g, b++);
    }
    const uint32_t scales[] = {kind == OPT_ADAM ? u8_scale((uint32_t)block_largest(k.first_top))
                                                : 0,
                               u8_scale((uint32_t)block_largest(k.second_top))};
    *second = (uint8_t)scales[1];
    if (kind == OPT_ADAM) {
        *first = (uint8_t)scales[0];
    }
    b = blocks;
    for (size_t i = 0; i < n; i += LANES) {
        work_put(&k, kind, block_at(i, n), scales, key, b++);
    }
}

static void fused_adam(const struct row_updates *u, uint64_t key, void *cells, const float *g) {
    update_row(u, OPT_ADAM, key, cells, g);
}

static void fused_rmsprop(const struct row_updates *u, uint64_t key, void *cells, const float *g) {
    update_row(u, OPT_RMSPROP, key, cells, g);
}

static void fused_adagrad(const struct row_updates *u, uint64_t key, void *cells, const float *g) {
    update_row(u, OPT_ADAGRAD, key, cells, g);
}

const struct row_fused LEVEL(row_fused) = {LANES, fused_adam, fused_rmsprop, fused_adagrad};
