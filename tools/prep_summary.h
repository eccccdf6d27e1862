/* prep_summary.h - what prep says at its end, on standard output. */
#ifndef TOOLS_PREP_SUMMARY_H
#define TOOLS_PREP_SUMMARY_H

#include "prep.h"

/* d as published; fields in slot order. ERR_MEMORY. */
enum status prep_summary(const struct prep_run *r, const struct dataset *d, double seconds);

#endif
