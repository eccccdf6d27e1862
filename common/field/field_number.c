#include "field_number.h"

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Behind a mark of thousands there are three digits and then no fourth; before the first, one to
 * three. */
static bool parts_thousands(struct span text, size_t i, size_t digits_before, bool first) {
    size_t n = 0;
    while (i + 1 + n < text.n && is_digit(text.at[i + 1 + n])) {
        n++;
    }
    return n == 3 && (first ? digits_before >= 1 && digits_before <= 3 : digits_before == 3);
}

bool field_number_plain(const struct number_style *style, struct span text, char copy[NUMBER_BYTES],
                        struct span *out) {
    const char decimal = style->decimal == 0 ? '.' : style->decimal;
    size_t n = 0, digits = 0, marks = 0;
    bool fraction = false;
    *out = text = span_trimmed(text);
    if (decimal == '.' && style->thousands == 0) {
        return true;
    }
    for (size_t i = 0; i < text.n && n < NUMBER_BYTES - 16; i++) {
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
        digits = is_digit(c) ? digits + 1 : 0;
        copy[n++] = c == decimal ? '.' : c;
    }
    memset(copy + n, 0, NUMBER_BYTES - n);
    *out = (struct span){copy, n};
    return n < NUMBER_BYTES - 16;
}

struct span field_id_plain(char decimal, struct span text) {
    if (text.n > 0 && text.at[0] > '0' && text.at[text.n - 1] > '0') {
        return text; /* most are as they should be */
    }
    const char point = decimal == 0 ? '.' : decimal;
    text = span_trimmed(text);
    size_t n = text.n;
    while (n > 1 && text.at[n - 1] == '0') {
        n--;
    }
    if (n > 1 && n < text.n && text.at[n - 1] == point && is_digit(text.at[n - 2])) {
        text.n = n - 1;
    }
    while (text.n > 1 && text.at[0] == '0' && is_digit(text.at[1])) {
        text.at++;
        text.n--;
    }
    return text;
}
