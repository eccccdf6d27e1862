#include "options.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/nearest.h"
#include "common/base/number.h"
#include "common/job/config.h"
#include "paths.h"

#define NAME_BYTES 64u /* of an option's name in messages */

/* --- the table -------------------------------------------------------------------------------- */

const struct option_row *command_row(const struct command *c, size_t k) {
    static const struct option_row everywhere[] = {{.name = "help", .kind = OPTION_HELP},
                                                   {.name = "markdown", .kind = OPTION_MARKDOWN}};
    for (const struct option_group *g = c->groups; g != NULL && g->rows != NULL; g++) {
        for (const struct option_row *r = g->rows; r->name != NULL; r++, k--) {
            if (k == 0) {
                return r;
            }
        }
    }
    return k < sizeof everywhere / sizeof *everywhere ? &everywhere[k] : NULL;
}

bool option_repeats(const struct option_row *r) {
    return r->often || r->kind == OPTION_TEXTS || r->kind == OPTION_PATHS ||
           r->kind == OPTION_FILES || (r->kind == OPTION_CONFIG && r->key == NULL);
}

static bool takes_value(const struct option_row *r) {
    return r->value != NULL || r->choices != NULL;
}

/* --- one value -------------------------------------------------------------------------------- */

static enum status store_choice(const struct option_row *r, const char *value, void *to) {
    char expected[512] = "";
    size_t n = 0;
    for (uint32_t k = 0; r->choices[k] != NULL; k++) {
        if (strcmp(r->choices[k], value) != 0) {
            const char *joint = k == 0 ? "" : r->choices[k + 1] == NULL ? " or " : ", ";
            n += (size_t)snprintf(expected + n, sizeof expected - n, "%s%s", joint, r->choices[k]);
            assert(n < sizeof expected);
        } else if (r->kind == OPTION_TEXT) {
            *(const char **)to = value;
            return OK;
        } else {
            const bool second = k == 1;
            assert(r->bytes == sizeof k || (r->bytes == sizeof second && k < 2));
            memcpy(to, r->bytes == sizeof k ? (const void *)&k : &second, r->bytes);
            return OK;
        }
    }
    return fail(ERR_USAGE, "--%s is '%s', expected %s", r->name, value, expected);
}

static enum status store_whole(const struct option_row *r, const char *value, void *to) {
    const bool bytes = r->kind == OPTION_BYTES, zero = r->zero != NULL;
    const uint64_t most = r->most != 0 ? r->most : UINT64_MAX;
    uint64_t v = 0;
    if (!(zero && strcmp(value, r->zero) == 0) &&
        (number_parse(value, bytes ? NUMBER_BYTES : NUMBER_COUNT, &v) != NUMBER_GOOD ||
         v < r->least || v > most)) {
        return fail(ERR_USAGE, "--%s is '%s', expected %s%sa number%s from %llu to %llu", r->name,
                    value, zero ? r->zero : "", zero ? " or " : "", bytes ? " of bytes" : "",
                    (unsigned long long)r->least, (unsigned long long)most);
    }
    const uint32_t small = (uint32_t)v;
    assert(r->bytes == sizeof v || (r->bytes == sizeof small && most <= UINT32_MAX));
    memcpy(to, r->bytes == sizeof v ? (const void *)&v : &small, r->bytes);
    return OK;
}

static enum status store_real(const struct option_row *r, const char *value, double *to) {
    char *end = NULL;
    const double v = strtod(value, &end);
    if (end == value || *end != '\0' || !(v >= r->low && v <= r->high)) {
        return fail(ERR_USAGE, "--%s is '%s', expected a number from %g to %g", r->name, value,
                    r->low, r->high);
    }
    *to = v;
    return OK;
}

static enum status store_config(const struct option_row *r, const char *value, struct config *to) {
    char assignment[256];
    if (r->key == NULL) {
        return config_set(to, value);
    }
    snprintf(assignment, sizeof assignment, "%s=%s", r->key, value != NULL ? value : "true");
    const enum status status = config_set(to, assignment);
    return status == OK ? OK : fail(status, "--%s: %s", r->name, fail_text());
}

static enum status option_store(const struct option_row *r, const char *value, void *line) {
    void *to = (char *)line + r->at;
    switch (r->kind) {
    case OPTION_FLAG: *(bool *)to = true; return OK;
    case OPTION_TEXT:
        assert(r->bytes == sizeof value);
        if (r->choices != NULL) {
            return store_choice(r, value, to);
        }
        *(const char **)to = value;
        return OK;
    case OPTION_CHOICE: return store_choice(r, value, to);
    case OPTION_WHOLE:
    case OPTION_BYTES: return store_whole(r, value, to);
    case OPTION_REAL: return store_real(r, value, to);
    case OPTION_TEXTS: return file_list_add(to, value);
    case OPTION_PATHS: return paths_add(to, value);
    case OPTION_FILES: return paths_add_files(to, value);
    case OPTION_CONFIG: return store_config(r, value, to);
    case OPTION_OWN: return r->take(line, value);
    default: return OK;
    }
}

/* --- the words of a command line -------------------------------------------------------------- */

struct given {
    const struct option_row *row;
    const char *value; /* NULL for a flag */
    char **word;       /* its place in argv */
};
struct words {
    const struct command *command;
    struct given *given; /* [argc] */
    size_t count, arguments;
    const struct option_row *print; /* --help or --markdown; it ends the reading */
};

static enum status option_unknown(const char *name, const struct nearest *n) {
    return n->distance > 1 + strlen(name) / 2 /* no similar name exists */
               ? fail(ERR_USAGE, "unknown option '--%s'; see --help", name)
               : fail(ERR_USAGE, "unknown option '--%s'; the nearest is --%s; see --help", name,
                      n->name);
}

/* Finds the option with this name, or the only option whose name begins with it. */
static enum status option_find(const struct command *c, const char *word, size_t length,
                               const struct option_row **out) {
    const struct option_row *r, *other = NULL;
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%.*s", (int)length, word);
    struct nearest n = nearest_of(name);
    *out = NULL;
    for (size_t k = 0; (r = command_row(c, k)) != NULL; k++) {
        const bool begins = !r->argument && strncmp(r->name, word, length) == 0;
        if (begins && r->name[length] == '\0') {
            *out = r;
            return OK;
        }
        if (begins && r->kind != OPTION_MARKDOWN) {
            other = *out;
            *out = r;
        }
        if (!r->argument) {
            nearest_try(&n, r->name);
        }
    }
    if (other != NULL) {
        return fail(ERR_USAGE, "option '--%s' is short for --%s and for --%s; see --help", name,
                    other->name, (*out)->name);
    }
    return *out != NULL ? OK : option_unknown(name, &n);
}

/* Reads the option at argv[*i]. If the next word is its value, *i moves on to it. */
static enum status option_read(const struct command *c, int argc, char **argv, int *i,
                               struct given *g) {
    if (argv[*i][1] != '-') {
        return fail(ERR_USAGE, "unknown option '%s': options begin with --; see --help", argv[*i]);
    }
    const char *word = argv[*i] + 2;
    const char *equals = strchr(word, '=');
    TRY(option_find(c, word, strcspn(word, "="), &g->row));
    if (equals != NULL) {
        g->value = equals + 1;
        return takes_value(g->row) ? OK
                                   : fail(ERR_USAGE, "--%s takes no value, but is given '%s'",
                                          g->row->name, g->value);
    }
    if (takes_value(g->row)) {
        if (*i + 1 == argc) {
            return fail(ERR_USAGE, "missing value of option '--%s'; see --help", g->row->name);
        }
        g->value = argv[++*i];
    }
    return OK;
}

static enum status argument_find(const struct words *w, const char *word,
                                 const struct option_row **out) {
    size_t place = 0;
    for (size_t k = 0; (*out = command_row(w->command, k)) != NULL; k++) {
        if ((*out)->argument && place++ == w->arguments) {
            return OK;
        }
    }
    return fail(ERR_USAGE, "unexpected argument '%s'; see --help", word);
}

/* Refuses an option that is given twice: otherwise the second value would win without a message. */
static enum status refuse_second(const struct words *w, const struct given *second) {
    for (size_t k = 0; k < w->count; k++) {
        const struct given *g = &w->given[k];
        if (g->row == second->row && !option_repeats(g->row)) {
            return g->value == NULL
                       ? fail(ERR_USAGE, "--%s is given twice", g->row->name)
                       : fail(ERR_USAGE, "--%s is given twice: '%.100s', then '%.100s'",
                              g->row->name, g->value, second->value);
        }
    }
    return OK;
}

static enum status words_read(struct words *w, int argc, char **argv) {
    bool options = true; /* false after "--" */
    for (int i = 1; i < argc; i++) {
        struct given *g = &w->given[w->count];
        g->word = &argv[i];
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
            continue;
        }
        if (options && argv[i][0] == '-' && argv[i][1] != '\0') {
            TRY(option_read(w->command, argc, argv, &i, g));
        } else {
            TRY(argument_find(w, argv[i], &g->row));
            g->value = argv[i];
            w->arguments++;
        }
        if (g->row->kind == OPTION_HELP || g->row->kind == OPTION_MARKDOWN) {
            w->print = g->row;
            return OK;
        }
        TRY(refuse_second(w, g));
        w->count++;
        if (g->row->kind == OPTION_REST) {
            return OK;
        }
    }
    return OK;
}

/* --- the whole -------------------------------------------------------------------------------- */

static enum status words_store(const struct words *w, void *line, bool first) {
    for (size_t k = 0; k < w->count; k++) {
        const struct given *g = &w->given[k];
        if (g->row->first != first) {
            continue;
        }
        TRY(option_store(g->row, g->value, line));
        if (g->row->given != 0) {
            *(bool *)((char *)line + g->row->given) = true;
        }
        if (g->row->kind == OPTION_REST) {
            *(char ***)((char *)line + g->row->at) = g->word;
        }
    }
    return OK;
}

static enum status store_presets(const struct command *c, void *line) {
    const struct option_row *r;
    for (size_t k = 0; (r = command_row(c, k)) != NULL; k++) {
        TRY(r->preset != NULL ? option_store(r, r->preset, line) : OK);
    }
    return OK;
}

static enum status words_complete(const struct words *w) {
    const struct option_row *r;
    for (size_t k = 0; (r = command_row(w->command, k)) != NULL; k++) {
        bool there = !r->required;
        for (size_t i = 0; i < w->count; i++) {
            there |= w->given[i].row == r;
        }
        if (!there) {
            return fail(ERR_USAGE, "%s%s is missing: %.*s; see --help", r->argument ? "" : "--",
                        r->name, (int)strcspn(r->help, ";"), r->help);
        }
    }
    return OK;
}

enum status command_parse(const struct command *c, void *line, int argc, char **argv, FILE *out,
                          bool *printed) {
    struct words w = {.command = c};
    enum status status = OK;
    *printed = false;
    if (c->init != NULL) {
        c->init(line);
    }
    TRY_OUT(mem_array(&w.given, (size_t)argc));
    TRY_OUT(words_read(&w, argc, argv));
    if (w.print != NULL) {
        (w.print->kind == OPTION_HELP ? command_help : command_markdown)(c, out);
        *printed = true;
        goto out;
    }
    TRY_OUT(store_presets(c, line));
    TRY_OUT(words_store(&w, line, true));
    TRY_OUT(words_store(&w, line, false));
    TRY_OUT(words_complete(&w));
    status = c->check != NULL ? c->check(line) : OK;
out:
    mem_free(&w.given);
    return status;
}

enum status command_run(const struct command *c, int argc, char **argv, FILE *out, int *exit_code) {
    char *line = NULL;
    bool printed = false;
    TRY(mem_array(&line, c->line_bytes));
    enum status status = command_parse(c, line, argc, argv, out, &printed);
    if (status == OK && !printed) {
        status = c->run(line);
        if (status == OK && c->exit_code != NULL) {
            *exit_code = c->exit_code(line);
        }
    }
    if (c->fini != NULL) {
        c->fini(line);
    }
    mem_free(&line);
    return status;
}

enum status output_end(FILE *out) {
    const bool lost = ferror(out) != 0;
    errno = 0;
    if (fclose(out) == 0 && !lost) {
        return OK;
    }
    return fail(ERR_IO, "cannot write to standard output%s%s", errno != 0 ? ": " : "",
                errno != 0 ? strerror(errno) : "");
}
