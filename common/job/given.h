/* given.h - which keys of a file came already, so that none counts twice: of two lines for one key
 * one would win, and nobody be told which. */
#ifndef COMMON_JOB_GIVEN_H
#define COMMON_JOB_GIVEN_H

#include "common/base/bytes.h"

struct given {
    struct buf keys; /* struct given_key each */
};

/* Notes a key of a section in `line`. *before: the line that gave it already; 0: none did.
 * ERR_MEMORY. */
enum status given_note(struct given *g, const char *section, const char *key, int line,
                       int *before);
void given_fini(struct given *g); /* safe on a zeroed struct */

#endif
