/* number.h - the one way in which whole numbers are written, in configurations and on command
 * lines. */
#pragma once

#include <stdint.h>

enum number_unit {
    NUMBER_PLAIN, /* digits alone */
    NUMBER_COUNT, /* also one of K, M, G, T behind them: powers of 1000 */
    NUMBER_BYTES  /* the same letters: powers of 1024, as memory and files are counted */
};
enum number_result { NUMBER_GOOD, NUMBER_BAD, NUMBER_TOO_LARGE };

/* Digits and perhaps a letter, nothing else: no sign, no blanks. *out only when NUMBER_GOOD. */
enum number_result number_parse(const char *text, enum number_unit unit, uint64_t *out);
