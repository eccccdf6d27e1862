/* Sections, keys, lines, and what is said of bad ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/job/ini_file.h"

#include <cmocka.h>

static struct buf seen; /* "<section>" and "section.key=value;" */

static enum status begin(void *arg, const char *section) {
    (void)arg;
    return strcmp(section, "bad") == 0 ? (fail)(ERR_CONFIG, "no such section")
                                       : buf_printf(&seen, "<%s>", section);
}

static enum status set(void *arg, const char *section, const char *key, const char *value) {
    (void)arg;
    return strcmp(value, "bad") == 0 ? (fail)(ERR_LIMIT, "no such value")
                                     : buf_printf(&seen, "%s.%s=%s;", section, key, value);
}

static bool is_list(const char *section, const char *key) {
    return strcmp(section, "a") == 0 && strcmp(key, "list") == 0;
}

static const struct ini_form form = {begin, set, is_list}, plain = {begin, set, NULL};

static void gives(const char *text, const char *want) {
    buf_clear(&seen);
    assert_int_equal(ini_file_parse(&form, NULL, "f", text), OK);
    assert_int_equal(buf_put_u8(&seen, 0), OK);
    assert_string_equal((const char *)seen.data, want);
}

static void refuses(const struct ini_form *f, const char *text, enum status status,
                    const char *says) {
    buf_clear(&seen);
    assert_int_equal(ini_file_parse(f, NULL, "f", text), status);
    if (strstr(fail_text(), says) == NULL) {
        fail_msg("'%s' has not '%s'", fail_text(), says);
    }
}

static void test_good(void **state) {
    (void)state;
    gives("", "");
    gives("\xef\xbb\xbf[a]\r\nk = v\r\n", "<a>a.k=v;");
    gives("k=v\n; x\n# y\n\n  [a]\t; [b]\n\tk  =  v w  \n l = 1", ".k=v;<a>a.k=v w;a.l=1;");
    gives("[a]\n[b]\nk=1\n[a]\nl=2\n", "<a><b>b.k=1;<a>a.l=2;");
    gives("[a]\nlist=1\nlist=2\n[b]\nk=\n", "<a>a.list=1;a.list=2;<b>b.k=;");
    gives("[x.y]]\n[x.\"a]b\"]\n[x.\"a] ; b\"] ; .\"c]\"\n[x.\"]\n",
          "<x.y]><x.\"a]b\"><x.\"a] ; b\"><x.\">");
    gives("[x.\"a\"\"]b\"]\n", "<x.\"a\"\"]b\">");
}

static void test_bad(void **state) {
    char line[400] = "k = ";
    memset(line + 4, 'v', 300);
    (void)state;
    refuses(&form, "[a]\nk = 1\n\nk = 1\n", ERR_CONFIG,
            "f:4: a.k is given twice in this file: first in line 2");
    refuses(&form, "[a]\nk=1\n[b]\nk=1\n[a]\nk=2\n", ERR_CONFIG, "f:6: a.k is given twice");
    refuses(&form, "[b]\nlist=1\nlist=2\n", ERR_CONFIG, "f:3: b.list is given twice");
    refuses(&plain, "[a]\nlist=1\nlist=2\n", ERR_CONFIG, "f:3: a.list is given twice");
    refuses(&form, "[a]\n[b\n", ERR_CONFIG, "f:2: '[b' lacks its ']'");
    refuses(&form, "[a] b\n", ERR_CONFIG, "f:1: nothing but a comment may follow");
    refuses(&form, "[a]\n[bad]\nk=bad\n", ERR_CONFIG, "f:2: no such section");
    refuses(&form, "[a]\nk=1\nl=bad\nm\n", ERR_LIMIT, "f:3: no such value");
    refuses(&form, "[a]\nk\nl=bad\n", ERR_CONFIG, "f:2: expected key = value");
    refuses(&form, line, ERR_CONFIG, "f:1: a line of 304 bytes, expected at most");
    assert_non_null(strstr(fail_text(), "; a list may go on in a second line"));
    refuses(&plain, line, ERR_CONFIG, "f:1: a line of 304 bytes");
    assert_null(strstr(fail_text(), "list"));
    line[0] = '[';
    line[350] = ']';
    memset(line + 1, 's', 349);
    refuses(&form, line, ERR_CONFIG, "f:1: a section's name has 349 bytes");
}

static int teardown(void **state) {
    (void)state;
    buf_fini(&seen);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad)};
    return cmocka_run_group_tests(tests, NULL, teardown);
}
