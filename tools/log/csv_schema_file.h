/* csv_schema_file.h - reads a schema from its file (--schema, INI; see csv_schema.h).
 *
 * If a key, section or column is unknown, the error names the nearest known one. */
#pragma once

#include "csv_schema.h"

/* After OK the caller frees *s with csv_schema_free. ERR_NOT_FOUND, ERR_FORMAT (not text),
 * ERR_CONFIG with file and line, ERR_MEMORY, ERR_IO. */
enum status csv_schema_read(struct csv_schema *s, const char *path);
/* The same for a text in memory; `name` stands for the path in messages. */
enum status csv_schema_parse(struct csv_schema *s, const char *name, const char *text);
