/* old.h - files that older versions wrote (tests/golden/old), and the same with a number changed.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/container.h"
#include "common/base/file.h"

#include <cmocka.h>

static inline const char *old_path(char out[PATH_BYTES_MAX], const char *name) {
    snprintf(out, PATH_BYTES_MAX, "%s/golden/old/%s", TESTS_DIR, name);
    return out;
}

/* What a later version might write: the file `name` with byte `at` of its block `block` set to
 * `value`, all checksums anew, at `to`. */
static inline void old_changed(const char *name, uint32_t kind, size_t block, size_t at,
                               uint8_t value, const char *to) {
    char path[PATH_BYTES_MAX];
    struct container_reader r;
    struct container_writer w;
    struct buf bytes = BUF_EMPTY;
    assert_int_equal(container_open(&r, old_path(path, name), kind), OK);
    assert_int_equal(container_create(&w, to, kind), OK);
    for (size_t b = 0; b < r.block_count; b++) {
        assert_int_equal(container_get(&r, b, &bytes), OK);
        if (b == block) {
            assert_true(at < bytes.len);
            bytes.data[at] = value;
        }
        assert_int_equal(container_put(&w, (uint16_t)r.blocks[b].type, r.blocks[b].tag, bytes.data,
                                       bytes.len, true),
                         OK);
    }
    assert_int_equal(container_commit(&w, NULL, NULL), OK);
    container_close(&r);
    buf_fini(&bytes);
}

/* A refusal that names the file, its version and what this program reads. */
static inline void old_refused(enum status status, const char *path, const char *says) {
    assert_int_equal(status, ERR_CORRUPT);
    if (strstr(fail_text(), path) == NULL || strstr(fail_text(), says) == NULL) {
        fail_msg("'%s' does not say '%s' of %s", fail_text(), says, path);
    }
}
