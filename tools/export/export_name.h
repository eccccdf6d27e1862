/* export_name.h - the folder of a field in an export. */
#pragma once

#include "common/job/config.h"

/* The field's name with every byte but letters, digits, '_', '-' and inner '.' as %XX, so that a
 * name cannot leave the directory or meet another entry of it. out[EXPORT_NAME_BYTES]. */
#define EXPORT_NAME_BYTES (3 * FIELD_NAME_MAX)
void export_name(const char *field, char *out);
