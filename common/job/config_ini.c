/* config_ini.c - a configuration from a file.
 *
 * Files are INI, read with inih, of which only `key = value` lines are asked. Its lines come from
 * next_line() below, because inih alone is too forgiving here: it cuts section names at 49 bytes (a
 * field's name may have 63), splits long lines in two, takes an indented line as a second value
 * of the key before it, says nothing of sections without keys, and gives the number of the first
 * bad line only after all others were read. So next_line() keeps the section and the line number
 * itself, drops comment lines and indentation, refuses long lines, and ends the text at the first
 * error.
 */
#include <ini.h>
#include <stdio.h>

#include "config_keys.h"
#include "common/base/file.h"
#include "given.h"
#include "common/base/kind.h"
#include "common/base/mem.h"

#define CONFIG_BYTES_MAX ((size_t)1 << 20)
#define NAME_BYTES_MAX   100 /* of what a message repeats */

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

struct ini_source {
    struct config *config;
    const char *at; /* the next line */
    int line;       /* number of the line given last */
    char section[CONFIG_SECTION_BYTES];
    enum status status;
    struct given given;
};

static enum status take_section(struct ini_source *s, const char *line, size_t n) {
    const char *close = memchr(line, ']', n);
    size_t length = close == NULL ? 0 : (size_t)(close - line) - 1;
    if (close == NULL) {
        return fail(ERR_CONFIG, "'%.*s' lacks its ']'", (int)least(n, NAME_BYTES_MAX), line);
    }
    if (length >= sizeof s->section) {
        return fail(ERR_CONFIG, "a section's name has %zu bytes, expected at most %zu", length,
                    sizeof s->section - 1);
    }
    const char *rest = close + 1;
    while (rest < line + n && (*rest == ' ' || *rest == '\t')) {
        rest++;
    }
    if (rest < line + n && *rest != ';' && *rest != '#') {
        return fail(ERR_CONFIG, "nothing but a comment may follow the ']' of a section");
    }
    memcpy(s->section, line + 1, length);
    s->section[length] = '\0';
    return config_section_check(s->section);
}

/* fgets for inih; lines that are none of its business reach it empty. */
static char *next_line(char *out, int bytes, void *stream) {
    static const char blanks[] = " \t\r\f\v";
    struct ini_source *s = stream;
    if (s->status != OK || *s->at == '\0') {
        return NULL;
    }
    const char *line = s->at;
    size_t n = strcspn(line, "\n");
    s->at += n + (line[n] == '\n');
    s->line++;
    size_t indent = least(strspn(line, blanks), n);
    line += indent;
    n -= indent;
    while (n > 0 && strchr(blanks, line[n - 1]) != NULL) {
        n--;
    }
    if (n > 0 && line[0] == '[') {
        s->status = take_section(s, line, n);
        n = 0;
    } else if (n > 0 && (line[0] == ';' || line[0] == '#')) {
        n = 0;
    } else if (n + 3 > (size_t)bytes) { /* line end, NUL, and what inih reserves for a '\r' */
        s->status = fail(ERR_CONFIG, "a line of %zu bytes, expected at most %d", n, bytes - 3);
    }
    if (s->status != OK) {
        return NULL;
    }
    memcpy(out, line, n);
    memcpy(out + n, "\n", 2);
    return out;
}

/* A key that was set: not for the second time in one file. Other files, and --set, may set it
 * again. */
static enum status give(struct ini_source *s, const char *name) {
    int before = 0;
    TRY(given_note(&s->given, s->section, name, s->line, &before));
    return before == 0 ? OK
                       : fail(ERR_CONFIG, "%s.%s is given twice in this file: first in line %d",
                              s->section, name, before);
}

/* inih's own idea of the section is always "": no section line reaches it. */
static int on_pair(void *user, const char *section, const char *name, const char *value) {
    struct ini_source *s = user;
    (void)section;
    if (s->status == OK) {
        s->status = config_set_in(s->config, s->section, name, value);
    }
    if (s->status == OK) {
        s->status = give(s, name);
    }
    return s->status == OK;
}

enum status config_parse(struct config *c, const char *name, const char *text) {
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    struct ini_source s = {.config = c, .at = text};
    if (strncmp(text, byte_order_mark, 3) == 0) {
        s.at += 3;
    }
    int malformed = ini_parse_stream(next_line, &s, on_pair, &s);
    given_fini(&s.given);
    if (malformed > 0 && (s.status == OK || malformed < s.line)) {
        return fail(ERR_CONFIG, "%s:%d: expected key = value, [section], or a comment", name,
                    malformed);
    }
    if (s.status != OK) {
        char why[900];
        snprintf(why, sizeof why, "%s", fail_text());
        return fail(s.status, "%s:%d: %s", name, s.line, why);
    }
    return malformed == 0 ? OK : fail(ERR_MEMORY, "%s: no memory for a line", name);
}

enum status config_read(struct config *c, const char *path) {
    char *text = NULL;
    size_t bytes = 0;
    TRY(file_read_all(path, CONFIG_BYTES_MAX, &text, &bytes));
    enum status status = kind_expect_text(path, text, bytes);
    if (status == OK) {
        status = strlen(text) == bytes ? config_parse(c, path, text)
                                       : fail(ERR_CONFIG,
                                              "%s: a zero byte at offset %zu, expected "
                                              "text",
                                              path, strlen(text));
    }
    mem_free(&text);
    return status;
}
