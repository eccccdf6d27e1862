/* prep_doubts.h - warnings about what looks odd in a log, each with its likely cause. */
#pragma once

#include "prep_run.h"

/* Writes one line per warning, without an indent. Warnings are about: clicks and conversions that
 * seem to be swapped; a label that no row has; times in the future; a field that has a different
 * value in nearly every row. d has its sums. ERR_MEMORY. */
enum status prep_doubts(const struct prep_run *r, const struct dataset *d, struct buf *out);
