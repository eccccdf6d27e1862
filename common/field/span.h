/* span.h - a stretch of a text that somebody else owns; it does not end with NUL. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct span {
    const char *at;
    size_t n;
};

/* The whole of a text that ends with NUL. */
static inline struct span span_of(const char *text) {
    return (struct span){text, strlen(text)};
}
static inline bool span_same(struct span a, struct span b) {
    return a.n == b.n && memcmp(a.at, b.at, a.n) == 0;
}
/* The text without the blanks and tabs around it. */
static inline struct span span_trimmed(struct span text) {
    while (text.n > 0 && (text.at[0] == ' ' || text.at[0] == '\t')) {
        text.at++;
        text.n--;
    }
    while (text.n > 0 && (text.at[text.n - 1] == ' ' || text.at[text.n - 1] == '\t')) {
        text.n--;
    }
    return text;
}
