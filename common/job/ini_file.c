/* ini_file.c - reads lines with inih, which parses only `key = value` here.
 *
 * Its lines come from next_line() below, because inih alone is too forgiving here: it cuts section
 * names at 49 bytes (a field's name may have 63), splits long lines in two, takes an indented line
 * as a second value of the key before it, says nothing of sections without keys, and gives the
 * number of the first bad line only after all others were read. So next_line() keeps the section
 * and the line number itself, drops comment lines and indentation, refuses long lines, and ends the
 * text at the first error.
 */
#include "ini_file.h"

#include <ini.h>

#include "common/base/bytes.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/kind.h"
#include "common/base/mem.h"

#define FILE_BYTES_MAX ((size_t)1 << 20)
#define SECTION_BYTES  272u /* a quoted name of 127 bytes, each of which may be a doubled quote */
#define SHOWN_BYTES    100  /* of a text that a message repeats */

struct given_key {
    uint64_t section, key; /* hashes */
    int line;
};

struct ini_source {
    const struct ini_form *form;
    void *arg;
    const char *at; /* the next line */
    int line;       /* number of the line given last */
    char section[SECTION_BYTES];
    enum status status;
    struct buf given; /* struct given_key: the keys so far that may come only once */
};

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* --- sections --------------------------------------------------------------------------------- */

/* The end of a quoted name, in which a quote is written twice; `line` if no name is quoted. */
static const char *behind_quotes(const char *line, size_t n) {
    const char *end = line + n, *close = memchr(line, ']', n);
    const char *at = close == NULL ? NULL : memmem(line, (size_t)(close - line), ".\"", 2);
    for (at = at == NULL ? end : at + 2; at < end; at += 2) {
        at = memchr(at, '"', (size_t)(end - at));
        if (at == NULL || at + 1 == end || at[1] != '"') {
            return at == NULL ? line : at;
        }
    }
    return line;
}

/* The first ']' that is followed by nothing but a comment: a name may hold others. */
static const char *section_end(const char *line, size_t n) {
    const char *end = line + n, *at = behind_quotes(line, n);
    while ((at = memchr(at, ']', (size_t)(end - at))) != NULL) {
        const char *rest = at + 1;
        while (rest < end && (*rest == ' ' || *rest == '\t')) {
            rest++;
        }
        if (rest == end || *rest == ';' || *rest == '#') {
            return at;
        }
        at++;
    }
    return NULL;
}

static enum status take_section(struct ini_source *s, const char *line, size_t n) {
    const char *close = section_end(line, n);
    if (close == NULL) {
        return memchr(line, ']', n) == NULL
                   ? fail(ERR_CONFIG, "'%.*s' lacks its ']'", (int)least(n, SHOWN_BYTES), line)
                   : fail(ERR_CONFIG, "nothing but a comment may follow the ']' of a section");
    }
    const size_t length = (size_t)(close - line) - 1;
    if (length >= sizeof s->section) {
        return fail(ERR_CONFIG, "a section's name has %zu bytes, expected at most %zu", length,
                    sizeof s->section - 1);
    }
    memcpy(s->section, line + 1, length);
    s->section[length] = '\0';
    return s->form->begin(s->arg, s->section);
}

/* --- lines ------------------------------------------------------------------------------------ */

/* Replaces fgets for inih; it gives inih an empty line for each line that inih need not see. */
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
    const size_t indent = least(strspn(line, blanks), n);
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
    } else if (n + 3 > (size_t)bytes) { /* room for line end, NUL, and a '\r' that inih reserves */
        s->status = fail(
            ERR_CONFIG, "a line of %zu bytes, expected at most %d%s", n, bytes - 3,
            s->form->is_list == NULL ? "" : "; a list may go on in a second line of the same key");
    }
    if (s->status != OK) {
        return NULL;
    }
    memcpy(out, line, n);
    memcpy(out + n, "\n", 2);
    return out;
}

/* --- keys ------------------------------------------------------------------------------------- */

static enum status note_given(struct ini_source *s, const char *key) {
    const struct given_key *known = (const struct given_key *)(const void *)s->given.data;
    const struct given_key now = {hash_bytes(s->section, strlen(s->section)),
                                  hash_bytes(key, strlen(key)), s->line};
    if (s->form->is_list != NULL && s->form->is_list(s->section, key)) {
        return OK;
    }
    for (size_t k = 0; k < s->given.len / sizeof now; k++) {
        if (known[k].section == now.section && known[k].key == now.key) {
            return fail(ERR_CONFIG, "%s.%.80s is given twice in this file: first in line %d",
                        s->section, key, known[k].line);
        }
    }
    return buf_put(&s->given, &now, sizeof now);
}

/* `section` is always "", since inih sees no section line. */
static int on_pair(void *user, const char *section, const char *key, const char *value) {
    struct ini_source *s = user;
    (void)section;
    if (s->status == OK) {
        s->status = note_given(s, key);
    }
    if (s->status == OK) {
        s->status = s->form->set(s->arg, s->section, key, value);
    }
    return s->status == OK;
}

/* --- whole ------------------------------------------------------------------------------------ */

enum status ini_file_parse(const struct ini_form *form, void *arg, const char *name,
                           const char *text) {
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    struct ini_source s = {.form = form, .arg = arg, .at = text};
    if (strncmp(text, byte_order_mark, 3) == 0) {
        s.at += 3;
    }
    const int malformed = ini_parse_stream(next_line, &s, on_pair, &s);
    buf_fini(&s.given);
    if (malformed > 0 && (s.status == OK || malformed < s.line)) {
        return fail(ERR_CONFIG, "%s:%d: expected key = value, [section], or a comment", name,
                    malformed);
    }
    if (s.status != OK) {
        return fail(s.status, "%s:%d: %s", name, s.line, fail_text());
    }
    return malformed == 0 ? OK : fail(ERR_MEMORY, "%s: no memory for a line", name);
}

enum status ini_file_read(const struct ini_form *form, void *arg, const char *path) {
    char *text = NULL;
    size_t bytes = 0;
    TRY(file_read_all(path, FILE_BYTES_MAX, &text, &bytes));
    enum status status = kind_expect_text(path, text, bytes);
    if (status == OK) {
        status = strlen(text) == bytes
                     ? ini_file_parse(form, arg, path, text)
                     : fail(ERR_CONFIG, "%s: a zero byte at offset %zu, expected text", path,
                            strlen(text));
    }
    mem_free(&text);
    return status;
}
