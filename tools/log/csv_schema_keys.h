/* csv_schema_keys.h - the keys of a schema; used only by the files csv_schema_*.c. */
#pragma once

#include "csv_schema.h"

/* Gives the column of a section [column.NAME], and creates it if it is new. The name may be quoted.
 * ERR_CONFIG. */
enum status csv_schema_named(struct csv_schema *s, const char *section, struct csv_column **out);
/* Checks the rules between the keys, finds the time zone, and sets the column of both labels if
 * labels = funnel. ERR_CONFIG. */
enum status csv_schema_check(struct csv_schema *s);
/* May the key occur again in its section, to continue its list? */
bool csv_schema_is_list(const char *section, const char *key);
/* Sets one key of [log] or [column.NAME]. ERR_CONFIG names the nearest key. */
enum status csv_schema_set(struct csv_schema *s, const char *section, const char *key,
                           const char *value);
