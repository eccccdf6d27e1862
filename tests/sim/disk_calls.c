/* disk_calls.c - the system calls of file_ops.h that are about open files, on a disk in memory
 * (those about names: disk_names.c), and what the owner of a disk says to it. */
#include "disk_nodes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>

#include "common/base/file_ops.h"

#define FD_FIRST 1000

static struct disk *the_disk;

bool disk_troubled(const char *call) {
    const int error =
        the_disk->trouble == NULL ? 0 : the_disk->trouble(the_disk->trouble_self, call);
    if (error != 0) {
        errno = error;
    }
    return error != 0;
}

/* --- descriptors ------------------------------------------------------------------------------ */

static struct descriptor *of(int fd) {
    const size_t k = (size_t)(fd - FD_FIRST);
    if (fd < FD_FIRST || k >= the_disk->opens || !the_disk->open[k].used) {
        errno = EBADF;
        return NULL;
    }
    return &the_disk->open[k];
}

static int open_node(uint32_t node, bool append) {
    struct disk *d = the_disk;
    size_t k = 0;
    while (k < d->opens && d->open[k].used) {
        k++;
    }
    if (k == d->opens) {
        d->open = disk_room(d->open, &d->open_cap, ++d->opens, sizeof *d->open);
    }
    d->open[k] = (struct descriptor){.used = true,
                                     .append = append,
                                     .node = node,
                                     .process = d->process == NULL ? 0 : d->process()};
    return FD_FIRST + (int)k;
}

static void resize(uint32_t node, size_t bytes) {
    struct change *c = disk_note(the_disk, CHANGE_RESIZE, node);
    c->bytes = bytes;
    node_resize(the_disk, node, bytes);
}

static int call_open(const char *path, int flags, mode_t mode) {
    struct place p;
    (void)mode;
    if (!place_find(path, true, &p) || disk_troubled((flags & O_CREAT) != 0 ? "create" : "open")) {
        return -1;
    }
    if (p.node == NODE_NONE && (flags & O_CREAT) == 0) {
        errno = ENOENT;
        return -1;
    }
    if (p.node != NODE_NONE && (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
        errno = EEXIST;
        return -1;
    }
    const bool directory = p.node != NODE_NONE && the_disk->node[p.node].kind == NODE_DIR;
    if (directory ? (flags & O_ACCMODE) != O_RDONLY : (flags & O_DIRECTORY) != 0) {
        errno = directory ? EISDIR : ENOTDIR;
        return -1;
    }
    const uint32_t node = p.node != NODE_NONE ? p.node : place_make(&p, NODE_FILE);
    if ((flags & O_TRUNC) != 0 && the_disk->node[node].bytes > 0) {
        resize(node, 0);
    }
    return open_node(node, (flags & O_APPEND) != 0);
}

static void close_one(struct disk *d, size_t k) {
    struct node *x = &d->node[d->open[k].node];
    if (x->locked_by == FD_FIRST + (int)k + 1) {
        x->locked_by = 0;
    }
    d->open[k].used = false;
}

static int call_close(int fd) {
    if (of(fd) == NULL) {
        return -1;
    }
    close_one(the_disk, (size_t)(fd - FD_FIRST));
    return 0;
}

static int call_dup(int fd) {
    const struct descriptor *f = of(fd);
    return f == NULL ? -1 : open_node(f->node, f->append);
}

static ssize_t call_pread(int fd, void *out, size_t bytes, off_t offset) {
    const struct descriptor *f = of(fd);
    if (f == NULL || disk_troubled("read")) {
        return -1;
    }
    const struct node *x = &the_disk->node[f->node];
    const size_t at = (size_t)offset < x->bytes ? (size_t)offset : x->bytes;
    const size_t n = bytes < x->bytes - at ? bytes : x->bytes - at;
    if (n > 0) {
        memcpy(out, x->data + at, n);
    }
    return (ssize_t)n;
}

static ssize_t call_read(int fd, void *out, size_t bytes) {
    struct descriptor *f = of(fd);
    const ssize_t n = f == NULL ? -1 : call_pread(fd, out, bytes, (off_t)f->at);
    if (n > 0) {
        f->at += (size_t)n;
    }
    return n;
}

static ssize_t call_pwrite(int fd, const void *data, size_t bytes, off_t offset) {
    const struct descriptor *f = of(fd);
    if (f == NULL || disk_troubled("write")) {
        return -1;
    }
    struct change *c = disk_note(the_disk, CHANGE_WRITE, f->node);
    c->at = (size_t)offset;
    c->bytes = bytes;
    c->data = malloc(bytes + 1);
    if (c->data == NULL) {
        abort();
    }
    memcpy(c->data, data, bytes);
    node_write(the_disk, f->node, c->at, data, bytes);
    return (ssize_t)bytes;
}

static ssize_t call_write(int fd, const void *data, size_t bytes) {
    struct descriptor *f = of(fd);
    if (f == NULL) {
        return fd == 2 ? file_ops_system.write(fd, data, bytes) : -1;
    }
    const size_t at = f->append ? the_disk->node[f->node].bytes : f->at;
    const ssize_t n = call_pwrite(fd, data, bytes, (off_t)at);
    if (n > 0) {
        f->at = at + (size_t)n;
    }
    return n;
}

static int call_fsync(int fd) {
    const struct descriptor *f = of(fd);
    if (f == NULL || disk_troubled("fsync")) {
        return -1;
    }
    disk_note(the_disk, CHANGE_SYNC, f->node);
    return 0;
}

static int call_ftruncate(int fd, off_t bytes) {
    const struct descriptor *f = of(fd);
    if (f == NULL || disk_troubled("truncate")) {
        return -1;
    }
    resize(f->node, (size_t)bytes);
    return 0;
}

static int call_fchmod(int fd, mode_t mode) {
    (void)mode;
    return of(fd) == NULL ? -1 : 0;
}

static int call_flock(int fd, int what) {
    struct descriptor *f = of(fd);
    if (f == NULL) {
        return -1;
    }
    int *by = &the_disk->node[f->node].locked_by;
    if (*by != 0 && *by != fd + 1) {
        errno = EWOULDBLOCK;
        return -1;
    }
    *by = (what & LOCK_UN) != 0 ? 0 : fd + 1;
    return 0;
}

static int call_fstat(int fd, struct stat *out) {
    const struct descriptor *f = of(fd);
    return f == NULL ? -1 : node_stat(f->node, out);
}

static void *call_map(int fd, size_t bytes) {
    const struct descriptor *f = of(fd);
    if (f == NULL || disk_troubled("map")) {
        return MAP_FAILED;
    }
    const struct node *x = &the_disk->node[f->node];
    uint8_t *copy = calloc(1, bytes + 1);
    memcpy(copy, x->data, bytes < x->bytes ? bytes : x->bytes);
    return copy;
}

static int call_unmap(void *at, size_t bytes) {
    (void)bytes;
    free(at);
    return 0;
}

/* The calls for names, and those here. */
static struct file_ops all_ops(void) {
    struct file_ops ops = disk_name_ops;
    ops.open = call_open;
    ops.close = call_close;
    ops.dup = call_dup;
    ops.read = call_read;
    ops.pread = call_pread;
    ops.write = call_write;
    ops.pwrite = call_pwrite;
    ops.fsync = call_fsync;
    ops.ftruncate = call_ftruncate;
    ops.fchmod = call_fchmod;
    ops.flock = call_flock;
    ops.fstat = call_fstat;
    ops.map = call_map;
    ops.unmap = call_unmap;
    return ops;
}

void disk_mount(struct disk *d) {
    static struct file_ops ops;
    ops = all_ops();
    the_disk = d;
    file_ops_set(d == NULL ? NULL : &ops);
}

/* --- for the program that owns the disk ------------------------------------------------------- */

void disk_process(struct disk *d, uint32_t (*now)(void)) {
    d->process = now;
}

void disk_hang_up(struct disk *d, uint32_t process) {
    for (size_t k = 0; k < d->opens; k++) {
        if (d->open[k].used && d->open[k].process == process) {
            close_one(d, k);
        }
    }
}

void disk_trouble(struct disk *d, int (*trouble)(void *self, const char *call), void *self) {
    d->trouble = trouble;
    d->trouble_self = self;
}

uint8_t *disk_bytes(struct disk *d, const char *path, size_t *bytes) {
    struct disk *const mounted = the_disk;
    struct place p;
    the_disk = d;
    const bool there = place_find_there(path, true, &p) && d->node[p.node].kind == NODE_FILE;
    the_disk = mounted;
    *bytes = there ? d->node[p.node].bytes : 0;
    return there ? d->node[p.node].data : NULL;
}

struct disk *disk_mounted(void) {
    return the_disk;
}
