/* config_keys.h - the table of configuration keys, between the files config*.c only.
 *
 * Nothing here blocks; any thread.
 */
#pragma once

#include "config_key.h"

extern const struct config_key config_keys[]; /* [config_key_count] */
extern const size_t config_key_count;

/* NULL if there is none. */
const struct config_key *config_key_find(const char *section, const char *name);
bool config_key_of_table(const struct config_key *k);
/* The struct within *c that the key describes. */
const void *config_key_base(const struct config_key *k, const struct config *c);
/* Does the section of the field give this key? */
bool config_key_overridden(const struct config_key *k, const struct field_override *f);

#define CONFIG_SECTION_BYTES (sizeof "field." + FIELD_NAME_MAX)
/* Is there such a section? ERR_CONFIG names the nearest. */
enum status config_section_check(const char *section);
/* One key of a section; on failure *c is as before. ERR_CONFIG names the nearest key, or what was
 * expected. */
enum status config_set_in(struct config *c, const char *section, const char *name,
                          const char *text);
