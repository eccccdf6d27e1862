/* csv_unit.h - the unit of a log's times, which is decided once, from its first lines.
 *
 * That happens on the main thread before the workers start, and only the lines decide: not how many
 * threads there are, nor how the bytes arrive.
 */
#pragma once

#include "csv_schema.h"

#define HEAD_BYTES ((size_t)1 << 18) /* of the log's text that are looked at, */
#define HEAD_ROWS  1000u             /* and rows at most */

/* Does the schema leave the unit open? */
bool csv_unit_open(const struct csv_schema *schema);
/* Decides schema->clock.unit if it is open: the unit by which most of the first rows' times are
 * from 1990 to 2100; seconds if none are. `schema` is bound; text is what follows the header, its
 * last line perhaps cut. ERR_FORMAT: they may as well all be dates of digits alone, such as
 * 2014102100. ERR_MEMORY. */
enum status csv_unit_decide(struct csv_schema *schema, const char *file, struct span text);
