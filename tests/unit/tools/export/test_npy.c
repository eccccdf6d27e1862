/* Unit tests of tools/export/npy.h: the header's bytes, and files. */
#include "tools/export/npy.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void headers(void **state) {
    (void)state;
    char header[NPY_HEADER_MAX];
    size_t bytes = 0;
    const uint64_t shape[2] = {3, 18};
    assert_int_equal(npy_header("'<f4'", shape, 2, header, &bytes), OK);
    assert_int_equal(bytes % 64, 0);
    assert_memory_equal(header, "\x93NUMPY\x01\x00", 8);
    assert_int_equal((unsigned char)header[8] + 256 * (unsigned char)header[9], bytes - 10);
    const char want[] = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 18), }";
    assert_memory_equal(header + 10, want, sizeof want - 1);
    for (size_t i = 10 + sizeof want - 1; i + 1 < bytes; i++) {
        assert_int_equal(header[i], ' ');
    }
    assert_int_equal(header[bytes - 1], '\n');
    const uint64_t huge[2] = {UINT64_MAX, UINT64_MAX};
    assert_int_equal(npy_header("'<u8'", huge, 1, header, &bytes), OK);
    assert_non_null(strstr(header + 10, "(18446744073709551615,)"));
    assert_int_equal(npy_header("'<u8'", huge, 2, header, &bytes), OK);
    char type[NPY_HEADER_MAX];
    memset(type, 'x', sizeof type - 1);
    type[sizeof type - 1] = '\0';
    assert_int_equal(npy_header(type, shape, 2, header, &bytes), ERR_LIMIT);
}

/* Every length of type text: the text and its newline always end on a multiple of 64. */
static void alignment(void **state) {
    (void)state;
    char header[NPY_HEADER_MAX], type[80] = "";
    const uint64_t shape[1] = {1};
    for (size_t n = 0; n < 70; n++) {
        size_t bytes = 0;
        assert_int_equal(npy_header(type, shape, 1, header, &bytes), OK);
        assert_int_equal(bytes % 64, 0);
        assert_int_equal(header[bytes - 1], '\n');
        assert_non_null(memchr(header + 10, '}', bytes - 10));
        type[n] = 'x';
    }
}

static void files(void **state) {
    (void)state;
    char path[] = "/tmp/esmm-test-XXXXXX", *text = NULL;
    size_t bytes = 0;
    const float data[6] = {1, 2, 3, 4, 5, 6};
    const uint64_t shape[2] = {2, 3};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(npy_write_file(path, "'<f4'", 4, data, shape, 2), OK);
    assert_int_equal(file_read_all(path, 4096, &text, &bytes), OK);
    assert_int_equal(bytes, 128 + sizeof data);
    assert_memory_equal(text + 128, data, sizeof data);
    mem_free(&text);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(npy_write_file("/nonexistent/x.npy", "'<f4'", 4, data, shape, 2),
                     ERR_NOT_FOUND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers),
        cmocka_unit_test(alignment),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
