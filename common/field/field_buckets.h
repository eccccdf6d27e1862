/* field_buckets.h - the bounds of a numeric column, from the schema's keys. */
#ifndef COMMON_FIELD_FIELD_BUCKETS_H
#define COMMON_FIELD_FIELD_BUCKETS_H

#include "tools/log/csv_schema.h"

/* A text that is a number; ERR_CONFIG. */
enum status field_buckets_number(const char *text, double *out);
/* Adds "18, 25, 35". ERR_CONFIG, ERR_MEMORY. */
enum status field_buckets_bounds(struct csv_column *c, const char *list);
/* "from, to, steps": so many buckets of one width between them, or of one ratio. */
enum status field_buckets_steps(struct csv_column *c, const char *list, bool logarithmic);

#endif
