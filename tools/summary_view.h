/* summary_view.h - what `esmm train` shows of summary.json about values without a row (common/unseen.h). */
#ifndef TOOLS_SUMMARY_VIEW_H
#define TOOLS_SUMMARY_VIEW_H

#include "common/schema.h"
#include "common/status.h"

/* Prints the table to stdout and what is doubtful, as warnings, to stderr, if `summary` (the text of
 * summary.json) has an evaluation. ERR_MEMORY. */
enum status summary_view_unseen(const char *summary, const struct schema *schema);

#endif
