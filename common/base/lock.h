/* lock.h - lets only one process, on any machine, write into an output at a time.
 *
 * A lock is a small file, LOCK for a directory that grows (RUN/lock), OUT.lock beside an output
 * that appears at the end. The file alone locks nothing; a process holds the lock with flock(2).
 * The kernel releases it when the last descriptor of that opening is closed, however the process
 * ended, so a killed job blocks nobody (on a network file system this depends on its server). The
 * text in the file tells a second process who holds the lock. The holder removes the file before it
 * releases the lock. A process that opened the file earlier then gets the lock, sees that the path
 * no longer leads to its file, and begins again.
 *
 * The lock belongs to the opening, not to the process: a child that inherits the descriptor also
 * holds it, even after its parent's death. Only writers take a lock; readers never do.
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
 * Never waits. ERR_BUSY: another process holds it; the text names `output` and what is known of the
 * holder. On a file system without locks it logs a warning, holds nothing and returns OK. */
enum status lock_take(struct lock *l, const char *path, const char *output);
/* The same for OUTPUT.lock; slashes at the end of `output` are ignored. */
enum status lock_take_beside(struct lock *l, const char *output);
/* The same for DIR/lock; makes the directory. */
enum status lock_take_in(struct lock *l, const char *dir);
/* Takes over a lock of `path` that a parent has taken and left open as descriptor `fd`. The file's
 * text then names this process; the parent removes the file. ERR_USAGE: `fd` is no such lock. */
enum status lock_adopt(struct lock *l, int fd, const char *path);
/* Removes the file unless the lock was adopted, and releases the lock. Safe when nothing is held.
 */
void lock_release(struct lock *l);
