/* words.h - the words of a command: for execvp, and as a Bourne shell reads them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/bytes.h"

#define WORDS_MAX 65536 /* a job's data may be many directories */

struct words {
    char **list; /* [count], and NULL behind them once there is one; owned */
    size_t count, cap;
};

/* A copy of the word. ERR_LIMIT, ERR_MEMORY. */
enum status words_add(struct words *w, const char *word);
/* An option and its value. */
enum status words_option(struct words *w, const char *option, const char *value);
enum status words_number(struct words *w, const char *option, uint64_t value);
/* Adds the words of a text: it is split at blanks; ' and " hold a word together, a backslash takes
 * the next character as it is (not within '). Nothing is expanded. ERR_USAGE: a quote stays open.
 */
enum status words_split(struct words *w, const char *text);
void words_fini(struct words *w); /* safe on a zeroed struct */

/* Adds the words from `first` on to the text, blanks between them, quoted where a shell would not
 * read them as they are. ERR_MEMORY. */
enum status words_quote(const struct words *w, size_t first, struct buf *text);
enum status word_quote(const char *word, struct buf *text);
