/* words.h - the words of a command, for execvp or as text for a Bourne shell. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/bytes.h"

#define WORDS_MAX 65536 /* a job's data may be many directories */

struct words {
    char **list; /* [count], then NULL, once it has a word; owned */
    size_t count, cap;
};

/* Adds a copy of the word. ERR_LIMIT, ERR_MEMORY. */
enum status words_add(struct words *w, const char *word);
/* Adds an option and its value. */
enum status words_option(struct words *w, const char *option, const char *value);
enum status words_number(struct words *w, const char *option, uint64_t value);
/* Splits a text at blanks and adds its words. ' and " hold a word together; a backslash keeps the
 * next character as it is (not within '). Nothing is expanded. ERR_USAGE: a quote is not closed. */
enum status words_split(struct words *w, const char *text);
void words_fini(struct words *w); /* safe on a zeroed struct */

/* Appends the words from `first` on to the text, separated by blanks. Words that a shell would
 * change are quoted. ERR_MEMORY. */
enum status words_quote(const struct words *w, size_t first, struct buf *text);
enum status word_quote(const char *word, struct buf *text);
