/* entropy.h - numbers that nobody can foresee and no two processes share: a job's number, the
 * incarnation of a process. What is random in training comes from rng.h instead and depends on the
 * seed alone. */
#pragma once

#include <stdint.h>

/* Another source for the whole process (a test's, a simulator's); NULL: the kernel's, which is the
 * default. Not thread-safe: call it before the first thread starts. */
void entropy_source_set(uint64_t (*source)(void));

/* Never 0, which stands for "none" wherever such numbers are kept. Thread-safe. */
uint64_t entropy_u64(void);
