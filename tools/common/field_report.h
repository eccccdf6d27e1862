/* field_report.h - reports how the texts of fields became ids, as text for people and as JSON. The
 * report is the same in `esmm inspect` of shards and of checkpoints, and in the manifest of an
 * export. */
#pragma once

#include "common/field/field_schema.h"
#include "common/base/json.h"

/* Writes the members of an object: kind and, if they are set, hash, bounds, multi, weight, missing.
 * Separators are written as byte values. f NULL: the kind is unknown. */
void field_report_json(const struct field_schema *f, struct json *j);
/* True if the kind of at least one field is known. */
bool field_report_known(const struct field_schemas *s);
