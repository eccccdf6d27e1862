#include "new_dir.h"

#include <stdio.h>
#include <string.h>

static enum status set_path(struct new_dir *d, const char *dir) {
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/') {
        n--;
    }
    if (n == 0 || n + sizeof ".tmp" > sizeof d->path) {
        return fail(ERR_USAGE, "--out is '%.200s', expected a path", dir);
    }
    memcpy(d->path, dir, n);
    d->path[n] = '\0';
    return OK;
}

static enum status refuse_old(const struct new_dir *d, const char *who) {
    return file_exists(d->path)
               ? fail(ERR_EXISTS, "%s exists already; %s writes a new directory", d->path, who)
               : OK;
}

enum status new_dir_open(struct new_dir *d, const char *dir, const char *who) {
    char temporary[PATH_BYTES_MAX];
    *d = NEW_DIR_NONE;
    TRY(set_path(d, dir));
    TRY(refuse_old(d, who)); /* before anything is changed, even a lock file */
    TRY(file_mkdirs_above(d->path));
    TRY(lock_take_beside(&d->lock, d->path));
    TRY(refuse_old(d, who));
    memcpy(temporary, d->path, strlen(d->path));
    memcpy(temporary + strlen(d->path), ".tmp", sizeof ".tmp");
    TRY(file_remove_tree(temporary));
    memcpy(d->temporary, temporary, strlen(temporary) + 1); /* from here on we must remove it */
    return file_mkdirs(temporary);
}

enum status new_dir_publish(struct new_dir *d) {
    if (file_exists(d->path)) {
        return fail(ERR_EXISTS, "%s appeared meanwhile; it was left alone", d->path);
    }
    TRY(file_sync_dir(d->temporary));
    TRY(file_rename(d->temporary, d->path));
    d->temporary[0] = '\0';
    return OK;
}

void new_dir_close(struct new_dir *d) {
    if (d->temporary[0] != '\0') {
        struct cause cause = {0};
        cause_keep(&cause, fail_status());
        (void)file_remove_tree(d->temporary);
        (void)cause_again(&cause);
        d->temporary[0] = '\0';
    }
    lock_release(&d->lock);
}
