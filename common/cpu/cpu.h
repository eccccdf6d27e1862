/* cpu.h - what this CPU can do, and which of the program's levels it takes.
 *
 * The program is compiled for the lowest level of its architecture and runs on every CPU that has
 * it. Hot files are compiled for each level (level.h), and matrix products have kernels of their
 * own; both ask cpu_level().
 *
 *     base     x86-64-v2: SSE4.2, POPCNT
 *     avx2     x86-64-v3: AVX2, FMA, BMI2, F16C
 *     avx512   x86-64-v4: AVX-512 F, BW, CD, DQ, VL
 *     neon     AArch64, which has this one only
 *
 * The environment variable ESMM_CPU caps the level (ESMM_CPU=avx2: as on a CPU without AVX-512).
 * Results are the same bits on every level; only matrix products differ, as their kernels do.
 *
 * Nothing here needs more than any CPU of the architecture has, so that a program that cannot run
 * can still say so. Thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In ascending order; an architecture has those from CPU_LOWEST to CPU_HIGHEST. */
enum cpu_level { CPU_NEON, CPU_BASE, CPU_AVX2, CPU_AVX512 };

/* CPU_MACHINE: what `uname -m` says there. */
#if defined(__x86_64__)
#define CPU_MACHINE "x86_64"
#define CPU_LOWEST  CPU_BASE
#define CPU_HIGHEST CPU_AVX512
#elif defined(__aarch64__)
#define CPU_MACHINE "aarch64"
#define CPU_LOWEST  CPU_NEON
#define CPU_HIGHEST CPU_NEON
#else
#error "which CPU is this? See common/cpu"
#endif

#define CPU_TEXT_MAX 256

/* The level to compute with: the CPU's highest, or ESMM_CPU's. Found at the first call. */
enum cpu_level cpu_level(void);
/* The highest level that the CPU has, whatever ESMM_CPU says. */
enum cpu_level cpu_level_found(void);
/* True if cpu_level() is avx512 and the CPU also has AVX512_BF16. */
bool cpu_has_bf16(void);
const char *cpu_level_name(enum cpu_level level);
/* The level that all of the program was compiled for: the lowest, or higher with ESMM_NATIVE. */
extern const enum cpu_level cpu_floor;

/* Whether the program can run here as it was asked to. False: `problem` says in words what is
 * missing: an instruction set that the whole program was compiled for, or one that ESMM_CPU names.
 * main calls this first. Until then ESMM_CPU is ignored where it is wrong. */
bool cpu_check(char problem[CPU_TEXT_MAX]);
/* "avx512", or "avx2 (ESMM_CPU; the CPU has avx512)". */
void cpu_describe(char out[CPU_TEXT_MAX]);
/* The instruction sets of a level as /proc/cpuinfo names them, with blanks between. */
void cpu_flags(enum cpu_level level, char out[CPU_TEXT_MAX]);

/* --- the same for any CPU, for tests ---------------------------------------------------------- */

/* A set of instruction sets, one bit for each; cpu_features() are those of this CPU that the
 * operating system lets programs use. cpu_features_of: those up to a level. */
uint32_t cpu_features(void);
uint32_t cpu_features_of(enum cpu_level level);
/* The highest level of which nothing is lacking; CPU_LOWEST if that lacks something, too. */
enum cpu_level cpu_level_of(uint32_t features);
/* floor: the level that the program was compiled for; cap: ESMM_CPU, or NULL. As cpu_check. */
bool cpu_check_of(uint32_t features, enum cpu_level floor, const char *cap,
                  char problem[CPU_TEXT_MAX]);
