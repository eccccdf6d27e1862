#include "common/job/streams.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* The table of docs/stream.md, a column a stream in the order of the enum:
 * vanilla, oracle, fnw, es-dfm, defer, dfm. */
static const struct {
    enum delay_method delay;
    const char *name, *fits;
} table[] = {{DELAY_NONE, "none", "111111"},   {DELAY_FNW, "fnw", "001000"},
             {DELAY_PU, "pu", "001100"},       {DELAY_ES_DFM, "es-dfm", "000110"},
             {DELAY_DEFER, "defer", "000010"}, {DELAY_DEFUSE, "defuse", "000110"},
             {DELAY_DFM, "dfm", "000001"}};

static void test_table(void **state) {
    char says[64];
    (void)state;
    assert_int_equal(sizeof table / sizeof *table, DELAY_METHODS);
    for (size_t k = 0; k < DELAY_METHODS; k++) {
        for (uint32_t s = 0; s < STREAMS; s++) {
            const char *stream = streams_name((enum record_stream)s);
            const enum status status = streams_fit(table[k].delay, stream, "/data");
            if ((status == OK) != (table[k].fits[s] == '1')) {
                fail_msg("%s on %s: %s", table[k].name, stream, fail_text());
            }
            if (status != OK) {
                assert_int_equal(status, ERR_CONFIG);
                snprintf(says, sizeof says,
                         "/data is a stream %s, and model.delay = %s is made for", stream,
                         table[k].name);
                assert_non_null(strstr(fail_text(), says));
            }
        }
    }
}

/* A log, an older file: nothing is known. A name of nobody's fits no method but none. */
static void test_other_names(void **state) {
    (void)state;
    for (int k = 0; k < (int)DELAY_METHODS; k++) {
        assert_int_equal(streams_fit((enum delay_method)k, "", "/data"), OK);
        assert_int_equal(streams_fit((enum delay_method)k, "es-df", "/data"),
                         k == DELAY_NONE ? OK : ERR_CONFIG);
    }
}

static void test_names(void **state) {
    static const char *const names[STREAMS] = {"vanilla", "oracle", "fnw",
                                               "es-dfm",  "defer",  "dfm"};
    (void)state;
    for (uint32_t s = 0; s < STREAMS; s++) {
        assert_string_equal(streams_name((enum record_stream)s), names[s]);
        assert_true(strlen(names[s]) < STREAM_NAME_BYTES);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_other_names),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
