/* csv_unit.h - decides the unit of a log's times, once, from its first lines.
 *
 * The main thread decides before the workers start. The decision depends only on the lines, not on
 * the number of threads or on how the bytes arrive.
 */
#pragma once

#include "csv_schema.h"

#define HEAD_BYTES ((size_t)1 << 18) /* at most so many bytes of the log's text are examined, */
#define HEAD_ROWS  1000u             /* and at most so many rows */

/* Does the schema leave the unit open? */
bool csv_unit_open(const struct csv_schema *schema);
/* Decides schema->clock.unit if it is open: the unit with which most of the first rows' times are
 * from 1990 to 2100; seconds if there is none. `schema` is bound; `text` is what follows the
 * header, and its last line may be cut. ERR_FORMAT: all times could also be dates written in digits
 * only, such as 2014102100. ERR_MEMORY. */
enum status csv_unit_decide(struct csv_schema *schema, const char *file, struct span text);
