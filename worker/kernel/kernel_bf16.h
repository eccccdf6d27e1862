/* kernel_bf16.h - matrices as cells of pairs of bf16, with AVX512_BF16; included by the kernels
 * that multiply such, which first define LANES (16), COLUMNS and INLINE.
 */
static __mmask16 lanes_of(uint32_t n) {
    return (__mmask16)(n >= LANES ? 0xffffu : (1u << n) - 1u);
}

/* Turns 32 floats into 16 cells; n floats exist, the others count as zero. */
INLINE __m512i round_pairs(const float *x, uint32_t n) {
    __m512 low = _mm512_maskz_loadu_ps(lanes_of(n), x);
    __m512 high = _mm512_setzero_ps();
    if (n > LANES) {
        high = _mm512_maskz_loadu_ps(lanes_of(n - LANES), x + LANES);
    }
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* Turns k floats into cells; writes whole vectors of cells. */
static void round_row(const float *x, uint32_t k, uint32_t *cell) {
    for (uint32_t i = 0; i < k; i += 2 * LANES) {
        _mm512_storeu_si512(cell + i / 2, round_pairs(x + i, k - i));
    }
}

/* Turns n floats of each of two rows into n cells; `lower` NULL: zeros. Writes whole vectors. */
INLINE void zip_rows(const float *upper, const float *lower, uint32_t n, uint32_t *cell) {
    static const uint16_t order[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                       21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                       11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    const __m512i zip = _mm512_loadu_si512(order);
    for (uint32_t j = 0; j < n; j += LANES) {
        __mmask16 lanes = lanes_of(n - j);
        __m512 first = _mm512_maskz_loadu_ps(lanes, upper + j);
        __m512 second = _mm512_setzero_ps();
        if (lower != NULL) {
            second = _mm512_maskz_loadu_ps(lanes, lower + j);
        }
        __m512i both = (__m512i)_mm512_cvtne2ps_pbh(second, first);
        _mm512_storeu_si512(cell + j, _mm512_permutexvar_epi16(zip, both));
    }
}

static void pack(struct matrix x, uint32_t k, uint32_t n, void *right) {
    uint32_t *panel = right;
    for (uint32_t j = 0; j < n; j += COLUMNS) {
        uint32_t columns = n - j < COLUMNS ? n - j : COLUMNS;
        for (uint32_t i = 0; i < k; i += 2, panel += COLUMNS) {
            const float *upper = x.at + i * x.stride + j;
            zip_rows(upper, i + 1 < k ? upper + x.stride : NULL, columns, panel);
        }
    }
}

static void pack_transposed(struct matrix w, uint32_t k, uint32_t n, void *right) {
    const uint32_t depth = (k + 1) / 2;
    for (uint32_t j = 0; j < n; j++) {
        const float *row = w.at + j * w.stride;
        uint32_t *to = (uint32_t *)right + (size_t)(j / COLUMNS) * depth * COLUMNS + j % COLUMNS;
        for (uint32_t i = 0; i < depth; i += LANES) {
            uint32_t cell[LANES], cells = depth - i < LANES ? depth - i : LANES;
            _mm512_storeu_si512(cell, round_pairs(row + 2 * i, k - 2 * i));
            for (uint32_t v = 0; v < cells; v++) {
                to[(size_t)(i + v) * COLUMNS] = cell[v];
            }
        }
    }
}

/* The cells of a row, rounded up to whole vectors. */
static size_t row_cells(uint32_t cells) {
    return ((size_t)cells + LANES - 1) / LANES * LANES;
}

static struct kernel_left left(struct matrix x, uint32_t m, uint32_t k, void *scratch) {
    size_t row = row_cells((k + 1) / 2);
    for (uint32_t i = 0; i < m; i++) {
        round_row(x.at + i * x.stride, k, (uint32_t *)scratch + i * row);
    }
    return (struct kernel_left){scratch, row, 1, row};
}
