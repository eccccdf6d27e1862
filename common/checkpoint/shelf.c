/* shelf.c - see shelf.h. */
#include "shelf.h"

#include <math.h>
#include <stdio.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "newest.h"

static const char PIN[] = "pinned";

/* --- reading ---------------------------------------------------------------------------------- */

static enum status read_manifest(struct shelf_item *item, const char *dir) {
    struct manifest *m = NULL;
    TRY(mem_new(&m));
    if (manifest_read(m, dir) == OK) {
        item->readable = true;
        item->step = m->step;
        item->impressions = m->impressions;
        item->saved_at = m->saved_at;
        item->cut = m->cut;
        item->base = m->base.cut;
        item->parts = m->part_count;
        item->rows = manifest_rows(m);
        item->bytes = manifest_bytes(m);
        manifest_free(m);
    }
    mem_free(&m);
    return OK;
}

/* What may have changed since the manifest was written. */
static enum status look_beside(struct shelf_item *item, const char *dir) {
    char path[PATH_BYTES_MAX];
    TRY(path_join(path, dir, PIN));
    item->pinned = file_exists(path);
    item->judged = judged_read(&item->figures, dir) == OK;
    return OK;
}

static const struct shelf_item *known(const struct shelf *s, const char *name, uint64_t again) {
    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->items[i].name, name) == 0 && s->items[i].readable &&
            s->items[i].step != again) {
            return &s->items[i];
        }
    }
    return NULL;
}

static enum status add(struct shelf *into, const struct shelf *before, const char *root,
                       const char *name, uint64_t again) {
    char dir[PATH_BYTES_MAX];
    struct shelf_item item = {0};
    const bool aside = newest_is_aside(name, &item.step);
    if (!aside && !manifest_is_checkpoint(root, name, &item.step)) {
        return OK;
    }
    TRY(path_join(dir, root, name));
    const struct shelf_item *old = known(before, name, again);
    if (old != NULL) {
        item = *old;
    } else {
        item.aside = aside;
        snprintf(item.name, sizeof item.name, "%s", name);
        TRY(read_manifest(&item, dir));
    }
    TRY(look_beside(&item, dir));
    TRY(mem_room(&into->items, &into->cap, into->count + 1));
    into->items[into->count++] = item;
    return OK;
}

static void find_newest(struct shelf *s, const char *root) {
    char dir[PATH_BYTES_MAX];
    s->any = manifest_latest(root, dir, &s->newest);
    for (size_t i = s->count; i > 0 && !s->any; i--) {
        s->any = s->items[i - 1].readable && !s->items[i - 1].aside;
        s->newest = s->items[i - 1].step;
    }
}

enum status shelf_read(struct shelf *s, const char *root, uint64_t again) {
    struct shelf now = {0};
    struct file_list list = {0};
    enum status status = OK;
    if (file_is_dir(root)) {
        TRY(file_list_dir(&list, root));
    }
    for (size_t i = 0; i < list.count && status == OK; i++) {
        status = add(&now, s, root, list.names[i], again);
    }
    file_list_free(&list);
    if (status != OK) {
        shelf_free(&now);
        return status;
    }
    find_newest(&now, root);
    shelf_free(s);
    *s = now;
    return OK;
}

void shelf_free(struct shelf *s) {
    mem_free(&s->items);
    *s = (struct shelf){0};
}

struct shelf_item *shelf_find(struct shelf *s, uint64_t step) {
    for (size_t i = 0; i < s->count; i++) {
        if (s->items[i].step == step && s->items[i].readable && !s->items[i].aside) {
            return &s->items[i];
        }
    }
    return NULL;
}

/* --- deciding --------------------------------------------------------------------------------- */

static bool counts(const struct shelf_item *item) {
    return item->readable && !item->aside;
}

/* One that does not read has its place by its step alone: it stays as long as one that reads would
 * stay for being new. */
static void decide_unreadable(struct shelf *s, const struct retention *r) {
    uint32_t newer = 0;
    for (size_t i = s->count; i > 0; i--) {
        struct shelf_item *item = &s->items[i - 1];
        if (!item->aside && !item->readable) {
            item->kept = (newer < r->newest ? KEPT_NEWEST : 0) | (item->pinned ? KEPT_PINNED : 0);
        }
        newer += counts(item);
    }
}

enum status shelf_decide(struct shelf *s, const struct retention *r) {
    struct retention_item *items = NULL;
    size_t n = 0;
    TRY(mem_array(&items, s->count));
    for (size_t i = 0; i < s->count; i++) {
        const struct shelf_item *item = &s->items[i];
        if (counts(item)) {
            items[n++] = (struct retention_item){
                .step = item->step,
                .saved_at = item->saved_at,
                .cut = item->cut,
                .base = item->base,
                .figure = item->judged ? judged_figure(&item->figures, r->best) : NAN,
                .pinned = item->pinned,
                .index = i};
        }
    }
    retention_decide(r, s->newest, items, n);
    for (size_t i = 0; i < s->count; i++) {
        s->items[i].kept = 0;
    }
    for (size_t i = 0; i < n; i++) {
        s->items[items[i].index].kept = items[i].kept;
    }
    mem_free(&items);
    decide_unreadable(s, r);
    return OK;
}

/* --- changing --------------------------------------------------------------------------------- */

enum status shelf_remove(const char *root, const char *name) {
    char path[PATH_BYTES_MAX], manifest[PATH_BYTES_MAX];
    TRY(path_join(path, root, name));
    TRY(path_join(manifest, path, "manifest"));
    TRY(file_remove_tree(manifest));
    return file_remove_tree(path);
}

/* After a crash between two renames a checkpoint may still be called step-N.old.tmp. */
static void name_again(const char *root, const char *name, uint64_t step) {
    char plain[32], from[PATH_BYTES_MAX], to[PATH_BYTES_MAX];
    manifest_dir_name(step, plain);
    if (strstr(name, ".old.tmp") != NULL &&
        (path_join(from, root, name) != OK || path_join(to, root, plain) != OK ||
         file_remove_tree(to) != OK || file_rename(from, to) != OK)) {
        log_warn("%s keeps its name: %s", name, fail_text());
    }
}

void shelf_clean(struct shelf *s, const char *root, const struct retention *r) {
    if (shelf_decide(s, r) != OK) {
        log_warn("old checkpoints stay: %s", fail_text());
        return;
    }
    manifest_sweep(root); /* first: a step-N.old.tmp is left over as long as step-N is there */
    for (size_t i = 0; s->any && i < s->count; i++) {
        const struct shelf_item *item = &s->items[i];
        const bool gone = item->aside ? item->step <= s->newest : item->kept == 0;
        if (gone && shelf_remove(root, item->name) != OK) {
            log_warn("an old checkpoint stays: %s", fail_text());
        } else if (!gone && !item->aside) {
            name_again(root, item->name, item->step);
        }
    }
}

enum status shelf_pin(const char *root, const char *name, bool on) {
    char dir[PATH_BYTES_MAX], path[PATH_BYTES_MAX];
    TRY(path_join(dir, root, name));
    TRY(path_join(path, dir, PIN));
    if (on) {
        return file_write_atomic(path, "", 0);
    }
    return file_exists(path) ? file_remove(path) : OK;
}
