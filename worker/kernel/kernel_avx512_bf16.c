/* kernel_avx512_bf16.c - cells are pairs of bf16, neighbours in k: vdpbf16ps multiplies two of them
 * per lane and adds both products to a float, twice the rate of float32.
 *
 * A matrix becomes pairs in one of two ways. If k runs along its rows, rounding a row leaves its
 * pairs side by side (`round_row`). If k runs down its columns, two rows are rounded and
 * interleaved (`zip_rows`). Either kind serves as a left operand; a right operand is zipped, or is
 * a rounded row spread over its column of a panel. Rounding and zipping a matrix cost about one
 * cycle for sixteen values, which then take part in tens or hundreds of cycles of products: no
 * activation needs to be kept in bf16 from layer to layer.
 *
 * AMX would be faster where it exists; CPUs with AMX have AVX512_BF16 as well and run this code,
 * unless compute.kernel=amx asks for kernel_amx.c.
 */
#include "kernel.h"

#ifdef ESMM_AVX512_BF16

#include <immintrin.h>

#include "common/cpu/cpu.h"

#define CELL                  uint32_t
#define CELL_DEPTH            2
#define VECTOR                __m512bh
#define LOAD(p)               ((__m512bh)_mm512_loadu_si512(p))
#define ONE                   __m512bh
#define SPREAD(p)             ((__m512bh)_mm512_set1_epi32((int)*(p)))
#define MULTIPLY_ADD(a, b, c) _mm512_dpbf16_ps(c, a, b)
#include "kernel_avx512.h"
#include "kernel_tile.h"

#define COLUMNS (LANES * VECTORS)
#include "kernel_bf16.h"

static struct kernel_left left_transposed(struct matrix x, uint32_t m, uint32_t k, void *scratch) {
    size_t step = row_cells(m);
    for (uint32_t i = 0; i < k; i += 2) {
        const float *upper = x.at + i * x.stride;
        zip_rows(upper, i + 1 < k ? upper + x.stride : NULL, m, (uint32_t *)scratch + i / 2 * step);
    }
    return (struct kernel_left){scratch, 1, step, 1};
}

/* Of a matrix or of its transpose. */
static size_t left_cells(uint32_t rows, uint32_t columns) {
    return ((size_t)rows + 1) / 2 * (((size_t)columns + 31) / 32 * 32);
}

static const struct kernel kernel = {"bf16 with float32 sums, AVX-512",
                                     COLUMNS,
                                     CELL_DEPTH,
                                     pack,
                                     pack_transposed,
                                     left_cells,
                                     left,
                                     left_transposed,
                                     multiply};

const struct kernel *kernel_avx512_bf16(void) {
    return cpu_has_bf16() ? &kernel : NULL;
}

#else

const struct kernel *kernel_avx512_bf16(void) {
    return NULL;
}

#endif
