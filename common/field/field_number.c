#include "field_number.h"

#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "common/base/hash.h"

#define NUMBER_BYTES_MAX 63u

const char *field_fault_text(enum field_fault fault) {
    static const char *const texts[] = {[FIELD_FINE] = "",
                                        [FIELD_NO_ID] = "a feature id is not a number",
                                        [FIELD_NO_NUMBER] = "a value is not a number",
                                        [FIELD_NOT_FINITE] = "a value is not finite"};
    return texts[fault];
}

/* --- in the program's way --------------------------------------------------------------------- */

bool field_number_u64(struct span text, uint64_t *out) {
    uint64_t v = 0;
    if (text.n == 0) {
        return false;
    }
    for (size_t i = 0; i < text.n; i++) {
        if (!field_is_digit(text.at[i]) || __builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (uint64_t)(text.at[i] - '0'), &v)) {
            return false;
        }
    }
    *out = v;
    return true;
}

uint64_t field_number_or_hash(struct span text) {
    uint64_t v = 0;
    const bool shortest = text.n == 1 || (text.n > 0 && text.at[0] != '0');
    return shortest && field_number_u64(text, &v) ? v : hash_bytes(text.at, text.n);
}

/* nan, inf, infinity in any case, with or without a sign. */
static bool is_not_finite(const char *text) {
    text += *text == '-' || *text == '+';
    return strcasecmp(text, "nan") == 0 || strcasecmp(text, "inf") == 0 ||
           strcasecmp(text, "infinity") == 0;
}

enum field_fault field_number_f64(struct span text, double *out) {
    char copy[NUMBER_BYTES_MAX + 1];
    char *end = NULL;
    if (text.n == 0 || text.n > NUMBER_BYTES_MAX) {
        return FIELD_NO_NUMBER;
    }
    memcpy(copy, text.at, text.n);
    copy[text.n] = '\0';
    if (field_number_plain_at(copy, out) == copy + text.n) { /* the usual case */
        return FIELD_FINE;
    }
    if (strspn(copy, "0123456789+-.eE") != text.n) {
        return is_not_finite(copy) && strlen(copy) == text.n ? FIELD_NOT_FINITE : FIELD_NO_NUMBER;
    }
    *out = strtod(copy, &end);
    if (end != copy + text.n) {
        return FIELD_NO_NUMBER;
    }
    return isfinite(*out) ? FIELD_FINE : FIELD_NOT_FINITE;
}

enum field_fault field_number_f32(struct span text, float *out) {
    double v = 0;
    const enum field_fault why = field_number_f64(text, &v);
    *out = (float)v;
    return why != FIELD_FINE ? why : isfinite(*out) ? FIELD_FINE : FIELD_NOT_FINITE;
}

/* --- in a log's own style --------------------------------------------------------------------- */

/* After a mark of thousands exactly three digits must follow. Before the first mark there must be
 * one to three digits, before each later one three. */
static bool parts_thousands(struct span text, size_t i, size_t digits_before, bool first) {
    size_t n = 0;
    while (i + 1 + n < text.n && field_is_digit(text.at[i + 1 + n])) {
        n++;
    }
    return n == 3 && (first ? digits_before >= 1 && digits_before <= 3 : digits_before == 3);
}

bool field_number_plain(const struct number_style *style, struct span text,
                        char copy[FIELD_NUMBER_BYTES], struct span *out) {
    const char decimal = style->decimal == 0 ? '.' : style->decimal;
    size_t n = 0, digits = 0, marks = 0;
    bool fraction = false;
    *out = text = span_trimmed(text);
    if (decimal == '.' && style->thousands == 0) {
        return true;
    }
    for (size_t i = 0; i < text.n && n < FIELD_NUMBER_BYTES - 16; i++) {
        const char c = text.at[i];
        if (c == style->thousands) {
            if (fraction || !parts_thousands(text, i, digits, marks == 0)) {
                return false;
            }
            marks++;
            digits = 0;
            continue;
        }
        if (c == decimal ? fraction : c == '.') {
            return false;
        }
        fraction = fraction || c == decimal;
        digits = field_is_digit(c) ? digits + 1 : 0;
        copy[n++] = c == decimal ? '.' : c;
    }
    memset(copy + n, 0, FIELD_NUMBER_BYTES - n);
    *out = (struct span){copy, n};
    return n < FIELD_NUMBER_BYTES - 16;
}

struct span field_id_plain(char decimal, struct span text) {
    if (text.n > 0 && text.at[0] > '0' && text.at[text.n - 1] > '0') {
        return text; /* the usual case: nothing to cut off */
    }
    const char point = decimal == 0 ? '.' : decimal;
    text = span_trimmed(text);
    size_t n = text.n;
    while (n > 1 && text.at[n - 1] == '0') {
        n--;
    }
    if (n > 1 && n < text.n && text.at[n - 1] == point && field_is_digit(text.at[n - 2])) {
        text.n = n - 1;
    }
    while (text.n > 1 && text.at[0] == '0' && field_is_digit(text.at[1])) {
        text.at++;
        text.n--;
    }
    return text;
}
