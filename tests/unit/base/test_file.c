#include "common/base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEED 5u

/* Every test has a directory of its own in *state. */
static int make_dir(void **state) {
    char *dir = strdup("/tmp/esmm-test-XXXXXX");
    *state = dir;
    return dir != NULL && mkdtemp(dir) != NULL ? 0 : -1;
}

static int remove_dir(void **state) {
    mem_fail_after(0);
    const enum status status = file_remove_tree(*state);
    const bool gone = !file_exists(*state);
    free(*state);
    return status == OK && gone ? 0 : -1;
}

static const char *in(void **state, const char *name) {
    static char path[PATH_BYTES_MAX];
    assert_int_equal(path_join(path, *state, name), OK);
    return path;
}

static void put(const char *path, const char *text) {
    struct file f;
    assert_int_equal(file_open_write(&f, path), OK);
    assert_int_equal(file_write(&f, text, strlen(text)), OK);
    assert_int_equal(file_close(&f), OK);
}

static void content_is(const char *path, const char *text) {
    char *got = NULL;
    size_t bytes = 0;
    assert_int_equal(file_read_all(path, 1000, &got, &bytes), OK);
    assert_int_equal(bytes, strlen(text));
    assert_string_equal(got, text);
    mem_free(&got);
}

static void written_is_read(void **state) {
    const char *path = in(state, "a");
    struct file f;
    char out[16] = "";
    size_t got = 0;
    uint64_t bytes = 0;
    assert_int_equal(file_open_write(&f, path), OK);
    assert_string_equal(f.path, path);
    assert_int_equal(file_write(&f, "hello World", 11), OK);
    assert_int_equal(file_write(&f, "", 0), OK);
    assert_int_equal(file_size(&f, &bytes), OK);
    assert_int_equal(bytes, 11);
    assert_int_equal(file_sync(&f), OK);
    assert_int_equal(file_close(&f), OK);
    assert_int_equal(f.fd, -1);
    assert_null(f.path);
    assert_int_equal(file_close(&f), OK);

    assert_int_equal(file_open_read(&f, path), OK);
    assert_int_equal(file_read(&f, out, 5, &got), OK);
    assert_int_equal(got, 5);
    assert_memory_equal(out, "hello", 5);
    assert_int_equal(file_read(&f, out, sizeof out, &got), OK);
    assert_int_equal(got, 6);
    assert_memory_equal(out, " World", 6);
    assert_int_equal(file_read(&f, out, sizeof out, &got), OK);
    assert_int_equal(got, 0);
    assert_int_equal(file_pread(&f, out, 3, 2), OK);
    assert_memory_equal(out, "llo", 3);
    assert_int_equal(file_close(&f), OK);

    assert_int_equal(file_open_append(&f, path), OK);
    assert_int_equal(file_write(&f, "!", 1), OK);
    assert_int_equal(file_close(&f), OK);
    content_is(path, "hello World!");
    assert_int_equal(file_open_write(&f, path), OK); /* truncates */
    assert_int_equal(file_close(&f), OK);
    content_is(path, "");
}

static void private_files_are_their_owners(void **state) {
    char path[PATH_BYTES_MAX];
    struct file f;
    struct stat s;
    const mode_t masks[] = {0, 022, 0277};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(path_join(path, *state, i == 0 ? "new" : "again"), OK);
        const mode_t before = umask(masks[i]);
        const enum status status = file_open_private(&f, path);
        umask(before);
        assert_int_equal(status, OK);
        assert_int_equal(file_write(&f, "x", 1), OK);
        assert_int_equal(file_close(&f), OK);
        assert_int_equal(stat(path, &s), 0);
        assert_int_equal(s.st_mode & 07777, 0600);
        assert_int_equal(s.st_size, 1);
        assert_int_equal(chmod(path, 0644), 0); /* what was there already becomes private too */
    }
}

static void a_short_file_is_corrupt(void **state) {
    const char *path = in(state, "short");
    struct file f;
    char out[32];
    put(path, "0123456789");
    assert_int_equal(file_open_read(&f, path), OK);
    assert_int_equal(file_pread(&f, out, 10, 0), OK);
    assert_int_equal(file_pread(&f, out, 4, 7), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), path));
    assert_non_null(strstr(fail_text(), "offset 10"));
    assert_int_equal(file_pread(&f, out, 1, 10), ERR_CORRUPT);
    assert_int_equal(file_pread(&f, out, 0, 10), OK);
    assert_int_equal(file_pread(&f, out, 1, UINT64_MAX), ERR_CORRUPT);
    assert_int_equal(file_pread(&f, out, 1, INT64_MAX), ERR_CORRUPT);
    assert_int_equal(file_close(&f), OK);
}

static void what_is_absent_is_not_found(void **state) {
    const char *path = in(state, "absent/file");
    struct file f = FILE_CLOSED;
    const void *map;
    size_t bytes;
    char *text;
    struct file_list list;
    assert_int_equal(file_open_read(&f, path), ERR_NOT_FOUND);
    assert_non_null(strstr(fail_text(), path));
    assert_non_null(strstr(fail_text(), "No such file"));
    assert_int_equal(f.fd, -1);
    assert_int_equal(file_open_write(&f, path), ERR_NOT_FOUND);
    assert_int_equal(file_map(path, &map, &bytes), ERR_NOT_FOUND);
    assert_int_equal(file_read_all(path, 10, &text, &bytes), ERR_NOT_FOUND);
    assert_int_equal(file_remove(path), ERR_NOT_FOUND);
    assert_int_equal(file_rename(path, *state), ERR_NOT_FOUND);
    assert_int_equal(file_list_dir(&list, path), ERR_NOT_FOUND);
    assert_int_equal(file_sync_dir(path), ERR_NOT_FOUND);
    assert_int_equal(file_write_atomic(path, "x", 1), ERR_NOT_FOUND);
    assert_int_equal(file_remove_tree(path), OK);
    assert_false(file_exists(path));
    assert_false(file_is_dir(path));
}

static void what_cannot_be_read_or_written_says_so(void **state) {
    struct file f;
    char out[4];
    size_t got;
    char *text = (char *)1;
    assert_int_equal(file_open_read(&f, *state), OK); /* a directory */
    assert_int_equal(file_read(&f, out, 4, &got), ERR_IO);
    assert_non_null(strstr(fail_text(), "directory"));
    assert_int_equal(file_pread(&f, out, 4, 0), ERR_IO);
    assert_int_equal(file_write(&f, out, 4), ERR_IO);
    assert_int_equal(file_close(&f), OK);
    assert_int_equal(file_read_all(*state, 1 << 20, &text, &got), ERR_IO);
    assert_null(text);
    if (access("/dev/full", W_OK) == 0) {
        assert_int_equal(file_open_append(&f, "/dev/full"), OK);
        assert_int_equal(file_write(&f, "abc", 3), ERR_IO);
        assert_non_null(strstr(fail_text(), "No space left"));
        assert_int_equal(file_close(&f), OK);
    }
}

static void a_map_shows_the_file(void **state) {
    const char *path = in(state, "map");
    const void *p = NULL;
    size_t bytes = 1;
    put(path, "");
    assert_int_equal(file_map(path, &p, &bytes), OK);
    assert_null(p);
    assert_int_equal(bytes, 0);
    file_unmap(p, bytes);
    put(path, "mapped");
    assert_int_equal(file_map(path, &p, &bytes), OK);
    assert_int_equal(bytes, 6);
    assert_memory_equal(p, "mapped", 6);
    file_unmap(p, bytes);
}

static void read_all_has_a_limit(void **state) {
    const char *path = in(state, "limit");
    char *text = (char *)1;
    size_t bytes;
    put(path, "12345");
    assert_int_equal(file_read_all(path, 4, &text, &bytes), ERR_LIMIT);
    assert_null(text);
    assert_int_equal(file_read_all(path, 5, &text, &bytes), OK);
    assert_int_equal(bytes, 5);
    assert_int_equal(text[5], '\0');
    mem_free(&text);
}

static void atomic_writes_replace_whole_files(void **state) {
    const char *path = in(state, "manifest");
    char before[PATH_BYTES_MAX];
    snprintf(before, sizeof before, "%s.tmp", path);
    put(before, "left by a crash, and longer than what follows");
    assert_int_equal(file_write_atomic(path, "one", 3), OK);
    content_is(path, "one");
    assert_false(file_exists(before));
    assert_int_equal(file_write_atomic(path, "", 0), OK);
    content_is(path, "");
}

static void only_files_may_be_replaced(void **state) {
    const char *path = in(state, "here");
    char link[PATH_BYTES_MAX];
    snprintf(link, sizeof link, "%s.link", path);
    assert_int_equal(file_may_replace(path), OK);
    put(path, "old");
    assert_int_equal(file_may_replace(path), OK);
    assert_int_equal(file_link_latest("here", link), OK);
    assert_int_equal(file_may_replace(link), ERR_EXISTS);
    assert_non_null(strstr(fail_text(), "is a link"));
    assert_int_equal(file_may_replace(*state), ERR_EXISTS);
    assert_non_null(strstr(fail_text(), "is a directory"));
    assert_int_equal(file_may_replace("/dev/null"), ERR_EXISTS);
    assert_non_null(strstr(fail_text(), "is a device or pipe"));
    content_is(path, "old");
}

static void a_failed_atomic_write_leaves_the_old_file(void **state) {
    const char *path = in(state, "manifest");
    char temporary[PATH_BYTES_MAX + 8];
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    assert_int_equal(file_write_atomic(path, "old", 3), OK);
    mem_fail_after(1);
    assert_int_equal(file_write_atomic(path, "new", 3), ERR_MEMORY);
    mem_fail_after(0);
    content_is(path, "old");
    assert_int_equal(file_mkdirs(temporary), OK); /* is in the way */
    assert_int_equal(file_write_atomic(path, "new", 3), ERR_IO);
    content_is(path, "old");
    assert_int_equal(file_remove_tree(temporary), OK);
    assert_int_equal(file_write_atomic(path, "new", 3), OK);
    content_is(path, "new");
}

static void a_name_that_is_a_directory_is_not_replaced(void **state) {
    const char *path = in(state, "taken");
    char inside[PATH_BYTES_MAX];
    struct file_list list;
    assert_int_equal(file_mkdirs(path), OK);
    assert_int_equal(path_join(inside, path, "x"), OK);
    put(inside, "x");
    assert_int_equal(file_write_atomic(path, "new", 3), ERR_IO);
    assert_int_equal(file_list_dir(&list, *state), OK);
    assert_int_equal(list.count, 1); /* the temporary file is gone */
    file_list_free(&list);
    content_is(inside, "x");
}

static void the_latest_link_moves(void **state) {
    char link[PATH_BYTES_MAX];
    char target[64];
    struct file_list list;
    snprintf(link, sizeof link, "%s", in(state, "latest"));
    assert_int_equal(file_link_latest("ckpt-1", link), OK);
    assert_int_equal(file_link_latest("ckpt-2", link), OK);
    const ssize_t n = readlink(link, target, sizeof target);
    assert_int_equal(n, 6);
    assert_memory_equal(target, "ckpt-2", 6);
    assert_false(file_exists(link)); /* it points at nothing yet */
    assert_int_equal(file_mkdirs(in(state, "ckpt-2")), OK);
    assert_true(file_is_dir(link));
    assert_int_equal(file_remove_tree(link), OK); /* the link, not what it points at */
    assert_true(file_is_dir(in(state, "ckpt-2")));
    assert_int_equal(file_link_latest("x", in(state, "absent/latest")), ERR_NOT_FOUND);
    snprintf(link, sizeof link, "%s", in(state, "ckpt-2"));
    assert_int_not_equal(file_link_latest("x", link), OK); /* a directory is in its place */
    assert_int_equal(file_list_dir(&list, *state), OK);
    assert_int_equal(list.count, 1);
    file_list_free(&list);
}

static void directories_are_made_with_their_parents(void **state) {
    char path[PATH_BYTES_MAX];
    snprintf(path, sizeof path, "%s", in(state, "a/b//c/"));
    assert_int_equal(file_mkdirs(path), OK);
    assert_true(file_is_dir(in(state, "a/b/c")));
    assert_int_equal(file_mkdirs(path), OK);
    assert_int_equal(file_mkdirs("/"), OK);
    assert_int_equal(file_mkdirs(""), ERR_IO);
    put(in(state, "file"), "x");
    assert_int_equal(file_mkdirs(in(state, "file")), ERR_EXISTS);
    assert_int_not_equal(file_mkdirs(in(state, "file/below")), OK);
    content_is(in(state, "file"), "x");
}

static void trees_are_removed_whole(void **state) {
    char tree[PATH_BYTES_MAX];
    char path[PATH_BYTES_MAX];
    snprintf(tree, sizeof tree, "%s", in(state, "tree"));
    put(in(state, "outside"), "stays");
    for (uint64_t i = 0; i < 60; i++) {
        char name[64];
        snprintf(name, sizeof name, "tree/%u/%u", (unsigned)rng_below(SEED, 1, i, 4),
                 (unsigned)rng_below(SEED, 2, i, 4));
        assert_int_equal(file_mkdirs(in(state, name)), OK);
        snprintf(name + strlen(name), 16, "/f%u", (unsigned)i);
        put(in(state, name), "x");
    }
    snprintf(path, sizeof path, "%s", in(state, "tree/link"));
    assert_int_equal(symlink("../outside", path), 0);
    snprintf(path, sizeof path, "%s", in(state, "tree/up"));
    assert_int_equal(symlink("..", path), 0); /* not followed */
    mem_fail_after(1);                        /* it needs none */
    assert_int_equal(file_remove_tree(tree), OK);
    mem_fail_after(0);
    assert_false(file_exists(tree));
    content_is(in(state, "outside"), "stays");
    assert_int_equal(file_remove_tree(in(state, "outside")), OK);
    assert_false(file_exists(in(state, "outside")));
}

static void lists_are_sorted_bytewise(void **state) {
    const char *const names[] = {"b", "a", "B", "a1", ".hidden", "\xc3\xa4", "10", "9"};
    const char *const sorted[] = {".hidden", "10", "9", "B", "a", "a1", "b", "\xc3\xa4"};
    struct file_list list;
    assert_int_equal(file_list_dir(&list, *state), OK);
    assert_int_equal(list.count, 0);
    file_list_free(&list);
    for (size_t i = 0; i < 8; i++) {
        put(in(state, names[i]), "");
    }
    assert_int_equal(file_list_dir(&list, *state), OK);
    assert_int_equal(list.count, 8);
    for (size_t i = 0; i < 8; i++) {
        assert_string_equal(list.names[i], sorted[i]);
    }
    file_list_free(&list);
    assert_int_equal(list.count, 0);
    assert_null(list.names);
    file_list_free(&list);
}

/* Whichever allocation fails, nothing leaks and nothing is half done (a sanitizer watches). */
static void no_memory_is_passed_on(void **state) {
    const char *path = in(state, "a");
    put(path, "text");
    for (int i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%d", i);
        put(in(state, name), "");
    }
    path = in(state, "a");
    for (size_t n = 1; n < 46; n++) {
        struct file_list list;
        mem_fail_after(n);
        const enum status status = file_list_dir(&list, *state);
        mem_fail_after(0);
        assert_int_equal(status, n <= 44 ? ERR_MEMORY : OK); /* 41 names, 3 sizes of the array */
        assert_true(status == OK || (list.count == 0 && list.names == NULL));
        file_list_free(&list);
    }
    for (size_t n = 1; n <= 3; n++) {
        char *text = NULL;
        size_t bytes;
        mem_fail_after(n);
        const enum status status = file_read_all(path, 100, &text, &bytes);
        mem_fail_after(0);
        assert_int_equal(status, n <= 2 ? ERR_MEMORY : OK);
        mem_free(&text);
    }
}

static void rename_moves(void **state) {
    char from[PATH_BYTES_MAX];
    snprintf(from, sizeof from, "%s", in(state, "from"));
    put(from, "moved");
    put(in(state, "to"), "replaced");
    assert_int_equal(file_rename(from, in(state, "to")), OK);
    assert_false(file_exists(from));
    content_is(in(state, "to"), "moved");
    assert_int_equal(file_remove(in(state, "to")), OK);
    assert_false(file_exists(in(state, "to")));
    assert_int_equal(file_sync_dir(*state), OK);
}

static void joins_have_a_limit(void **state) {
    (void)state;
    char out[PATH_BYTES_MAX];
    char long_name[PATH_BYTES_MAX];
    assert_int_equal(path_join(out, "a", "b"), OK);
    assert_string_equal(out, "a/b");
    assert_int_equal(path_join(out, "a/", "b"), OK);
    assert_string_equal(out, "a/b");
    assert_int_equal(path_join(out, "/", "b"), OK);
    assert_string_equal(out, "/b");
    memset(long_name, 'x', sizeof long_name);
    long_name[PATH_BYTES_MAX - 3] = '\0'; /* with "a/": PATH_BYTES_MAX - 1 bytes */
    assert_int_equal(path_join(out, "a", long_name), OK);
    assert_int_equal(strlen(out), PATH_BYTES_MAX - 1);
    assert_int_equal(path_join(out, "ab", long_name), ERR_LIMIT);
}

static void too_long_a_path_fails_cleanly(void **state) {
    char path[PATH_BYTES_MAX + 100];
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    memcpy(path, *state, strlen(*state));
    path[strlen(*state)] = '/';
    assert_int_equal(file_write_atomic(path, "x", 1), ERR_LIMIT);
    path[PATH_BYTES_MAX - 2] = '\0';
    assert_int_equal(file_write_atomic(path, "x", 1), ERR_LIMIT);
    assert_int_equal(file_mkdirs(path), ERR_IO);
}

#define IN_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_DIR(written_is_read),
        IN_DIR(private_files_are_their_owners),
        IN_DIR(a_short_file_is_corrupt),
        IN_DIR(what_is_absent_is_not_found),
        IN_DIR(what_cannot_be_read_or_written_says_so),
        IN_DIR(a_map_shows_the_file),
        IN_DIR(read_all_has_a_limit),
        IN_DIR(atomic_writes_replace_whole_files),
        IN_DIR(only_files_may_be_replaced),
        IN_DIR(a_failed_atomic_write_leaves_the_old_file),
        IN_DIR(a_name_that_is_a_directory_is_not_replaced),
        IN_DIR(the_latest_link_moves),
        IN_DIR(directories_are_made_with_their_parents),
        IN_DIR(trees_are_removed_whole),
        IN_DIR(lists_are_sorted_bytewise),
        IN_DIR(no_memory_is_passed_on),
        IN_DIR(rename_moves),
        IN_DIR(joins_have_a_limit),
        IN_DIR(too_long_a_path_fails_cleanly),
    };
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
