/* peak.h - the most multiply-adds a second that a core can do: a loop on registers, which reads and
 * writes no memory. Twelve sums are under way at once, or 24 where there are 32 registers: as many
 * as two pipes of the slowest instruction need.
 */
#pragma once

#include <stdbool.h>

enum peak { PEAK_AVX2, PEAK_AVX512, PEAK_AVX512_BF16, PEAK_NEON };

#define PEAK_ROUNDS 20000

#if defined __x86_64__

#include <immintrin.h>

/* Whether this CPU can run the loop. */
static bool peak_here(enum peak peak) {
    switch (peak) {
    case PEAK_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case PEAK_AVX512: return __builtin_cpu_supports("avx512f");
    case PEAK_AVX512_BF16: return __builtin_cpu_supports("avx512bf16");
    case PEAK_NEON: break;
    }
    return false;
}

/* PEAK_LOOP: a function of this name for that instruction on those vectors. */
#define PEAK_LOOP(name, isa, sums, vector, operand, zero, multiply_add)                            \
    __attribute__((target(isa), noinline)) static void name(void) {                                \
        vector sum[sums];                                                                          \
        operand a = (operand)zero(), b = (operand)zero();                                          \
        _Pragma("GCC unroll 24") for (int i = 0; i < (sums); i++) {                                \
            sum[i] = zero();                                                                       \
        }                                                                                          \
        for (int n = 0; n < PEAK_ROUNDS; n++) {                                                    \
            _Pragma("GCC unroll 24") for (int i = 0; i < (sums); i++) {                            \
                sum[i] = multiply_add(sum[i], a, b);                                               \
                __asm__ volatile("" : "+v"(sum[i]));                                               \
            }                                                                                      \
        }                                                                                          \
    }

#define FMA_256(c, a, b) _mm256_fmadd_ps(a, b, c)
#define FMA_512(c, a, b) _mm512_fmadd_ps(a, b, c)
PEAK_LOOP(peak_avx2, "avx2,fma", 12, __m256, __m256, _mm256_setzero_ps, FMA_256)
PEAK_LOOP(peak_avx512, "avx512f", 24, __m512, __m512, _mm512_setzero_ps, FMA_512)
PEAK_LOOP(peak_avx512_bf16, "avx512f,avx512bw,avx512vl,avx512bf16", 24, __m512, __m512bh,
          _mm512_setzero_ps, _mm512_dpbf16_ps)

/* Runs the loop once; the multiplications and additions that it did. */
static double peak_loop(enum peak peak) {
    switch (peak) {
    case PEAK_AVX2: peak_avx2(); return PEAK_ROUNDS * 12 * 16.0;
    case PEAK_AVX512: peak_avx512(); return PEAK_ROUNDS * 24 * 32.0;
    case PEAK_AVX512_BF16: peak_avx512_bf16(); return PEAK_ROUNDS * 24 * 64.0;
    case PEAK_NEON: break;
    }
    return 0;
}

#else

#include <arm_neon.h>

static bool peak_here(enum peak peak) {
    return peak == PEAK_NEON;
}

static double peak_loop(enum peak peak) {
    (void)peak;
    float32x4_t sum[24];
    float32x4_t a = vdupq_n_f32(0.0f), b = a;
    _Pragma("GCC unroll 24") for (int i = 0; i < 24; i++) {
        sum[i] = a;
    }
    for (int n = 0; n < PEAK_ROUNDS; n++) {
        _Pragma("GCC unroll 24") for (int i = 0; i < 24; i++) {
            sum[i] = vfmaq_f32(sum[i], a, b);
            __asm__ volatile("" : "+w"(sum[i]));
        }
    }
    return PEAK_ROUNDS * 24 * 8.0;
}

#endif
