/* last_words.h - the last line that a process wrote; usually it says why the process ended. */
#pragma once

#include <stddef.h>

/* The last line of a log, without its newline; "" if it cannot be read. */
void last_words_read(const char *path, char *out, size_t bytes);
/* Returns the last message of a process without what the reader knows already. `line` is like "esmm
 * ps: disk full", the last message of main, or like "2026-…Z error ps-1 disk full". The result is a
 * part of `line`. */
const char *last_words_bare(const char *line);
