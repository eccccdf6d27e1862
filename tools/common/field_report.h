/* field_report.h - how texts of fields became ids, as text for people and as JSON: the same in
 * `esmm inspect` of shards and of checkpoints, and in the manifest of an export. */
#pragma once

#include "common/field/field_schema.h"
#include "common/base/json.h"

/* The members of an object: kind and, where they are, hash, bounds, multi, weight, missing.
 * Separators are numbers of bytes. f NULL: kind unknown. */
void field_report_json(const struct field_schema *f, struct json *j);
/* Whether anything is known of any field. */
bool field_report_known(const struct field_schemas *s);
