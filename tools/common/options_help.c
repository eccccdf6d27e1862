/* options_help.c - writes the description of a command: --help for a terminal, --markdown for
 * docs/. */
#include <string.h>

#include "options.h"

#define LINE_BYTES  100
#define HELP_COLUMN 26u
#define LABEL_BYTES 256u
#define HELP_BYTES  2048u

/* "--servers N", "--by norm|count", "DIR". */
static void label_of(const struct option_row *r, char label[LABEL_BYTES]) {
    size_t n = (size_t)snprintf(label, LABEL_BYTES, "%s%s", r->argument ? "" : "--", r->name);
    if (r->value != NULL && !r->argument) {
        snprintf(label + n, LABEL_BYTES - n, " %s", r->value);
    }
    for (size_t k = 0; r->value == NULL && r->choices != NULL && r->choices[k] != NULL; k++) {
        n +=
            (size_t)snprintf(label + n, LABEL_BYTES - n, "%s%s", k == 0 ? " " : "|", r->choices[k]);
    }
}

static const char *default_of(const struct option_row *r) {
    return r->told != NULL ? r->told : r->preset != NULL ? r->preset : "";
}

static void meaning_of(const struct option_row *r, char meaning[HELP_BYTES]) {
    const char *often = r->kind == OPTION_PATHS   ? "; given often, or a pattern: all of them"
                        : r->kind == OPTION_FILES ? "; a directory, a pattern, or given often: all "
                                                    "these files, in bytewise order, are one log"
                        : option_repeats(r)       ? "; may be given often"
                                                  : "";
    snprintf(meaning, HELP_BYTES, "%s%s", r->help, often);
}

/* --- for a terminal --------------------------------------------------------------------------- */

/* Prints words in lines of at most LINE_BYTES. Each line begins at column `indent`; the first
 * `column` columns of the first line are already used. Line breaks of the text are kept. */
static void print_wrapped(const char *text, size_t column, size_t indent, FILE *out) {
    column += (size_t)fprintf(out, "%*s", column < indent ? (int)(indent - column) : 0, "");
    while (*text != '\0') {
        const size_t word = strcspn(text, " \n");
        const size_t blank = column > indent;
        if (blank && column + 1 + word > LINE_BYTES) {
            fprintf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (blank) {
            column += (size_t)fprintf(out, " ");
        }
        column += (size_t)fprintf(out, "%.*s", (int)word, text);
        text += word;
        for (; *text == ' ' || *text == '\n'; text++) {
            if (*text == '\n') {
                fprintf(out, "\n%*s", (int)indent, "");
                column = indent;
            }
        }
    }
    fputc('\n', out);
}

static void print_row(const struct option_row *r, FILE *out) {
    char label[LABEL_BYTES], meaning[HELP_BYTES];
    label_of(r, label);
    meaning_of(r, meaning);
    const size_t n = strlen(meaning);
    if (default_of(r)[0] != '\0') {
        snprintf(meaning + n, sizeof meaning - n, " (%s)", default_of(r));
    }
    size_t column = (size_t)fprintf(out, "  %s", label);
    if (column + 2 > HELP_COLUMN) {
        fputc('\n', out);
        column = 0;
    }
    print_wrapped(meaning, column, HELP_COLUMN, out);
}

/* Prints the usage from the table: required options, [options], then the arguments. */
static void print_usage(const struct command *c, FILE *out) {
    const struct option_row *r, *rest = NULL;
    char label[LABEL_BYTES];
    bool more = false;
    fprintf(out, "usage: %s%s", c->alone ? "" : "esmm ", c->name);
    for (size_t k = 0; (r = command_row(c, k)) != NULL; k++) {
        rest = r->kind == OPTION_REST ? r : rest;
        more |= !r->required && r->help != NULL;
        if (r->required && r->kind != OPTION_REST) {
            label_of(r, label);
            fprintf(out, " %s", label);
        }
    }
    fprintf(out, "%s", more ? " [options]" : "");
    fprintf(out, rest != NULL ? " %s\n" : "\n", rest != NULL ? rest->value : "");
}

void command_help(const struct command *c, FILE *out) {
    if (c->usage == NULL) {
        print_usage(c, out);
    }
    for (const char *line = c->usage; line != NULL && *line != '\0';) {
        const size_t n = strcspn(line, "\n");
        fprintf(out, "%s esmm %s %.*s\n", line == c->usage ? "usage:" : "      ", c->name, (int)n,
                line);
        line += n + (line[n] != '\0');
    }
    fputc('\n', out);
    print_wrapped(c->about, 0, 0, out);
    for (const struct option_group *g = c->groups; g != NULL && g->rows != NULL; g++) {
        if (g == c->groups || g->title != NULL) {
            fputc('\n', out);
        }
        if (g->title != NULL) {
            print_wrapped(g->title, 0, 0, out);
        }
        for (const struct option_row *r = g->rows; r->name != NULL; r++) {
            if (r->help != NULL) {
                print_row(r, out);
            }
        }
    }
}

/* --- for docs/ -------------------------------------------------------------------------------- */

/* Prints the text of a cell. A path like docs/train.md becomes a link relative to docs/. */
static void print_cell(const char *text, FILE *out) {
    while (*text != '\0') {
        const size_t page =
            strspn(text + 5 * (strncmp(text, "docs/", 5) == 0), "abcdefghijklmnopqrstuvwxyz-");
        if (strncmp(text, "docs/", 5) == 0 && strncmp(text + 5 + page, ".md", 3) == 0) {
            fprintf(out, "[%.*s.md](%.*s.md)", (int)page, text + 5, (int)page, text + 5);
            text += 5 + page + 3;
        } else {
            fprintf(out, *text == '|' ? "\\%c" : "%c", *text);
            text++;
        }
    }
}

static void print_table_row(const struct option_row *r, FILE *out) {
    char label[LABEL_BYTES], meaning[HELP_BYTES];
    label_of(r, label);
    meaning_of(r, meaning);
    fprintf(out, "| `");
    print_cell(label, out);
    fprintf(out, "` | ");
    print_cell(r->required ? "required" : default_of(r), out);
    fprintf(out, " | ");
    print_cell(meaning, out);
    fprintf(out, " |\n");
}

void command_markdown(const struct command *c, FILE *out) {
    for (const struct option_group *g = c->groups; g != NULL && g->rows != NULL; g++) {
        if (g->title != NULL) {
            fputs(g == c->groups ? "" : "\n", out);
            print_cell(g->title, out);
            fputs("\n\n", out);
        }
        if (g->title != NULL || g == c->groups) {
            fprintf(out, "| option | default | meaning |\n|---|---|---|\n");
        }
        for (const struct option_row *r = g->rows; r->name != NULL; r++) {
            if (r->help != NULL) {
                print_table_row(r, out);
            }
        }
    }
}
