/* field_buckets.h - the bounds of a numeric field, from the texts of a schema's keys. */
#pragma once

#include "field_text.h"

/* A text that is a number; ERR_CONFIG. */
enum status field_buckets_number(const char *text, double *out);
/* Adds "18, 25, 35" to the rule's bounds, which are freed with mem_free. ERR_CONFIG, ERR_MEMORY. */
enum status field_buckets_bounds(struct field_rule *rule, const char *list);
/* "from, to, steps": so many buckets of one width between them, or of one ratio. */
enum status field_buckets_steps(struct field_rule *rule, const char *list, bool logarithmic);
