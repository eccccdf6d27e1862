/* file_ops.h - the system calls for files, in one table.
 *
 * All access to files goes through it (file.c, lock.c, log.c), so that a test or a simulator can
 * replace the disk: by one that is full, whose fsync fails, or that loses unsynced data. Each
 * function behaves as the system's of that name: on failure it returns -1 (NULL, MAP_FAILED) and
 * sets errno.
 */
#pragma once

#include <dirent.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "status.h"

struct file_ops {
    int (*open)(const char *path, int flags, mode_t mode);
    int (*close)(int fd);
    int (*dup)(int fd);
    int (*dup3)(int from, int to, int flags);
    ssize_t (*read)(int fd, void *out, size_t bytes);
    ssize_t (*pread)(int fd, void *out, size_t bytes, off_t offset);
    ssize_t (*write)(int fd, const void *data, size_t bytes);
    ssize_t (*pwrite)(int fd, const void *data, size_t bytes, off_t offset);
    ssize_t (*pwritev)(int fd, const struct iovec *parts, int count, off_t offset);
    int (*fsync)(int fd);
    /* sync_file_range, SYNC_FILE_RANGE_WRITE: a hint. NULL: this disk takes none. */
    int (*start_write)(int fd, off_t offset, off_t bytes);
    int (*ftruncate)(int fd, off_t bytes);
    int (*fchmod)(int fd, mode_t mode);
    int (*flock)(int fd, int what);
    int (*fstat)(int fd, struct stat *out);
    void *(*map)(int fd, size_t bytes); /* mmap: private, read-only */
    int (*unmap)(void *at, size_t bytes);
    int (*stat)(const char *path, struct stat *out);
    int (*lstat)(const char *path, struct stat *out);
    int (*rename)(const char *from, const char *to);
    int (*exchange)(const char *a, const char *b); /* renameat2, RENAME_EXCHANGE */
    int (*unlink)(const char *path);
    int (*symlink)(const char *target, const char *path);
    int (*mkdir)(const char *path, mode_t mode);
    int (*rmdir)(const char *path);
    int (*chmod)(const char *path, mode_t mode);
    char *(*mkdtemp)(char *path);
    char *(*realpath)(const char *path, char *out);
    DIR *(*opendir)(const char *path);
    struct dirent *(*readdir)(DIR *dir);
    int (*closedir)(DIR *dir);
};

/* The system's own. */
extern const struct file_ops file_ops_system;

/* Sets the table of the whole process; NULL: the system's, which is the default. Not thread-safe:
 * call it before the first thread starts. The caller keeps the table and must not free it. */
void file_ops_set(const struct file_ops *ops);
const struct file_ops *file_ops(void);

/* Records a failed call with errno's text, "PATH: cannot WHAT: ...". Returns ERR_NOT_FOUND or
 * ERR_IO. */
enum status file_ops_fail(const char *path, const char *what);
