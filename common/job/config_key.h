/* config_key.h - one key of the configuration: its place, its values, and how they are written.
 *
 * Keys of [table] describe a struct table_config, so that the same keys serve [field.NAME]; all
 * others describe a struct config. `base` below is the struct that the key describes. Nothing here
 * blocks; any thread.
 */
#pragma once

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
    size_t offset;        /* in `base` */
    const char *standard; /* the default, as text */
    double min, max;      /* of numbers */
    const char *choices;  /* "a|b|c" */
    const char *help;
};

/* Text to value; a failure leaves *base unchanged. ERR_CONFIG: key, value, what was expected. */
enum status config_key_parse(const struct config_key *k, const char *text, void *base);
/* Value to text that config_key_parse reads back to the same bits. ERR_MEMORY. */
enum status config_key_print(const struct config_key *k, const void *base, struct buf *out);
/* The values that the key takes, as text for the reference: "`true` `false`", "0 to 1". ERR_MEMORY.
 */
enum status config_key_range(const struct config_key *k, struct buf *out);
/* Choice number `index` of "a|b|c", with its length in *n; NULL beyond the last. */
const char *config_choice(const char *choices, unsigned index, size_t *n);
