#include "text.h"

#include <string.h>

/* How many bytes the UTF-8 character at `at` has, of at most n; 0 if it is no valid character (as
 * overlong forms and surrogates) or one that must not be shown (C0, DEL, C1). */
static size_t character(const unsigned char *at, size_t n) {
    static const struct {
        unsigned char mask, lead;
        unsigned long least;
    } forms[] = {
        {0x80, 0x00, 0x20}, {0xe0, 0xc0, 0xa0}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    for (size_t k = 0; k < 4; k++) {
        if ((at[0] & forms[k].mask) != forms[k].lead) {
            continue;
        }
        unsigned long code = at[0] & (unsigned char)~forms[k].mask;
        for (size_t i = 1; i <= k; i++) {
            if (i >= n || (at[i] & 0xc0) != 0x80) {
                return 0;
            }
            code = code << 6 | (at[i] & 0x3f);
        }
        const bool good = code >= forms[k].least && code != 0x7f && code <= 0x10ffff &&
                          (code < 0xd800 || code > 0xdfff);
        return good ? k + 1 : 0;
    }
    return 0;
}

size_t text_show(char *out, size_t size, const char *text, size_t n, bool lines) {
    const unsigned char *at = (const unsigned char *)text, *end = at + n;
    size_t length = 0;
    while (at < end) {
        char hex[5];
        const size_t whole =
            lines && (*at == '\n' || *at == '\t') ? 1 : character(at, (size_t)(end - at));
        const size_t bytes = whole > 0 ? whole : 4;
        if (length + bytes >= size) {
            break;
        }
        snprintf(hex, sizeof hex, "\\x%02x", *at);
        memcpy(out + length, whole > 0 ? (const char *)at : hex, bytes);
        length += bytes;
        at += whole > 0 ? whole : 1;
    }
    out[length] = '\0';
    return length;
}

void text_print(FILE *to, const char *text, size_t n) {
    char shown[1 << 10];
    while (n > 0) {
        const char *stop = memchr(text, '\n', n); /* line by line, so that no character is cut */
        size_t part = stop == NULL ? n : (size_t)(stop - text) + 1;
        if (part > sizeof shown / 4 - 1) {
            part = sizeof shown / 4 - 1;
            while (part > 1 && ((unsigned char)text[part] & 0xc0) == 0x80) {
                part--; /* back to the start of a character */
            }
        }
        fwrite(shown, 1, text_show(shown, sizeof shown, text, part, true), to);
        text += part;
        n -= part;
    }
}
