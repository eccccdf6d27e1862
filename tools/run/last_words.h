/* last_words.h - what a process said last: usually why it ended. */
#pragma once

#include <stddef.h>

/* The last line of a log, without its newline; "" if it cannot be read. */
void last_words_read(const char *path, char *out, size_t bytes);
/* "esmm ps: disk full", main's last word, or "2026-…Z error ps-1 disk full", without what the
 * reader knows already. A part of `line`. */
const char *last_words_bare(const char *line);
