/* config_keys.h - the table of configuration keys, between the files config*.c only.
 *
 * A key knows its section, name, type, place in a struct, range and a line of help. Keys of [table]
 * describe a struct table_config, so the same entries serve [field.NAME]; all others describe a
 * struct config. `base` below is the one the key describes. Nothing here blocks; any thread.
 */
#ifndef COMMON_JOB_CONFIG_KEYS_H
#define COMMON_JOB_CONFIG_KEYS_H

#include "config.h"

enum config_kind {
    KIND_U32,
    KIND_U64,
    KIND_LIMIT,   /* uint64_t, "none" for UINT64_MAX */
    KIND_BYTES,   /* uint64_t, suffixes K M G T allowed */
    KIND_BYTES32, /* the same in a uint32_t */
    KIND_F32,
    KIND_BOOL,
    KIND_CHOICE, /* an enum that starts at 0 in the order of `choices` */
    KIND_WIDTHS, /* tower and tower_layers */
    KIND_NAME    /* a field's name, or empty */
};

struct config_key {
    const char *section, *name;
    enum config_kind kind;
    size_t offset;       /* in `base` */
    double min, max;     /* of numbers */
    const char *choices; /* "a|b|c" */
    const char *help;
};

extern const struct config_key config_keys[]; /* [config_key_count] */
extern const size_t config_key_count;

bool config_key_of_table(const struct config_key *k);
/* Where the key `section`.`name` is in the table; config_key_count if there is none. */
size_t config_key_find(const char *section, const char *name);
/* Position of a [table] key among the [table] keys: its bit in field_override.set. */
size_t config_key_bit(size_t key);

/* Text to value; on failure *base is as before. ERR_CONFIG: key, value, what was expected. */
enum status config_key_parse(const struct config_key *k, const char *text, void *base);
/* Value to text that config_key_parse reads back to the same bits. ERR_MEMORY. */
enum status config_key_print(const struct config_key *k, const void *base, struct buf *out);
/* The text of choice number `index` of "a|b|c", its length in *n; NULL past the last. */
const char *config_choice(const char *choices, unsigned index, size_t *n);

#define CONFIG_SECTION_BYTES (sizeof "field." + FIELD_NAME_MAX)
/* Is there such a section? ERR_CONFIG names the nearest. */
enum status config_section_check(const char *section);
/* One key of a section; on failure *c is as before. ERR_CONFIG names the nearest key, or what was
 * expected. */
enum status config_set_in(struct config *c, const char *section, const char *name,
                          const char *text);

#endif
