#include "paths.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

static int bytewise(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts the matches itself, because glob(3) would sort by the locale. */
static enum status add_matches(struct file_list *list, const char *pattern) {
    glob_t found = {0};
    enum status status = OK;
    const int code = glob(pattern, GLOB_ERR | GLOB_NOSORT, NULL, &found);
    if (code == GLOB_NOMATCH) {
        status = fail(ERR_NOT_FOUND, "nothing matches %s", pattern);
    } else if (code != 0) {
        status = code == GLOB_NOSPACE
                     ? fail(ERR_MEMORY, "%s: no memory for its matches", pattern)
                     : fail(ERR_IO, "%s: cannot look for matches: %s", pattern, strerror(errno));
    } else {
        qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, bytewise);
    }
    for (size_t k = 0; status == OK && k < found.gl_pathc; k++) {
        status = file_list_add(list, found.gl_pathv[k]);
    }
    globfree(&found);
    return status;
}

enum status paths_add(struct file_list *list, const char *argument) {
    return !file_exists(argument) && strpbrk(argument, "*?[") != NULL
               ? add_matches(list, argument)
               : file_list_add(list, argument);
}

static enum status add_directory(struct file_list *list, const char *path) {
    struct file_list names = {0};
    char file[PATH_BYTES_MAX];
    struct file_info info;
    TRY(path_join(file, path, "manifest"));
    if (file_exists(file)) {
        return fail(ERR_FORMAT,
                    "%s: is a directory of shards, as prep makes them, expected files of a log",
                    path);
    }
    enum status status = file_list_dir(&names, path);
    const size_t before = list->count;
    for (size_t k = 0; status == OK && k < names.count; k++) {
        const char first = names.names[k][0];
        status = path_join(file, path, names.names[k]);
        if (status == OK && first != '.' && first != '_' && file_look(file, &info) &&
            info.regular) {
            status = file_list_add(list, file);
        }
    }
    file_list_free(&names);
    return status == OK && list->count == before
               ? fail(ERR_NOT_FOUND,
                      "%s holds no files (those that begin with '.' or '_' do not count)", path)
               : status;
}

enum status paths_add_files(struct file_list *list, const char *argument) {
    struct file_list found = {0};
    enum status status = paths_add(&found, argument);
    for (size_t k = 0; status == OK && k < found.count; k++) {
        status = file_is_dir(found.names[k]) ? add_directory(list, found.names[k])
                                             : file_list_add(list, found.names[k]);
    }
    file_list_free(&found);
    return status;
}

struct identity {
    struct file_info is;
    const char *path;
};

static int by_identity(const void *a, const void *b) {
    const struct identity *x = a, *y = b;
    return x->is.device != y->is.device
               ? (x->is.device > y->is.device) - (x->is.device < y->is.device)
               : (x->is.number > y->is.number) - (x->is.number < y->is.number);
}

enum status paths_distinct(const struct file_list *list) {
    struct identity *all = NULL;
    size_t count = 0;
    enum status status = OK;
    TRY(mem_array(&all, list->count));
    for (size_t k = 0; k < list->count; k++) {
        all[count].path = list->names[k];
        count += file_look(list->names[k], &all[count].is);
    }
    if (count > 0) {
        qsort(all, count, sizeof *all, by_identity);
    }
    for (size_t k = 1; k < count && status == OK; k++) {
        if (by_identity(&all[k - 1], &all[k]) == 0) {
            status = fail(ERR_USAGE, "%s and %s are the same file: its rows would count twice",
                          all[k - 1].path, all[k].path);
        }
    }
    mem_free(&all);
    return status;
}
