#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"

#define IO_BYTES_MAX ((size_t)1 << 30) /* one read(2) or write(2) */

static enum status io_fail(const char *path, const char *what) {
    return fail(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: cannot %s: %s", path, what,
                strerror(errno));
}

enum status path_join(char *out, const char *dir, const char *name) {
    size_t n = strlen(dir);
    const char *slash = n > 0 && dir[n - 1] == '/' ? "" : "/";
    int length = snprintf(out, PATH_BYTES_MAX, "%s%s%s", dir, slash, name);
    return length > 0 && length < PATH_BYTES_MAX
               ? OK
               : fail(ERR_LIMIT, "path of %d bytes is too long: %.200s...", length, dir);
}

/* --- one file --------------------------------------------------------------------------------- */

#define MODE_SHARED  0644 /* less the umask */
#define MODE_PRIVATE 0600

static enum status open_as(struct file *f, const char *path, int flags, mode_t mode) {
    *f = FILE_CLOSED;
    TRY(mem_strdup(&f->path, path)); /* first: a failure must not leave a new file behind */
    int fd = open(path, flags | O_CLOEXEC, mode);
    if (fd < 0) {
        const enum status status = io_fail(path, "open");
        mem_free(&f->path);
        return status;
    }
    f->fd = fd;
    return OK;
}

enum status file_open_read(struct file *f, const char *path) {
    return open_as(f, path, O_RDONLY, MODE_SHARED);
}

enum status file_open_write(struct file *f, const char *path) {
    return open_as(f, path, O_RDWR | O_CREAT | O_TRUNC, MODE_SHARED);
}

/* fchmod: the file may have been there, and umask may take from the owner too. */
enum status file_open_private(struct file *f, const char *path) {
    TRY(open_as(f, path, O_RDWR | O_CREAT | O_TRUNC, MODE_PRIVATE));
    if (fchmod(f->fd, MODE_PRIVATE) != 0) {
        const enum status status = io_fail(path, "set the mode of");
        (void)file_close(f);
        return status;
    }
    return OK;
}

enum status file_open_append(struct file *f, const char *path) {
    return open_as(f, path, O_WRONLY | O_CREAT | O_APPEND, MODE_SHARED);
}

enum status file_read(struct file *f, void *out, size_t bytes, size_t *got) {
    *got = 0;
    while (*got < bytes) {
        size_t want = bytes - *got < IO_BYTES_MAX ? bytes - *got : IO_BYTES_MAX;
        ssize_t n = read(f->fd, (char *)out + *got, want);
        if (n == 0) {
            break;
        }
        if (n < 0 && errno != EINTR) {
            return io_fail(f->path, "read");
        }
        *got += n > 0 ? (size_t)n : 0;
    }
    return OK;
}

enum status file_pread(const struct file *f, void *out, size_t bytes, uint64_t offset) {
    size_t got = 0;
    if (bytes > INT64_MAX || offset > INT64_MAX - bytes) { /* an offset from a broken index */
        return fail(ERR_CORRUPT, "%s: %zu bytes from offset %llu on are beyond any file", f->path,
                    bytes, (unsigned long long)offset);
    }
    while (got < bytes) {
        size_t want = bytes - got < IO_BYTES_MAX ? bytes - got : IO_BYTES_MAX;
        ssize_t n = pread(f->fd, (char *)out + got, want, (off_t)(offset + got));
        if (n == 0) {
            return fail(ERR_CORRUPT, "%s: ends at offset %llu, expected %zu bytes from %llu on",
                        f->path, (unsigned long long)(offset + got), bytes,
                        (unsigned long long)offset);
        }
        if (n < 0 && errno != EINTR) {
            return io_fail(f->path, "read");
        }
        got += n > 0 ? (size_t)n : 0;
    }
    return OK;
}

enum status file_write(struct file *f, const void *data, size_t bytes) {
    size_t put = 0;
    while (put < bytes) {
        size_t want = bytes - put < IO_BYTES_MAX ? bytes - put : IO_BYTES_MAX;
        ssize_t n = write(f->fd, (const char *)data + put, want);
        if (n < 0 && errno != EINTR) {
            return io_fail(f->path, "write");
        }
        put += n > 0 ? (size_t)n : 0;
    }
    return OK;
}

enum status file_pwrite(const struct file *f, const void *data, size_t bytes, uint64_t offset) {
    size_t put = 0;
    while (put < bytes) {
        size_t want = bytes - put < IO_BYTES_MAX ? bytes - put : IO_BYTES_MAX;
        ssize_t n = pwrite(f->fd, (const char *)data + put, want, (off_t)(offset + put));
        if (n < 0 && errno != EINTR) {
            return io_fail(f->path, "write");
        }
        put += n > 0 ? (size_t)n : 0;
    }
    return OK;
}

enum status file_size(const struct file *f, uint64_t *bytes) {
    struct stat s;
    if (fstat(f->fd, &s) != 0) {
        return io_fail(f->path, "stat");
    }
    *bytes = (uint64_t)s.st_size;
    return OK;
}

enum status file_sync(struct file *f) {
    return fsync(f->fd) == 0 ? OK : io_fail(f->path, "fsync");
}

enum status file_close(struct file *f) {
    enum status status = OK;
    if (f->fd >= 0 && close(f->fd) != 0 && errno != EINTR) {
        status = io_fail(f->path != NULL ? f->path : "?", "close");
    }
    mem_free(&f->path);
    f->fd = -1;
    return status;
}

enum status file_map(const char *path, const void **out, size_t *bytes) {
    struct file f;
    uint64_t size = 0;
    *out = NULL;
    *bytes = 0;
    TRY(file_open_read(&f, path));
    enum status status = file_size(&f, &size);
    if (status == OK && size > 0) {
        void *p = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, f.fd, 0);
        if (p == MAP_FAILED) {
            status = io_fail(path, "map");
        } else {
            *out = p;
            *bytes = (size_t)size;
        }
    }
    file_close(&f);
    return status;
}

void file_unmap(const void *p, size_t bytes) {
    if (p != NULL) {
        munmap((void *)(uintptr_t)p, bytes);
    }
}

enum status file_read_all(const char *path, size_t bytes_max, char **out, size_t *bytes) {
    struct file f;
    uint64_t size = 0;
    *out = NULL;
    TRY(file_open_read(&f, path));
    enum status status;
    TRY_OUT(file_size(&f, &size));
    if (size > bytes_max) {
        status = fail(ERR_LIMIT, "%s: %llu bytes, expected at most %zu", path,
                      (unsigned long long)size, bytes_max);
        goto out;
    }
    TRY_OUT(mem_array(out, (size_t)size + 1));
    TRY_OUT(file_read(&f, *out, (size_t)size, bytes));
out:
    if (status != OK) {
        mem_free(out);
    }
    file_close(&f);
    return status;
}

/* --- publication ------------------------------------------------------------------------------ */

enum status file_sync_dir(const char *path) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return io_fail(path, "open");
    }
    enum status status = fsync(fd) == 0 ? OK : io_fail(path, "fsync");
    close(fd);
    return status;
}

static enum status sync_parent(const char *path) {
    char copy[PATH_BYTES_MAX];
    snprintf(copy, sizeof copy, "%s", path);
    return file_sync_dir(dirname(copy));
}

enum status file_rename(const char *from, const char *to) {
    if (rename(from, to) != 0) {
        return io_fail(from, "rename");
    }
    return sync_parent(to);
}

enum status file_exchange(const char *a, const char *b, bool *done) {
    *done = renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) == 0;
    if (!*done) {
        return errno == EINVAL || errno == ENOSYS ? OK : io_fail(a, "exchange");
    }
    TRY(sync_parent(a));
    return sync_parent(b);
}

enum status file_write_atomic(const char *path, const void *data, size_t bytes) {
    char temporary[PATH_BYTES_MAX + 8];
    struct file f;
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    TRY(file_open_write(&f, temporary));
    enum status status = file_write(&f, data, bytes);
    if (status == OK) {
        status = file_sync(&f);
    }
    enum status closed = file_close(&f);
    status = status == OK ? closed : status;
    if (status == OK) {
        status = file_rename(temporary, path);
    }
    if (status != OK) {
        unlink(temporary);
    }
    return status;
}

enum status file_link_latest(const char *target, const char *path) {
    char temporary[PATH_BYTES_MAX + 8];
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    unlink(temporary);
    if (symlink(target, temporary) != 0) {
        return io_fail(temporary, "make the link");
    }
    enum status status = file_rename(temporary, path);
    if (status != OK) {
        unlink(temporary);
    }
    return status;
}

/* --- names ------------------------------------------------------------------------------------ */

enum status file_remove(const char *path) {
    return unlink(path) == 0 ? OK : io_fail(path, "remove");
}

static bool is_dots(const char *name) {
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Asks for no memory of ours: it also cleans up where there is none. */
static enum status remove_entries(const char *path) {
    DIR *dir = opendir(path);
    enum status status = dir != NULL ? OK : io_fail(path, "list");
    while (status == OK) {
        char inner[PATH_BYTES_MAX];
        errno = 0;
        const struct dirent *e = readdir(dir);
        if (e == NULL) {
            status = errno == 0 ? OK : io_fail(path, "list");
            break;
        }
        if (!is_dots(e->d_name)) {
            status = path_join(inner, path, e->d_name);
            status = status == OK ? file_remove_tree(inner) : status;
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return status;
}

enum status file_remove_tree(const char *path) {
    struct stat s;
    if (lstat(path, &s) != 0) {
        return errno == ENOENT ? OK : io_fail(path, "stat");
    }
    if (!S_ISDIR(s.st_mode)) {
        return unlink(path) == 0 || errno == ENOENT ? OK : io_fail(path, "remove");
    }
    TRY(remove_entries(path));
    return rmdir(path) == 0 || errno == ENOENT ? OK : io_fail(path, "remove");
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
            if (mkdir(part, 0755) != 0 && errno != EEXIST) {
                return io_fail(part, "make the directory");
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

enum status file_may_replace(const char *path) {
    struct stat s;
    if (lstat(path, &s) != 0 || S_ISREG(s.st_mode)) {
        return OK; /* what keeps a name from being looked at will keep it from being written */
    }
    return fail(ERR_EXISTS,
                "%s is a %s, expected a file or a name that is free: the output takes its place",
                path,
                S_ISDIR(s.st_mode)   ? "directory"
                : S_ISLNK(s.st_mode) ? "link"
                                     : "device or pipe");
}

bool file_exists(const char *path) {
    return access(path, F_OK) == 0;
}

bool file_is_dir(const char *path) {
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum status file_list_add(struct file_list *list, const char *name) {
    if (list->count == list->cap) {
        size_t grown = list->cap == 0 ? 16 : list->cap * 2;
        TRY(mem_grow(&list->names, list->cap, grown));
        list->cap = grown;
    }
    TRY(mem_strdup(&list->names[list->count], name));
    list->count++;
    return OK;
}

enum status file_list_dir(struct file_list *list, const char *path) {
    *list = (struct file_list){0};
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return io_fail(path, "list");
    }
    enum status status = OK;
    while (status == OK) {
        errno = 0;
        const struct dirent *e = readdir(dir);
        if (e == NULL) {
            status = errno == 0 ? OK : io_fail(path, "list");
            break;
        }
        if (!is_dots(e->d_name)) {
            status = file_list_add(list, e->d_name);
        }
    }
    closedir(dir);
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
