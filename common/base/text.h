/* text.h - bytes from outside, fit to be shown on a terminal or in a log. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Copies n bytes to out[size], NUL-terminated, cut where there is no more room. Control bytes and
 * characters, and bytes that are no UTF-8, become \xHH; a backslash stays as it is, so that a text
 * that was shown before is not changed. Line ends and tabs stay if `lines` is set. Gives the
 * length. */
size_t text_show(char *out, size_t size, const char *text, size_t n, bool lines);
/* Writes n bytes of any length, line ends and tabs as they are. Whether it could is in ferror(to).
 */
void text_print(FILE *to, const char *text, size_t n);
