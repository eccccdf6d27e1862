/* cpu_floor.c - compiled with the program's flags, unlike cpu.c; it is data and no code, so it can
 * be read where the program cannot run. */
#include "cpu.h"

#if defined(__AVX512VL__) && defined(__AVX512BW__) && defined(__AVX512DQ__)
const enum cpu_level cpu_floor = CPU_AVX512; /* ESMM_NATIVE */
#elif defined(__AVX2__) && defined(__FMA__) && defined(__BMI2__)
const enum cpu_level cpu_floor = CPU_AVX2;
#else
const enum cpu_level cpu_floor = CPU_LOWEST;
#endif
