/* chain.c - finds the links of a chain (see chain.h). */
#include "chain.h"

#include <string.h>
#include "common/base/file.h"
#include "common/base/mem.h"

/* The directory of step `step` beside `dir`. */
static enum status beside(const char *dir, uint64_t step, char *out) {
    char root[PATH_BYTES_MAX], name[32];
    TRY(path_resolve(root, dir));
    *strrchr(root, '/') = '\0'; /* an absolute path has one */
    manifest_dir_name(step, name);
    return path_join(out, root, name);
}

/* Adds the base of `m`. */
static enum status add_link(struct chain *c, const char *dir, const struct manifest *m) {
    const struct manifest_base *base = manifest_base(m);
    struct chain_link *link = &c->base[c->count];
    TRY(beside(dir, base->step, link->dir));
    const enum status status = manifest_read(&link->manifest, link->dir);
    if (status != OK) {
        return fail(status == ERR_NOT_FOUND ? ERR_CORRUPT : status,
                    "%s is a delta, and its base (cut %016llx) cannot be read: %s", dir,
                    (unsigned long long)base->cut, fail_text());
    }
    c->count++;
    const struct manifest_base *next = manifest_base(&link->manifest);
    if (link->manifest.cut != base->cut) {
        return fail(ERR_CORRUPT, "%s is a delta against cut %016llx, but %s is of cut %016llx", dir,
                    (unsigned long long)base->cut, link->dir,
                    (unsigned long long)link->manifest.cut);
    }
    if (next != NULL && next->depth >= base->depth) {
        return fail(ERR_CORRUPT, "%s: is delta %u of its chain, its base %s is delta %u", dir,
                    base->depth, link->dir, next->depth);
    }
    return OK;
}

enum status chain_open(struct chain *c, const char *dir, const struct manifest *m) {
    enum status status = OK;
    *c = (struct chain){0};
    if (manifest_base(m) == NULL) {
        return OK;
    }
    TRY(mem_array(&c->base, m->base.depth));
    TRY_OUT(add_link(c, dir, m));
    while (manifest_base(&c->base[c->count - 1].manifest) != NULL) {
        const struct chain_link *last = &c->base[c->count - 1];
        TRY_OUT(add_link(c, last->dir, &last->manifest));
    }
out:
    if (status != OK) {
        chain_close(c);
    }
    return status;
}

void chain_close(struct chain *c) {
    for (uint32_t i = 0; i < c->count; i++) {
        manifest_free(&c->base[i].manifest);
    }
    mem_free(&c->base);
    c->count = 0;
}
