/* lock.h - who may write into an output: one process, anywhere, at a time.
 *
 * A lock is a small file, LOCK for a directory that grows (RUN/lock), OUT.lock beside an output
 * that appears at the end. What counts is not that it is there but that somebody holds it with
 * flock(2): the kernel lets go when the last descriptor of the opening is closed, however its
 * process ended, so a killed job blocks nobody, on a network file system as long as its server
 * agrees. The text in the file tells the second who the first is. It is removed at the end, while
 * it is held; whoever opened it before that finds, once it gets the lock, that the path leads
 * elsewhere, and begins again.
 *
 * The lock belongs to the opening, not to the process: a child that inherits the descriptor holds
 * it too, and on after its parent's death. Only who writes takes a lock; readers never do.
 */
#pragma once

#include <stdbool.h>

#include "file.h"

struct lock {
    int fd; /* -1: not held */
    bool adopted;
    char path[PATH_BYTES_MAX];
};
#define LOCK_NONE ((struct lock){.fd = -1})

/* Takes the lock file `path`, whose directory exists, and writes host, process and time into it.
 * Never waits. ERR_BUSY: somebody else holds it; the text names `output`, and the holder as far as
 * it is known. On a file system without locks it warns (the log), and is OK with nothing held. */
enum status lock_take(struct lock *l, const char *path, const char *output);
/* The same for OUTPUT.lock; slashes at the end of `output` do not count. */
enum status lock_take_beside(struct lock *l, const char *output);
/* The same for DIR/lock; makes the directory. */
enum status lock_take_in(struct lock *l, const char *dir);
/* Takes over a lock of `path` that a parent has taken and left open under this number. It becomes
 * this process's in the file's text too; the parent removes the file. ERR_USAGE: it is none. */
enum status lock_adopt(struct lock *l, int fd, const char *path);
/* Removes the file unless it was adopted, and lets go. Safe when nothing is held. */
void lock_release(struct lock *l);
