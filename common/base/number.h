/* number.h - parses whole numbers, written in one way in configurations and on command lines. */
#pragma once

#include <stdint.h>

enum number_unit {
    NUMBER_PLAIN, /* digits alone */
    NUMBER_COUNT, /* perhaps with K, M, G or T after them: powers of 1000 */
    NUMBER_BYTES  /* the same letters as powers of 1024, for memory and files */
};
enum number_result { NUMBER_GOOD, NUMBER_BAD, NUMBER_TOO_LARGE };

/* Accepts only digits and perhaps a letter: no sign, no blanks. Sets *out only if NUMBER_GOOD. */
enum number_result number_parse(const char *text, enum number_unit unit, uint64_t *out);
