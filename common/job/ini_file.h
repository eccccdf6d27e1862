/* ini_file.h - texts of sections with keys, from a file:
 *
 *     ; a comment
 *     [section]
 *     key = value
 *
 * Configurations (config_ini.c) and the schemas of logs (csv_schema_file.c) are read with it.
 * Blanks around a line, a key or a value do not count. A key may be given once in its section, in
 * which parts ever the section comes: of two lines for one key one would win, and nobody be told
 * which. A section's name ends at the first ']' behind which nothing but a comment follows, and
 * where it is in quotes (column."a] ; b") behind these.
 */
#pragma once

#include <stdbool.h>

#include "common/base/status.h"

/* What is done with them. The first status that is not OK ends the reading. */
struct ini_form {
    enum status (*begin)(void *arg, const char *section); /* also one without keys */
    /* A key of a section; "" before the first one. */
    enum status (*set)(void *arg, const char *section, const char *key, const char *value);
    /* May the key be given again, to go on with its list? NULL: none may. */
    bool (*is_list)(const char *section, const char *key);
};
/* `name` stands for the path in messages. ERR_CONFIG with name and line; ERR_MEMORY; what the form
 * gives, with name and line before its text. */
enum status ini_file_parse(const struct ini_form *form, void *arg, const char *name,
                           const char *text);
/* The text of a file. ERR_NOT_FOUND, ERR_FORMAT (not text), ERR_CONFIG (a zero byte), ERR_IO. */
enum status ini_file_read(const struct ini_form *form, void *arg, const char *path);
