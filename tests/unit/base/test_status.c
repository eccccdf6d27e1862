#include "common/base/status.h"

#include <pthread.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef fail /* cmocka has one, too */

static void every_status_has_its_own_text(void **state) {
    (void)state;
    const enum status all[] = {
#define X(name, text) name,
        STATUS_LIST(X)
#undef X
    };
    const size_t n = sizeof all / sizeof all[0];
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(all[i], i);
        assert_true(strlen(status_text(all[i])) > 0);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(status_text(all[i]), status_text(all[j]));
        }
    }
    assert_string_equal(status_text(OK), "ok");
    assert_string_equal(status_text((enum status)n), "unknown status");
}

static void what_lasts(void **state) {
    (void)state;
    const enum status lasting[] = {ERR_CORRUPT,   ERR_FORMAT, ERR_CONFIG,   ERR_USAGE, ERR_LIMIT,
                                   ERR_NOT_FOUND, ERR_EXISTS, ERR_PROTOCOL, ERR_BUSY};
    const enum status passing[] = {OK,         ERR_MEMORY, ERR_IO,    ERR_TIMEOUT, ERR_CLOSED,
                                   ERR_FENCED, ERR_TICKET, ERR_AGAIN, ERR_PEER};
    for (size_t i = 0; i < sizeof lasting / sizeof *lasting; i++) {
        assert_true(status_lasts(lasting[i]));
        assert_false(status_lasts(passing[i]));
    }
}

static void fail_keeps_text_and_status(void **state) {
    (void)state;
    assert_int_equal(fail(ERR_FORMAT, "%s:%d: label is '%s'", "log.csv", 7, "x"), ERR_FORMAT);
    assert_string_equal(fail_text(), "log.csv:7: label is 'x'");
    assert_int_equal(fail_status(), ERR_FORMAT);
}

static void a_text_may_wrap_the_one_before(void **state) {
    (void)state;
    fail(ERR_IO, "disk full");
    assert_int_equal(fail(ERR_PEER, "ps-1: %s", fail_text()), ERR_PEER);
    assert_string_equal(fail_text(), "ps-1: disk full");
}

static void long_texts_are_cut_at_1023_bytes(void **state) {
    (void)state;
    char text[1023 + 1000];
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = '\0';
    fail(ERR_IO, "%s", text);
    assert_int_equal(strlen(fail_text()), 1023);
}

static void a_status_without_a_text_gets_its_own(void **state) {
    (void)state;
    fail(ERR_IO, "disk full");
    assert_string_equal(fail_text_of(ERR_IO), "disk full");
    assert_string_equal(fail_text_of(ERR_CLOSED),
                        "closed"); /* of a queue: no text, and not that one */
    fail(ERR_CLOSED, "%s", "");
    assert_string_equal(fail_text_of(ERR_CLOSED), "closed");
}

static void *fail_elsewhere(void *arg) {
    (void)arg;
    const int clean = fail_text()[0] == '\0' && fail_status() == OK;
    fail(ERR_CLOSED, "elsewhere");
    return clean ? NULL : (void *)1;
}

static void texts_belong_to_threads(void **state) {
    (void)state;
    pthread_t other;
    void *result = (void *)1;
    fail(ERR_IO, "here");
    assert_int_equal(pthread_create(&other, NULL, fail_elsewhere, NULL), 0);
    assert_int_equal(pthread_join(other, &result), 0);
    assert_null(result);
    assert_string_equal(fail_text(), "here");
    assert_int_equal(fail_status(), ERR_IO);
}

static enum status tried(enum status s, int *reached) {
    TRY(s);
    *reached = 1;
    return OK;
}

static enum status tried_out(enum status s, int *reached) {
    enum status status = OK;
    TRY_OUT(s);
    *reached = 1;
out:
    *reached += 2;
    return status;
}

static void try_returns_what_is_not_ok(void **state) {
    (void)state;
    int reached = 0;
    assert_int_equal(tried(ERR_AGAIN, &reached), ERR_AGAIN);
    assert_int_equal(reached, 0);
    assert_int_equal(tried(OK, &reached), OK);
    assert_int_equal(reached, 1);
    reached = 0;
    assert_int_equal(tried_out(ERR_LIMIT, &reached), ERR_LIMIT);
    assert_int_equal(reached, 2);
    reached = 0;
    assert_int_equal(tried_out(OK, &reached), OK);
    assert_int_equal(reached, 3);
}

/* What a clean-up says afterwards is not what is heard; the first of several failures is. */
static void the_first_cause_is_kept(void **state) {
    (void)state;
    struct cause cause = {0};
    fail(ERR_AGAIN, "before");
    cause_keep(&cause, OK);
    assert_int_equal(cause_again(&cause), OK);
    assert_string_equal(fail_text(), "before");
    cause_keep(&cause, fail(ERR_CORRUPT, "the %s\x01", "cause"));
    cause_keep(&cause, fail(ERR_IO, "the clean-up"));
    assert_string_equal(fail_text(), "the clean-up");
    assert_int_equal(cause_again(&cause), ERR_CORRUPT);
    assert_string_equal(fail_text(), "the cause\\x01");
    assert_int_equal(fail_status(), ERR_CORRUPT);
    struct cause silent = {0};
    cause_keep(&silent, ERR_CLOSED); /* a status without a text of its own */
    assert_string_equal(silent.text, "closed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_its_own_text),
        cmocka_unit_test(what_lasts),
        cmocka_unit_test(fail_keeps_text_and_status),
        cmocka_unit_test(a_text_may_wrap_the_one_before),
        cmocka_unit_test(long_texts_are_cut_at_1023_bytes),
        cmocka_unit_test(texts_belong_to_threads),
        cmocka_unit_test(a_status_without_a_text_gets_its_own),
        cmocka_unit_test(try_returns_what_is_not_ok),
        cmocka_unit_test(the_first_cause_is_kept),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
