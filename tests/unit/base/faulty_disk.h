/* faulty_disk.h - the system's files, with failures on demand, for tests.
 *
 * Counts the calls by which files and directories change; the n-th from now fails with `error`, and
 * so do the calls after it, `times` in all. A failing write takes a part of its bytes first. Every
 * write may be
 * interrupted (EINTR) once before, and be short. Any thread may call it.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "common/base/file_ops.h"

static struct {
    atomic_long left;  /* calls until the failure; 0: none is wanted */
    atomic_long fired; /* how often one was made */
    atomic_long times;
    atomic_int error;
    atomic_bool unsteady; /* short and interrupted writes, without any failure */
    atomic_long writes;
} faulty;

static void faulty_arm(long nth, int error, long times) {
    atomic_store(&faulty.error, error);
    atomic_store(&faulty.times, times);
    atomic_store(&faulty.fired, 0);
    atomic_store(&faulty.left, nth);
}

/* How often a call failed since it was armed. */
static long faulty_disarm(void) {
    atomic_store(&faulty.left, 0);
    return atomic_load(&faulty.fired);
}

static bool faulty_fails(void) {
    long left = atomic_load(&faulty.left);
    while (left > 1 && !atomic_compare_exchange_weak(&faulty.left, &left, left - 1)) {
    }
    if (left != 1) {
        return false;
    }
    if (atomic_fetch_add(&faulty.fired, 1) + 1 >= atomic_load(&faulty.times)) {
        atomic_store(&faulty.left, 0);
    }
    errno = atomic_load(&faulty.error);
    return true;
}

static int faulty_open(const char *path, int flags, mode_t mode) {
    const bool changes = (flags & (O_CREAT | O_TRUNC)) != 0;
    return changes && faulty_fails() ? -1 : file_ops_system.open(path, flags, mode);
}

static ssize_t faulty_write(int fd, const void *data, size_t bytes) {
    if (atomic_load(&faulty.unsteady)) {
        const long n = atomic_fetch_add(&faulty.writes, 1);
        if (n % 3 == 0) {
            errno = EINTR;
            return -1;
        }
        bytes = n % 3 == 1 && bytes > 1 ? bytes / 2 : bytes;
    }
    if (faulty_fails()) {
        const int error = errno;
        if (bytes > 1) { /* the disk took some of it */
            (void)!file_ops_system.write(fd, data, bytes / 2);
        }
        errno = error;
        return -1;
    }
    return file_ops_system.write(fd, data, bytes);
}

static ssize_t faulty_pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    return faulty_fails() ? -1 : file_ops_system.pwritev(fd, parts, count, offset);
}

static ssize_t faulty_pwrite(int fd, const void *data, size_t bytes, off_t offset) {
    return faulty_fails() ? -1 : file_ops_system.pwrite(fd, data, bytes, offset);
}

static int faulty_fsync(int fd) {
    (void)fd;
    return faulty_fails() ? -1 : 0; /* the tests end no machine */
}

static int faulty_ftruncate(int fd, off_t bytes) {
    return faulty_fails() ? -1 : file_ops_system.ftruncate(fd, bytes);
}

static int faulty_close(int fd) { /* as on NFS: it fails, and the descriptor is gone */
    const int result = file_ops_system.close(fd);
    return faulty_fails() ? -1 : result;
}

static int faulty_rename(const char *from, const char *to) {
    return faulty_fails() ? -1 : file_ops_system.rename(from, to);
}

static int faulty_exchange(const char *a, const char *b) {
    return faulty_fails() ? -1 : file_ops_system.exchange(a, b);
}

static int faulty_unlink(const char *path) {
    return faulty_fails() ? -1 : file_ops_system.unlink(path);
}

static int faulty_symlink(const char *target, const char *path) {
    return faulty_fails() ? -1 : file_ops_system.symlink(target, path);
}

static int faulty_mkdir(const char *path, mode_t mode) {
    return faulty_fails() ? -1 : file_ops_system.mkdir(path, mode);
}

static int faulty_rmdir(const char *path) {
    return faulty_fails() ? -1 : file_ops_system.rmdir(path);
}

static DIR *faulty_opendir(const char *path) {
    return faulty_fails() ? NULL : file_ops_system.opendir(path);
}

/* Puts this disk in the system's place; call it before other threads start. */
static void faulty_disk_use(void) {
    static struct file_ops ops;
    ops = file_ops_system;
    ops.open = faulty_open;
    ops.write = faulty_write;
    ops.pwritev = faulty_pwritev;
    ops.pwrite = faulty_pwrite;
    ops.fsync = faulty_fsync;
    ops.ftruncate = faulty_ftruncate;
    ops.close = faulty_close;
    ops.rename = faulty_rename;
    ops.exchange = faulty_exchange;
    ops.unlink = faulty_unlink;
    ops.symlink = faulty_symlink;
    ops.mkdir = faulty_mkdir;
    ops.rmdir = faulty_rmdir;
    ops.opendir = faulty_opendir;
    file_ops_set(&ops);
}
