/* kind.h - recognises by its first bytes what a file is, where a text is expected. */
#pragma once

#include <stddef.h>

#include "status.h"

#define KIND_HEAD_BYTES 4096u /* from the start; enough to recognise it */

struct kind {
    const char *name;   /* "compressed (zstd)", "a Parquet file" */
    const char *unpack; /* the command that writes it as text to its standard output; or NULL */
    const char *advice; /* what else the user can do */
};

/* The kind of a file that begins with the n bytes at `head` (the whole file, or at least
 * KIND_HEAD_BYTES). NULL: the file looks like a text. */
const struct kind *kind_of(const void *head, size_t n);
/* OK for a text, else ERR_FORMAT; its text names the file and its kind and says what to do. */
enum status kind_expect_text(const char *path, const void *head, size_t n);
