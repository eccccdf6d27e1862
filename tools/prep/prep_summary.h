/* prep_summary.h - the summary that prep prints at its end. */
#pragma once

#include "prep_run.h"

/* Appends the summary to *out; d is sealed. ERR_MEMORY. */
enum status prep_summary(const struct prep_run *r, const struct dataset *d, double seconds,
                         struct buf *out);
