/* text.h - makes bytes from outside safe to show on a terminal or in a log. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Copies n bytes to out[size], NUL-terminated, cut where there is no more room. Control bytes and
 * characters, and bytes that are no UTF-8, become \xHH; a backslash stays as it is, so that a
 * second call does not change the text. Line ends and tabs stay if `lines` is set. Returns the
 * length. */
size_t text_show(char *out, size_t size, const char *text, size_t n, bool lines);
/* Writes the n bytes, of any length, in the same form; line ends and tabs stay. Check ferror(to)
 * for failure.
 */
void text_print(FILE *to, const char *text, size_t n);
