/* kind.h - what a file is, by its first bytes, where a text is expected. */
#pragma once

#include <stddef.h>

#include "status.h"

#define KIND_HEAD_BYTES 4096u /* of the start, enough to tell */

struct kind {
    const char *name;   /* "compressed (zstd)", "a Parquet file" */
    const char *unpack; /* the command that writes it as text to its standard output; or NULL */
    const char *advice; /* what to do else */
};

/* The kind of a file whose first n bytes are `head`: all of it, or at least KIND_HEAD_BYTES. NULL:
 * a text, as far as can be seen. */
const struct kind *kind_of(const void *head, size_t n);
/* OK for a text, else ERR_FORMAT naming the file, its kind, and what to do. */
enum status kind_expect_text(const char *path, const void *head, size_t n);
