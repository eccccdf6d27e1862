#include "json.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void json_init(struct json *j, struct buf *out, bool pretty) {
    *j = (struct json){.out = out, .pretty = pretty};
}

static void put(struct json *j, const char *text) {
    if (j->status == OK) {
        j->status = buf_put(j->out, text, strlen(text));
    }
}

static void put_newline(struct json *j) {
    if (j->pretty) {
        put(j, "\n");
        for (int i = 0; i < j->depth; i++) {
            put(j, "  ");
        }
    }
}

/* The number of bytes of the UTF-8 character at `text`; 0 if it is invalid (also over-long forms,
 * surrogates and values beyond U+10FFFF). It never reads beyond the NUL: no continuation byte is
 * zero. */
static size_t utf8_bytes(const char *text) {
    const unsigned char *t = (const unsigned char *)text;
    size_t n = t[0] < 0x80 ? 1 : t[0] < 0xc2 ? 0 : t[0] < 0xe0 ? 2 : t[0] < 0xf0 ? 3 : 4;
    unsigned low = 0x80;
    unsigned high = 0xbf;
    low = t[0] == 0xe0 ? 0xa0 : t[0] == 0xf0 ? 0x90 : low;
    high = t[0] == 0xed ? 0x9f : t[0] == 0xf4 ? 0x8f : t[0] > 0xf4 ? 0 : high;
    for (size_t i = 1; i < n; i++) {
        if (t[i] < low || t[i] > high) {
            return 0;
        }
        low = 0x80;
        high = 0xbf;
    }
    return n;
}

/* Each byte that is not UTF-8 becomes U+FFFD, so the result is valid JSON for any text. */
static void put_escaped(struct json *j, const char *text) {
    put(j, "\"");
    while (*text != '\0') {
        char escape[8] = "\\ufffd";
        size_t n = utf8_bytes(text);
        if (*text == '"' || *text == '\\') {
            snprintf(escape, sizeof escape, "\\%c", *text);
        } else if (n == 1 && *text < 0x20) {
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned char)*text);
        } else if (n > 0) {
            memcpy(escape, text, n);
            escape[n] = '\0';
        }
        put(j, escape);
        text += n > 0 ? n : 1;
    }
    put(j, "\"");
}

static void begin(struct json *j, const char *key) {
    if (j->depth > 0) {
        if (j->any[j->depth - 1]) {
            put(j, ",");
        }
        j->any[j->depth - 1] = true;
        put_newline(j);
    }
    if (key != NULL) {
        put_escaped(j, key);
        put(j, j->pretty ? ": " : ":");
    }
}

void json_open(struct json *j, const char *key, char bracket) {
    begin(j, key);
    assert(j->depth < JSON_DEPTH_MAX);
    put(j, bracket == '{' ? "{" : "[");
    j->close[j->depth] = bracket == '{' ? '}' : ']';
    j->any[j->depth] = false;
    j->depth++;
}

void json_close(struct json *j) {
    assert(j->depth > 0);
    j->depth--;
    if (j->any[j->depth]) {
        put_newline(j);
    }
    put(j, j->close[j->depth] == '}' ? "}" : "]");
}

void json_begin(struct json *j, struct buf *out, bool pretty) {
    json_init(j, out, pretty);
    json_open(j, NULL, '{');
}

enum status json_end(struct json *j) {
    json_close(j);
    return j->status;
}

void json_str(struct json *j, const char *key, const char *value) {
    begin(j, key);
    put_escaped(j, value);
}

void json_u64(struct json *j, const char *key, uint64_t value) {
    char text[24];
    begin(j, key);
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    put(j, text);
}

void json_f64(struct json *j, const char *key, double value) {
    char text[40];
    begin(j, key);
    if (!isfinite(value)) {
        put(j, "null");
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    put(j, text);
}

void json_bool(struct json *j, const char *key, bool value) {
    begin(j, key);
    put(j, value ? "true" : "false");
}

void json_null(struct json *j, const char *key) {
    begin(j, key);
    put(j, "null");
}

double json_number(const char *text, const char *key) {
    char quoted[64];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *at = strstr(text, quoted);
    if (at == NULL) {
        return NAN;
    }
    at += strlen(quoted);
    char *end;
    double value = strtod(at, &end);
    return end == at ? NAN : value;
}
