/* config_ini.c - reads a configuration from a file. Other files, and --set, may set a key again. */
#include "config_keys.h"
#include "ini_file.h"

static enum status begin_section(void *config, const char *section) {
    (void)config;
    return config_section_check(section);
}

static enum status set_key(void *config, const char *section, const char *key, const char *value) {
    return config_set_in(config, section, key, value);
}

static const struct ini_form config_form = {.begin = begin_section, .set = set_key};

enum status config_parse(struct config *c, const char *name, const char *text) {
    return ini_file_parse(&config_form, c, name, text);
}

enum status config_read(struct config *c, const char *path) {
    return ini_file_read(&config_form, c, path);
}
