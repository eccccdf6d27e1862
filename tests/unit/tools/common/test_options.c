/* Unit tests of tools/common/options.h: what a table of options makes of a command line, and of
 * --help; and that every sub-command has a table that can be true. */
#include "tools/common/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/job/config.h"
#include "tools/common/tools.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* --- a command with every kind of option ------------------------------------------------------ */

enum fruit { APPLE, PEAR, PLUM };
static const char *const fruits[] = {"apple", "pear", "plum", NULL};
static const char *const yes_no[] = {"yes", "no", NULL};

struct line {
    bool quick, window_given, inited;
    const char *text, *answer, *own, *first;
    enum fruit fruit;
    uint32_t small;
    int fd;
    uint64_t whole, bytes, window;
    double real;
    struct file_list texts, paths, files;
    struct config config;
    char **rest;
    unsigned owns;
};

static enum status take_own(void *line, const char *value) {
    struct line *l = line;
    l->own = value;
    l->owns++;
    return strcmp(value, "bad") == 0 ? (fail)(ERR_USAGE, "--own is bad") : OK;
}

/* A preset that lies over all numbers: `first`, so that numbers lie over it. */
static enum status take_first(void *line, const char *value) {
    struct line *l = line;
    l->first = value;
    l->real = 0.75;
    return OK;
}

#define CONFIG(name) .kind = OPTION_CONFIG, .at = offsetof(struct line, config), .key = name
static const struct option_row rows[] = {
    {"quick", NULL, OPTION_FLAG, OPTION_AT(struct line, quick), .help = "be quick"},
    {"text", "T", OPTION_TEXT, OPTION_AT(struct line, text), .preset = "none", .help = "a text"},
    {"answer", NULL, OPTION_TEXT, OPTION_AT(struct line, answer), .choices = yes_no, .help = "one"},
    {"fruit", NULL, OPTION_CHOICE, OPTION_AT(struct line, fruit), .choices = fruits,
     .preset = "pear", .help = "an enum"},
    {"small", "N", OPTION_WHOLE, OPTION_AT(struct line, small), .required = true, .most = 100,
     .help = "a uint32_t"},
    {"fd", "N", OPTION_WHOLE, OPTION_AT(struct line, fd), .most = 1000, .help = "an int"},
    {"whole", "N", OPTION_WHOLE, OPTION_AT(struct line, whole), .least = 40, .zero = "off",
     .preset = "1K", .help = "a uint64_t"},
    {"bytes", "BYTES", OPTION_BYTES, OPTION_AT(struct line, bytes), .least = 1, .help = "bytes"},
    {"window", "N", OPTION_WHOLE, OPTION_AT(struct line, window),
     .given = offsetof(struct line, window_given), .preset = "7", .told = "seven", .help = "given"},
    {NULL}};
static const struct option_row more_rows[] = {
    {"real", "X", OPTION_REAL, OPTION_AT(struct line, real), .low = -1, .high = 1, .preset = "0.5",
     .help = "a double"},
    {"texts", "T", OPTION_TEXTS, OPTION_AT(struct line, texts), .help = "many"},
    {"paths", "DIR", OPTION_PATHS, OPTION_AT(struct line, paths), .help = "see docs/train.md"},
    {"files", "FILE", OPTION_FILES, OPTION_AT(struct line, files), .help = "a|b"},
    {"set", "SECTION.KEY=V", CONFIG(NULL), .help = "a key"},
    {"batch", "N", CONFIG("train.batch"), .help = "one key"},
    {"deterministic", NULL, CONFIG("train.deterministic"), .help = "a switch"},
    {"own", "O", OPTION_OWN, .take = take_own, .often = true,
     .help =
         "a help that is much longer than what there is room for in one line, so that it goes on "
         "in the next one, and there ends"},
    {"first", "P", OPTION_OWN, .take = take_first, .first = true, .help = "before --real"},
    {"hidden", NULL, OPTION_FLAG, OPTION_AT(struct line, quick)},
    {"rest", "WHAT [its words]", OPTION_REST, OPTION_AT(struct line, rest), .argument = true,
     .help = "what is not looked at"},
    {NULL}};

static void line_init(void *line) {
    struct line *l = line;
    l->inited = true;
    config_default(&l->config);
}

static enum status line_check(void *line) {
    const struct line *l = line;
    return l->small == 13 ? (fail)(ERR_CONFIG, "--small 13 is unlucky") : OK;
}

static void line_fini(void *line) {
    struct line *l = line;
    file_list_free(&l->texts);
    file_list_free(&l->paths);
    file_list_free(&l->files);
}

static enum status line_run(void *line) {
    const struct line *l = line;
    return l->small == 14 ? (fail)(ERR_IO, "--small 14 does not run") : OK;
}

static int line_exit_code(const void *line) {
    return (int)((const struct line *)line)->small;
}

static const struct command command = {
    .name = "fruit",
    .summary = "a command of this test",
    .about = "Does nothing.",
    .groups = (const struct option_group[]){{NULL, rows}, {"More:", more_rows}, {0}},
    .line_bytes = sizeof(struct line),
    .init = line_init,
    .check = line_check,
    .run = line_run,
    .exit_code = line_exit_code,
    .fini = line_fini};

#define WORDS_MAX 32

/* The words of a command line, split at blanks; argv[0] is the first. */
static int split(char *text, char **argv) {
    int argc = 0;
    for (char *at = strtok(text, " "); at != NULL; at = strtok(NULL, " ")) {
        assert_in_range(argc, 0, WORDS_MAX - 2);
        argv[argc++] = at;
    }
    argv[argc] = NULL;
    return argc;
}

static char words[512], *argv_of[WORDS_MAX];
static struct line line; /* the newest one; it points into the words */

static enum status read_line(const char *text) {
    bool printed;
    snprintf(words, sizeof words, "fruit %s", text);
    line_fini(&line);
    line = (struct line){0};
    const int argc = split(words, argv_of);
    const enum status status = command_parse(&command, &line, argc, argv_of, stderr, &printed);
    assert_false(printed);
    return status;
}

static void good(const char *text) {
    if (read_line(text) != OK) {
        fail_msg("%s: %s", text, fail_text());
    }
}

static void bad(const char *text, const char *why) {
    if (read_line(text) != ERR_USAGE || strcmp(fail_text(), why) != 0) {
        fail_msg("%s: got '%s', expected '%s'", text, fail_text(), why);
    }
}

/* --- values ----------------------------------------------------------------------------------- */

static void defaults(void **state) {
    (void)state;
    good("--small 5");
    assert_true(line.inited);
    assert_string_equal(line.text, "none");
    assert_null(line.answer);
    assert_int_equal(line.fruit, PEAR);
    assert_int_equal(line.small, 5);
    assert_int_equal(line.whole, 1000);
    assert_int_equal(line.window, 7);
    assert_false(line.window_given || line.quick);
    assert_true(line.real == 0.5);
    assert_null(line.rest);
    assert_int_equal(line.texts.count + line.paths.count + line.files.count, 0);
}

static void every_kind(void **state) {
    (void)state;
    good("--quick --text=a=b --answer no --fruit plum --small 100 --fd 3 --whole 2M --bytes 8G "
         "--window 7 --real -0.25");
    assert_true(line.quick && line.window_given);
    assert_string_equal(line.text, "a=b");
    assert_string_equal(line.answer, "no");
    assert_int_equal(line.fruit, PLUM);
    assert_int_equal(line.fd, 3);
    assert_int_equal(line.whole, 2000000);
    assert_true(line.bytes == UINT64_C(8) << 30);
    assert_true(line.real == -0.25);
    good("--small 1 --texts a --texts b --texts a --paths / --files /dev/null --own x --own y "
         "--first f");
    assert_int_equal(line.texts.count, 3);
    assert_string_equal(line.texts.names[2], "a");
    assert_string_equal(line.paths.names[0], "/");
    assert_string_equal(line.files.names[0], "/dev/null");
    assert_string_equal(line.own, "y");
    assert_int_equal(line.owns, 2);
    assert_true(line.real == 0.75);
    assert_int_equal(read_line("--small 1 --paths /such-none-*"), ERR_NOT_FOUND);
    bad("--small 1 --own bad", "--own is bad");
}

static void configuration(void **state) {
    (void)state;
    struct config asked;
    config_default(&asked);
    assert_int_equal(config_set(&asked, "train.batch=64"), OK);
    assert_int_equal(config_set(&asked, "train.deterministic=true"), OK);
    assert_int_equal(config_set(&asked, "server.memory=8G"), OK);
    good("--small 1 --batch 32 --set server.memory=8G --deterministic --set train.batch=64");
    assert_int_equal(line.config.batch, asked.batch);
    assert_true(line.config.memory_bytes == asked.memory_bytes);
    good("--small 1 --set train.batch=64 --batch 32"); /* the later one wins */
    assert_int_equal(line.config.batch, 32);
    good("--small 1 --bytes 8G"); /* as the configuration counts bytes */
    assert_true(line.bytes == asked.memory_bytes);
    assert_int_equal(read_line("--small 1 --set train.bacth=64"), ERR_CONFIG);
}

/* `first` ones are taken first, wherever they stand. */
static void order(void **state) {
    (void)state;
    good("--small 1 --real 0.25 --first x");
    assert_string_equal(line.first, "x");
    assert_true(line.real == 0.25);
}

static void bounds(void **state) {
    (void)state;
    bad("--small 101", "--small is '101', expected a number from 0 to 100");
    bad("--small -1", "--small is '-1', expected a number from 0 to 100");
    bad("--small 1x", "--small is '1x', expected a number from 0 to 100");
    bad("--small 4294967297", "--small is '4294967297', expected a number from 0 to 100");
    good("--small 0 --whole off");
    assert_int_equal(line.whole, 0);
    good("--small 0 --whole 18446744073709551615");
    assert_true(line.whole == UINT64_MAX);
    bad("--small 0 --whole 39",
        "--whole is '39', expected off or a number from 40 to 18446744073709551615");
    bad("--small 0 --bytes 0",
        "--bytes is '0', expected a number of bytes from 1 to 18446744073709551615");
    bad("--small 0 --bytes -1",
        "--bytes is '-1', expected a number of bytes from 1 to 18446744073709551615");
    bad("--small 0 --real 1.5", "--real is '1.5', expected a number from -1 to 1");
    bad("--small 0 --real nan", "--real is 'nan', expected a number from -1 to 1");
    bad("--small 0 --real 0.5x", "--real is '0.5x', expected a number from -1 to 1");
    bad("--small 0 --real=", "--real is '', expected a number from -1 to 1");
    bad("--small 0 --fruit Pear", "--fruit is 'Pear', expected apple, pear or plum");
    bad("--small 0 --answer maybe", "--answer is 'maybe', expected yes or no");
    assert_int_equal(read_line("--small 13"), ERR_CONFIG); /* between options: the command's */
}

/* --- the words -------------------------------------------------------------------------------- */

static void missing_and_unknown(void **state) {
    (void)state;
    bad("--quick", "--small is missing: a uint32_t; see --help");
    bad("--small", "missing value of option '--small'; see --help");
    bad("--small 1 --quick=yes", "--quick takes no value, but is given 'yes'");
    bad("--small 1 --fruits pear", "unknown option '--fruits'; the nearest is --fruit; see --help");
    bad("--small 1 --hwole=50", "unknown option '--hwole'; the nearest is --whole; see --help");
    bad("--small 1 --no-such-thing", "unknown option '--no-such-thing'; see --help");
    bad("--small 1 -s", "unknown option '-s': options begin with --; see --help");
    bad("--small 1 --rest x", "unknown option '--rest'; the nearest is --text; see --help");
}

static void shortened(void **state) {
    (void)state;
    good("--sm 1 --fru plum --text a --texts b");
    assert_int_equal(line.fruit, PLUM);
    assert_string_equal(line.text, "a");
    bad("--small 1 --f 3", "option '--f' is short for --files and for --first; see --help");
    bad("--small 1 --markdow", "unknown option '--markdow'; the nearest is --markdown; see --help");
}

static void twice(void **state) {
    (void)state;
    bad("--small 1 --text a --sm=2", "--small is given twice: '1', then '2'");
    bad("--small 1 --quick --quick", "--quick is given twice");
    bad("--small 1 --batch 1 --batch 1", "--batch is given twice: '1', then '1'");
    bad("--small 1 --first a --first b", "--first is given twice: 'a', then 'b'");
}

static void arguments(void **state) {
    (void)state;
    good("--small 1 ps --small 101 --help --nonsense");
    assert_string_equal(line.rest[0], "ps");
    assert_string_equal(line.rest[3], "--help");
    assert_string_equal(line.rest[4], "--nonsense");
    assert_null(line.rest[5]);
    good("--small 1 -- --quick");
    assert_string_equal(line.rest[0], "--quick");
    assert_false(line.quick);
    good("--small 1 -");
    assert_string_equal(line.rest[0], "-");

    static const struct option_row two[] = {
        {"FROM", "FROM", OPTION_TEXT, OPTION_AT(struct line, text), .argument = true,
         .required = true, .help = "one"},
        {"TO", "TO", OPTION_TEXT, OPTION_AT(struct line, answer), .argument = true, .help = "two"},
        {"quick", NULL, OPTION_FLAG, OPTION_AT(struct line, quick), .help = "quick"},
        {NULL}};
    const struct command copy = {.name = "copy",
                                 .groups = (const struct option_group[]){{NULL, two}, {0}}};
    char *from_to[] = {"copy", "a", "--quick", "b", "c", NULL};
    struct line l = {0};
    bool printed;
    assert_int_equal(command_parse(&copy, &l, 4, from_to, stderr, &printed), OK);
    assert_string_equal(l.text, "a");
    assert_string_equal(l.answer, "b");
    assert_true(l.quick);
    assert_int_equal(command_parse(&copy, &l, 5, from_to, stderr, &printed), ERR_USAGE);
    assert_string_equal(fail_text(), "unexpected argument 'c'; see --help");
    assert_int_equal(command_parse(&copy, &l, 1, from_to, stderr, &printed), ERR_USAGE);
    assert_string_equal(fail_text(), "FROM is missing: one; see --help");
}

/* --- what is printed -------------------------------------------------------------------------- */

static char *printed_by(const struct command *c, const char *option) {
    char *text = NULL;
    size_t bytes = 0;
    char *argv[] = {(char *)c->name, (char *)option, NULL};
    int exit_code = -1;
    FILE *out = open_memstream(&text, &bytes);
    assert_int_equal(command_run(c, 2, argv, out, &exit_code), OK);
    assert_int_equal(exit_code, -1); /* nothing ran */
    fclose(out);
    return text;
}

static void help(void **state) {
    (void)state;
    char *text = printed_by(&command, "--help");
    assert_string_equal(
        text,
        "usage: esmm fruit --small N [options] WHAT [its words]\n\nDoes nothing.\n\n"
        "  --quick                 be quick\n"
        "  --text T                a text (none)\n"
        "  --answer yes|no         one\n"
        "  --fruit apple|pear|plum\n"
        "                          an enum (pear)\n"
        "  --small N               a uint32_t\n"
        "  --fd N                  an int\n"
        "  --whole N               a uint64_t (1K)\n"
        "  --bytes BYTES           bytes\n"
        "  --window N              given (seven)\n"
        "\nMore:\n"
        "  --real X                a double (0.5)\n"
        "  --texts T               many; may be given often\n"
        "  --paths DIR             see docs/train.md; given often, or a pattern: all of them\n"
        "  --files FILE            a|b; a directory, a pattern, or given often: all these files, in "
        "bytewise\n"
        "                          order, are one log\n"
        "  --set SECTION.KEY=V     a key; may be given often\n"
        "  --batch N               one key\n"
        "  --deterministic         a switch\n"
        "  --own O                 a help that is much longer than what there is room for in one "
        "line, so\n"
        "                          that it goes on in the next one, and there ends; may be given "
        "often\n"
        "  --first P               before --real\n"
        "  rest                    what is not looked at\n");
    free(text);
    text = printed_by(&command, "--markdown");
    assert_non_null(
        strstr(text, "| option | default | meaning |\n|---|---|---|\n| `--quick` |  |"));
    assert_non_null(strstr(text, "| `--small N` | required | a uint32_t |\n"));
    assert_non_null(strstr(text, "| `--answer yes\\|no` |  | one |\n"));
    assert_non_null(strstr(text, "| given |\n\nMore:\n\n| option |"));
    assert_non_null(strstr(text, "| see [train.md](train.md); given often,"));
    free(text);
}

/* --help ends the reading: what comes after it is not looked at, what is wrong before it is told.
 */
static void help_among_others(void **state) {
    (void)state;
    bool printed;
    char *text = NULL;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    char *later[] = {"fruit", "--small", "x", "--he", "--nonsense", NULL};
    char *sooner[] = {"fruit", "--nonsense", "--help", NULL};
    struct line l = {0};
    assert_int_equal(command_parse(&command, &l, 5, later, out, &printed), OK);
    assert_true(printed);
    assert_int_equal(command_parse(&command, &l, 3, sooner, out, &printed), ERR_USAGE);
    assert_false(printed);
    fclose(out);
    free(text);
}

static void lost_output(void **state) {
    (void)state;
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    command_help(&command, full);
    assert_int_equal(output_end(full), ERR_IO);
    assert_non_null(strstr(fail_text(), "cannot write to standard output: No space left"));
    FILE *null = fopen("/dev/null", "w");
    command_help(&command, null);
    assert_int_equal(output_end(null), OK);
    FILE *closed = fopen("/dev/null", "w");
    close(fileno(closed));
    assert_int_equal(output_end(closed), ERR_IO);
}

static void whole_commands(void **state) {
    (void)state;
    int exit_code = -1;
    char *fine[] = {"fruit", "--small", "7", "--texts", "a", NULL};
    char *fails[] = {"fruit", "--small", "14", NULL};
    assert_int_equal(command_run(&command, 5, fine, stderr, &exit_code), OK);
    assert_int_equal(exit_code, 7);
    exit_code = -1;
    assert_int_equal(command_run(&command, 3, fails, stderr, &exit_code), ERR_IO);
    assert_int_equal(exit_code, -1);
    mem_fail_after(1);
    assert_int_equal(command_run(&command, 5, fine, stderr, &exit_code), ERR_MEMORY);
    mem_fail_after(2);
    assert_int_equal(command_run(&command, 5, fine, stderr, &exit_code), ERR_MEMORY);
    mem_fail_after(0);
}

/* --- the sub-commands ------------------------------------------------------------------------- */

static const struct {
    const struct command *command;
    const char *twice;
} commands[] = {
    {&command_train, "train --data / --out /nowhere/a --out /nowhere/b"},
    {&command_train, "train --data / --out /nowhere/a --epochs 1 --epochs 2"},
    {&command_coord, "coord --listen a --data / --out /nowhere/a --listen b"},
    {&command_ps, "ps --coord a --index 1 --listen x --index 2"},
    {&command_worker, "worker --coord a --index 1 --coord b"},
    {&command_prep, "prep --format csv --format csv"},
    {&command_synth, "synth --impressions 5 --out /nowhere/a --ctr 0.1 --ctr 0.2"},
    {&command_records, "records --data / --out /nowhere/a --window 1 --window 2"},
    {&command_eval, "eval --checkpoint a --data / --seed 1 --seed 2"},
    {&command_compare, "compare --data / --eval / --seeds 1 --seeds 2"},
    {&command_predict, "predict --checkpoint a --data / --out /nowhere/p --out /nowhere/q"},
    {&command_inspect, "inspect / --key a:1 --key a:2"},
    {&command_export, "export / --out /nowhere/a --format npy --format dump"},
    {&command_tether, "tether --grace 1 --grace 2 ps --index 1"}};
#define COMMANDS (sizeof commands / sizeof *commands)

/* None of these begins anything: the line is read first. */
static void every_command(void **state) {
    (void)state;
    for (size_t k = 0; k < COMMANDS; k++) {
        char copy[256], *argv[WORDS_MAX];
        int exit_code;
        strcpy(copy, commands[k].twice);
        const int argc = split(copy, argv);
        const struct command *c = commands[k].command;
        assert_int_equal(command_run(c, argc, argv, stderr, &exit_code), ERR_USAGE);
        if (strstr(fail_text(), "is given twice: ") == NULL) {
            fail_msg("%s: '%s'", commands[k].twice, fail_text());
        }
    }
}

/* What --help says of a key's default is the default. */
static void check_default(const struct option_row *r) {
    struct config was, now;
    struct buf a = BUF_EMPTY, b = BUF_EMPTY;
    char assignment[128];
    config_default(&was);
    config_default(&now);
    snprintf(assignment, sizeof assignment, "%s=%s", r->key, r->told);
    assert_int_equal(config_set(&now, assignment), OK);
    assert_int_equal(config_text(&was, &a), OK);
    assert_int_equal(config_text(&now, &b), OK);
    assert_string_equal((const char *)a.data, (const char *)b.data);
    buf_fini(&a);
    buf_fini(&b);
}

/* As far as its size tells. */
static bool member_fits(const struct option_row *r) {
    switch (r->kind) {
    case OPTION_FLAG: return r->bytes == sizeof(bool);
    case OPTION_TEXT:
    case OPTION_REST: return r->bytes == sizeof(char *);
    case OPTION_CHOICE: return r->bytes == sizeof(enum fruit) || r->bytes == sizeof(bool);
    case OPTION_WHOLE:
    case OPTION_BYTES: return r->bytes == sizeof(uint32_t) || r->bytes == sizeof(uint64_t);
    case OPTION_REAL: return r->bytes == sizeof(double) && r->low < r->high;
    case OPTION_TEXTS:
    case OPTION_PATHS:
    case OPTION_FILES: return r->bytes == sizeof(struct file_list);
    case OPTION_OWN: return r->take != NULL;
    default: return true;
    }
}

/* A table is true in itself: no name twice, and presets that the options themselves allow. */
static void every_table(void **state) {
    (void)state;
    for (size_t k = 0; k < COMMANDS; k++) {
        const struct command *c = commands[k].command;
        const struct option_row *r, *other;
        for (size_t i = 0; (r = command_row(c, i)) != NULL; i++) {
            for (size_t j = 0; j < i && (other = command_row(c, j)) != NULL; j++) {
                assert_string_not_equal(r->name, other->name);
            }
            assert_false(r->required && (r->preset != NULL || r->help == NULL));
            if (!member_fits(r)) {
                fail_msg("%s: --%s is stored in a member of another type", c->name, r->name);
            }
            if (r->kind == OPTION_CONFIG && r->told != NULL) {
                check_default(r);
            }
        }
        char *argv[] = {(char *)c->name, NULL};
        int exit_code;
        if (command_run(c, 1, argv, stderr, &exit_code) != ERR_USAGE ||
            strstr(fail_text(), " is missing") == NULL) {
            fail_msg("%s without options: '%s'", c->name, fail_text());
        }
        free(printed_by(c, "--markdown"));
    }
}

static int done(void **state) {
    (void)state;
    line_fini(&line);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(defaults),
                                       cmocka_unit_test(every_kind),
                                       cmocka_unit_test(configuration),
                                       cmocka_unit_test(order),
                                       cmocka_unit_test(bounds),
                                       cmocka_unit_test(missing_and_unknown),
                                       cmocka_unit_test(shortened),
                                       cmocka_unit_test(twice),
                                       cmocka_unit_test(arguments),
                                       cmocka_unit_test(help),
                                       cmocka_unit_test(help_among_others),
                                       cmocka_unit_test(lost_output),
                                       cmocka_unit_test(whole_commands),
                                       cmocka_unit_test(every_command),
                                       cmocka_unit_test(every_table)};
    return cmocka_run_group_tests(tests, NULL, done);
}
