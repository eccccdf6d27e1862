/* disk_names.c - the system calls of file_ops.h that are about names, on a disk in memory. They
 * behave as Linux's do, as far as this project uses them. */
#include "disk_nodes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINKS_MAX 8

/* --- paths ------------------------------------------------------------------------------------ */

static bool walk(uint32_t dir, const char *path, bool follow, int links, struct place *p);

static bool step_in(struct place *p, const char *name, bool follow, int links) {
    snprintf(p->name, sizeof p->name, "%s", name);
    p->node = strcmp(name, ".") == 0    ? p->dir
              : strcmp(name, "..") == 0 ? disk_mounted()->node[p->dir].parent
                                        : node_find(disk_mounted(), p->dir, name);
    if (p->node == NODE_NONE || disk_mounted()->node[p->node].kind != NODE_LINK || !follow) {
        return true;
    }
    char target[4096];
    const struct node *x = &disk_mounted()->node[p->node];
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
        if (p->node == NODE_NONE || disk_mounted()->node[p->node].kind != NODE_DIR) {
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

bool place_find(const char *path, bool follow, struct place *p) {
    return walk(NODE_ROOT, path, follow, 0, p);
}

bool place_find_there(const char *path, bool follow, struct place *p) {
    if (!place_find(path, follow, p)) {
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
    node_name(disk_mounted(), dir, name, node);
}

uint32_t place_make(const struct place *p, enum node_kind kind) {
    const uint32_t node = node_add(disk_mounted(), kind);
    put_name(disk_note(disk_mounted(), CHANGE_NAMES, node), p->dir, p->name, node);
    return node;
}

static int call_mkdir(const char *path, mode_t mode) {
    struct place p;
    (void)mode;
    if (!place_find(path, true, &p) || (p.node == NODE_NONE && disk_troubled("mkdir"))) {
        return -1;
    }
    if (p.node != NODE_NONE) {
        errno = EEXIST;
        return -1;
    }
    place_make(&p, NODE_DIR);
    return 0;
}

static char *call_mkdtemp(char *path) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    char *end = path + strlen(path) - 6;
    for (uint32_t n = disk_mounted()->nodes;; n++) {
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
    if (!place_find(path, false, &p) || disk_troubled("symlink")) {
        return -1;
    }
    if (p.node != NODE_NONE) {
        errno = EEXIST;
        return -1;
    }
    const uint32_t node = place_make(&p, NODE_LINK);
    node_write(disk_mounted(), node, 0, target, strlen(target));
    return 0;
}

static int call_unlink(const char *path) {
    struct place p;
    if (!place_find_there(path, false, &p) || disk_troubled("unlink")) {
        return -1;
    }
    if (disk_mounted()->node[p.node].kind == NODE_DIR) {
        errno = EISDIR;
        return -1;
    }
    put_name(disk_note(disk_mounted(), CHANGE_NAMES, p.node), p.dir, p.name, NODE_NONE);
    return 0;
}

static int call_rmdir(const char *path) {
    struct place p;
    if (!place_find_there(path, false, &p) || disk_troubled("rmdir")) {
        return -1;
    }
    const struct node *x = &disk_mounted()->node[p.node];
    if (x->kind != NODE_DIR || x->entries > 0) {
        errno = x->kind != NODE_DIR ? ENOTDIR : ENOTEMPTY;
        return -1;
    }
    put_name(disk_note(disk_mounted(), CHANGE_NAMES, p.node), p.dir, p.name, NODE_NONE);
    return 0;
}

static int call_rename(const char *from, const char *to) {
    struct place a, b;
    if (!place_find_there(from, false, &a) || !place_find(to, false, &b) ||
        disk_troubled("rename")) {
        return -1;
    }
    if (b.node != NODE_NONE && disk_mounted()->node[b.node].kind == NODE_DIR &&
        disk_mounted()->node[b.node].entries > 0) {
        errno = ENOTEMPTY;
        return -1;
    }
    struct change *c = disk_note(disk_mounted(), CHANGE_NAMES, a.node);
    put_name(c, a.dir, a.name, NODE_NONE);
    put_name(c, b.dir, b.name, a.node);
    return 0;
}

static int call_exchange(const char *one, const char *other) {
    struct place a, b;
    if (!place_find_there(one, false, &a) || !place_find_there(other, false, &b) ||
        disk_troubled("exchange")) {
        return -1;
    }
    struct change *c = disk_note(disk_mounted(), CHANGE_NAMES, a.node);
    put_name(c, a.dir, a.name, b.node);
    put_name(c, b.dir, b.name, a.node);
    return 0;
}

/* --- looking ---------------------------------------------------------------------------------- */

int node_stat(uint32_t node, struct stat *out) {
    static const mode_t modes[] = {S_IFREG | 0644, S_IFDIR | 0755, S_IFLNK | 0777};
    *out = (struct stat){.st_mode = modes[disk_mounted()->node[node].kind],
                         .st_size = (off_t)disk_mounted()->node[node].bytes,
                         .st_nlink = 1,
                         .st_dev = 1,
                         .st_ino = node + 1};
    return 0;
}

static int call_stat(const char *path, struct stat *out) {
    struct place p;
    return place_find_there(path, true, &p) ? node_stat(p.node, out) : -1;
}

static int call_lstat(const char *path, struct stat *out) {
    struct place p;
    return place_find_there(path, false, &p) ? node_stat(p.node, out) : -1;
}

static int call_chmod(const char *path, mode_t mode) {
    struct place p;
    (void)mode;
    return place_find_there(path, true, &p) ? 0 : -1;
}

static const char *name_of(uint32_t node, uint32_t parent) {
    const struct node *x = &disk_mounted()->node[parent];
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
    if (!place_find_there(path, true, &p)) {
        return NULL;
    }
    const bool file = disk_mounted()->node[p.node].kind != NODE_DIR;
    if (file) {
        snprintf(text, sizeof text, "/%s", p.name);
    }
    for (uint32_t n = file ? p.dir : p.node; n != NODE_ROOT; n = disk_mounted()->node[n].parent) {
        snprintf(longer, sizeof longer, "/%s%s", name_of(n, disk_mounted()->node[n].parent), text);
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
    if (!place_find_there(path, true, &p) || disk_troubled("opendir")) {
        return NULL;
    }
    const struct node *x = &disk_mounted()->node[p.node];
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

const struct file_ops disk_name_ops = {
    .mkdir = call_mkdir,
    .mkdtemp = call_mkdtemp,
    .symlink = call_symlink,
    .unlink = call_unlink,
    .rmdir = call_rmdir,
    .rename = call_rename,
    .exchange = call_exchange,
    .stat = call_stat,
    .lstat = call_lstat,
    .chmod = call_chmod,
    .realpath = call_realpath,
    .opendir = call_opendir,
    .readdir = call_readdir,
    .closedir = call_closedir,
};
