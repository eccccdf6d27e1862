/* kernel_f32.c - cells are floats, so the left operand is used in place. */
#include "kernel.h"

#include <string.h>

#ifdef ESMM_AVX512

#define CELL                  float
#define CELL_DEPTH            1
#define VECTOR                __m512
#define LOAD(p)               _mm512_loadu_ps(p)
#define SPREAD(p)             _mm512_set1_ps(*(p))
#define MULTIPLY_ADD(a, b, c) _mm512_fmadd_ps(a, b, c)
#include "kernel_tile.h"

static void pack(struct matrix x, uint32_t k, uint32_t n, void *right) {
    float *panel = right;
    for (uint32_t j = 0; j < n; j += KERNEL_COLUMNS) {
        uint32_t columns = n - j < KERNEL_COLUMNS ? n - j : KERNEL_COLUMNS;
        for (uint32_t i = 0; i < k; i++, panel += KERNEL_COLUMNS) {
            const float *row = x.at + i * x.stride + j;
            if (columns == KERNEL_COLUMNS) {
                memcpy(panel, row, KERNEL_COLUMNS * sizeof *panel); /* four vectors, no call */
            } else {
                memcpy(panel, row, columns * sizeof *panel);
            }
        }
    }
}

static void pack_transposed(struct matrix w, uint32_t k, uint32_t n, void *right) {
    for (uint32_t j = 0; j < n; j++) {
        const float *row = w.at + j * w.stride;
        float *to =
            (float *)right + (size_t)(j / KERNEL_COLUMNS) * k * KERNEL_COLUMNS + j % KERNEL_COLUMNS;
        for (uint32_t i = 0; i < k; i++) {
            to[(size_t)i * KERNEL_COLUMNS] = row[i];
        }
    }
}

static struct kernel_left left(struct matrix x, uint32_t m, uint32_t k, void *scratch) {
    (void)m, (void)k, (void)scratch;
    return (struct kernel_left){x.at, x.stride, 1};
}

static struct kernel_left left_transposed(struct matrix x, uint32_t m, uint32_t k, void *scratch) {
    (void)m, (void)k, (void)scratch;
    return (struct kernel_left){x.at, 1, x.stride};
}

static const struct kernel kernel = {"float32, AVX-512", CELL_DEPTH, pack, pack_transposed, left,
                                     left_transposed,    multiply};

const struct kernel *kernel_f32(void) {
    return __builtin_cpu_supports("avx512f") ? &kernel : NULL;
}

#else

const struct kernel *kernel_f32(void) {
    return NULL;
}

#endif
