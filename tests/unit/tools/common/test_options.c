/* Unit tests of tools/common/options.h: an option twice on one command line, for every sub-command.
 */
#include "tools/common/options.h"

#include <stdlib.h>
#include <string.h>

#include "common/job/config.h"
#include "tools/common/tools.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

struct line {
    int a, b, c;
    bool help;
};
enum { A = 256, B, C };
static const struct option table[] = {{"aa", required_argument, NULL, A},
                                      {"bb", no_argument, NULL, B},
                                      {"cc", required_argument, NULL, C},
                                      {NULL, 0, NULL, 0}};

static enum status apply(void *arg, int option, const char *value) {
    struct line *l = arg;
    (void)value;
    l->a += option == A;
    l->b += option == B;
    l->c += option == C;
    return OK;
}

#define WORDS_MAX 16

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

static enum status read_line(struct line *l, const char *text) {
    static const int often[] = {C, 0};
    const struct option_set set = {.table = table, .often = often};
    char copy[256], *argv[WORDS_MAX];
    strcpy(copy, text);
    *l = (struct line){0};
    const int argc = split(copy, argv);
    return options_read(argc, argv, &set, apply, l, &l->help);
}

static void once_or_often(void **state) {
    (void)state;
    struct line l;
    assert_int_equal(read_line(&l, "x --aa 1 --bb --cc 2 --cc=3 --cc 3"), OK);
    assert_int_equal(l.a + l.b, 2);
    assert_int_equal(l.c, 3);
    assert_int_equal(read_line(&l, "x --aa 1 --cc 2 --aa=2"), ERR_USAGE);
    assert_string_equal(fail_text(), "--aa is given twice: '1', then '2'");
    assert_int_equal(read_line(&l, "x --a 1 --aa 1"),
                     ERR_USAGE); /* an abbreviation is the option */
    assert_int_equal(read_line(&l, "x --bb --bb"), ERR_USAGE);
    assert_string_equal(fail_text(), "--bb is given twice");
}

static enum status run(enum status (*tool)(int, char **), const char *text) {
    char copy[256], *argv[WORDS_MAX];
    strcpy(copy, text);
    const int argc = split(copy, argv);
    return tool(argc, argv);
}

static enum status tether(int argc, char **argv) {
    int code;
    return tool_tether(argc, argv, &code);
}

/* None of these begins anything: the line is read first. */
static void every_command(void **state) {
    (void)state;
    static const struct {
        enum status (*tool)(int argc, char **argv);
        const char *line;
    } commands[] = {
        {tool_train, "train --data /x --out /nowhere/a --out /nowhere/b"},
        {tool_train, "train --data /x --out /nowhere/a --epochs 1 --epochs 2"},
        {tool_coord, "coord --listen a --data /x --out /nowhere/a --listen b"},
        {tool_ps, "ps --coord a --index 1 --listen x --index 2"},
        {tool_worker, "worker --coord a --index 1 --coord b"},
        {tool_prep, "prep --format csv --format csv"},
        {tool_synth, "synth --impressions 5 --out /nowhere/a --ctr 0.1 --ctr 0.2"},
        {tool_records, "records --data /x --out /nowhere/a --window 1 --window 2"},
        {tool_eval, "eval --checkpoint a --data /x --seed 1 --seed 2"},
        {tool_compare, "compare --data /x --eval /x --seeds 1 --seeds 2"},
        {tool_predict, "predict --checkpoint a --data /x --out /nowhere/p --out /nowhere/q"},
        {tool_inspect, "inspect /x --key a:1 --key a:2"},
        {tool_export, "export /x --out /nowhere/a --format npy --format dump"},
        {tether, "tether --grace 1 --grace 2 ps --index 1"}};
    for (size_t k = 0; k < sizeof commands / sizeof *commands; k++) {
        assert_int_equal(run(commands[k].tool, commands[k].line), ERR_USAGE);
        if (strstr(fail_text(), "is given twice: ") == NULL) {
            fail_msg("%s: '%s'", commands[k].line, fail_text());
        }
    }
}

/* What belongs to the role behind a tether is not the tether's. */
static void leading(void **state) {
    (void)state;
    struct line l = {0};
    const struct option_set set = {.table = table, .leading = true};
    char copy[] = "x --aa 1 word --aa 2", *argv[WORDS_MAX];
    const int argc = split(copy, argv);
    assert_int_equal(options_read(argc, argv, &set, apply, &l, &l.help), OK);
    assert_int_equal(l.a, 1);
    assert_string_equal(argv[optind], "word");
}

/* --memory 8G is the same number of bytes as server.memory = 8G. */
static void bytes_are_counted_in_1024s(void **state) {
    (void)state;
    uint64_t v = 0;
    struct config c;
    assert_int_equal(option_bytes("--memory", "8G", 1, UINT64_MAX, &v), OK);
    assert_true(v == UINT64_C(8) << 30);
    config_default(&c);
    assert_int_equal(config_set(&c, "server.memory=8G"), OK);
    assert_true(c.memory_bytes == v);
    assert_int_equal(option_u64("--impressions", "2M", 1, UINT64_MAX, &v), OK);
    assert_true(v == 2000000);
    assert_int_equal(option_bytes("--memory", "0", 1, UINT64_MAX, &v), ERR_USAGE);
    assert_int_equal(option_bytes("--memory", "-1", 0, UINT64_MAX, &v), ERR_USAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(once_or_often),
                                       cmocka_unit_test(every_command), cmocka_unit_test(leading),
                                       cmocka_unit_test(bytes_are_counted_in_1024s)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
