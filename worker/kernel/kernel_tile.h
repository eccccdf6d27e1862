/* kernel_tile.h - the product of kernel.h for one kind of cell and one width of vector. Each file
 * of a kernel includes it, and first defines
 *
 *     CELL, CELL_DEPTH      the C type of a cell, and how much of k it covers
 *     LANES, VECTORS        floats of a vector of sums, and vectors of a panel
 *     VECTOR, LOAD(p)       LANES cells, from memory
 *     ONE, SPREAD(p)        a cell for every lane
 *     MULTIPLY_ADD(a, b, c) c + a * b for a ONE a, a VECTOR b, a vector of sums c
 *     SUMS, ZERO()          a vector of sums, and zeros of it
 *     READ(p), WRITE(p, s), ADD(a, b)              sums in memory, and their sum
 *     MASK, FIRST(n)        what stands for the first n lanes, 1 <= n <= LANES
 *     READ_FIRST(p, mask), WRITE_FIRST(p, s, mask) the first lanes only; other memory is not
 *                           touched, other lanes are anything
 *     PREFETCH(p)
 *
 * A tile of c, TILE_ROWS rows of a panel's columns, stays in registers during the loop over k: 24
 * of the 32 of AVX-512 and NEON, 12 of the 16 of AVX2. Each step loads a row of the right panel and
 * one cell of each left row, and multiplies each of these with each of those, so that
 * multiply-adds, not loads, are the limit. The outer loop runs over panels: a panel is read again
 * and again, from the first or second level of cache, while the left operand streams. Without
 * cutting k this comes within a few percent of the CPU's peak at widths up to about a thousand. c
 * is prefetched, because it is touched only after the loop over k; so is the next panel, a share
 * with each tile: the panels of all layers together are larger than the second level of cache, and
 * a tile's loop is too short for the CPU's own prefetching to learn where they go.
 *
 * A CPU has some ten multiply-adds under way at once, so a tile needs that many sums. Where few
 * rows are left, the last strips share them (tile_strip), and where one vector of a panel is left,
 * a tile takes two strips. Every size of tile is a function of its own, because only constant
 * bounds keep the sums in registers.
 */
#define TILE_ROWS  6
#define LINE_CELLS 16 /* of a line of cache */
#define INLINE     static inline __attribute__((always_inline))

/* UNROLL stands before a loop with constant bounds: without it compilers keep the sums in memory.
 * UNROLL_TWICE before the loop over k: with its counters a single step of AVX2 is 24 instructions
 * for 12 multiply-adds, as many as some CPUs start in that time. */
#ifdef __clang__
#define UNROLL       _Pragma("clang loop unroll(full)")
#define UNROLL_TWICE _Pragma("clang loop unroll_count(2)")
#else
#define UNROLL       _Pragma("GCC unroll 12")
#define UNROLL_TWICE _Pragma("GCC unroll 2")
#endif

/* The rows of the strip that begins with row i of m: TILE_ROWS, but fewer at the end. */
static inline uint32_t tile_strip(uint32_t m, uint32_t i) {
    uint32_t rest = m - i;
    if (rest > TILE_ROWS && rest < 2 * TILE_ROWS) {
        return (rest + 1) / 2;
    }
    return rest < TILE_ROWS ? rest : TILE_ROWS;
}

/* Where a tile is and how far it goes. */
struct tile {
    const CELL *left, *right;
    size_t row, step, strip; /* cells to the next left row, step of k and strip */
    size_t depth;
    float *c;
    size_t stride;
    MASK last; /* lanes of the last vector that exist */
    bool add;
    bool whole; /* all lanes of the last vector exist: masked stores of AVX2 are microcode on some
                   CPUs, and cost as much as a few steps of k */
};

INLINE void tile_multiply(const struct tile *t, int rows, int vectors) {
    SUMS sum[2 * TILE_ROWS][VECTORS];
    const CELL *left = t->left, *right = t->right;
    const size_t row = t->row, step = t->step, strip = t->strip, stride = t->stride;
    float *const c = t->c;
    const MASK last = t->last; /* copies: what is written might change *t */
    const bool add = t->add, whole = t->whole;
    UNROLL
    for (int i = 0; i < rows; i++) {
        UNROLL
        for (int j = 0; j < vectors; j++) {
            sum[i][j] = ZERO();
        }
        UNROLL
        for (int j = 0; j < LANES * vectors - 1; j += LINE_CELLS) {
            PREFETCH(c + (size_t)i * stride + j);
        }
        PREFETCH(c + (size_t)i * stride + LANES * vectors - 1);
    }
    UNROLL_TWICE
    for (size_t k = t->depth; k > 0; k--, left += step, right += LANES * VECTORS) {
        VECTOR b[VECTORS];
        UNROLL
        for (int j = 0; j < vectors; j++) {
            b[j] = LOAD(right + LANES * j);
        }
        UNROLL
        for (int i = 0; i < rows; i++) {
            ONE a = SPREAD(left + (size_t)(i / TILE_ROWS) * strip + (size_t)(i % TILE_ROWS) * row);
            UNROLL
            for (int j = 0; j < vectors; j++) {
                sum[i][j] = MULTIPLY_ADD(a, b[j], sum[i][j]);
            }
        }
    }
    UNROLL
    for (int i = 0; i < rows; i++) {
        UNROLL
        for (int j = 0; j < vectors - 1; j++) {
            float *at = c + (size_t)i * stride + LANES * j;
            WRITE(at, add ? ADD(READ(at), sum[i][j]) : sum[i][j]);
        }
    }
    UNROLL
    for (int i = 0; i < rows; i++) {
        float *at = c + (size_t)i * stride + LANES * (vectors - 1);
        SUMS end = sum[i][vectors - 1];
        if (whole) {
            WRITE(at, add ? ADD(READ(at), end) : end);
        } else {
            WRITE_FIRST(at, add ? ADD(READ_FIRST(at, last), end) : end, last);
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
TILE(12, 1)
TILES(1)
TILES(2)
#if VECTORS == 4
TILES(3)
TILES(4)
static void (*const tiles[VECTORS][TILE_ROWS])(const struct tile *) = {NAMES(1), NAMES(2), NAMES(3),
                                                                       NAMES(4)};
#else
static void (*const tiles[VECTORS][TILE_ROWS])(const struct tile *) = {NAMES(1), NAMES(2)};
#endif
_Static_assert((VECTORS == 4 || VECTORS == 2) && TILE_ROWS == 6, "the tables above");

/* Prefetches the next panel's share for `rows` of m rows. */
static inline void look_ahead(const struct tile *t, uint32_t m, uint32_t i, uint32_t rows) {
    const size_t cells = t->depth * LANES * VECTORS;
    const CELL *from = t->right + cells + cells * i / m;
    for (const CELL *end = from + cells * rows / m + 1; from < end; from += LINE_CELLS) {
        PREFETCH(from);
    }
}

/* All rows of one panel; t has all but left, step and c. more: another panel follows. */
static void multiply_panel(struct tile *t, struct kernel_left left, uint32_t m, uint32_t vectors,
                           bool more, float *c) {
    for (uint32_t i = 0, rows; i < m; i += rows) {
        rows = tile_strip(m, i);
        t->left = (const CELL *)left.cell + i * left.next;
        t->step = left.step > 0 ? left.step : rows;
        t->c = c + i * t->stride;
        if (more) {
            look_ahead(t, m, i, rows);
        }
        if (vectors == 1 && rows == TILE_ROWS && tile_strip(m, i + rows) == TILE_ROWS) {
            tile_12x1(t);
            rows *= 2;
        } else {
            tiles[vectors - 1][rows - 1](t);
        }
    }
}

static void multiply(struct kernel_left left, const void *right, uint32_t m, uint32_t n, uint32_t k,
                     bool add, float *c, size_t stride) {
    const uint32_t width = LANES * VECTORS;
    const size_t depth = (k + CELL_DEPTH - 1) / CELL_DEPTH;
    const CELL *panel = right;
    for (uint32_t j = 0; j < n; j += width, panel += depth * width) {
        uint32_t columns = n - j < width ? n - j : width;
        uint32_t vectors = (columns + LANES - 1) / LANES;
        struct tile t = {
            .right = panel,
            .row = left.row,
            .strip = TILE_ROWS * left.next,
            .depth = depth,
            .stride = stride,
            .last = FIRST(columns - (vectors - 1) * LANES),
            .add = add,
            .whole = columns % LANES == 0,
        };
        multiply_panel(&t, left, m, vectors, n - j > width, c + j);
    }
}
