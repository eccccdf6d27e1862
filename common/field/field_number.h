/* field_number.h - numbers as people and programs write them: 1.234,50 and 000376 and 376.0. Pure.
 */
#pragma once

#include <stdint.h>
#include "span.h"

/* Why a text is not an id or not a number. */
enum field_fault { FIELD_FINE, FIELD_NO_ID, FIELD_NO_NUMBER, FIELD_NOT_FINITE };
const char *field_fault_text(enum field_fault fault); /* "a value is not a number" */

/* --- in the program's way: digits, a point --- */

/* The whole text must be a decimal number of at most 64 bits. */
bool field_number_u64(struct span text, uint64_t *out);
/* The number, if the text is one in its shortest form; otherwise the hash of the text. */
uint64_t field_number_or_hash(struct span text);
/* A decimal fraction: digits, sign, point, exponent. FIELD_NO_NUMBER, FIELD_NOT_FINITE (also nan
 * and inf). */
enum field_fault field_number_f32(struct span text, float *out);
enum field_fault field_number_f64(struct span text, double *out);

static inline bool field_is_digit(char c) {
    return (unsigned)(c - '0') < 10;
}

#define FIELD_DIGITS_EXACT 15 /* 10^15 < 2^53 */
/* Reads the value at `at` and returns where it ends. Returns NULL if there are no digits, or more
 * than FIELD_DIGITS_EXACT; a point is allowed. Both integers of the quotient are exact as double,
 * so the result is the one of strtod. The text must be followed by a byte that is no part of a
 * number; reading stops there. */
static inline const char *field_number_plain_at(const char *at, double *out) {
    static const double tens[FIELD_DIGITS_EXACT + 1] = {
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    uint64_t v = 0;
    const char *from = at;
    size_t decimals = 0, digits;
    for (; field_is_digit(*at); at++) {
        v = v * 10 + (uint64_t)(*at - '0');
    }
    digits = (size_t)(at - from);
    if (*at == '.') {
        from = ++at;
        for (; field_is_digit(*at); at++) {
            v = v * 10 + (uint64_t)(*at - '0');
        }
        decimals = (size_t)(at - from);
        digits += decimals;
    }
    if (digits == 0 || digits > FIELD_DIGITS_EXACT) {
        return NULL;
    }
    *out = (double)v / tens[decimals];
    return at;
}

/* --- in a log's own style --- */

#define FIELD_NUMBER_BYTES 80 /* a number of 63 bytes, and the bytes that may be read after it */

struct number_style {
    char decimal;   /* 0: a point */
    char thousands; /* 0: none */
};

/* Rewrites a number in the program's way: with a decimal point and without marks of thousands. *out
 * is the text itself if the style needs no change, otherwise it is in copy. Returns false if the
 * number is not written in that style: a mark of thousands stands in a wrong place ("19.90" with a
 * point for thousands), or there are two decimal marks. */
bool field_number_plain(const struct number_style *style, struct span text,
                        char copy[FIELD_NUMBER_BYTES], struct span *out);
/* The id in a text, without blanks around it, leading zeros, and a fraction of zeros at its end.
 */
struct span field_id_plain(char decimal, struct span text);
