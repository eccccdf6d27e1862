/* entropy.h - numbers that nobody can predict and no two processes share: a job's number, the
 * incarnation of a process. Random numbers of training come from rng.h instead and depend only on
 * the seed. */
#pragma once

#include <stdint.h>

/* Sets the source for the whole process (for a test or a simulator); NULL: the kernel, which is the
 * default. Not thread-safe: call it before the first thread starts. */
void entropy_source_set(uint64_t (*source)(void));

/* Never 0: a stored 0 means "none". Thread-safe. */
uint64_t entropy_u64(void);
