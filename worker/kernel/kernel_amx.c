/* kernel_amx.c - bf16 products in AMX tiles, on CPUs with AMX-BF16 (Sapphire Rapids and later).
 *
 * UNTESTED on hardware: no machine at hand has AMX. So nothing takes this kernel but
 * compute.kernel=amx, and the unit tests run it where the CPU has it.
 *
 * A tile is 16 rows of 64 bytes. The right operand's panel, [K, 32] cells, is two such tiles side
 * by side as the instruction wants them: a row per cell of k, a column per lane. The left operand
 * is rows of cells, 16 of which are a row of a tile. c is 16 x 32 at a time, in two tiles. The last
 * cells of k have tiles of their own shape, so that all eight tiles have one configuration, which
 * changes with the number of rows only.
 */
#include "kernel.h"

#ifdef ESMM_AMX

#include <immintrin.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cpu/cpu.h"

#define LANES      16
#define COLUMNS    (2 * LANES)
#define INLINE     static inline __attribute__((always_inline))
#define CELL_DEPTH 2
#define CELL_BYTES 4
#define TILE_ROWS  16
#define TILE_CELLS 16 /* of k */
#include "kernel_bf16.h"

/* The tiles' numbers must be constants: sums, then left and right, then those for the last k. */
#define SUM_0    0
#define SUM_1    1
#define LEFT     2
#define RIGHT0   3
#define RIGHT1   4
#define LEFT_L   5
#define RIGHT0_L 6
#define RIGHT1_L 7

/* As the instruction reads it. */
struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};
_Static_assert(sizeof(struct tile_config) == 64, "what ldtilecfg reads");

static void tile_shape(struct tile_config *t, int tile, uint32_t rows, uint32_t cells) {
    t->rows[tile] = (uint8_t)rows;
    t->row_bytes[tile] = (uint16_t)(cells * CELL_BYTES);
}

/* rest: cells of k in the last tiles, 1 to TILE_CELLS. */
static void tiles_configure(uint32_t rows, uint32_t rest) {
    struct tile_config t = {.palette = 1};
    tile_shape(&t, SUM_0, rows, LANES);
    tile_shape(&t, SUM_1, rows, LANES);
    tile_shape(&t, LEFT, rows, TILE_CELLS);
    tile_shape(&t, RIGHT0, TILE_CELLS, LANES);
    tile_shape(&t, RIGHT1, TILE_CELLS, LANES);
    tile_shape(&t, LEFT_L, rows, rest);
    tile_shape(&t, RIGHT0_L, rest, LANES);
    tile_shape(&t, RIGHT1_L, rest, LANES);
    _tile_loadconfig(&t);
}

/* The sums of 16 rows and a panel, in the two first tiles. */
static void tiles_multiply(const uint32_t *left, size_t row, const uint32_t *panel, size_t depth) {
    const size_t left_bytes = row * CELL_BYTES, right_bytes = COLUMNS * CELL_BYTES;
    size_t k = 0;
    _tile_zero(SUM_0);
    _tile_zero(SUM_1);
    for (; k + TILE_CELLS < depth; k += TILE_CELLS) {
        _tile_loadd(LEFT, left + k, left_bytes);
        _tile_loadd(RIGHT0, panel + k * COLUMNS, right_bytes);
        _tile_loadd(RIGHT1, panel + k * COLUMNS + LANES, right_bytes);
        _tile_dpbf16ps(SUM_0, LEFT, RIGHT0);
        _tile_dpbf16ps(SUM_1, LEFT, RIGHT1);
    }
    _tile_loadd(LEFT_L, left + k, left_bytes);
    _tile_loadd(RIGHT0_L, panel + k * COLUMNS, right_bytes);
    _tile_loadd(RIGHT1_L, panel + k * COLUMNS + LANES, right_bytes);
    _tile_dpbf16ps(SUM_0, LEFT_L, RIGHT0_L);
    _tile_dpbf16ps(SUM_1, LEFT_L, RIGHT1_L);
}

static void tiles_write(uint32_t rows, uint32_t columns, bool add, float *c, size_t stride) {
    float sum[TILE_ROWS][COLUMNS];
    _tile_stored(SUM_0, &sum[0][0], sizeof sum[0]);
    _tile_stored(SUM_1, &sum[0][LANES], sizeof sum[0]);
    for (uint32_t i = 0; i < rows; i++, c += stride) {
        for (uint32_t j = 0; j < columns; j++) {
            c[j] = add ? c[j] + sum[i][j] : sum[i][j];
        }
    }
}

static void multiply(struct kernel_left left, const void *right, uint32_t m, uint32_t n, uint32_t k,
                     bool add, float *c, size_t stride) {
    const size_t depth = ((size_t)k + 1) / CELL_DEPTH;
    const uint32_t rest = depth == 0 ? 0 : (uint32_t)((depth - 1) % TILE_CELLS) + 1;
    for (uint32_t i = 0; i < m; i += TILE_ROWS) {
        uint32_t rows = m - i < TILE_ROWS ? m - i : TILE_ROWS;
        if (rest > 0 && (i == 0 || rows < TILE_ROWS)) {
            tiles_configure(rows, rest);
        }
        for (uint32_t j = 0; j < n; j += COLUMNS) {
            uint32_t columns = n - j < COLUMNS ? n - j : COLUMNS;
            float *at = c + i * stride + j;
            if (rest > 0) {
                const uint32_t *from = (const uint32_t *)left.cell + i * left.row;
                tiles_multiply(from, left.row, (const uint32_t *)right + j * depth, depth);
                tiles_write(rows, columns, add, at, stride);
            } else if (!add) {
                for (uint32_t r = 0; r < rows; r++) {
                    memset(at + r * stride, 0, columns * sizeof *at);
                }
            }
        }
    }
    _tile_release();
}

/* x^T of x [k, m]: rows of cells too, so pairs of x's rows are zipped and spread. */
static struct kernel_left left_transposed(struct matrix x, uint32_t m, uint32_t k, void *scratch) {
    const size_t row = row_cells((k + 1) / 2);
    for (uint32_t i = 0; i < k; i += 2) {
        const float *upper = x.at + i * x.stride;
        for (uint32_t j = 0; j < m; j += LANES) {
            uint32_t cell[LANES], n = m - j < LANES ? m - j : LANES;
            zip_rows(upper + j, i + 1 < k ? upper + x.stride + j : NULL, n, cell);
            for (uint32_t v = 0; v < n; v++) {
                ((uint32_t *)scratch)[(j + v) * row + i / 2] = cell[v];
            }
        }
    }
    return (struct kernel_left){scratch, row, 1, row};
}

/* Of a matrix or of its transpose: rows of whole vectors of cells. */
static size_t left_cells(uint32_t rows, uint32_t columns) {
    size_t along = rows * row_cells((columns + 1) / 2), down = columns * row_cells((rows + 1) / 2);
    return along > down ? along : down;
}

static const struct kernel kernel = {"bf16 with float32 sums, AMX (untested on hardware)",
                                     COLUMNS,
                                     CELL_DEPTH,
                                     pack,
                                     pack_transposed,
                                     left_cells,
                                     left,
                                     left_transposed,
                                     multiply};

/* Linux gives a process the tiles' state when it asks for it (since 5.16). */
static bool tiles_allowed(void) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
}

const struct kernel *kernel_amx(void) {
    bool has = cpu_has_bf16() && __builtin_cpu_supports("amx-tile") &&
               __builtin_cpu_supports("amx-bf16") && tiles_allowed();
    return has ? &kernel : NULL;
}

#else

const struct kernel *kernel_amx(void) {
    return NULL;
}

#endif
