/* kernel_f32.h - operands of the float32 kernels; included after kernel_tile.h.
 *
 * A left operand whose rows run along k is used where it lies. One whose rows run down k (dy of the
 * weight gradient, k its rows) would be read a few cells at a time, each step in another line and
 * often another page: `strips` copies it so that what a tile reads lies in one piece.
 */
#include <string.h>

#define COLUMNS (LANES * VECTORS)

static void pack(struct matrix x, uint32_t k, uint32_t n, void *right) {
    float *panel = right;
    for (uint32_t j = 0; j < n; j += COLUMNS) {
        uint32_t columns = n - j < COLUMNS ? n - j : COLUMNS;
        for (uint32_t i = 0; i < k; i++, panel += COLUMNS) {
            const float *row = x.at + i * x.stride + j;
            if (columns == COLUMNS) {
                memcpy(panel, row, COLUMNS * sizeof *panel); /* a few vectors, no call */
            } else {
                memcpy(panel, row, columns * sizeof *panel);
            }
        }
    }
}

static void pack_transposed(struct matrix w, uint32_t k, uint32_t n, void *right) {
    for (uint32_t j = 0; j < n; j++) {
        const float *row = w.at + j * w.stride;
        float *to = (float *)right + (size_t)(j / COLUMNS) * k * COLUMNS + j % COLUMNS;
        for (uint32_t i = 0; i < k; i++) {
            to[(size_t)i * COLUMNS] = row[i];
        }
    }
}

static struct kernel_left left(struct matrix x, uint32_t m, uint32_t k, void *scratch) {
    (void)m, (void)k, (void)scratch;
    return (struct kernel_left){x.at, x.stride, 1, x.stride};
}

#ifdef LEFT_IN_STRIPS

/* Copies TILE_ROWS columns of k rows, eight floats at a time: what is too much is overwritten by
 * the next row, or the next strip. x has eight columns, so there is a next strip. */
static void whole_strip(const float *x, size_t stride, uint32_t k, float *strip) {
    for (uint32_t q = 0; q < k; q++, x += stride, strip += TILE_ROWS) {
        memcpy(strip, x, 8 * sizeof *strip);
    }
}

static void short_strip(const float *x, size_t stride, uint32_t k, uint32_t rows, float *strip) {
    for (uint32_t q = 0; q < k; q++, x += stride) {
        for (uint32_t i = 0; i < rows; i++) {
            *strip++ = x[i];
        }
    }
}

/* x^T of x [k, m]. */
static struct kernel_left left_transposed(struct matrix x, uint32_t m, uint32_t k, void *scratch) {
    for (uint32_t i = 0, rows; i < m; i += rows) {
        float *strip = (float *)scratch + (size_t)i * k;
        rows = tile_strip(m, i);
        if (rows == TILE_ROWS && m - i >= 8) {
            whole_strip(x.at + i, x.stride, k, strip);
        } else {
            short_strip(x.at + i, x.stride, k, rows, strip);
        }
    }
    return (struct kernel_left){scratch, 1, 0, k};
}

static size_t left_cells(uint32_t rows, uint32_t columns) {
    return (size_t)rows * columns;
}

#else

static struct kernel_left left_transposed(struct matrix x, uint32_t m, uint32_t k, void *scratch) {
    (void)m, (void)k, (void)scratch;
    return (struct kernel_left){x.at, 1, x.stride, 1};
}

static size_t left_cells(uint32_t rows, uint32_t columns) {
    (void)rows, (void)columns;
    return 0;
}

#endif
