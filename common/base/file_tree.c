/* file_tree.c - works on names: moves and removes files, handles directories and paths. */
#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "file_ops.h"
#include "mem.h"

enum status path_join(char *out, const char *dir, const char *name) {
    size_t n = strlen(dir);
    const char *slash = n > 0 && dir[n - 1] == '/' ? "" : "/";
    int length = snprintf(out, PATH_BYTES_MAX, "%s%s%s", dir, slash, name);
    return length > 0 && length < PATH_BYTES_MAX
               ? OK
               : fail(ERR_LIMIT, "path of %d bytes is too long: %.200s...", length, dir);
}

enum status path_resolve(char *out, const char *path) {
    _Static_assert(PATH_MAX <= PATH_BYTES_MAX, "a resolved path fits");
    return file_ops()->realpath(path, out) != NULL ? OK : file_ops_fail(path, "resolve");
}

enum status path_absolute(char *out, const char *path) {
    char here[PATH_BYTES_MAX] = "/";
    TRY(path[0] == '/' ? OK : path_resolve(here, "."));
    return path_join(out, here, path + (path[0] == '/'));
}

enum status file_sync_dir(const char *path) {
    int fd = file_ops()->open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0) {
        return file_ops_fail(path, "open");
    }
    enum status status = file_ops()->fsync(fd) == 0 ? OK : file_ops_fail(path, "fsync");
    file_ops()->close(fd);
    return status;
}

static enum status sync_parent(const char *path) {
    char copy[PATH_BYTES_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    return file_sync_dir(dirname(copy));
}

enum status file_rename_unsynced(const char *from, const char *to) {
    return file_ops()->rename(from, to) == 0 ? OK : file_ops_fail(from, "rename");
}

enum status file_rename(const char *from, const char *to) {
    TRY(file_rename_unsynced(from, to));
    return sync_parent(to);
}

enum status file_exchange(const char *a, const char *b, bool *done) {
    *done = file_ops()->exchange(a, b) == 0;
    if (!*done) {
        return errno == EINVAL || errno == ENOSYS ? OK : file_ops_fail(a, "exchange");
    }
    TRY(sync_parent(a));
    return sync_parent(b);
}

enum status file_link_latest(const char *target, const char *path) {
    char temporary[PATH_BYTES_MAX + 8];
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    file_ops()->unlink(temporary);
    if (file_ops()->symlink(target, temporary) != 0) {
        return file_ops_fail(temporary, "make the link");
    }
    enum status status = file_rename(temporary, path);
    if (status != OK) {
        file_ops()->unlink(temporary);
    }
    return status;
}

/* --- names ------------------------------------------------------------------------------------ */

enum status file_remove(const char *path) {
    return file_ops()->unlink(path) == 0 ? OK : file_ops_fail(path, "remove");
}

void file_remove_if_empty(const char *path) {
    (void)file_ops()->rmdir(path);
}

static bool is_dots(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Allocates no memory with mem.h: it also cleans up when memory has run out. */
static enum status remove_entries(const char *path) {
    DIR *dir = file_ops()->opendir(path);
    enum status status = dir != NULL ? OK : file_ops_fail(path, "list");
    while (status == OK) {
        char inner[PATH_BYTES_MAX];
        errno = 0;
        const struct dirent *e = file_ops()->readdir(dir);
        if (e == NULL) {
            status = errno == 0 ? OK : file_ops_fail(path, "list");
            break;
        }
        if (!is_dots(e->d_name)) {
            status = path_join(inner, path, e->d_name);
            status = status == OK ? file_remove_tree(inner) : status;
        }
    }
    if (dir != NULL) {
        file_ops()->closedir(dir);
    }
    return status;
}

enum status file_remove_tree(const char *path) {
    struct stat s;
    if (file_ops()->lstat(path, &s) != 0) {
        return errno == ENOENT ? OK : file_ops_fail(path, "stat");
    }
    if (!S_ISDIR(s.st_mode)) {
        return file_ops()->unlink(path) == 0 || errno == ENOENT ? OK
                                                                : file_ops_fail(path, "remove");
    }
    TRY(remove_entries(path));
    return file_ops()->rmdir(path) == 0 || errno == ENOENT ? OK : file_ops_fail(path, "remove");
}

enum status file_mkdirs(const char *path) {
    char part[PATH_BYTES_MAX];
    if (path[0] == '\0') {
        return fail(ERR_IO, "cannot make a directory without a name");
    }
    TRY(path_join(part, path, ""));
    for (char *at = part + 1; *at != '\0'; at++) {
        if (*at == '/') {
            *at = '\0';
            if (file_ops()->mkdir(part, 0755) == 0) {
                TRY(sync_parent(part)); /* else a crash could take it, and all that is in it */
            } else if (errno != EEXIST) {
                return file_ops_fail(part, "make the directory");
            }
            *at = '/';
        }
    }
    return file_is_dir(path) ? OK : fail(ERR_EXISTS, "%s: exists and is no directory", path);
}

enum status file_mkdirs_above(const char *path) {
    char copy[PATH_BYTES_MAX];
    TRY(path_join(copy, path, "")); /* dirname takes the slash away again */
    return file_mkdirs(dirname(copy));
}

enum status file_mkdirs_private(const char *path) {
    TRY(file_mkdirs(path));
    return file_ops()->chmod(path, 0700) == 0 ? OK : file_ops_fail(path, "make private");
}

enum status file_mkdir_unique(char *path) {
    return file_ops()->mkdtemp(path) != NULL ? OK : file_ops_fail(path, "make the directory");
}

enum status file_may_replace(const char *path) {
    struct stat s;
    if (file_ops()->lstat(path, &s) != 0 || S_ISREG(s.st_mode)) {
        return OK; /* a name that cannot be looked at cannot be written either */
    }
    return fail(ERR_EXISTS,
                "%s is a %s, expected a file or a name that is free: the output takes its place",
                path,
                S_ISDIR(s.st_mode)   ? "directory"
                : S_ISLNK(s.st_mode) ? "link"
                                     : "device or pipe");
}

bool file_look(const char *path, struct file_info *out) {
    struct stat s;
    if (file_ops()->stat(path, &s) != 0) {
        *out = (struct file_info){0};
        return false;
    }
    *out = (struct file_info){.regular = S_ISREG(s.st_mode),
                              .directory = S_ISDIR(s.st_mode),
                              .bytes = (uint64_t)s.st_size,
                              .device = s.st_dev,
                              .number = s.st_ino};
    return true;
}

bool file_same(const struct file_info *a, const struct file_info *b) {
    return a->device == b->device && a->number == b->number;
}

bool file_exists(const char *path) {
    struct file_info info;
    return file_look(path, &info);
}

bool file_is_dir(const char *path) {
    struct file_info info;
    return file_look(path, &info) && info.directory;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum status file_list_add(struct file_list *list, const char *name) {
    TRY(mem_room(&list->names, &list->cap, list->count + 1));
    TRY(mem_strdup(&list->names[list->count], name));
    list->count++;
    return OK;
}

enum status file_list_dir(struct file_list *list, const char *path) {
    *list = (struct file_list){0};
    DIR *dir = file_ops()->opendir(path);
    if (dir == NULL) {
        return file_ops_fail(path, "list");
    }
    enum status status = OK;
    while (status == OK) {
        errno = 0;
        const struct dirent *e = file_ops()->readdir(dir);
        if (e == NULL) {
            status = errno == 0 ? OK : file_ops_fail(path, "list");
            break;
        }
        if (!is_dots(e->d_name)) {
            status = file_list_add(list, e->d_name);
        }
    }
    file_ops()->closedir(dir);
    if (status != OK) {
        file_list_free(list);
        return status;
    }
    if (list->count > 0) {
        qsort(list->names, list->count, sizeof *list->names, by_name);
    }
    return OK;
}

void file_list_free(struct file_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        mem_free(&list->names[i]);
    }
    mem_free(&list->names);
    list->count = list->cap = 0;
}
