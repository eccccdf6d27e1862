#include "file_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

static int system_open(const char *path, int flags, mode_t mode) {
    return open(path, flags, mode);
}

static void *system_map(int fd, size_t bytes) {
    return mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
}

static int system_exchange(const char *a, const char *b) {
    return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
}

static int system_start_write(int fd, off_t offset, off_t bytes) {
    return sync_file_range(fd, offset, bytes, SYNC_FILE_RANGE_WRITE);
}

const struct file_ops file_ops_system = {
    .open = system_open,
    .close = close,
    .dup = dup,
    .dup3 = dup3,
    .read = read,
    .pread = pread,
    .write = write,
    .pwrite = pwrite,
    .pwritev = pwritev,
    .fsync = fsync,
    .start_write = system_start_write,
    .ftruncate = ftruncate,
    .fchmod = fchmod,
    .flock = flock,
    .fstat = fstat,
    .map = system_map,
    .unmap = munmap,
    .stat = stat,
    .lstat = lstat,
    .rename = rename,
    .exchange = system_exchange,
    .unlink = unlink,
    .symlink = symlink,
    .mkdir = mkdir,
    .rmdir = rmdir,
    .chmod = chmod,
    .mkdtemp = mkdtemp,
    .realpath = realpath,
    .opendir = opendir,
    .readdir = readdir,
    .closedir = closedir,
};

static const struct file_ops *the_ops = &file_ops_system;

void file_ops_set(const struct file_ops *ops) {
    the_ops = ops != NULL ? ops : &file_ops_system;
}

const struct file_ops *file_ops(void) {
    return the_ops;
}

enum status file_ops_fail(const char *path, const char *what) {
    return fail(errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: cannot %s: %s", path, what,
                strerror(errno));
}
