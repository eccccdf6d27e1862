/* prep_case.h - what the tests of esmm prep as a whole share: a directory, and a way to run it. */
#pragma once

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "tools/common/tools.h"

#define ARGS_MAX 24

static char dir[64], skeleton[128], common[128], out[128], out2[128];

/* esmm prep with the arguments up to NULL. */
static inline enum status prep(const char *first, ...) {
    char *argv[ARGS_MAX] = {(char *)(uintptr_t) "prep"};
    int argc = 1;
    va_list more;
    va_start(more, first);
    for (const char *a = first; a != NULL; a = va_arg(more, const char *)) {
        argv[argc++] = (char *)(uintptr_t)a;
    }
    va_end(more);
    int exit_code;
    return command_run(&command_prep, argc, argv, stdout, &exit_code);
}

#define ALICCP "--format", "aliccp", "--skeleton", skeleton, "--common", common, "--out"

static inline void write_text(const char *path, const char *text) {
    assert_int_equal(file_write_atomic(path, text, strlen(text)), OK);
}

static inline void clean(void) {
    assert_int_equal(file_remove_tree(out), OK);
    assert_int_equal(file_remove_tree(out2), OK);
}

/* It gave that status, said that, and left nothing behind. */
static inline void refused(enum status status, enum status want, const char *says) {
    char temporary[160];
    snprintf(temporary, sizeof temporary, "%s.tmp", out);
    assert_int_equal(status, want);
    if (strstr(fail_text(), says) == NULL) {
        fail_msg("it says '%s', expected '%s'", fail_text(), says);
    }
    assert_false(file_exists(out) || file_exists(temporary));
}

static inline int prep_setup(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/esmm-test-prep-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    snprintf(skeleton, sizeof skeleton, "%s/skeleton.csv", dir);
    snprintf(common, sizeof common, "%s/common.csv", dir);
    snprintf(out, sizeof out, "%s/out", dir);
    snprintf(out2, sizeof out2, "%s/out2", dir);
    return 0;
}

static inline int prep_teardown(void **state) {
    (void)state;
    return file_remove_tree(dir) == OK ? 0 : -1;
}
