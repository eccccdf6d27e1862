/* field_buckets.h - reads the bounds of a numeric field from the values of a schema's keys. */
#pragma once

#include "field_text.h"

/* Reads a text as a number. ERR_CONFIG if it is none. */
enum status field_buckets_number(const char *text, double *out);
/* Adds "18, 25, 35" to the rule's bounds, which are freed with mem_free. ERR_CONFIG, ERR_MEMORY. */
enum status field_buckets_bounds(struct field_rule *rule, const char *list);
/* Reads "from, to, steps" and adds the bounds of `steps` buckets between from and to. They have
 * equal widths, or equal ratios if logarithmic. */
enum status field_buckets_steps(struct field_rule *rule, const char *list, bool logarithmic);
