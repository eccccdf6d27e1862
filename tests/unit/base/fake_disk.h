/* fake_disk.h - a small disk in memory, for tests: a call can be made to fail, and after a crash it
 * has only what was synced, or also what happened to get there.
 *
 * One directory, /d. A name and the bytes behind it reach the disk apart from each other, as on a
 * real one: fsync of a file syncs its bytes, fsync of the directory syncs the names. Set with
 * file_ops_set(&fake_disk), for files that are written through common/base/file.h.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/base/file_ops.h"

#define DISK_FILES 24
#define DISK_BYTES 4096

struct disk_text {
    char data[DISK_BYTES];
    size_t bytes;
};
struct disk_names {
    struct {
        char path[64];
        int file;
    } name[DISK_FILES];
    size_t count;
};
struct disk {
    struct disk_text now[DISK_FILES], synced[DISK_FILES]; /* of a file */
    struct disk_names names, names_synced;
    size_t files;
    struct {
        int file; /* -1: the directory */
        size_t at;
        bool used;
    } opened[DISK_FILES]; /* descriptor 1000 + k */
    size_t calls;         /* so far */
    size_t fail_at;       /* the call that fails, the first is 1; 0: none */
    bool for_good;        /* and all later ones: a crash */
    int error;            /* its errno */
    size_t write_max;     /* bytes that one write takes; 0: all */
};
static struct disk disk;

static void disk_reset(void) {
    disk = (struct disk){.error = EIO};
}

static bool disk_fails(void) {
    disk.calls++;
    if (disk.fail_at == 0 || disk.calls < disk.fail_at ||
        (disk.calls > disk.fail_at && !disk.for_good)) {
        return false;
    }
    errno = disk.error;
    return true;
}

static int disk_find(const struct disk_names *n, const char *path) {
    for (size_t k = 0; k < n->count; k++) {
        if (strcmp(n->name[k].path, path) == 0) {
            return (int)k;
        }
    }
    errno = ENOENT;
    return -1;
}

static void disk_drop(struct disk_names *n, int k) {
    n->name[k] = n->name[--n->count];
}

static int disk_open(const char *path, int flags, mode_t mode) {
    (void)mode;
    if (disk_fails()) {
        return -1;
    }
    int file = -1;
    if ((flags & O_DIRECTORY) == 0) {
        int k = disk_find(&disk.names, path);
        if (k < 0 && (flags & O_CREAT) == 0) {
            return -1;
        }
        if (k < 0) {
            k = (int)disk.names.count++;
            snprintf(disk.names.name[k].path, sizeof disk.names.name[k].path, "%s", path);
            disk.names.name[k].file = (int)disk.files++;
        }
        file = disk.names.name[k].file;
        if ((flags & O_TRUNC) != 0) {
            disk.now[file].bytes = 0;
        }
    }
    int fd = 0;
    while (disk.opened[fd].used) {
        fd++;
    }
    disk.opened[fd].used = true;
    disk.opened[fd].file = file;
    disk.opened[fd].at = 0;
    return 1000 + fd;
}

static int disk_close(int fd) {
    disk.opened[fd - 1000].used = false; /* even when it fails */
    return disk_fails() ? -1 : 0;
}

static ssize_t disk_pread(int fd, void *out, size_t bytes, off_t offset) {
    const struct disk_text *f = &disk.now[disk.opened[fd - 1000].file];
    const size_t at = (size_t)offset < f->bytes ? (size_t)offset : f->bytes;
    const size_t n = bytes < f->bytes - at ? bytes : f->bytes - at;
    if (disk_fails()) {
        return -1;
    }
    memcpy(out, f->data + at, n);
    return (ssize_t)n;
}

static ssize_t disk_read(int fd, void *out, size_t bytes) {
    const ssize_t n = disk_pread(fd, out, bytes, (off_t)disk.opened[fd - 1000].at);
    disk.opened[fd - 1000].at += n > 0 ? (size_t)n : 0;
    return n;
}

static ssize_t disk_write(int fd, const void *data, size_t bytes) {
    struct disk_text *f = &disk.now[disk.opened[fd - 1000].file];
    const size_t n = disk.write_max > 0 && bytes > disk.write_max ? disk.write_max : bytes;
    if (disk_fails()) {
        return -1;
    }
    memcpy(f->data + f->bytes, data, n);
    f->bytes += n;
    return (ssize_t)n;
}

/* Takes the first piece that has bytes, as a system may. */
static ssize_t disk_pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
    struct disk_text *f = &disk.now[disk.opened[fd - 1000].file];
    int k = 0;
    while (k < count - 1 && parts[k].iov_len == 0) {
        k++;
    }
    const size_t all = parts[k].iov_len, at = (size_t)offset;
    const size_t n = disk.write_max > 0 && all > disk.write_max ? disk.write_max : all;
    if (disk_fails()) {
        return -1;
    }
    memcpy(f->data + at, parts[k].iov_base, n);
    f->bytes = at + n > f->bytes ? at + n : f->bytes;
    return (ssize_t)n;
}

static int disk_ftruncate(int fd, off_t bytes) {
    if (disk_fails()) {
        return -1;
    }
    disk.now[disk.opened[fd - 1000].file].bytes = (size_t)bytes;
    return 0;
}

static int disk_fsync(int fd) {
    const int file = disk.opened[fd - 1000].file;
    if (disk_fails()) {
        return -1;
    }
    if (file < 0) {
        disk.names_synced = disk.names;
    } else {
        disk.synced[file] = disk.now[file];
    }
    return 0;
}

static int disk_fstat(int fd, struct stat *out) {
    if (disk_fails()) {
        return -1;
    }
    *out = (struct stat){.st_mode = S_IFREG,
                         .st_size = (off_t)disk.now[disk.opened[fd - 1000].file].bytes};
    return 0;
}

static int disk_unlink(const char *path) {
    const int k = disk_fails() ? -1 : disk_find(&disk.names, path);
    if (k >= 0) {
        disk_drop(&disk.names, k);
    }
    return k >= 0 ? 0 : -1;
}

static int disk_rename(const char *from, const char *to) {
    if (disk_fails() || disk_find(&disk.names, from) < 0) {
        return -1;
    }
    const int old = disk_find(&disk.names, to);
    if (old >= 0) {
        disk_drop(&disk.names, old);
    }
    const int k = disk_find(&disk.names, from);
    snprintf(disk.names.name[k].path, sizeof disk.names.name[k].path, "%s", to);
    return 0;
}

/* After a crash: of names, and of bytes, only what was synced, or also what had got there by luck.
 */
static void disk_reboot(bool names_got_there, bool bytes_got_there) {
    if (names_got_there) {
        disk.names_synced = disk.names;
    } else {
        disk.names = disk.names_synced;
    }
    memcpy(bytes_got_there ? disk.synced : disk.now, bytes_got_there ? disk.now : disk.synced,
           sizeof disk.now);
    memset(disk.opened, 0, sizeof disk.opened);
    disk.calls = disk.fail_at = 0;
}

static const struct file_ops fake_disk = {.open = disk_open,
                                          .close = disk_close,
                                          .read = disk_read,
                                          .pread = disk_pread,
                                          .write = disk_write,
                                          .pwritev = disk_pwritev,
                                          .ftruncate = disk_ftruncate,
                                          .fsync = disk_fsync,
                                          .fstat = disk_fstat,
                                          .rename = disk_rename,
                                          .unlink = disk_unlink};
