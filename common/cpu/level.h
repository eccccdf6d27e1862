/* level.h - hot files that are compiled once for each level of cpu.h.
 *
 * Such a file has a table of functions. Its header declares the table for all levels with
 * LEVELLED(type, name), and the file ends with the table of the level that it is compiled for. So
 * has ps/table/optimizer.h
 *
 *     LEVELLED(struct optimizer_rules, optimizer_rules)
 *
 * optimizer.c at its end
 *
 *     const struct optimizer_rules LEVEL(optimizer_rules) = {...};
 *
 * and a caller says optimizer_rules_at(cpu_level()).
 *
 * CMakeLists.txt lists the files (LEVELLED_FILES). All else in them is static, for every level has
 * a copy. A caller asks for the table once for many elements: once a request, field or array.
 *
 * Why not the compiler's own clones of functions: their choice is made while the program is
 * loaded, before a sanitizer is ready, and no test can make it take a lower level. Why results are
 * the same bits on all levels: -ffp-contract=off, and no option that lets the compiler reorder
 * sums.
 */
#pragma once

#include "cpu.h"

#define LEVEL_PASTE_2(name, level) name##_##level
#define LEVEL_PASTE(name, level)   LEVEL_PASTE_2(name, level)
/* CPU_LEVEL is base, avx2, avx512 or neon: set by the build. */
#define LEVEL(name) LEVEL_PASTE(name, CPU_LEVEL)

#if defined(__x86_64__)
#define LEVELLED(type, name)                                                                       \
    extern const type name##_base, name##_avx2, name##_avx512;                                     \
    static inline const type *name##_at(enum cpu_level level) {                                    \
        return level == CPU_AVX512 ? &name##_avx512                                                \
               : level == CPU_AVX2 ? &name##_avx2                                                  \
                                   : &name##_base;                                                 \
    }
#else
#define LEVELLED(type, name)                                                                       \
    extern const type name##_neon;                                                                 \
    static inline const type *name##_at(enum cpu_level level) {                                    \
        (void)level;                                                                               \
        return &name##_neon;                                                                       \
    }
#endif
