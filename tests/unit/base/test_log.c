#include "common/base/log.h"

#include <pthread.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/thread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define WRITERS 4
#define LINES   500

static int make_file(void **state) {
    char *path = strdup("/tmp/esmm-test-XXXXXX");
    *state = path;
    const int fd = path == NULL ? -1 : mkstemp(path);
    return fd >= 0 && close(fd) == 0 ? 0 : -1;
}

static int remove_file(void **state) {
    log_close();
    log_level_set(LOG_INFO);
    unlink(*state);
    free(*state);
    return 0;
}

static char *read_log(void **state) {
    char *text = NULL;
    size_t bytes;
    assert_int_equal(file_read_all(*state, 1 << 22, &text, &bytes), OK);
    assert_int_equal(strlen(text), bytes);
    return text;
}

static void matches(const char *text, const char *pattern) {
    regex_t r;
    assert_int_equal(regcomp(&r, pattern, REG_EXTENDED | REG_NOSUB), 0);
    const int result = regexec(&r, text, 0, NULL, 0);
    regfree(&r);
    if (result != 0) {
        print_error("'%s' does not match %s\n", text, pattern);
    }
    assert_int_equal(result, 0);
}

#define TIME "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"

static void a_line_says_when_who_and_what(void **state) {
    assert_int_equal(log_open(*state, "ps-0"), OK);
    log_info("%d rows", 3);
    log_warn("slow");
    log_error("%s", "broken");
    log_close();
    char *text = read_log(state);
    matches(text,
            "^" TIME " info ps-0 3 rows\n" TIME " warn ps-0 slow\n" TIME " error ps-0 broken\n$");
    mem_free(&text);
}

static void levels_below_are_dropped(void **state) {
    assert_int_equal(log_open(*state, "w"), OK);
    log_debug("no");
    log_level_set(LOG_DEBUG);
    log_debug("yes");
    log_level_set(LOG_ERROR);
    log_warn("no");
    log_error("yes");
    log_close();
    char *text = read_log(state);
    matches(text, "^" TIME " debug w yes\n" TIME " error w yes\n$");
    mem_free(&text);
}

static void a_text_stays_one_line(void **state) {
    assert_int_equal(log_open(*state, "w"), OK);
    log_info("a peer said '\n2026-01-31T12:00:00.123Z error ps-0 forged\r\x1b[2J'");
    log_close();
    char *text = read_log(state);
    assert_int_equal(strcspn(text, "\n"), strlen(text) - 1);
    assert_null(strchr(text, '\x1b'));
    matches(text, "info w a peer said ' 2026-.* forged \\\\x1b\\[2J'\n$");
    mem_free(&text);
}

static void long_texts_and_roles_are_cut(void **state) {
    char text[5000];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(log_open(*state, text), OK);
    log_info("%s", text);
    log_info("next");
    log_close();
    char *got = read_log(state);
    const size_t first = strcspn(got, "\n");
    assert_in_range(first, 1500, 2047);
    matches(got, "^" TIME " info x{31} x+\n" TIME " info x{31} next\n$");
    mem_free(&got);
}

/* However many threads write, no line is torn. The last ones are in the two files that are left. */
static void *write_many(void *arg) {
    for (int i = 0; i < LINES; i++) {
        log_info("%s %d", (const char *)arg, i);
    }
    return NULL;
}

static void a_large_log_is_rolled(void **state) {
    pthread_t thread[WRITERS];
    char old[64];
    char *names[WRITERS] = {"one", "two", "three", "four"}, *text = NULL, *before = NULL;
    size_t bytes;
    snprintf(old, sizeof old, "%s.1", (const char *)*state);
    log_bytes_set(4096);
    assert_int_equal(log_open(*state, "w"), OK);
    for (size_t k = 0; k < WRITERS; k++) {
        assert_int_equal(pthread_create(&thread[k], NULL, write_many, names[k]), 0);
    }
    for (size_t k = 0; k < WRITERS; k++) {
        pthread_join(thread[k], NULL);
    }
    log_info("last");
    log_close();
    log_bytes_set(0);
    text = read_log(state);
    assert_int_equal(file_read_all(old, 1 << 22, &before, &bytes), OK);
    assert_in_range(strlen(before), 4096 - WRITERS * 64, WRITERS * LINES * 64);
    matches(text[0] != '\0' ? text : before, "info w last\n$");
    char *files[2] = {text, before};
    for (size_t k = 0; k < 2; k++) {
        for (const char *at = files[k]; *at != '\0'; at = strchr(at, '\n') + 1) {
            char line[64];
            snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
            matches(line, "^" TIME " info w (last|(one|two|three|four) [0-9]+)$");
        }
    }
    mem_free(&text);
    mem_free(&before);
    unlink(old);
}

static void a_log_that_cannot_be_rolled_goes_on(void **state) {
    char old[64];
    snprintf(old, sizeof old, "%s.1", (const char *)*state);
    assert_int_equal(mkdir(old, 0755), 0); /* is in the way */
    log_bytes_set(100);
    assert_int_equal(log_open(*state, "w"), OK);
    for (int i = 0; i < 20; i++) {
        log_info("line %d", i);
    }
    log_close();
    log_bytes_set(0);
    char *text = read_log(state);
    matches(text, "line 0\n.*line 19\n$");
    mem_free(&text);
    assert_int_equal(rmdir(old), 0);
}

static void opening_again_appends(void **state) {
    assert_int_equal(log_open(*state, "a"), OK);
    log_info("one");
    assert_int_equal(log_open(*state, "b"), OK);
    log_info("two");
    log_close();
    char *text = read_log(state);
    matches(text, "info a one\n.*info b two\n$");
    mem_free(&text);
    assert_int_equal(log_open("/absent/log", "a"), ERR_IO);
    assert_non_null(strstr(fail_text(), "/absent/log"));
}

static uint32_t lines_of(const char *text, const char *what) {
    uint32_t n = 0;
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++) {
        n++;
    }
    return n;
}

/* What a peer repeats at will: some lines, then their number. */
static void repeated_lines_are_counted(void **state) {
    struct log_limit l = {0}, other = {0};
    assert_int_equal(log_open(*state, "w"), OK);
    for (int i = 0; i < 12345; i++) {
        log_limited(&l, LOG_WARN, "refused: %d", i);
    }
    log_limit_step(&l); /* too early */
    log_limited(&other, LOG_WARN, "of another cause");
    l.since_ms -= LOG_LIMIT_MS; /* time passes */
    log_limit_step(&l);
    log_limit_step(&l);
    log_limited(&l, LOG_WARN, "refused: again");
    for (int i = 0; i < 100; i++) {
        log_limited(&l, LOG_INFO, "last: %d", i);
    }
    log_limit_end(&l);
    log_limit_end(&l);
    log_limit_end(&other);
    log_close();
    char *text = read_log(state);
    assert_int_equal(lines_of(text, "\n"), LOG_LIMIT_LINES + 1 + 1 + LOG_LIMIT_LINES + 1);
    matches(text,
            " warn w refused: 9\n.* warn w of another cause\n.* warn w refused: 12344 \\(and 12334 "
            "more like it in 1[0-9] s\\)\n.* warn w refused: again\n");
    matches(text, " info w last: 99 \\(and 90 more like it in [0-9] s\\)\n$");
    mem_free(&text);
}

static enum status write_lines(void *arg) {
    for (int i = 0; i < LINES; i++) {
        log_info("writer %d line %d %0100d end", *(int *)arg, i, 0);
    }
    return OK;
}

static void lines_of_threads_do_not_mix(void **state) {
    struct thread t[WRITERS] = {0};
    int id[WRITERS];
    int seen[WRITERS] = {0};
    assert_int_equal(log_open(*state, "w"), OK);
    for (int i = 0; i < WRITERS; i++) {
        id[i] = i;
        assert_int_equal(thread_start(&t[i], "writer", write_lines, &id[i]), OK);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(thread_join(&t[i]), OK);
    }
    log_close();
    char *text = read_log(state);
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        int writer = -1, number = -1, end = 0;
        assert_int_equal(
            sscanf(line, "%*s info w writer %d line %d %*[0] end%n", &writer, &number, &end), 2);
        assert_int_equal(end, strlen(line));
        assert_in_range(writer, 0, WRITERS - 1);
        assert_int_equal(number, seen[writer]++);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(seen[i], LINES);
    }
    mem_free(&text);
}

#define WITH_FILE(test) cmocka_unit_test_setup_teardown(test, make_file, remove_file)

int main(void) {
    const struct CMUnitTest tests[] = {
        WITH_FILE(a_line_says_when_who_and_what),
        WITH_FILE(levels_below_are_dropped),
        WITH_FILE(a_text_stays_one_line),
        WITH_FILE(long_texts_and_roles_are_cut),
        WITH_FILE(opening_again_appends),
        WITH_FILE(lines_of_threads_do_not_mix),
        WITH_FILE(repeated_lines_are_counted),
        WITH_FILE(a_large_log_is_rolled),
        WITH_FILE(a_log_that_cannot_be_rolled_goes_on),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
