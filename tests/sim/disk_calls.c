/* disk_calls.c - the system calls of file_ops.h on a disk in memory. They behave as Linux's do, as
 * far as this project uses them. */
#include "disk_nodes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>

#include "common/base/file_ops.h"

#define FD_FIRST  1000
#define LINKS_MAX 8

static struct disk *the_disk;

static bool troubled(const char *call) {
    const int error =
        the_disk->trouble == NULL ? 0 : the_disk->trouble(the_disk->trouble_self, call);
    if (error != 0) {
        errno = error;
    }
    return error != 0;
}

/* --- paths ------------------------------------------------------------------------------------ */

struct place {
    uint32_t dir;
    char name[NAME_ROOM]; /* "": the directory itself */
    uint32_t node;        /* NODE_NONE: there is nothing of that name */
};

static bool walk(uint32_t dir, const char *path, bool follow, int links, struct place *p);

static bool step_in(struct place *p, const char *name, bool follow, int links) {
    snprintf(p->name, sizeof p->name, "%s", name);
    p->node = strcmp(name, ".") == 0    ? p->dir
              : strcmp(name, "..") == 0 ? the_disk->node[p->dir].parent
                                        : node_find(the_disk, p->dir, name);
    if (p->node == NODE_NONE || the_disk->node[p->node].kind != NODE_LINK || !follow) {
        return true;
    }
    char target[4096];
    const struct node *x = &the_disk->node[p->node];
    snprintf(target, sizeof target, "%.*s", (int)x->bytes, (const char *)x->data);
    if (links == LINKS_MAX) {
        errno = ELOOP;
        return false;
    }
    return walk(p->dir, target, true, links + 1, p);
}

static bool walk(uint32_t dir, const char *path, bool follow, int links, struct place *p) {
    *p = (struct place){.dir = path[0] == '/' ? NODE_ROOT : dir, .node = NODE_ROOT};
    p->node = p->dir;
    for (;;) {
        path += strspn(path, "/");
        const size_t n = strcspn(path, "/");
        if (n == 0) {
            return true;
        }
        if (p->node == NODE_NONE || the_disk->node[p->node].kind != NODE_DIR) {
            errno = p->node == NODE_NONE ? ENOENT : ENOTDIR;
            return false;
        }
        if (n >= NAME_ROOM) {
            errno = ENAMETOOLONG;
            return false;
        }
        char name[NAME_ROOM];
        memcpy(name, path, n);
        name[n] = '\0';
        path += n;
        p->dir = p->node;
        const bool last = path[strspn(path, "/")] == '\0';
        if (!step_in(p, name, follow || !last, links)) {
            return false;
        }
    }
}

static bool find(const char *path, bool follow, struct place *p) {
    return walk(NODE_ROOT, path, follow, 0, p);
}

static bool find_there(const char *path, bool follow, struct place *p) {
    if (!find(path, follow, p)) {
        return false;
    }
    errno = p->node == NODE_NONE ? ENOENT : errno;
    return p->node != NODE_NONE;
}

/* --- names ------------------------------------------------------------------------------------ */

static void put_name(struct change *c, uint32_t dir, const char *name, uint32_t node) {
    c->name[c->names].dir = dir;
    c->name[c->names].node = node;
    snprintf(c->name[c->names].name, NAME_ROOM, "%s", name);
    c->names++;
    node_name(the_disk, dir, name, node);
}

static uint32_t make_node(const struct place *p, enum node_kind kind) {
    const uint32_t node = node_add(the_disk, kind);
    put_name(disk_note(the_disk, CHANGE_NAMES, node), p->dir, p->name, node);
    return node;
}

static int call_mkdir(const char *path, mode_t mode) {
    struct place p;
    (void)mode;
    if (!find(path, true, &p) || (p.node == NODE_NONE && troubled("mkdir"))) {
        return -1;
    }
    if (p.node != NODE_NONE) {
        errno = EEXIST;
        return -1;
    }
    make_node(&p, NODE_DIR);
    return 0;
}

static char *call_mkdtemp(char *path) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    char *end = path + strlen(path) - 6;
    for (uint32_t n = the_disk->nodes;; n++) {
        for (uint32_t k = 0, left = n; k < 6; k++, left /= 26) {
            end[k] = letters[left % 26];
        }
        if (call_mkdir(path, 0700) == 0) {
            return path;
        }
        if (errno != EEXIST) {
            return NULL;
        }
    }
}

static int call_symlink(const char *target, const char *path) {
    struct place p;
    if (!find(path, false, &p) || troubled("symlink")) {
        return -1;
    }
    if (p.node != NODE_NONE) {
        errno = EEXIST;
        return -1;
    }
    const uint32_t node = make_node(&p, NODE_LINK);
    node_write(the_disk, node, 0, target, strlen(target));
    return 0;
}

static int call_unlink(const char *path) {
    struct place p;
    if (!find_there(path, false, &p) || troubled("unlink")) {
        return -1;
    }
    if (the_disk->node[p.node].kind == NODE_DIR) {
        errno = EISDIR;
        return -1;
    }
    put_name(disk_note(the_disk, CHANGE_NAMES, p.node), p.dir, p.name, NODE_NONE);
    return 0;
}

static int call_rmdir(const char *path) {
    struct place p;
    if (!find_there(path, false, &p) || troubled("rmdir")) {
        return -1;
    }
    const struct node *x = &the_disk->node[p.node];
    if (x->kind != NODE_DIR || x->entries > 0) {
        errno = x->kind != NODE_DIR ? ENOTDIR : ENOTEMPTY;
        return -1;
    }
    put_name(disk_note(the_disk, CHANGE_NAMES, p.node), p.dir, p.name, NODE_NONE);
    return 0;
}

static int call_rename(const char *from, const char *to) {
    struct place a, b;
    if (!find_there(from, false, &a) || !find(to, false, &b) || troubled("rename")) {
        return -1;
    }
    if (b.node != NODE_NONE && the_disk->node[b.node].kind == NODE_DIR &&
        the_disk->node[b.node].entries > 0) {
        errno = ENOTEMPTY;
        return -1;
    }
    struct change *c = disk_note(the_disk, CHANGE_NAMES, a.node);
    put_name(c, a.dir, a.name, NODE_NONE);
    put_name(c, b.dir, b.name, a.node);
    return 0;
}

static int call_exchange(const char *one, const char *other) {
    struct place a, b;
    if (!find_there(one, false, &a) || !find_there(other, false, &b) || troubled("exchange")) {
        return -1;
    }
    struct change *c = disk_note(the_disk, CHANGE_NAMES, a.node);
    put_name(c, a.dir, a.name, b.node);
    put_name(c, b.dir, b.name, a.node);
    return 0;
}

/* --- looking ---------------------------------------------------------------------------------- */

static int stat_node(uint32_t node, struct stat *out) {
    static const mode_t modes[] = {S_IFREG | 0644, S_IFDIR | 0755, S_IFLNK | 0777};
    *out = (struct stat){.st_mode = modes[the_disk->node[node].kind],
                         .st_size = (off_t)the_disk->node[node].bytes,
                         .st_nlink = 1,
                         .st_dev = 1,
                         .st_ino = node + 1};
    return 0;
}

static int call_stat(const char *path, struct stat *out) {
    struct place p;
    return find_there(path, true, &p) ? stat_node(p.node, out) : -1;
}

static int call_lstat(const char *path, struct stat *out) {
    struct place p;
    return find_there(path, false, &p) ? stat_node(p.node, out) : -1;
}

static int call_chmod(const char *path, mode_t mode) {
    struct place p;
    (void)mode;
    return find_there(path, true, &p) ? 0 : -1;
}

static const char *name_of(uint32_t node, uint32_t parent) {
    const struct node *x = &the_disk->node[parent];
    for (size_t i = 0; i < x->entries; i++) {
        if (x->entry[i].node == node) {
            return x->entry[i].name;
        }
    }
    return "?";
}

static char *call_realpath(const char *path, char *out) {
    struct place p;
    char text[4096] = "", longer[sizeof text + NAME_ROOM + 1];
    if (!find_there(path, true, &p)) {
        return NULL;
    }
    const bool file = the_disk->node[p.node].kind != NODE_DIR;
    if (file) {
        snprintf(text, sizeof text, "/%s", p.name);
    }
    for (uint32_t n = file ? p.dir : p.node; n != NODE_ROOT; n = the_disk->node[n].parent) {
        snprintf(longer, sizeof longer, "/%s%s", name_of(n, the_disk->node[n].parent), text);
        snprintf(text, sizeof text, "%s", longer);
    }
    return strcpy(out, text[0] == '\0' ? "/" : text);
}

struct listing { /* stands behind a DIR */
    struct entry *entry;
    size_t entries, at;
    struct dirent out;
};

static DIR *call_opendir(const char *path) {
    struct place p;
    if (!find_there(path, true, &p) || troubled("opendir")) {
        return NULL;
    }
    const struct node *x = &the_disk->node[p.node];
    if (x->kind != NODE_DIR) {
        errno = ENOTDIR;
        return NULL;
    }
    struct listing *l = calloc(1, sizeof *l);
    l->entry = calloc(x->entries + 1, sizeof *l->entry);
    memcpy(l->entry, x->entry, x->entries * sizeof *l->entry);
    l->entries = x->entries;
    return (DIR *)l;
}

static struct dirent *call_readdir(DIR *dir) {
    struct listing *l = (struct listing *)dir;
    if (l->at == l->entries) {
        return NULL;
    }
    snprintf(l->out.d_name, sizeof l->out.d_name, "%s", l->entry[l->at++].name);
    return &l->out;
}

static int call_closedir(DIR *dir) {
    struct listing *l = (struct listing *)dir;
    free(l->entry);
    free(l);
    return 0;
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
    if (!find(path, true, &p) || troubled("open")) {
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
    const uint32_t node = p.node != NODE_NONE ? p.node : make_node(&p, NODE_FILE);
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
    if (f == NULL || troubled("read")) {
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
    if (f == NULL || troubled("write")) {
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
    if (f == NULL || troubled("fsync")) {
        return -1;
    }
    disk_note(the_disk, CHANGE_SYNC, f->node);
    return 0;
}

static int call_ftruncate(int fd, off_t bytes) {
    const struct descriptor *f = of(fd);
    if (f == NULL || troubled("truncate")) {
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
    return f == NULL ? -1 : stat_node(f->node, out);
}

static void *call_map(int fd, size_t bytes) {
    const struct descriptor *f = of(fd);
    if (f == NULL || troubled("map")) {
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

static const struct file_ops disk_ops = {.open = call_open,
                                         .close = call_close,
                                         .dup = call_dup,
                                         .read = call_read,
                                         .pread = call_pread,
                                         .write = call_write,
                                         .pwrite = call_pwrite,
                                         .fsync = call_fsync,
                                         .ftruncate = call_ftruncate,
                                         .fchmod = call_fchmod,
                                         .flock = call_flock,
                                         .fstat = call_fstat,
                                         .map = call_map,
                                         .unmap = call_unmap,
                                         .stat = call_stat,
                                         .lstat = call_lstat,
                                         .rename = call_rename,
                                         .exchange = call_exchange,
                                         .unlink = call_unlink,
                                         .symlink = call_symlink,
                                         .mkdir = call_mkdir,
                                         .rmdir = call_rmdir,
                                         .chmod = call_chmod,
                                         .mkdtemp = call_mkdtemp,
                                         .realpath = call_realpath,
                                         .opendir = call_opendir,
                                         .readdir = call_readdir,
                                         .closedir = call_closedir};

void disk_mount(struct disk *d) {
    the_disk = d;
    file_ops_set(d == NULL ? NULL : &disk_ops);
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
    const bool there = find_there(path, true, &p) && d->node[p.node].kind == NODE_FILE;
    the_disk = mounted;
    *bytes = there ? d->node[p.node].bytes : 0;
    return there ? d->node[p.node].data : NULL;
}

struct disk *disk_mounted(void) {
    return the_disk;
}
