/* config_keys.h - the table of configuration keys; only the files config*.c include it.
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
/* Whether the field's section sets this key. */
bool config_key_overridden(const struct config_key *k, const struct field_override *f);

#define CONFIG_SECTION_BYTES (sizeof "field." + FIELD_NAME_MAX)
/* OK if the section exists; else ERR_CONFIG, which names the nearest one. */
enum status config_section_check(const char *section);
/* Sets one key of a section; a failure leaves *c unchanged. ERR_CONFIG names the nearest key, or
 * what was expected. */
enum status config_set_in(struct config *c, const char *section, const char *name,
                          const char *text);
