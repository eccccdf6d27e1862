/* options.h - describes a sub-command as a table: its options, and the functions that it runs.
 *
 * The table holds everything that concerns one option alone: its name, kind of value, bounds and
 * default, where the value is stored, and its text in --help. The parser of the command line,
 * --help and the tables of options in docs/ (--markdown) all use this table. The command itself
 * checks only conditions between several options.
 *
 * A command line consists of `--name value`, `--name=value` and arguments in any order. All words
 * after `--` are arguments. A name may be shortened if the short form is the beginning of only one
 * name. Values are stored in the order of the command line, but the values of `first` options are
 * stored before all others. A later value replaces an earlier one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/status.h"

/* The kind of an option's value, and the type of the member that stores it. */
enum option_kind {
    OPTION_FLAG,     /* bool; has no value */
    OPTION_TEXT,     /* const char *, points into argv; one of `choices` if the row has them */
    OPTION_CHOICE,   /* an enum, or a bool for two: the index of the value in `choices` */
    OPTION_WHOLE,    /* uint32_t, int or uint64_t from least to most; K, M, G, T: powers of 1000 */
    OPTION_BYTES,    /* the same with powers of 1024 */
    OPTION_REAL,     /* double from low to high */
    OPTION_TEXTS,    /* struct file_list: copies; these three may be given several times */
    OPTION_PATHS,    /* struct file_list: filled by paths_add */
    OPTION_FILES,    /* struct file_list: filled by paths_add_files */
    OPTION_CONFIG,   /* struct config: its key `key`, of which a flag is "true"; no `key`: the value
                      * is SECTION.KEY=VALUE, and may be given often */
    OPTION_OWN,      /* take(line, value) stores it */
    OPTION_REST,     /* char **: this argument and all after it; they are not parsed */
    OPTION_HELP,     /* every command has --help */
    OPTION_MARKDOWN, /* and --markdown, its table for docs/ */
};

struct option_row {
    const char *name;  /* without "--"; for an argument: its name in --help; NULL ends a table */
    const char *value; /* its name in --help; NULL: no value, or the choices */
    enum option_kind kind;
    size_t at, bytes; /* the member: OPTION_AT(struct eval_line, threads) */
    size_t given;     /* offset of a bool that is set if the option was given; 0: none */
    bool argument;    /* it is given by its place, without a name */
    bool required;
    bool often;                 /* an OPTION_OWN that may be given several times */
    bool first;                 /* its value is stored before all others */
    const char *preset;         /* the default, written as on a command line; NULL: zeroes */
    const char *told;           /* text for --help in place of the default */
    uint64_t least, most;       /* most 0: no bound */
    const char *zero;           /* a word that means 0; allowed even if 0 is out of bounds */
    double low, high;           /* bounds of OPTION_REAL */
    const char *const *choices; /* ends with NULL */
    const char *key;            /* of OPTION_CONFIG: "train.epochs" */
    enum status (*take)(void *line, const char *value);
    const char *help; /* at most one sentence, not wrapped; NULL: --help omits the option */
};
#define OPTION_AT(type, member)                                                                    \
    .at = offsetof(type, member), .bytes = sizeof(((type *)NULL)->member)
/* Options that --help shows together, with or without a title. */
struct option_group {
    const char *title;             /* "Times, in a delimited log:" */
    const struct option_row *rows; /* NULL ends the groups */
};

/* A sub-command. Its options are stored in its `line`, a struct that starts zeroed. command_run
 * allocates it, calls init, parses, and calls check, run and fini. */
struct command {
    const char *name;
    const char *summary; /* a line of `esmm --help` */
    const char *usage;   /* the text after the name, one form per line; NULL: made from the table */
    const char *about;   /* not wrapped; each paragraph ends with a newline */
    bool role;           /* it is a role of a job and may end with ROLE_EXIT_LASTING */
    bool alone;          /* a separate program, not a word after `esmm` */
    const struct option_group *groups; /* NULL: it has no options */
    size_t line_bytes;
    void (*init)(void *line);           /* NULL: zeroes are the right start */
    enum status (*check)(void *line);   /* checks conditions between options; NULL: none */
    enum status (*run)(void *line);     /* ERR_CLOSED: ended in order after a stop signal */
    int (*exit_code)(const void *line); /* called if run returned OK; NULL: 0 */
    void (*fini)(void *line);           /* always called at the end; NULL: nothing to free */
};

/* Fills *line, which is zeroed, from argv. argv[0] is the command's name; argv must live as long as
 * *line. *printed: --help or --markdown was given and was written to `out`; then nothing else is
 * checked. ERR_USAGE: an option is unknown, ambiguous, without its value, given twice, out of
 * bounds or missing. Otherwise the statuses of paths_add, config_set, take and check. Call c->fini
 * in any case. */
enum status command_parse(const struct command *c, void *line, int argc, char **argv, FILE *out,
                          bool *printed);
/* Runs the whole command with its own line. *exit_code is changed only if c->exit_code is set. */
enum status command_run(const struct command *c, int argc, char **argv, FILE *out, int *exit_code);
/* Closes `out`. ERR_IO if any printed text was lost: printed text is a result like any other. */
enum status output_end(FILE *out);

/* Returns the k-th row of all groups, then --help and --markdown, then NULL. */
const struct option_row *command_row(const struct command *c, size_t k);
bool option_repeats(const struct option_row *r);
/* options_help.c */
void command_help(const struct command *c, FILE *out);
void command_markdown(const struct command *c, FILE *out);
