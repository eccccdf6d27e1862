/* prep_summary.h - what prep says at its end. */
#pragma once

#include "prep_run.h"

/* Appends it to *out; d as sealed. ERR_MEMORY. */
enum status prep_summary(const struct prep_run *r, const struct dataset *d, double seconds,
                         struct buf *out);
