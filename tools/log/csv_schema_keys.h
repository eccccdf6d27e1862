/* csv_schema_keys.h - the keys of a schema, between the files csv_schema_*.c only. */
#pragma once

#include "csv_schema.h"

/* The column of a section [column.NAME], whose name may be quoted; made if it is new. ERR_CONFIG.
 */
enum status csv_schema_named(struct csv_schema *s, const char *section, struct csv_column **out);
/* What holds between the keys; finds the zone, gives both labels of labels = funnel their column.
 * ERR_CONFIG. */
enum status csv_schema_check(struct csv_schema *s);
/* May the key be given again in its section, to go on with its list? */
bool csv_schema_is_list(const char *section, const char *key);
/* One key of [log] or [column.NAME]. ERR_CONFIG names the nearest key. */
enum status csv_schema_set(struct csv_schema *s, const char *section, const char *key,
                           const char *value);
