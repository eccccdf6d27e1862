#include "text_list.h"

static const char blanks[] = " \t";

static enum status list_put(char *out, size_t *n, char byte) {
    if (*n + 1 == LIST_TEXT_MAX) {
        return fail(ERR_CONFIG, "'%.40s...' is longer than %u bytes", out, LIST_TEXT_MAX - 1);
    }
    out[(*n)++] = byte;
    out[*n] = '\0';
    return OK;
}

/* Reads the quoted text that begins at *at and moves *at behind the closing quote. */
static enum status list_quoted(const char **at, char *out) {
    const char *from = *at;
    size_t n = 0;
    out[0] = '\0';
    for (const char *c = from + 1; *c != '\0'; c++) {
        if (*c == '"' && c[1] != '"') {
            *at = c + 1;
            return OK;
        }
        c += *c == '"';
        TRY(list_put(out, &n, *c));
    }
    return fail(ERR_CONFIG, "%.40s: the quote is not closed", from);
}

/* Copies the n bytes at `at`, without blanks at their end. */
static enum status list_plain(const char *at, size_t n, char *out) {
    size_t to = 0;
    while (n > 0 && strchr(blanks, at[n - 1]) != NULL) {
        n--;
    }
    out[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        TRY(list_put(out, &to, at[i]));
    }
    return OK;
}

enum status text_list_next(const char **list, char out[LIST_TEXT_MAX], bool *more) {
    const char *at = *list + strspn(*list, blanks);
    *more = *at != '\0';
    if (!*more) {
        return OK;
    }
    if (*at == '"') {
        TRY(list_quoted(&at, out));
        at += strspn(at, blanks);
        if (*at != '\0' && *at != ',') {
            return fail(ERR_CONFIG, "'%.40s' behind a closing quote, expected a comma", at);
        }
    } else {
        const size_t n = strcspn(at, ",");
        TRY(list_plain(at, n, out));
        at += n;
        if (out[0] == '\0') {
            return fail(ERR_CONFIG, "an empty text in a list; \"\" is one on purpose");
        }
    }
    *list = at + (*at == ',');
    return OK;
}

enum status text_list_single(const char *value, char out[LIST_TEXT_MAX]) {
    const char *at = value + strspn(value, blanks);
    if (*at != '"') {
        return list_plain(at, strlen(at), out);
    }
    TRY(list_quoted(&at, out));
    return at[strspn(at, blanks)] == '\0' ? OK
                                          : fail(ERR_CONFIG, "'%.40s' behind a closing quote", at);
}

enum status text_list_add(struct text_list *l, const char *list) {
    char text[LIST_TEXT_MAX];
    bool more = true;
    for (;;) {
        TRY(text_list_next(&list, text, &more));
        if (!more) {
            return OK;
        }
        if (l->count == LIST_TEXTS_MAX) {
            return fail(ERR_CONFIG, "more than %u texts", LIST_TEXTS_MAX);
        }
        l->bytes[l->count] = (uint8_t)strlen(text);
        memcpy(l->text[l->count++], text, sizeof text);
    }
}
