/* disk.c - the nodes of the disk and its list of changes (see disk.h). The calls are in
 * disk_calls.c. */
#include "disk_nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/rng.h"

#define SECTOR 512u

void *disk_room(void *p, size_t *cap, size_t need, size_t size) {
    if (need > *cap) {
        const size_t cap_new = need > 2 * *cap ? need + 4 : 2 * *cap;
        p = realloc(p, cap_new * size);
        if (p == NULL) {
            abort();
        }
        memset((char *)p + *cap * size, 0, (cap_new - *cap) * size);
        *cap = cap_new;
    }
    return p;
}

/* --- nodes ------------------------------------------------------------------------------------ */

uint32_t node_add(struct disk *d, enum node_kind kind) {
    d->node = disk_room(d->node, &d->node_cap, d->nodes + 1, sizeof *d->node);
    d->node[d->nodes] = (struct node){.kind = kind, .parent = NODE_ROOT};
    return d->nodes++;
}

void node_write(struct disk *d, uint32_t n, size_t at, const void *data, size_t bytes) {
    struct node *x = &d->node[n];
    if (at + bytes > x->bytes) {
        x->data = disk_room(x->data, &x->cap, at + bytes, 1);
        if (at > x->bytes) {
            memset(x->data + x->bytes, 0, at - x->bytes);
        }
        x->bytes = at + bytes;
    }
    if (bytes > 0) {
        memcpy(x->data + at, data, bytes);
    }
}

void node_resize(struct disk *d, uint32_t n, size_t bytes) {
    struct node *x = &d->node[n];
    x->data = disk_room(x->data, &x->cap, bytes, 1);
    if (bytes > x->bytes) {
        memset(x->data + x->bytes, 0, bytes - x->bytes);
    }
    x->bytes = bytes;
}

uint32_t node_find(const struct disk *d, uint32_t dir, const char *name) {
    const struct node *x = &d->node[dir];
    for (size_t i = 0; i < x->entries; i++) {
        if (strcmp(x->entry[i].name, name) == 0) {
            return x->entry[i].node;
        }
    }
    return NODE_NONE;
}

/* Gives the name a node, or with NODE_NONE takes it away. */
void node_name(struct disk *d, uint32_t dir, const char *name, uint32_t node) {
    struct node *x = &d->node[dir];
    size_t i = 0;
    while (i < x->entries && strcmp(x->entry[i].name, name) != 0) {
        i++;
    }
    if (node == NODE_NONE) {
        if (i < x->entries) {
            x->entry[i] = x->entry[--x->entries];
        }
        return;
    }
    if (i == x->entries) {
        x->entry = disk_room(x->entry, &x->entry_cap, i + 1, sizeof *x->entry);
        snprintf(x->entry[i].name, sizeof x->entry[i].name, "%s", name);
        x->entries++;
    }
    x->entry[i].node = node;
    d->node[node].parent = dir;
}

/* --- life ------------------------------------------------------------------------------------- */

struct disk *disk_create(void) {
    struct disk *d = calloc(1, sizeof *d);
    if (d == NULL) {
        abort();
    }
    node_add(d, NODE_DIR);
    return d;
}

static void forget_changes(struct disk *d) {
    for (size_t i = 0; i < d->changes; i++) {
        free(d->change[i].data);
    }
    d->changes = 0;
}

void disk_destroy(struct disk **inout) {
    struct disk *d = *inout;
    if (d == NULL) {
        return;
    }
    forget_changes(d);
    disk_destroy(&d->before);
    for (uint32_t n = 0; n < d->nodes; n++) {
        free(d->node[n].data);
        free(d->node[n].entry);
    }
    free(d->node);
    free(d->change);
    free(d->open);
    free(d);
    *inout = NULL;
}

size_t disk_moment(const struct disk *d) {
    return d->changes;
}

void disk_settle(struct disk *d) {
    struct disk *now = disk_copy(d);
    forget_changes(d);
    /* What was there before the list begins is told by `before`. */
    disk_destroy(&d->before);
    d->before = now;
}

struct disk *disk_copy(const struct disk *d) {
    struct disk *out = disk_create();
    while (out->nodes < d->nodes) {
        node_add(out, d->node[out->nodes].kind);
    }
    for (uint32_t n = 0; n < d->nodes; n++) {
        const struct node *x = &d->node[n];
        node_write(out, n, 0, x->data, x->bytes);
        for (size_t i = 0; i < x->entries; i++) {
            node_name(out, n, x->entry[i].name, x->entry[i].node);
        }
    }
    return out;
}

/* --- changes ---------------------------------------------------------------------------------- */

struct change *disk_note(struct disk *d, enum change_kind kind, uint32_t node) {
    d->change = disk_room(d->change, &d->change_cap, d->changes + 1, sizeof *d->change);
    struct change *c = &d->change[d->changes++];
    *c = (struct change){.kind = kind, .node = node};
    return c;
}

void disk_describe(const struct disk *d, size_t moment, char *out, size_t bytes) {
    static const char *const names[] = {"write", "resize", "names", "fsync"};
    if (moment == 0) {
        snprintf(out, bytes, "the start");
        return;
    }
    const struct change *c = &d->change[moment - 1];
    snprintf(out, bytes, "%s of node %u, %zu bytes at %zu%s%s%s%s", names[c->kind], c->node,
             c->bytes, c->at, c->names > 0 ? ", " : "", c->name[0].name, c->names > 1 ? ", " : "",
             c->name[1].name);
}

static bool makes_durable(const struct change *sync, const struct change *c) {
    switch (c->kind) {
    case CHANGE_WRITE:
    case CHANGE_RESIZE: return sync->node == c->node;
    case CHANGE_NAMES:
        for (uint32_t k = 0; k < c->names; k++) {
            if (sync->node == c->name[k].dir) {
                return true;
            }
        }
        return false;
    case CHANGE_SYNC: break;
    }
    return false;
}

/* Whether the change is synced before the moment. The place of the first sync is kept. */
static bool is_durable(const struct disk *d, size_t i, size_t moment) {
    struct change *c = &d->change[i];
    if (c->synced_at == 0) {
        if (c->looked_to == 0) {
            c->looked_to = i + 1;
        }
        while (c->looked_to < d->changes && c->synced_at == 0) {
            const struct change *sync = &d->change[c->looked_to++];
            if (sync->kind == CHANGE_SYNC && makes_durable(sync, c)) {
                c->synced_at = c->looked_to;
            }
        }
    }
    return c->synced_at > 0 && c->synced_at <= moment;
}

/* --- crashes ---------------------------------------------------------------------------------- */

static void apply_names(struct disk *out, const struct change *c) {
    for (uint32_t k = 0; k < c->names; k++) {
        node_name(out, c->name[k].dir, c->name[k].name, c->name[k].node);
    }
}

/* A write of which only a part got there. */
static void apply_torn(struct disk *out, const struct change *c, uint64_t draw) {
    const bool longer = (draw & 1) != 0; /* the length got there, whatever became of the data */
    if (longer && c->at + c->bytes > out->node[c->node].bytes) {
        node_resize(out, c->node, c->at + c->bytes);
    }
    if ((draw & 2) != 0) {
        node_write(out, c->node, c->at, c->data, (size_t)((draw >> 8) % (c->bytes + 1)));
        return;
    }
    for (size_t at = c->at; at < c->at + c->bytes;) {
        const size_t end = (at / SECTOR + 1) * SECTOR;
        const size_t to = end < c->at + c->bytes ? end : c->at + c->bytes;
        draw = rng_mix(draw);
        if ((draw & 1) != 0) {
            node_write(out, c->node, at, c->data + (at - c->at), to - at);
        }
        at = to;
    }
}

static void apply_by_luck(struct disk *out, const struct change *c, enum disk_luck luck,
                          uint64_t draw) {
    const bool names = c->kind == CHANGE_NAMES;
    const bool there = luck == DISK_ALL || (luck == DISK_NAMES && names) ||
                       (luck == DISK_DATA && !names) || (luck >= DISK_SOME && (draw & 1) != 0);
    if (luck == DISK_TORN && c->kind == CHANGE_WRITE && (draw & 6) != 0) {
        apply_torn(out, c, draw >> 3);
    } else if (there && names) {
        apply_names(out, c);
    } else if (there && c->kind == CHANGE_WRITE) {
        node_write(out, c->node, c->at, c->data, c->bytes);
    } else if (there && c->kind == CHANGE_RESIZE) {
        node_resize(out, c->node, c->bytes);
    }
}

struct disk *disk_crash(const struct disk *d, size_t moment, enum disk_luck luck, uint64_t seed) {
    struct disk *out = d->before != NULL ? disk_copy(d->before) : disk_create();
    while (out->nodes < d->nodes) {
        const struct node *x = &d->node[node_add(out, d->node[out->nodes].kind)];
        if (x->kind == NODE_LINK) {
            node_write(out, out->nodes - 1, 0, x->data, x->bytes);
        }
    }
    for (size_t i = 0; i < moment; i++) {
        apply_by_luck(out, &d->change[i], is_durable(d, i, moment) ? DISK_ALL : luck,
                      rng_u64(seed, moment, i));
    }
    return out;
}

/* --- looking ---------------------------------------------------------------------------------- */

static uint64_t hash_node(const struct disk *d, uint32_t n) {
    const struct node *x = &d->node[n];
    uint64_t sum = hash_bytes(x->data == NULL ? (const uint8_t *)"" : x->data, x->bytes);
    for (size_t i = 0; i < x->entries; i++) { /* in any order */
        const char *name = x->entry[i].name;
        sum += rng_mix(hash_bytes(name, strlen(name)) ^ hash_node(d, x->entry[i].node));
    }
    return rng_mix(sum ^ x->kind);
}

uint64_t disk_hash(const struct disk *d) {
    return hash_node(d, NODE_ROOT);
}
