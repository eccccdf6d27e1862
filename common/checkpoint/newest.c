/* newest.c - see newest.h. */
#include "newest.h"

#include <stdio.h>
#include <string.h>

#include "chain.h"
#include "common/base/mem.h"

static const char ASIDE[] = ".damaged";

/* --- one checkpoint --------------------------------------------------------------------------- */

static enum status check_part(const char *dir, const struct manifest_part *part) {
    char path[PATH_BYTES_MAX];
    struct file f;
    uint64_t bytes = 0;
    TRY(path_join(path, dir, part->name));
    TRY(file_open_read(&f, path));
    const enum status status = file_size(&f, &bytes);
    file_close(&f);
    TRY(status);
    return bytes == part->bytes ? OK
                                : fail(ERR_CORRUPT, "%s: %llu bytes, the manifest says %llu", path,
                                       (unsigned long long)bytes, (unsigned long long)part->bytes);
}

static enum status check_parts(const char *dir, const struct manifest *m) {
    for (uint32_t p = 0; p < m->part_count; p++) {
        TRY(check_part(dir, &m->parts[p]));
    }
    return OK;
}

/* What a delta is made against. */
static enum status check_bases(const char *dir, const struct manifest *m) {
    struct chain chain;
    enum status status = chain_open(&chain, dir, m);
    for (uint32_t i = 0; i < chain.count && status == OK; i++) {
        status = check_parts(chain.base[i].dir, &chain.base[i].manifest);
    }
    chain_close(&chain);
    return status;
}

/* Looks at a checkpoint. A failure that is not of memory is its damage. */
static enum status look_at(const char *dir, struct newest_passed *found) {
    struct manifest *m = NULL;
    TRY(mem_new(&m));
    enum status status = manifest_read(m, dir);
    if (status == OK) {
        found->counted = true;
        found->step = m->step;
        found->impressions = m->impressions;
        status = check_parts(dir, m);
        if (status == OK) {
            status = check_bases(dir, m);
        }
        manifest_free(m);
    }
    mem_free(&m);
    return status;
}

/* --- the search ------------------------------------------------------------------------------- */

static bool was_tried(const struct newest *n, const char *dir) {
    for (size_t i = 0; i < n->passed_count; i++) {
        if (strcmp(n->passed[i].dir, dir) == 0) {
            return true;
        }
    }
    return false;
}

/* *good: it is the one. A damaged one is noted. */
static enum status try_one(struct newest *n, const char *dir, uint64_t step, bool *good) {
    struct newest_passed found = {.step = step};
    *good = false;
    if (was_tried(n, dir)) {
        return OK;
    }
    snprintf(found.dir, sizeof found.dir, "%s", dir);
    const enum status status = look_at(dir, &found);
    if (status == OK) {
        snprintf(n->dir, sizeof n->dir, "%s", dir);
        n->step = found.step;
        n->impressions = found.impressions;
        *good = true;
        return OK;
    }
    if (status == ERR_MEMORY) {
        return status;
    }
    snprintf(found.why, sizeof found.why, "%s", fail_text_of(status));
    TRY(mem_grow(&n->passed, n->passed_count, n->passed_count + 1));
    n->passed[n->passed_count++] = found;
    return OK;
}

static enum status search(const char *root, struct newest *n, bool *good) {
    struct file_list list = {0};
    char dir[PATH_BYTES_MAX];
    uint64_t step;
    enum status status = OK;
    *good = false;
    if (manifest_latest(root, dir, &step)) {
        TRY(try_one(n, dir, step, good));
    }
    if (*good) {
        return OK;
    }
    TRY(file_list_dir(&list, root));
    for (size_t i = list.count; i > 0 && status == OK && !*good; i--) {
        if (manifest_is_checkpoint(root, list.names[i - 1], &step)) {
            status = path_join(dir, root, list.names[i - 1]);
            status = status == OK ? try_one(n, dir, step, good) : status;
        }
    }
    file_list_free(&list);
    return status;
}

enum status newest_good(const char *root, struct newest *out) {
    bool good = false;
    *out = (struct newest){0};
    if (!file_is_dir(root)) {
        return fail(ERR_NOT_FOUND, "%s: no such directory", root);
    }
    TRY(search(root, out, &good));
    if (good) {
        return OK;
    }
    return out->passed_count > 0 ? fail(ERR_CORRUPT, "%s", out->passed[0].why)
                                 : fail(ERR_NOT_FOUND, "%s: there is no checkpoint", root);
}

void newest_free(struct newest *n) {
    mem_free(&n->passed);
    n->passed_count = 0;
}

void newest_say(const struct newest *n, size_t i, char *out, size_t bytes) {
    const struct newest_passed *p = &n->passed[i];
    char lost[128];
    if (p->counted && p->impressions >= n->impressions) {
        snprintf(lost, sizeof lost, "%llu impressions between are trained again",
                 (unsigned long long)(p->impressions - n->impressions));
    } else if (p->step >= n->step) {
        snprintf(lost, sizeof lost, "%llu batches between are trained again",
                 (unsigned long long)(p->step - n->step));
    } else {
        snprintf(lost, sizeof lost, "nothing is lost by it");
    }
    snprintf(out, bytes, "%s is damaged and passed over for that of step %llu (%s): %s", p->dir,
             (unsigned long long)n->step, lost, p->why);
}

/* --- aside ------------------------------------------------------------------------------------ */

enum status newest_set_aside(const char *dir) {
    char aside[PATH_BYTES_MAX];
    const int n = snprintf(aside, sizeof aside, "%s%s", dir, ASIDE);
    if (n >= (int)sizeof aside) {
        return fail(ERR_LIMIT, "path of %d bytes is too long: %.200s...", n, aside);
    }
    TRY(file_remove_tree(aside));
    return file_rename(dir, aside);
}

bool newest_is_aside(const char *name, uint64_t *step) {
    char plain[64];
    const size_t n = strlen(name), tail = sizeof ASIDE - 1;
    if (n <= tail || strcmp(name + n - tail, ASIDE) != 0) {
        return false;
    }
    snprintf(plain, sizeof plain, "%.*s", (int)strcspn(name, "."),
             name); /* of step-N.old.tmp too */
    return manifest_dir_step(plain, step);
}
