/* kernel_avx2.c - float32 on CPUs with AVX2 and FMA: tiles of 6 rows by 16 columns. */
#include "kernel.h"

#ifdef ESMM_AVX2

#include <immintrin.h>

#include "common/cpu/cpu.h"

#define CELL                      float
#define CELL_DEPTH                1
#define LANES                     8
#define VECTORS                   2
#define VECTOR                    __m256
#define LOAD(p)                   _mm256_loadu_ps(p)
#define ONE                       __m256
#define SPREAD(p)                 _mm256_broadcast_ss(p)
#define MULTIPLY_ADD(a, b, c)     _mm256_fmadd_ps(a, b, c)
#define SUMS                      __m256
#define ZERO()                    _mm256_setzero_ps()
#define READ(p)                   _mm256_loadu_ps(p)
#define WRITE(p, sum)             _mm256_storeu_ps(p, sum)
#define ADD(a, b)                 _mm256_add_ps(a, b)
#define MASK                      __m256i
#define FIRST(n)                  first_lanes(n)
#define READ_FIRST(p, mask)       _mm256_maskload_ps(p, mask)
#define WRITE_FIRST(p, sum, mask) _mm256_maskstore_ps(p, mask, sum)
#define PREFETCH(p)               _mm_prefetch(p, _MM_HINT_T0)
#define LEFT_IN_STRIPS

static __m256i first_lanes(uint32_t n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), lane);
}

#include "kernel_tile.h"
#include "kernel_f32.h"

static const struct kernel kernel = {"float32, AVX2", COLUMNS,    CELL_DEPTH, pack,
                                     pack_transposed, left_cells, left,       left_transposed,
                                     multiply};

const struct kernel *kernel_avx2(void) {
    return cpu_level() >= CPU_AVX2 ? &kernel : NULL;
}

#else

const struct kernel *kernel_avx2(void) {
    return NULL;
}

#endif
