/* The reader: pieces depend on the content alone, however the bytes arrive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/base/thread.h"
#include "tests/dirs.h"
#include "tools/prep/prep_input.h"

#include <cmocka.h>

static char path[] = "/tmp/esmm-test-input-XXXXXX";

/* What came out: pieces and records in one text that can be compared. */
struct trace {
    struct buf text;
    size_t pieces, records;
};

static bool same_first(void *arg, struct span a, struct span b) {
    (void)arg;
    return a.n > 0 && b.n > 0 && a.at[0] == b.at[0];
}

static void trace_all(struct prep_input *in, struct trace *t) {
    struct prep_piece p = {0};
    *t = (struct trace){0};
    for (;;) {
        prep_piece_clear(&p);
        enum status status;
        do {
            status = prep_input_next(in, &p);
        } while (status == ERR_AGAIN);
        if (status == ERR_CLOSED) {
            break;
        }
        assert_int_equal(status, OK);
        assert_int_equal(p.number, t->pieces++);
        assert_int_equal(buf_printf(&t->text, "piece %llu line %llu\n",
                                    (unsigned long long)p.offset, (unsigned long long)p.first_line),
                         OK);
        for (size_t i = 0; i < p.count; i++) {
            const struct span r = prep_piece_record(&p, i);
            assert_int_equal(buf_printf(&t->text, "%llu:%zu:%.*s\n",
                                        (unsigned long long)prep_piece_line(&p, i), r.n,
                                        (int)(r.n < 100 ? r.n : 100), r.at),
                             OK);
            t->records++;
        }
        for (size_t k = 0; k < 16; k++) {
            assert_int_equal(p.text.data[p.text.len + k], 0);
        }
    }
    prep_piece_fini(&p);
}

static void set(struct prep_input *in, uint32_t records_max, size_t bytes_max, char quote) {
    in->records_max = records_max;
    in->bytes_max = bytes_max;
    in->quotes = (struct csv_quotes){.quote = quote, .delimiter = ','};
    in->same_run = same_first;
}

static void trace_file(const char *text, size_t n, uint32_t records_max, size_t bytes_max,
                       char quote, struct trace *t) {
    struct prep_input in;
    assert_int_equal(file_write_atomic(path, text, n), OK);
    assert_int_equal(prep_input_open(&in, &DIRS(path)), OK);
    set(&in, records_max, bytes_max, quote);
    trace_all(&in, t);
    prep_input_close(&in);
}

/* The same through a pipe, in random portions. */
struct feeder {
    int fd;
    const char *text;
    size_t n;
    uint64_t seed;
};

static enum status feed(void *arg) {
    struct feeder *f = arg;
    for (size_t at = 0, k = 0; at < f->n; k++) {
        const size_t left = f->n - at;
        const size_t most = rng_below(f->seed, k, 0, 3) == 0 ? 7 : 60000;
        const size_t portion = 1 + (size_t)rng_below(f->seed, k, 1, most);
        const ssize_t wrote = write(f->fd, f->text + at, portion < left ? portion : left);
        if (wrote < 0) {
            break;
        }
        at += (size_t)wrote;
    }
    close(f->fd);
    return OK;
}

static void trace_pipe(const char *text, size_t n, uint32_t records_max, size_t bytes_max,
                       char quote, uint64_t seed, struct trace *t) {
    int ends[2];
    char name[] = "pipe";
    struct prep_input in = {.file = FILE_CLOSED,
                            .files = &DIRS(name),
                            .name = name,
                            .line = 1,
                            .block_bytes = 1u << 20,
                            .line_bytes_max = LINE_BYTES_MAX};
    struct thread thread = {0};
    assert_int_equal(pipe(ends), 0);
    struct feeder f = {.fd = ends[1], .text = text, .n = n, .seed = seed};
    assert_int_equal(mem_strdup(&in.file.path, "pipe"), OK);
    in.file.fd = ends[0];
    set(&in, records_max, bytes_max, quote);
    assert_int_equal(thread_start(&thread, "feeder", feed, &f), OK);
    trace_all(&in, t);
    assert_int_equal(thread_join(&thread), OK);
    prep_input_close(&in);
}

static void expect(const char *text, uint32_t records_max, char quote, const char *want) {
    struct trace t;
    trace_file(text, strlen(text), records_max, 1u << 20, quote, &t);
    assert_string_equal(t.text.data == NULL ? "" : (char *)t.text.data, want);
    buf_fini(&t.text);
}

static void test_cuts(void **state) {
    (void)state;
    expect("", 4, 0, "");
    expect("a1\n", 4, 0, "piece 0 line 1\n1:2:a1\n");
    expect("a1\r\n\r\na2", 4, 0, "piece 0 line 1\n1:2:a1\n2:0:\n3:2:a2\n");
    /* Back to the end of a run, if one is in the second half; exactly full is no reason. */
    expect("a1\na2\na3\nb1\nb2\n", 4, 0,
           "piece 0 line 1\n1:2:a1\n2:2:a2\n3:2:a3\n"
           "piece 9 line 4\n4:2:b1\n5:2:b2\n");
    expect("a1\nb1\nb2\nb3\nb4\n", 4, 0,
           "piece 0 line 1\n1:2:a1\n2:2:b1\n3:2:b2\n4:2:b3\n"
           "piece 12 line 5\n5:2:b4\n");
    expect("a1\na2\na3\na4\n", 4, 0, "piece 0 line 1\n1:2:a1\n2:2:a2\n3:2:a3\n4:2:a4\n");
    expect("\xef\xbb\xbf"
           "a1\na2\n",
           1, 0, "piece 3 line 1\n1:2:a1\npiece 6 line 2\n2:2:a2\n");
}

static void test_quotes(void **state) {
    (void)state;
    expect("a,\"x\ny\",1\nb\n", 4, '"', "piece 0 line 1\n1:9:a,\"x\ny\",1\n3:1:b\n");
    expect("a,\"x\"\"\ny\"\"\"\nb\n", 4, '"', "piece 0 line 1\n1:11:a,\"x\"\"\ny\"\"\"\n3:1:b\n");
    expect("a,5\" x\nb\n", 4, '"', "piece 0 line 1\n1:6:a,5\" x\n2:1:b\n"); /* not at the start */
    expect("a,5\"\" x\nb\n", 4, '"', "piece 0 line 1\n1:7:a,5\"\" x\n2:1:b\n");
    expect("a,\"x\nb\nc\n", 4, '"', "piece 0 line 1\n1:4:a,\"x\n2:1:b\n3:1:c\n"); /* never closed */
    expect("a,\"x\nb\nc\n", 4, 0, "piece 0 line 1\n1:4:a,\"x\n2:1:b\n3:1:c\n");
}

static void test_long_lines(void **state) {
    const size_t big = 2 * LINE_BYTES_MAX + 12345;
    const size_t sizes[] = {LINE_BYTES_MAX, LINE_BYTES_MAX + 1, LINE_BYTES_MAX + 2, big};
    char *text = malloc(big + 64), want[400];
    struct trace t;
    (void)state;
    assert_non_null(text);
    for (size_t k = 0; k < 4; k++) {
        for (int end = 0; end < 2; end++) { /* with and without a line behind it */
            memcpy(text, "a1\n", 3);
            memset(text + 3, 'x', sizes[k]);
            memcpy(text + 3 + sizes[k], "\nz9\n", 5);
            const size_t n = 3 + sizes[k] + (end == 0 ? 4 : 0);
            const size_t seen = sizes[k] > LINE_BYTES_MAX ? LINE_BYTES_MAX + 1 : LINE_BYTES_MAX;
            const int length = snprintf(want, sizeof want, "piece 0 line 1\n1:2:a1\n2:%zu:", seen);
            for (uint64_t seed = 0; seed < 3; seed++) {
                if (seed == 0) {
                    trace_file(text, n, 100, 1u << 26, 0, &t);
                } else {
                    trace_pipe(text, n, 100, 1u << 26, 0, seed, &t);
                }
                assert_memory_equal(t.text.data, want, (size_t)length);
                assert_int_equal(t.records, end == 0 ? 3 : 2);
                assert_true(end == 1 || strstr((char *)t.text.data, "\n3:2:z9\n") != NULL);
                buf_fini(&t.text);
            }
        }
    }
    free(text);
}

/* With exact offsets a piece ends behind a line that was cut. */
static void test_exact_offsets(void **state) {
    char *text = malloc(2 * LINE_BYTES_MAX + 64);
    struct prep_input in;
    struct prep_piece p = {0};
    (void)state;
    assert_non_null(text);
    memset(text, 'x', 2 * LINE_BYTES_MAX);
    memcpy(text + 2 * LINE_BYTES_MAX, "\nabc\nabd\n", 9);
    assert_int_equal(file_write_atomic(path, text, 2 * LINE_BYTES_MAX + 9), OK);
    assert_int_equal(prep_input_open(&in, &DIRS(path)), OK);
    set(&in, 100, 1u << 26, 0);
    in.exact_offsets = true;
    assert_int_equal(prep_input_next(&in, &p), OK);
    assert_int_equal(p.count, 1);
    prep_piece_clear(&p);
    assert_int_equal(prep_input_next(&in, &p), OK);
    assert_int_equal(p.count, 2);
    assert_int_equal(p.offset + p.start[1], 2 * LINE_BYTES_MAX + 5);
    assert_int_equal(p.first_line, 2);
    prep_piece_fini(&p);
    prep_input_close(&in);
    free(text);
}

static void test_any_arrival(void **state) {
    static const char alphabet[] = "aaaabbbbcdef,,\"\"\n\n\n\r";
    const size_t n = 400000;
    char *text = malloc(n);
    (void)state;
    assert_non_null(text);
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct trace file, pipe;
        const char quote = seed % 2 == 0 ? '"' : 0;
        for (size_t i = 0; i < n; i++) {
            text[i] = alphabet[rng_below(seed, i, 0, sizeof alphabet - 1)];
        }
        const uint32_t records_max = 1 + (uint32_t)rng_below(seed, 0, 1, 5000);
        const size_t bytes_max = 100 + (size_t)rng_below(seed, 0, 2, 100000);
        trace_file(text, n, records_max, bytes_max, quote, &file);
        trace_pipe(text, n, records_max, bytes_max, quote, seed, &pipe);
        if (file.text.len != pipe.text.len ||
            memcmp(file.text.data, pipe.text.data, file.text.len) != 0) {
            fail_msg("seed %llu: another arrival, other pieces", (unsigned long long)seed);
        }
        assert_true(file.pieces > 1);
        buf_fini(&file.text);
        buf_fini(&pipe.text);
    }
    free(text);
}

/* A log cut into files between records gives the pieces of the whole, and each record its file and
 * line. */
static void test_many_files(void **state) {
    static const char alphabet[] = "aaaabbbbcdef,,\"\"\n\n\n\r";
    enum { FILES = 5, BYTES = 20000 };
    static char text[BYTES + 1], names[FILES][160];
    char *list[FILES];
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        const char quote = seed % 2 == 0 ? '"' : 0;
        const uint32_t records_max = 1 + (uint32_t)rng_below(seed, 0, 1, 300);
        const size_t bytes_max = 100 + (size_t)rng_below(seed, 0, 2, 5000);
        struct trace whole, parts;
        struct prep_input in;
        size_t at = 0;
        for (size_t i = 0; i < BYTES;
             i++) { /* quotes are closed before a line ends: cuts are between records */
            const char c = alphabet[rng_below(seed, i, 0, sizeof alphabet - 1)];
            text[i] = c == '"' && quote != 0 ? 'q' : c;
        }
        text[BYTES - 1] = '\n';
        trace_file(text, BYTES, records_max, bytes_max, quote, &whole);
        for (size_t k = 0; k < FILES; k++) {
            size_t end =
                k == FILES - 1 ? BYTES : at + (size_t)rng_below(seed, k, 3, BYTES - at) / 2;
            while (end > at && text[end - 1] != '\n') {
                end--;
            }
            snprintf(names[k], sizeof names[k], "%s-%zu", path, k);
            assert_int_equal(file_write_atomic(names[k], text + at, end - at), OK);
            list[k] = names[k];
            at = end;
        }
        const struct file_list files = {.names = list, .count = FILES};
        assert_int_equal(prep_input_open(&in, &files), OK);
        set(&in, records_max, bytes_max, quote);
        trace_all(&in, &parts);
        assert_int_equal(in.at, FILES - 1);
        prep_input_close(&in);
        if (whole.text.len != parts.text.len ||
            memcmp(whole.text.data, parts.text.data, whole.text.len) != 0) {
            fail_msg("seed %llu: other pieces from %d files", (unsigned long long)seed, FILES);
        }
        buf_fini(&whole.text);
        buf_fini(&parts.text);
    }
    for (size_t k = 0; k < FILES; k++) {
        assert_int_equal(file_remove(names[k]), OK);
    }
}

/* Places are by file; a quote that is open ends with its file; headers are marked. */
static void test_places(void **state) {
    static const char *const texts[] = {"h\na1\n\na2", "", "\n", "h\n\"b1\n", "\n\nh\nc1\nc2"};
    enum { FILES = 5 };
    static const struct {
        const char *text;
        size_t file;
        uint64_t line, log_line;
        bool header;
    } want[] = {{"a1", 0, 2, 2, false},  {"", 0, 3, 3, false},   {"a2", 0, 4, 4, false},
                {"", 2, 1, 5, false},    {"h", 3, 1, 6, true},   {"\"b1", 3, 2, 7, false},
                {"", 4, 1, 8, false},    {"", 4, 2, 9, false},   {"h", 4, 3, 10, true},
                {"c1", 4, 4, 11, false}, {"c2", 4, 5, 12, false}};
    char names[FILES][160], *list[FILES];
    (void)state;
    for (size_t k = 0; k < FILES; k++) {
        snprintf(names[k], sizeof names[k], "%s-%zu", path, k);
        assert_int_equal(file_write_atomic(names[k], texts[k], strlen(texts[k])), OK);
        list[k] = names[k];
    }
    for (uint32_t records_max = 1; records_max < 14; records_max++) {
        const struct file_list files = {.names = list, .count = FILES};
        struct prep_input in;
        struct prep_piece p = {0};
        struct prep_tally t = {0};
        struct buf header = BUF_EMPTY;
        size_t n = 0;
        assert_int_equal(prep_input_open(&in, &files), OK);
        in.headers = true;
        in.records_max = records_max;
        in.bytes_max = 1000;
        in.quotes = (struct csv_quotes){.quote = '"', .delimiter = ','};
        assert_int_equal(prep_input_first(&in, &header, &t), OK);
        while (prep_input_next(&in, &p) == OK) {
            for (size_t i = 0; i < p.count; i++, n++) {
                const struct span s = prep_piece_record(&p, i);
                assert_in_range(n, 0, sizeof want / sizeof *want - 1);
                assert_int_equal(s.n, strlen(want[n].text));
                assert_memory_equal(s.at, want[n].text, s.n);
                assert_string_equal(prep_piece_place(&p, i).file, names[want[n].file]);
                assert_int_equal(prep_piece_place(&p, i).line, want[n].line);
                assert_int_equal(prep_piece_line(&p, i), want[n].log_line);
                assert_int_equal(prep_piece_is_header(&p, i), want[n].header);
            }
            prep_piece_clear(&p);
        }
        assert_int_equal(n, sizeof want / sizeof *want);
        prep_piece_fini(&p);
        buf_fini(&header);
        prep_input_close(&in);
    }
    for (size_t k = 0; k < FILES; k++) {
        assert_int_equal(file_remove(names[k]), OK);
    }
}

static void test_refuses(void **state) {
    struct prep_input in;
    struct prep_piece p = {0};
    char tmp[] = "/tmp", nonexistent[] = "/nonexistent";
    (void)state;
    assert_int_equal(prep_input_open(&in, &DIRS(tmp)), ERR_FORMAT);
    prep_input_close(&in);
    assert_int_equal(prep_input_open(&in, &DIRS(nonexistent)), ERR_NOT_FOUND);
    prep_input_close(&in);
    assert_int_equal(file_write_atomic(path, "\x1f\x8b\x08zzz", 6), OK);
    assert_int_equal(prep_input_open(&in, &DIRS(path)), OK);
    set(&in, 10, 100, 0);
    assert_int_equal(prep_input_next(&in, &p), ERR_FORMAT);
    assert_non_null(strstr(fail_text(), "gzip"));
    prep_piece_fini(&p);
    prep_input_close(&in);
}

static void test_first(void **state) {
    struct prep_input in;
    struct prep_piece p = {0};
    struct buf header = BUF_EMPTY;
    struct prep_tally t = {0};
    (void)state;
    assert_int_equal(file_write_atomic(path, "h,\"x\ny\"\r\na1\na2\n", 15), OK);
    assert_int_equal(prep_input_open(&in, &DIRS(path)), OK);
    in.records_max = 10;
    in.bytes_max = 100;
    in.quotes = (struct csv_quotes){.quote = '"', .delimiter = ','};
    assert_int_equal(prep_input_first(&in, &header, &t), OK);
    assert_int_equal(header.len, 7);
    assert_int_equal(prep_input_next(&in, &p), OK);
    assert_int_equal(p.number, 0);
    assert_int_equal(p.first_line, 3);
    assert_int_equal(p.count, 2);
    prep_piece_fini(&p);
    buf_fini(&header);
    prep_input_close(&in);
}

static void test_memory_fails(void **state) {
    struct prep_input in;
    (void)state;
    assert_int_equal(file_write_atomic(path, "a1\nb1\nb2\n", 9), OK);
    for (size_t n = 1;; n++) {
        struct prep_piece p = {0};
        mem_fail_after(n);
        enum status status = prep_input_open(&in, &DIRS(path));
        set(&in, 2, 100, 0);
        status = status == OK ? prep_input_next(&in, &p) : status;
        mem_fail_after(0);
        prep_piece_fini(&p);
        prep_input_close(&in);
        if (status == OK) {
            assert_true(n > 3);
            break;
        }
        assert_int_equal(status, ERR_MEMORY);
    }
}

static int setup(void **state) {
    (void)state;
    const int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state) {
    (void)state;
    return unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts),        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_long_lines),  cmocka_unit_test(test_exact_offsets),
        cmocka_unit_test(test_any_arrival), cmocka_unit_test(test_many_files),
        cmocka_unit_test(test_places),      cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_first),       cmocka_unit_test(test_memory_fails),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
