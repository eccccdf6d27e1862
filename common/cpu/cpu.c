/* cpu.c - asks the CPU itself: the words of CPUID, and of XGETBV which registers the operating
 * system saves. The compiler's __builtin_cpu_supports knows other names in each compiler, and says
 * nothing about what is missing. */
#include "cpu.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define LENGTH(list) (sizeof(list) / sizeof *(list))

static const struct {
    enum cpu_level level;
    const char *name;
} levels[] = {{CPU_NEON, "neon"}, {CPU_BASE, "base"}, {CPU_AVX2, "avx2"}, {CPU_AVX512, "avx512"}};

const char *cpu_level_name(enum cpu_level level) {
    for (size_t i = 0; i < LENGTH(levels); i++) {
        if (levels[i].level == level) {
            return levels[i].name;
        }
    }
    return "?";
}

/* --- instruction sets ------------------------------------------------------------------------- */

enum word { LEAF_1_C, LEAF_7_B, LEAF_EXTENDED_C, LEAF_7_1_A, WORDS };
enum saved { SAVES_NOTHING = 0, SAVES_YMM = 0x6, SAVES_ZMM = 0xe6 }; /* bits of XCR0 */

#define BF16 (1u << 31) /* of no level */

/* Place i of the list is bit i of a set. */
static const struct feature {
    const char *name, *flag; /* flag: in /proc/cpuinfo */
    enum cpu_level level;
    enum word word;
    uint32_t bit, saved;
} features[] = {{"SSE3", "pni", CPU_BASE, LEAF_1_C, 0, SAVES_NOTHING},
                {"SSSE3", "ssse3", CPU_BASE, LEAF_1_C, 9, SAVES_NOTHING},
                {"CMPXCHG16B", "cx16", CPU_BASE, LEAF_1_C, 13, SAVES_NOTHING},
                {"SSE4.1", "sse4_1", CPU_BASE, LEAF_1_C, 19, SAVES_NOTHING},
                {"SSE4.2", "sse4_2", CPU_BASE, LEAF_1_C, 20, SAVES_NOTHING},
                {"POPCNT", "popcnt", CPU_BASE, LEAF_1_C, 23, SAVES_NOTHING},
                {"LAHF", "lahf_lm", CPU_BASE, LEAF_EXTENDED_C, 0, SAVES_NOTHING},
                {"FMA", "fma", CPU_AVX2, LEAF_1_C, 12, SAVES_YMM},
                {"MOVBE", "movbe", CPU_AVX2, LEAF_1_C, 22, SAVES_NOTHING},
                {"AVX", "avx", CPU_AVX2, LEAF_1_C, 28, SAVES_YMM},
                {"F16C", "f16c", CPU_AVX2, LEAF_1_C, 29, SAVES_YMM},
                {"BMI1", "bmi1", CPU_AVX2, LEAF_7_B, 3, SAVES_NOTHING},
                {"AVX2", "avx2", CPU_AVX2, LEAF_7_B, 5, SAVES_YMM},
                {"BMI2", "bmi2", CPU_AVX2, LEAF_7_B, 8, SAVES_NOTHING},
                {"LZCNT", "abm", CPU_AVX2, LEAF_EXTENDED_C, 5, SAVES_NOTHING},
                {"AVX512F", "avx512f", CPU_AVX512, LEAF_7_B, 16, SAVES_ZMM},
                {"AVX512DQ", "avx512dq", CPU_AVX512, LEAF_7_B, 17, SAVES_ZMM},
                {"AVX512CD", "avx512cd", CPU_AVX512, LEAF_7_B, 28, SAVES_ZMM},
                {"AVX512BW", "avx512bw", CPU_AVX512, LEAF_7_B, 30, SAVES_ZMM},
                {"AVX512VL", "avx512vl", CPU_AVX512, LEAF_7_B, 31, SAVES_ZMM}};

#if defined(__x86_64__)
static uint32_t saved_registers(uint32_t leaf_1_c) {
    uint32_t low = 0, high;
    if (leaf_1_c & (1u << 27)) { /* OSXSAVE */
        __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    }
    return low;
}

uint32_t cpu_features(void) {
    uint32_t word[WORDS] = {0}, a, b, c, d, set = 0;
    if (__get_cpuid(1, &a, &b, &c, &d)) {
        word[LEAF_1_C] = c;
    }
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        word[LEAF_7_B] = b;
        if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) {
            word[LEAF_7_1_A] = a;
        }
    }
    if (__get_cpuid(0x80000001u, &a, &b, &c, &d)) {
        word[LEAF_EXTENDED_C] = c;
    }
    const uint32_t saved = saved_registers(word[LEAF_1_C]);
    for (size_t i = 0; i < LENGTH(features); i++) {
        const struct feature *f = &features[i];
        if ((word[f->word] >> f->bit & 1u) && (saved & f->saved) == f->saved) {
            set |= 1u << i;
        }
    }
    return (word[LEAF_7_1_A] & (1u << 5)) && (saved & SAVES_ZMM) == SAVES_ZMM ? set | BF16 : set;
}
#else
uint32_t cpu_features(void) {
    return 0;
}
#endif

uint32_t cpu_features_of(enum cpu_level level) {
    uint32_t set = 0;
    for (size_t i = 0; i < LENGTH(features); i++) {
        if (features[i].level <= level) {
            set |= 1u << i;
        }
    }
    return set;
}

static bool has_level(uint32_t set, enum cpu_level level) {
    return (cpu_features_of(level) & ~set) == 0;
}

enum cpu_level cpu_level_of(uint32_t set) {
    enum cpu_level level = CPU_LOWEST;
    while (level < CPU_HIGHEST && has_level(set, level + 1)) {
        level++;
    }
    return level;
}

/* --- ESMM_CPU --------------------------------------------------------------------------------- */

static const char *environment(void) {
    return getenv("ESMM_CPU");
}

/* False: no level of this architecture has that name. */
static bool level_named(const char *name, enum cpu_level *level) {
    for (size_t i = 0; i < LENGTH(levels); i++) {
        *level = levels[i].level;
        if (strcmp(name, levels[i].name) == 0) {
            return *level >= CPU_LOWEST && *level <= CPU_HIGHEST;
        }
    }
    return false;
}

enum cpu_level cpu_level_found(void) {
    return cpu_level_of(cpu_features());
}

enum cpu_level cpu_level(void) {
    static _Atomic int known = -1;
    int level = atomic_load_explicit(&known, memory_order_relaxed);
    if (level < 0) {
        const enum cpu_level found = cpu_level_found();
        enum cpu_level cap;
        level = (int)found;
        if (environment() != NULL && level_named(environment(), &cap) && cap < found) {
            level = (int)cap;
        }
        atomic_store_explicit(&known, level, memory_order_relaxed);
    }
    return (enum cpu_level)level;
}

bool cpu_has_bf16(void) {
    return cpu_level() == CPU_AVX512 && (cpu_features() & BF16) != 0;
}

/* --- words ------------------------------------------------------------------------------------ */

/* The names, or flags, of a set, with `between` between them. */
static void list_features(uint32_t set, bool flags, const char *between, char *out, size_t room) {
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < LENGTH(features); i++) {
        if ((set >> i & 1u) && at < room) {
            const int n = snprintf(out + at, room - at, "%s%s", at > 0 ? between : "",
                                   flags ? features[i].flag : features[i].name);
            at += n > 0 ? (size_t)n : 0;
        }
    }
}

static void name_missing(uint32_t set, enum cpu_level level, char *out, size_t room) {
    list_features(cpu_features_of(level) & ~set, false, ", ", out, room);
}

void cpu_flags(enum cpu_level level, char out[CPU_TEXT_MAX]) {
    list_features(cpu_features_of(level), true, " ", out, CPU_TEXT_MAX);
}

bool cpu_check_of(uint32_t set, enum cpu_level floor, const char *cap, char problem[CPU_TEXT_MAX]) {
    char missing[CPU_TEXT_MAX / 2];
    enum cpu_level level;
    if (!has_level(set, floor)) {
        name_missing(set, floor, missing, sizeof missing);
        snprintf(problem, CPU_TEXT_MAX, "this CPU lacks %s, %s", missing,
                 floor == CPU_LOWEST ? "without which the program cannot run"
                                     : "which this program was built with (ESMM_NATIVE=ON)");
        return false;
    }
    if (cap == NULL || cap[0] == '\0') {
        return true;
    }
    if (!level_named(cap, &level)) {
        snprintf(problem, CPU_TEXT_MAX, "ESMM_CPU is '%.40s', which is not one of:%s", cap,
                 CPU_LOWEST == CPU_BASE ? " base avx2 avx512" : " neon");
        return false;
    }
    if (!has_level(set, level)) {
        name_missing(set, level, missing, sizeof missing);
        snprintf(problem, CPU_TEXT_MAX, "ESMM_CPU is %s, but this CPU has %s only: it lacks %s",
                 cap, cpu_level_name(cpu_level_of(set)), missing);
        return false;
    }
    return true;
}

bool cpu_check(char problem[CPU_TEXT_MAX]) {
    return cpu_check_of(cpu_features(), cpu_floor, environment(), problem);
}

void cpu_describe(char out[CPU_TEXT_MAX]) {
    const enum cpu_level found = cpu_level_found(), level = cpu_level();
    const char *native = cpu_floor > CPU_LOWEST ? ", all of it built for this CPU" : "";
    if (level == found) {
        snprintf(out, CPU_TEXT_MAX, "%s%s", cpu_level_name(level), native);
    } else {
        snprintf(out, CPU_TEXT_MAX, "%s (ESMM_CPU; the CPU has %s)%s", cpu_level_name(level),
                 cpu_level_name(found), native);
    }
}
