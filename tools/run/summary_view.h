/* summary_view.h - what `esmm train` shows at its end: the summary, the values without a row
 * (common/data/unseen.h), and warnings. */
#pragma once

#include "common/base/bytes.h"
#include "common/job/schema.h"

/* If `summary` (the text of summary.json) has an evaluation, prints the table of values without a
 * row to stdout, and what is doubtful as warnings to stderr. ERR_MEMORY. */
enum status summary_view_unseen(const char *summary, const struct schema *schema);

/* Prints from the text of summary.json what was trained, and the figures of the evaluation. */
void summary_view_print(const char *summary);
/* Warns of the fields that the summary calls doubtful; for callers without the schema of the data.
 */
void summary_view_doubts(const char *summary);

/* Prints each line to stderr as a warning. */
void print_warnings(const struct buf *lines);
