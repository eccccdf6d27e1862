/* export_name.h - the folder name of a field in an export. */
#pragma once

#include "common/job/config.h"

/* Writes the field's name to out[EXPORT_NAME_BYTES]. Every byte except letters, digits, '_', '-'
 * and inner '.' becomes %XX, so that a name cannot leave the directory or collide with another
 * entry. */
#define EXPORT_NAME_BYTES (3 * FIELD_NAME_MAX)
void export_name(const char *field, char *out);
