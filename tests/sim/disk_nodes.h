/* disk_nodes.h - the inside of disk.h, shared by disk.c, disk_calls.c and disk_names.c. */
#pragma once

#include "common/base/file_ops.h"
#include "disk.h"

#define NODE_ROOT 0u
#define NODE_NONE UINT32_MAX
#define NAME_ROOM 80

enum node_kind { NODE_FILE, NODE_DIR, NODE_LINK };
struct entry {
    char name[NAME_ROOM];
    uint32_t node;
};
struct node {
    enum node_kind kind;
    uint32_t parent; /* of a directory */
    uint8_t *data;   /* of a file; the target of a link */
    size_t bytes, cap;
    struct entry *entry; /* of a directory */
    size_t entries, entry_cap;
    int locked_by; /* descriptor + 1; 0: nobody */
};

enum change_kind { CHANGE_WRITE, CHANGE_RESIZE, CHANGE_NAMES, CHANGE_SYNC };
struct change {
    enum change_kind kind;
    uint32_t node; /* written, resized, synced */
    size_t at, bytes;
    uint8_t *data;
    uint32_t names; /* how many names changed in one step */
    struct {
        uint32_t dir, node;
        char name[NAME_ROOM];
    } name[2];
    size_t synced_at; /* the moment after the sync that made it durable; 0: none is known */
    size_t looked_to; /* how far one was looked for */
};

struct descriptor {
    bool used, append;
    uint32_t node, process;
    size_t at;
};

struct disk {
    struct node *node;
    uint32_t nodes;
    size_t node_cap;
    struct change *change;
    size_t changes, change_cap;
    struct disk *before; /* what there was before the first change; NULL: nothing */
    struct descriptor *open;
    size_t opens, open_cap;
    uint32_t (*process)(void);
    int (*trouble)(void *self, const char *call);
    void *trouble_self;
};

void *disk_room(void *p, size_t *cap, size_t need, size_t size); /* new elements are zero */
struct disk *disk_copy(const struct disk *d);                    /* nodes only */
uint32_t node_add(struct disk *d, enum node_kind kind);
void node_write(struct disk *d, uint32_t n, size_t at, const void *data, size_t bytes);
void node_resize(struct disk *d, uint32_t n, size_t bytes);
uint32_t node_find(const struct disk *d, uint32_t dir, const char *name);
void node_name(struct disk *d, uint32_t dir, const char *name, uint32_t node);
struct change *disk_note(struct disk *d, enum change_kind kind, uint32_t node);

struct place {
    uint32_t dir;
    char name[NAME_ROOM]; /* "": the directory itself */
    uint32_t node;        /* NODE_NONE: there is nothing of that name */
};
bool place_find(const char *path, bool follow, struct place *p);
bool place_find_there(const char *path, bool follow, struct place *p);
uint32_t place_make(const struct place *p, enum node_kind kind);
int node_stat(uint32_t node, struct stat *out);
bool disk_troubled(const char *call); /* the call is to fail; errno says why */
extern const struct file_ops disk_name_ops;
