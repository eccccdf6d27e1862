/* config_text.c - writes a configuration as text, compares two of them, and writes the key
 * reference. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "config_keys.h"

static enum status line_print(const struct config_key *k, const void *base, struct buf *out) {
    TRY(buf_printf(out, "%s = ", k->name));
    TRY(config_key_print(k, base, out));
    return buf_printf(out, "\n");
}

static enum status override_print(const struct field_override *f, struct buf *out) {
    TRY(buf_printf(out, "\n[field.%s]\n", f->name));
    for (size_t i = 0; i < config_key_count; i++) {
        if (config_key_overridden(&config_keys[i], f)) {
            TRY(line_print(&config_keys[i], &f->table, out));
        }
    }
    return OK;
}

enum status config_text(const struct config *c, struct buf *out) {
    const char *section = "";
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *k = &config_keys[i];
        if (strcmp(section, k->section) != 0) {
            section = k->section;
            TRY(buf_printf(out, "%s[%s]\n", i > 0 ? "\n" : "", section));
        }
        TRY(line_print(k, config_key_base(k, c), out));
    }
    for (uint32_t f = 0; f < c->field_count; f++) {
        TRY(override_print(&c->field[f], out));
    }
    return OK;
}

/* base_was, base_now: the structs that the key describes. */
static enum status same_value(const struct config_key *k, const char *section, const void *base_was,
                              const void *base_now) {
    struct buf was = BUF_EMPTY, now = BUF_EMPTY;
    enum status status = OK;
    TRY_OUT(config_key_print(k, base_was, &was));
    TRY_OUT(config_key_print(k, base_now, &now));
    if (was.len != now.len || memcmp(was.data, now.data, was.len) != 0) {
        status = fail(ERR_CONFIG, "%s.%s was %.*s and is %.*s now", section, k->name, (int)was.len,
                      (const char *)was.data, (int)now.len, (const char *)now.data);
    }
out:
    buf_fini(&was);
    buf_fini(&now);
    return status;
}

enum status config_same(const struct config *was, const struct config *now,
                        const char *const *keys) {
    for (; *keys != NULL; keys++) {
        char section[CONFIG_SECTION_BYTES];
        const size_t n = strcspn(*keys, ".");
        snprintf(section, sizeof section, "%.*s", (int)n, *keys);
        const struct config_key *k = config_key_find(section, *keys + n + 1);
        assert(k != NULL && !config_key_of_table(k));
        TRY(same_value(k, section, was, now));
    }
    return OK;
}

enum status config_same_table(const struct config *was, const struct config *now, const char *field,
                              const char *const *names) {
    const struct table_config a = config_table(was, field), b = config_table(now, field);
    char section[CONFIG_SECTION_BYTES];
    snprintf(section, sizeof section, "field.%s", field);
    for (; *names != NULL; names++) {
        const struct config_key *k = config_key_find("table", *names);
        assert(k != NULL);
        TRY(same_value(k, section, &a, &b));
    }
    return OK;
}

enum status config_reference(struct buf *out) {
    struct config c;
    config_default(&c);
    TRY(buf_printf(out, "| key | default | range | meaning |\n|---|---|---|---|\n"));
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *k = &config_keys[i];
        TRY(buf_printf(out, "| `%s.%s` | ", k->section, k->name));
        TRY(config_key_print(k, config_key_base(k, &c), out));
        TRY(buf_printf(out, " | "));
        TRY(config_key_range(k, out));
        TRY(buf_printf(out, " | %s |\n", k->help));
    }
    return OK;
}
