/* Unit tests of common/cpu/cpu.h: levels of CPUs that this one is not, and what is said of them. */
#include "common/cpu/cpu.h"

#include <stdlib.h>
#include <string.h>

#include "common/cpu/level.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* The bits of a level that the one below lacks. */
static uint32_t own_features(enum cpu_level level) {
    return cpu_features_of(level) & ~(level > CPU_LOWEST ? cpu_features_of(level - 1) : 0);
}

/* Each instruction set of a level is needed: a CPU that lacks one has the level below. */
static void test_level_needs_all(void **state) {
    (void)state;
    for (enum cpu_level level = CPU_LOWEST; level <= CPU_HIGHEST; level++) {
        assert_int_equal(cpu_level_of(cpu_features_of(level)), level);
        for (uint32_t bit = 1; bit != 0; bit <<= 1) {
            if (level > CPU_LOWEST && (own_features(level) & bit)) {
                assert_int_equal(cpu_level_of(cpu_features_of(CPU_HIGHEST) & ~bit), level - 1);
            }
        }
    }
}

static void test_this_cpu(void **state) {
    char text[CPU_TEXT_MAX] = "";
    (void)state;
    assert_int_equal(cpu_level_of(cpu_features()), cpu_level_found());
    assert_true(cpu_level() >= CPU_LOWEST && cpu_level() <= cpu_level_found());
    assert_true(cpu_floor <= cpu_level_found());
    assert_true(cpu_check_of(cpu_features(), CPU_LOWEST, NULL, text));
    assert_true(cpu_check_of(cpu_features(), CPU_LOWEST, "", text));
    cpu_describe(text);
    assert_ptr_equal(strstr(text, cpu_level_name(cpu_level())), text);
#if defined(__x86_64__) && !defined(__clang__)
    /* The compiler's run-time library as the oracle. */
    assert_int_equal(cpu_level_found() >= CPU_AVX2, __builtin_cpu_supports("avx2") != 0 &&
                                                        __builtin_cpu_supports("fma") != 0 &&
                                                        __builtin_cpu_supports("bmi2") != 0);
    assert_int_equal(cpu_level_found() >= CPU_AVX512, __builtin_cpu_supports("avx512f") != 0 &&
                                                          __builtin_cpu_supports("avx512vl") != 0 &&
                                                          __builtin_cpu_supports("avx512bw") != 0);
#endif
}

static void says(uint32_t features, enum cpu_level floor, const char *cap, const char *want) {
    char text[CPU_TEXT_MAX] = "";
    assert_false(cpu_check_of(features, floor, cap, text));
    assert_string_equal(text, want);
}

#if defined(__x86_64__)
static void test_words(void **state) {
    char text[CPU_TEXT_MAX];
    cpu_flags(CPU_BASE, text);
    assert_string_equal(text, "pni ssse3 cx16 sse4_1 sse4_2 popcnt lahf_lm");
    const uint32_t avx2 = cpu_features_of(CPU_AVX2), all = cpu_features_of(CPU_AVX512);
    (void)state;
    says(0, CPU_BASE, NULL,
         "this CPU lacks SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT, LAHF, without which the "
         "program cannot run");
    says(avx2, CPU_AVX512, NULL,
         "this CPU lacks AVX512F, AVX512DQ, AVX512CD, AVX512BW, AVX512VL, which this program was "
         "built with (ESMM_NATIVE=ON)");
    says(avx2, CPU_BASE, "avx512",
         "ESMM_CPU is avx512, but this CPU has avx2 only: it lacks AVX512F, AVX512DQ, AVX512CD, "
         "AVX512BW, AVX512VL");
    says(all, CPU_BASE, "sse2", "ESMM_CPU is 'sse2', which is not one of: base avx2 avx512");
    says(all, CPU_BASE, "neon", "ESMM_CPU is 'neon', which is not one of: base avx2 avx512");
    assert_true(cpu_check_of(all, CPU_BASE, "base", text));
    assert_true(cpu_check_of(all, CPU_BASE, "avx512", text));
}
#else
static void test_words(void **state) {
    char text[CPU_TEXT_MAX];
    (void)state;
    says(0, CPU_LOWEST, "avx2", "ESMM_CPU is 'avx2', which is not one of: neon");
    assert_true(cpu_check_of(0, CPU_LOWEST, "neon", text));
}
#endif

/* --- level.h ---------------------------------------------------------------------------------- */

struct mark {
    char name[16];
};
LEVELLED(struct mark, mark)
#if defined(__x86_64__)
const struct mark mark_base = {"base"}, mark_avx2 = {"avx2"}, mark_avx512 = {"avx512"};
#else
const struct mark mark_neon = {"neon"};
#endif

static void test_table_of_level(void **state) {
    (void)state;
    for (enum cpu_level level = CPU_LOWEST; level <= CPU_HIGHEST; level++) {
        assert_string_equal(mark_at(level)->name, cpu_level_name(level));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_level_needs_all),
        cmocka_unit_test(test_this_cpu),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_table_of_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
