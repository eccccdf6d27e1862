/* Unit tests of tools/run/words.h: split as a shell would, and quoted so that one reads them back.
 */
#include "tools/run/words.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void splits(const char *text, const char *joined) {
    struct words w = {0};
    struct buf all = BUF_EMPTY;
    assert_int_equal(words_split(&w, text), OK);
    assert_int_equal(buf_printf(&all, "%s", ""), OK);
    for (size_t i = 0; i < w.count; i++) {
        assert_int_equal(buf_printf(&all, "<%s>", w.list[i]), OK);
    }
    assert_string_equal((const char *)all.data, joined);
    assert_true(w.count == 0 || w.list[w.count] == NULL);
    buf_fini(&all);
    words_fini(&w);
}

static void split(void **state) {
    (void)state;
    struct words w = {0};
    splits("", "");
    splits(" \t\n", "");
    splits("ssh", "<ssh>");
    splits(" ssh  -F my.conf ", "<ssh><-F><my.conf>");
    splits("ssh -F 'my conf' \"a'b\"c", "<ssh><-F><my conf><a'bc>");
    splits("a\\ b '\\' $HOME *", "<a b><\\><$HOME><*>");
    splits("'' x", "<><x>");
    assert_int_equal(words_split(&w, "ssh 'open"), ERR_USAGE);
    assert_int_equal(words_split(&w, "ssh \"open"), ERR_USAGE);
    words_fini(&w);
}

/* What a shell makes of it is what was quoted. */
static void quoted(void **state) {
    (void)state;
    static const char *const odd[] = {
        "plain",   "",   "a b", "it's", "$(reboot) `x` \\ \" *", "a\nb",
        "tcp://*", "~x", "#",   "a;b",  "--data=/x_1,2:3@%+"};
    struct words w = {0};
    struct buf text = BUF_EMPTY;
    char out[512] = "", expected[512] = "";
    assert_int_equal(buf_printf(&text, "printf '<%%s>' "), OK);
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        assert_int_equal(words_add(&w, odd[i]), OK);
        snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "<%s>", odd[i]);
    }
    assert_int_equal(words_quote(&w, 0, &text), OK);
    FILE *shell = popen((const char *)text.data, "r");
    assert_non_null(shell);
    out[fread(out, 1, sizeof out - 1, shell)] = '\0';
    assert_int_equal(pclose(shell), 0);
    assert_string_equal(out, expected);
    assert_non_null(strstr((const char *)text.data, " plain '' ")); /* only where it is needed */
    buf_fini(&text);
    words_fini(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(split), cmocka_unit_test(quoted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
