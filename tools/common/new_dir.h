/* new_dir.h - a directory that a command makes: everything goes into DIR.tmp, which becomes DIR by
 * one rename at the end, so DIR is complete or absent. DIR.lock is held meanwhile: a second command
 * that is to make the same directory is refused before it touches DIR.tmp. */
#pragma once

#include "common/base/lock.h"

struct new_dir {
    char path[PATH_BYTES_MAX];      /* without slashes at its end */
    char temporary[PATH_BYTES_MAX]; /* "": nothing of ours is there */
    struct lock lock;
};
#define NEW_DIR_NONE ((struct new_dir){.lock = LOCK_NONE})

/* Locks, and makes DIR.tmp in place of one that a killed run left. ERR_EXISTS: DIR is there (who,
 * "prep", writes a new one); ERR_BUSY: another process makes it; ERR_USAGE: no path. */
enum status new_dir_open(struct new_dir *d, const char *dir, const char *who);
/* DIR.tmp, synced, becomes DIR. ERR_EXISTS if DIR has appeared meanwhile. */
enum status new_dir_publish(struct new_dir *d);
/* Removes DIR.tmp if it was not published, and unlocks. Leaves fail_text() as it was, asks for no
 * memory of ours. Safe on NEW_DIR_NONE, and twice. */
void new_dir_close(struct new_dir *d);
