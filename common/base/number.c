#include "number.h"

#include <stdbool.h>
#include <string.h>

enum number_result number_parse(const char *text, enum number_unit unit, uint64_t *out) {
    static const char letters[] = "KMGT";
    const uint64_t step = unit == NUMBER_BYTES ? 1024 : 1000;
    uint64_t value = 0;
    bool fits = true;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        const uint64_t digit = (uint64_t)(*at - '0');
        fits = fits && value <= (UINT64_MAX - digit) / 10;
        value = value * 10 + digit;
    }
    const char *letter = *at == '\0' || at == text ? NULL : strchr(letters, *at);
    if (at == text || (*at != '\0' && (letter == NULL || unit == NUMBER_PLAIN || at[1] != '\0'))) {
        return NUMBER_BAD;
    }
    for (const char *power = letters; letter != NULL && power <= letter; power++) {
        fits = fits && value <= UINT64_MAX / step;
        value *= step;
    }
    if (!fits) {
        return NUMBER_TOO_LARGE;
    }
    *out = value;
    return NUMBER_GOOD;
}
