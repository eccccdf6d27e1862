/* Unit tests of tools/common/paths.h: what an argument stands for. */
#include "tools/common/paths.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static char root[64];

static int setup(void **state) {
    (void)state;
    static const char *const files[] = {
        "day=2/part-1",  "day=2/part-0", "day=10/part-0", "day=10/_SUCCESS", "day=10/.part-0.crc",
        "in/b",          "in/B",         "in/a",          "in/\xc3\xa4",     "in/.hidden",
        "in/_temporary", "in/sub/x",     "none/.x",       "odd[1]*",         "odd1"};
    char path[160];
    snprintf(root, sizeof root, "/tmp/esmm-test-paths-XXXXXX");
    if (mkdtemp(root) == NULL) {
        return -1;
    }
    for (size_t k = 0; k < sizeof files / sizeof *files; k++) {
        snprintf(path, sizeof path, "%s/%s", root, files[k]);
        *strrchr(path, '/') = '\0';
        if (file_mkdirs(path) != OK) {
            return -1;
        }
        path[strlen(path)] = '/';
        if (file_write_atomic(path, "", 0) != OK) {
            return -1;
        }
    }
    return 0;
}

static int teardown(void **state) {
    (void)state;
    return file_remove_tree(root) == OK ? 0 : -1;
}

/* What is added, below root, with blanks between. */
static void stands_for(enum status (*add)(struct file_list *, const char *), const char *argument,
                       const char *want) {
    struct file_list list = {0};
    char path[160], got[400] = "";
    snprintf(path, sizeof path, "%s/%s", root, argument);
    assert_int_equal(add(&list, path), OK);
    for (size_t k = 0; k < list.count; k++) {
        strcat(got, k == 0 ? "" : " ");
        strcat(got, list.names[k] + strlen(root) + 1);
    }
    assert_string_equal(got, want);
    file_list_free(&list);
}

static void paths(void **state) {
    (void)state;
    stands_for(paths_add, "day=2", "day=2");
    stands_for(paths_add, "nowhere", "nowhere"); /* whoever opens it says it best */
    stands_for(paths_add, "day=*", "day=10 day=2");
    stands_for(paths_add, "odd[1]*", "odd[1]*"); /* it is there under that name */
    stands_for(paths_add, "odd[1]", "odd1");
}

static void files(void **state) {
    (void)state;
    stands_for(paths_add_files, "in", "in/B in/a in/b in/\xc3\xa4");
    stands_for(paths_add_files, "day=*/part-*", "day=10/part-0 day=2/part-0 day=2/part-1");
    stands_for(paths_add_files, "day=*", "day=10/part-0 day=2/part-0 day=2/part-1");
    stands_for(paths_add_files, "in/a", "in/a");
}

static void nothing(void **state) {
    (void)state;
    struct file_list list = {0};
    char path[160];
    snprintf(path, sizeof path, "%s/none", root);
    assert_int_equal(paths_add_files(&list, path), ERR_NOT_FOUND);
    assert_non_null(strstr(fail_text(), "holds no files"));
    snprintf(path, sizeof path, "%s/day=?", root);
    assert_int_equal(paths_add(&list, path), OK);
    snprintf(path, sizeof path, "%s/month=*", root);
    assert_int_equal(paths_add(&list, path), ERR_NOT_FOUND);
    assert_non_null(strstr(fail_text(), "nothing matches"));
    assert_int_equal(list.count, 1);
    file_list_free(&list);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(paths), cmocka_unit_test(files),
                                       cmocka_unit_test(nothing)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
