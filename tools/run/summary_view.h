/* summary_view.h - what `esmm train` shows at its end of values without a row
 * (common/data/unseen.h), and warnings as it prints them. */
#pragma once

#include "common/base/bytes.h"
#include "common/job/schema.h"

/* Prints the table to stdout and what is doubtful, as warnings, to stderr, if `summary` (the text
 * of summary.json) has an evaluation. ERR_MEMORY. */
enum status summary_view_unseen(const char *summary, const struct schema *schema);

/* Prints what was trained, and the figures of the evaluation, of the text of summary.json. */
void summary_view_print(const char *summary);
/* Warns of the fields that it calls doubtful: for who has not the data's schema. */
void summary_view_doubts(const char *summary);

/* Each line to stderr, as a warning. */
void print_warnings(const struct buf *lines);
