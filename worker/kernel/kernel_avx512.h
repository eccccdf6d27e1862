/* kernel_avx512.h - sums of kernel_tile.h in AVX-512, for both kinds of cells. */
#include <immintrin.h>

#define LANES                     16
#define VECTORS                   4
#define SUMS                      __m512
#define ZERO()                    _mm512_setzero_ps()
#define READ(p)                   _mm512_loadu_ps(p)
#define WRITE(p, sum)             _mm512_storeu_ps(p, sum)
#define ADD(a, b)                 _mm512_add_ps(a, b)
#define MASK                      __mmask16
#define FIRST(n)                  ((__mmask16)(0xffffu >> (LANES - (n))))
#define READ_FIRST(p, mask)       _mm512_maskz_loadu_ps(mask, p)
#define WRITE_FIRST(p, sum, mask) _mm512_mask_storeu_ps(p, mask, sum)
#define PREFETCH(p)               _mm_prefetch(p, _MM_HINT_T0)
