/* synth_line.c - writes lines. This is most of the generator's time, so numbers are written by
 * hand: printf takes about ten times as long. */
#include "synth_line.h"

#include <string.h>

#define HEAD_BYTES_MAX  64u /* everything before the entries */
#define ENTRY_BYTES_MAX 48u /* name 8, id 20, value 12, separators */

char *synth_line_u64(char *at, uint64_t v) {
    char digits[20];
    size_t n = 0;
    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    while (n > 0) {
        *at++ = digits[--n];
    }
    return at;
}

/* Writes a value in Ali-CCP's way: 1.0, 2.3979, 0.69315. */
char *synth_line_value(char *at, uint32_t value_e5) {
    uint32_t rest = value_e5 % 100000;
    at = synth_line_u64(at, value_e5 / 100000);
    *at++ = '.';
    for (uint32_t unit = 10000; unit > 0 && (rest > 0 || unit == 10000); unit /= 10) {
        *at++ = (char)('0' + rest / unit);
        rest %= unit;
    }
    return at;
}

char *synth_line_hex(char *at, uint64_t v) {
    for (int shift = 60; shift >= 0; shift -= 4) {
        *at++ = "0123456789abcdef"[v >> shift & 15];
    }
    return at;
}

static char *put_entries(char *at, const struct synth_fields *f, const struct synth_entry *entries,
                         uint32_t n) {
    at = synth_line_u64(at, n);
    *at++ = ',';
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0) {
            *at++ = '\x01';
        }
        at = stpcpy(at, f->field[entries[i].field].name);
        *at++ = '\x02';
        at = synth_line_u64(at, entries[i].id);
        *at++ = '\x03';
        at = synth_line_value(at, entries[i].value_e5);
    }
    *at++ = '\n';
    return at;
}

enum status synth_line_common(struct buf *out, const struct synth_fields *f, uint64_t index,
                              const struct synth_entry *entries, uint32_t n) {
    TRY(buf_reserve(out, HEAD_BYTES_MAX + (size_t)n * ENTRY_BYTES_MAX));
    char *const start = (char *)out->data + out->len;
    char *at = synth_line_hex(start, index);
    *at++ = ',';
    at = put_entries(at, f, entries, n);
    out->len += (size_t)(at - start);
    return OK;
}

enum status synth_line_skeleton(struct buf *out, const struct synth_fields *f,
                                uint64_t impression_id, bool click, bool conversion, uint64_t index,
                                const struct synth_entry *entries, uint32_t n) {
    TRY(buf_reserve(out, HEAD_BYTES_MAX + (size_t)n * ENTRY_BYTES_MAX));
    char *const start = (char *)out->data + out->len;
    char *at = synth_line_u64(start, impression_id);
    *at++ = ',';
    *at++ = click ? '1' : '0';
    *at++ = ',';
    *at++ = conversion ? '1' : '0';
    *at++ = ',';
    at = synth_line_hex(at, index);
    *at++ = ',';
    at = put_entries(at, f, entries, n);
    out->len += (size_t)(at - start);
    return OK;
}
