#include "words.h"

#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"

enum status words_add(struct words *w, const char *word) {
    if (w->count + 1 >= WORDS_MAX) {
        return fail(ERR_LIMIT, "a command of more than %d words", WORDS_MAX - 1);
    }
    TRY(mem_room(&w->list, &w->cap, w->count + 2));
    return mem_strdup(&w->list[w->count++], word);
}

enum status words_option(struct words *w, const char *option, const char *value) {
    TRY(words_add(w, option));
    return words_add(w, value);
}

enum status words_number(struct words *w, const char *option, uint64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return words_option(w, option, text);
}

/* Takes the word that begins at **at, without its quotes; *at then points behind it. */
static enum status take_word(const char **at, struct buf *word) {
    char quote = '\0';
    buf_clear(word);
    for (; **at != '\0' && (quote != '\0' || strchr(" \t\n", **at) == NULL); (*at)++) {
        const char c = **at;
        if (c == quote && quote != '\0') {
            quote = '\0';
        } else if (quote == '\0' && (c == '\'' || c == '"')) {
            quote = c;
        } else {
            *at += c == '\\' && quote != '\'' && (*at)[1] != '\0';
            TRY(buf_put_u8(word, (uint8_t) * *at));
        }
    }
    return quote == '\0' ? buf_put_u8(word, '\0')
                         : fail(ERR_USAGE, "a quote (%c) is not closed", quote);
}

enum status words_split(struct words *w, const char *text) {
    struct buf word = BUF_EMPTY;
    enum status status = OK;
    const char *at = text + strspn(text, " \t\n");
    while (status == OK && *at != '\0') {
        TRY_OUT(take_word(&at, &word));
        status = words_add(w, (const char *)word.data);
        at += strspn(at, " \t\n");
    }
out:
    buf_fini(&word);
    return status;
}

void words_fini(struct words *w) {
    for (size_t i = 0; i < w->count; i++) {
        mem_free(&w->list[i]);
    }
    mem_free(&w->list);
    *w = (struct words){0};
}

enum status word_quote(const char *word, struct buf *text) {
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789_./:,@%+=-";
    if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
        return buf_printf(text, "%s", word);
    }
    TRY(buf_put_u8(text, '\''));
    for (const char *at = word; *at != '\0'; at++) {
        TRY(*at == '\'' ? buf_put(text, "'\\''", 4) : buf_put(text, at, 1));
    }
    return buf_printf(text, "'");
}

enum status words_quote(const struct words *w, size_t first, struct buf *text) {
    for (size_t i = first; i < w->count; i++) {
        TRY(i == first ? OK : buf_put_u8(text, ' '));
        TRY(word_quote(w->list[i], text));
    }
    return OK;
}
