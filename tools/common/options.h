/* options.h - a sub-command as a table: its options, and what it does when they are read.
 *
 * The table says everything that holds for one option alone: name, kind of value, bounds, default,
 * where the value goes, what --help says of it. From it the command line is parsed, --help is
 * written, and so are the tables of options in docs/ (--markdown). A command itself checks only
 * what holds between options.
 *
 * A command line is `--name value`, `--name=value`, arguments between them, and `--`, after which
 * all are arguments. A name may be shortened as long as it is the beginning of one option only.
 * Values are taken in the order of the command line, but those of `first` options before all
 * others: a later value lies over an earlier one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/status.h"

/* What an option's value is, and the type of the member that it is stored in. */
enum option_kind {
    OPTION_FLAG,     /* bool; has no value */
    OPTION_TEXT,     /* const char *, into argv; one of `choices`, if the row has any */
    OPTION_CHOICE,   /* an enum, or a bool for two: the place of the value in `choices` */
    OPTION_WHOLE,    /* uint32_t, int or uint64_t from least to most; K, M, G, T: powers of 1000 */
    OPTION_BYTES,    /* the same with powers of 1024 */
    OPTION_REAL,     /* double from low to high */
    OPTION_TEXTS,    /* struct file_list: copies; may be given often, as the next two */
    OPTION_PATHS,    /* struct file_list: what paths_add makes of it */
    OPTION_FILES,    /* struct file_list: what paths_add_files makes of it */
    OPTION_CONFIG,   /* struct config: its key `key`, of which a flag is "true"; no `key`: the value
                      * is SECTION.KEY=VALUE, and may be given often */
    OPTION_OWN,      /* whatever take(line, value) makes of it */
    OPTION_REST,     /* char **: this argument and all after it, which are not looked at */
    OPTION_HELP,     /* the two that every command has: its --help, */
    OPTION_MARKDOWN, /* and its table for docs/ */
};

struct option_row {
    const char *name;  /* without "--"; of an argument what --help calls it; NULL ends a table */
    const char *value; /* what --help calls the value; NULL: none, or the choices */
    enum option_kind kind;
    size_t at, bytes; /* the member: OPTION_AT(struct eval_line, threads) */
    size_t given;     /* offset of a bool that says whether it was given; 0: there is none */
    bool argument;    /* it has no name on the command line, but a place */
    bool required;
    bool often;                 /* an OPTION_OWN that may be given more than once */
    bool first;                 /* its value is taken before all others */
    const char *preset;         /* the default, written as on a command line; NULL: zeroes */
    const char *told;           /* what --help says of the default instead */
    uint64_t least, most;       /* most 0: no bound */
    const char *zero;           /* a word for 0, allowed beside the bounds */
    double low, high;           /* of OPTION_REAL */
    const char *const *choices; /* up to a NULL */
    const char *key;            /* of OPTION_CONFIG: "train.epochs" */
    enum status (*take)(void *line, const char *value);
    const char *help; /* one sentence or a part of one, unwrapped; NULL: --help is silent of it */
};
#define OPTION_AT(type, member)                                                                    \
    .at = offsetof(type, member), .bytes = sizeof(((type *)NULL)->member)
/* Options that --help shows together, under a title or none. */
struct option_group {
    const char *title;             /* "Times, in a delimited log:" */
    const struct option_row *rows; /* NULL ends the groups */
};

/* A sub-command. What it is asked for is its `line`, a struct of its own that begins zeroed; main
 * allocates it, calls init, parses, and calls check, run and fini. */
struct command {
    const char *name;
    const char *summary; /* a line of `esmm --help` */
    const char *usage;   /* what comes after the name, one per line; NULL: from the table */
    const char *about;   /* unwrapped; paragraphs end with newlines */
    bool role;           /* of a job: it may end with ROLE_EXIT_LASTING */
    bool alone;          /* a program of its own, not a word after `esmm` */
    const struct option_group *groups; /* NULL: it has no options */
    size_t line_bytes;
    void (*init)(void *line);           /* NULL: zeroes are right */
    enum status (*check)(void *line);   /* what holds between options; NULL: nothing */
    enum status (*run)(void *line);     /* ERR_CLOSED after a stop signal: an orderly end */
    int (*exit_code)(const void *line); /* after run was OK; NULL: 0 */
    void (*fini)(void *line);           /* after whatever happened; NULL: nothing to free */
};

/* Fills *line, which is zeroed, from argv (argv[0] is the command's name), which must live as long.
 * *printed: --help or --markdown was there, and was written to `out`; then nothing else is checked.
 * ERR_USAGE: unknown, ambiguous, without its value, given twice, out of bounds, missing. Else what
 * paths_add, config_set, take and check give. c->fini in any case. */
enum status command_parse(const struct command *c, void *line, int argc, char **argv, FILE *out,
                          bool *printed);
/* The whole command with a line of its own. *exit_code is untouched unless it has one. */
enum status command_run(const struct command *c, int argc, char **argv, FILE *out, int *exit_code);
/* What was printed is a result like any other: closes `out`; ERR_IO if anything of it was lost. */
enum status output_end(FILE *out);

/* The k-th row of all groups, then --help and --markdown, then NULL. */
const struct option_row *command_row(const struct command *c, size_t k);
bool option_repeats(const struct option_row *r);
/* options_help.c */
void command_help(const struct command *c, FILE *out);
void command_markdown(const struct command *c, FILE *out);
