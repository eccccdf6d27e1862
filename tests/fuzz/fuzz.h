/* fuzz.h - what a fuzz target offers: one run on any bytes, and valid inputs to mutate.
 *
 * Built with clang's libFuzzer (preset fuzz, scripts/fuzz.sh), which only calls the first; and as a
 * plain program with driver.c, which mutates the seeds and is part of the test suite. A target
 * aborts where something is wrong. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
/* Appends valid input number `n` to *out; false: there are no more. */
bool fuzz_seed(uint32_t n, struct buf *out);

#define FUZZ_MUST(condition)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, fail_text());      \
            abort();                                                                               \
        }                                                                                          \
    } while (0)
