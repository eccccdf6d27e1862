/* kernel_avx512.c - float32 on CPUs with AVX-512: tiles of 6 rows by 64 columns. */
#include "kernel.h"

#ifdef ESMM_AVX512

#include <immintrin.h>

#include "common/cpu/cpu.h"

#define CELL                  float
#define CELL_DEPTH            1
#define VECTOR                __m512
#define LOAD(p)               _mm512_loadu_ps(p)
#define ONE                   __m512
#define SPREAD(p)             _mm512_set1_ps(*(p))
#define MULTIPLY_ADD(a, b, c) _mm512_fmadd_ps(a, b, c)
#include "kernel_avx512.h"
#include "kernel_tile.h"
#include "kernel_f32.h"

static const struct kernel kernel = {
    "float32, AVX-512", COLUMNS, CELL_DEPTH,      pack,    pack_transposed,
    left_cells,         left,    left_transposed, multiply};

const struct kernel *kernel_avx512(void) {
    return cpu_level() >= CPU_AVX512 ? &kernel : NULL;
}

#else

const struct kernel *kernel_avx512(void) {
    return NULL;
}

#endif
