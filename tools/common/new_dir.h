/* new_dir.h - a directory that a command makes: everything goes into DIR.tmp, which becomes DIR by
 * one rename at the end, so DIR is complete or absent. DIR.lock is held meanwhile: a second command
 * that makes the same directory is refused before it touches DIR.tmp. */
#pragma once

#include "common/base/lock.h"

struct new_dir {
    char path[PATH_BYTES_MAX];      /* without slashes at its end */
    char temporary[PATH_BYTES_MAX]; /* "": there is none to remove */
    struct lock lock;
};
#define NEW_DIR_NONE ((struct new_dir){.lock = LOCK_NONE})

/* Takes the lock and makes DIR.tmp; a DIR.tmp that a killed run left is replaced. ERR_EXISTS: DIR
 * exists (`who`, for example "prep", writes only new ones); ERR_BUSY: another process is making it;
 * ERR_USAGE: no path. */
enum status new_dir_open(struct new_dir *d, const char *dir, const char *who);
/* Syncs DIR.tmp and renames it to DIR. ERR_EXISTS if DIR has appeared meanwhile. */
enum status new_dir_publish(struct new_dir *d);
/* Removes DIR.tmp if it was not published, and unlocks. Does not change fail_text() and allocates
 * no memory. Safe on NEW_DIR_NONE, and safe to call twice. */
void new_dir_close(struct new_dir *d);
