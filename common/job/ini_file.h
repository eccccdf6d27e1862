/* ini_file.h - reads texts of sections with keys:
 *
 *     ; a comment
 *     [section]
 *     key = value
 *
 * Configurations (config_ini.c) and the schemas of logs (csv_schema_file.c) are read with it.
 * Blanks around a line, a key or a value are ignored. A key may be given only once in its section,
 * even if the section appears in several parts: of two lines one would win silently. A section's
 * name ends at the first ']' that is followed by nothing but a comment; if the name has quotes
 * (column."a] ; b"), at the first such ']' after the closing quote.
 */
#pragma once

#include <stdbool.h>

#include "common/base/status.h"

/* The caller's functions for sections and keys. The first status that is not OK ends the reading.
 */
struct ini_form {
    enum status (*begin)(void *arg, const char *section); /* also for a section without keys */
    /* One key of a section; section is "" before the first section line. */
    enum status (*set)(void *arg, const char *section, const char *key, const char *value);
    /* Whether the key may be given again, to continue its list. NULL: no key may. */
    bool (*is_list)(const char *section, const char *key);
};
/* `name` stands for the path in messages. ERR_CONFIG with name and line; ERR_MEMORY; or the form's
 * own status, with name and line before its text. */
enum status ini_file_parse(const struct ini_form *form, void *arg, const char *name,
                           const char *text);
/* The same for the text of a file. ERR_NOT_FOUND, ERR_FORMAT (not text), ERR_CONFIG (a zero byte),
 * ERR_IO. */
enum status ini_file_read(const struct ini_form *form, void *arg, const char *path);
