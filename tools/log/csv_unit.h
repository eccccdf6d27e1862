/* csv_unit.h - what is decided once a log, from its first lines: the unit of its times.
 *
 * It is decided on the main thread before the workers start, from lines alone, so it does not
 * depend on how many there are or how the bytes arrive.
 */
#ifndef TOOLS_LOG_CSV_UNIT_H
#define TOOLS_LOG_CSV_UNIT_H

#include "csv_schema.h"

#define HEAD_BYTES ((size_t)1 << 18) /* of the log's text that are looked at, */
#define HEAD_ROWS  1000u             /* and rows at most */

/* Is there something to decide? */
bool csv_unit_open(const struct csv_schema *schema);
/* Decides schema->clock.unit if it is open: the unit by which most of the first rows' times are
 * from 1990 to 2100; seconds if none are. `schema` is bound; text is what follows the header, its
 * last line perhaps cut. ERR_FORMAT: they may as well all be dates of digits alone, such as
 * 2014102100. ERR_MEMORY. */
enum status csv_unit_decide(struct csv_schema *schema, const char *file, struct span text);

#endif
