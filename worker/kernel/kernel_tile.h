/* kernel_tile.h - the product of kernel.h for one kind of cell. Included by kernel_f32.c and
 * kernel_bf16.c, which first define
 *
 *     CELL, CELL_DEPTH      the C type of a cell, and how much of k it covers
 *     VECTOR                sixteen cells
 *     LOAD(p)               VECTOR from memory
 *     SPREAD(p)             VECTOR of one cell, sixteen times
 *     MULTIPLY_ADD(a, b, c) c + a * b, c sixteen floats
 *
 * A tile of c, KERNEL_ROWS x KERNEL_COLUMNS, stays in 24 of the 32 registers during the loop over
 * k. Each step loads 4 vectors of the right panel and one cell of each left row, and issues 24
 * multiply-adds, so that these, not the loads, are the limit. The outer loop runs over panels: a
 * panel is read from the second-level cache again and again while the left operand streams. Without
 * cutting k and without packing the left operand this comes within 5 % of the CPU's peak at widths
 * up to about a thousand. c is prefetched, because it is touched only after the loop over k. Tiles
 * with fewer rows and columns are separate functions, because only constant bounds keep the sums in
 * registers.
 */
#include <immintrin.h>

#define LANES   16
#define VECTORS (KERNEL_COLUMNS / LANES)
#define INLINE  static inline __attribute__((always_inline))

/* Stands before a loop with constant bounds: without it compilers keep the sums in memory. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

/* Where a tile is and how far it goes. */
struct tile {
    const CELL *left, *right;
    size_t row, step, depth;
    float *c;
    size_t stride;
    __mmask16 last; /* lanes of the last vector that exist */
    bool add;
};

INLINE void tile_multiply(const struct tile *t, int rows, int vectors) {
    __m512 sum[KERNEL_ROWS][VECTORS];
    const CELL *left = t->left, *right = t->right;
    const size_t row = t->row, step = t->step;
    UNROLL
    for (int i = 0; i < rows; i++) {
        UNROLL
        for (int j = 0; j < vectors; j++) {
            sum[i][j] = _mm512_setzero_ps();
            _mm_prefetch(t->c + (size_t)i * t->stride + LANES * j, _MM_HINT_T0);
        }
    }
    for (size_t k = t->depth; k > 0; k--, left += step, right += KERNEL_COLUMNS) {
        VECTOR b[VECTORS];
        UNROLL
        for (int j = 0; j < vectors; j++) {
            b[j] = LOAD(right + LANES * j);
        }
        UNROLL
        for (int i = 0; i < rows; i++) {
            VECTOR a = SPREAD(left + (size_t)i * row);
            UNROLL
            for (int j = 0; j < vectors; j++) {
                sum[i][j] = MULTIPLY_ADD(a, b[j], sum[i][j]);
            }
        }
    }
    UNROLL
    for (int i = 0; i < rows; i++) {
        UNROLL
        for (int j = 0; j < vectors; j++) {
            __mmask16 lanes = (__mmask16)(j == vectors - 1 ? t->last : 0xffffu);
            float *c = t->c + (size_t)i * t->stride + LANES * j;
            __m512 old = t->add ? _mm512_maskz_loadu_ps(lanes, c) : _mm512_setzero_ps();
            _mm512_mask_storeu_ps(c, lanes, _mm512_add_ps(old, sum[i][j]));
        }
    }
}

/* tile_RxV for every size. */
#define TILE(r, v)                                                                                 \
    static void tile_##r##x##v(const struct tile *t) {                                             \
        tile_multiply(t, r, v);                                                                    \
    }
#define TILES(v) TILE(1, v) TILE(2, v) TILE(3, v) TILE(4, v) TILE(5, v) TILE(6, v)
#define NAMES(v)                                                                                   \
    { tile_1x##v, tile_2x##v, tile_3x##v, tile_4x##v, tile_5x##v, tile_6x##v }
TILES(1)
TILES(2)
TILES(3)
TILES(4)
static void (*const tiles[VECTORS][KERNEL_ROWS])(const struct tile *) = {NAMES(1), NAMES(2),
                                                                         NAMES(3), NAMES(4)};
_Static_assert(VECTORS == 4 && KERNEL_ROWS == 6, "the tables above");

static void multiply(struct kernel_left left, const void *right, uint32_t m, uint32_t n, uint32_t k,
                     bool add, float *c, size_t stride) {
    const size_t depth = (k + CELL_DEPTH - 1) / CELL_DEPTH;
    const CELL *panel = right;
    for (uint32_t j = 0; j < n; j += KERNEL_COLUMNS, panel += depth * KERNEL_COLUMNS) {
        uint32_t columns = n - j < KERNEL_COLUMNS ? n - j : KERNEL_COLUMNS;
        uint32_t vectors = (columns + LANES - 1) / LANES;
        struct tile t = {
            .right = panel,
            .row = left.row,
            .step = left.step,
            .depth = depth,
            .stride = stride,
            .last = (__mmask16)(0xffffu >> (vectors * LANES - columns)),
            .add = add,
        };
        for (uint32_t i = 0; i < m; i += KERNEL_ROWS) {
            uint32_t rows = m - i < KERNEL_ROWS ? m - i : KERNEL_ROWS;
            t.left = (const CELL *)left.cell + i * left.row;
            t.c = c + i * stride + j;
            tiles[vectors - 1][rows - 1](&t);
        }
    }
}
