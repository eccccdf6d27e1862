#include "lock.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "file_ops.h"
#include "log.h"

#define TEXT_BYTES 512
#define HOST_BYTES 256
#define TRIES_MAX  100 /* each try fails only if a holder released the lock in between */

/* --- the text --------------------------------------------------------------------------------- */

static void write_holder(int fd) {
    char host[HOST_BYTES] = "";
    char text[TEXT_BYTES], when[32];
    const time_t now = (time_t)(clock_wall_ns() / 1000000000u);
    struct tm utc;
    gethostname(host, sizeof host - 1);
    gmtime_r(&now, &utc);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    const int n =
        snprintf(text, sizeof text, "host %s\nprocess %ld\nsince %s\n", host, (long)getpid(), when);
    /* If this fails the process still holds the lock; a second process is only told less. */
    if (file_ops()->ftruncate(fd, 0) != 0 || file_ops()->pwrite(fd, text, (size_t)n, 0) != n) {
        log_warn("cannot say in the lock file who holds it: %s", strerror(errno));
    }
}

/* The word after `key`, without unprintable bytes: another process wrote the file. */
static void word_of(const char *text, const char *key, char *out, size_t bytes) {
    const char *at = strstr(text, key);
    size_t n = 0;
    for (at = at == NULL ? "" : at + strlen(key); n + 1 < bytes && isgraph((unsigned char)*at);
         at++) {
        out[n++] = *at;
    }
    out[n] = '\0';
}

static enum status say_holder(int fd, const char *path, const char *output) {
    char text[TEXT_BYTES] = "", host[HOST_BYTES], process[32], since[32];
    const ssize_t n = file_ops()->pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    word_of(text, "host ", host, sizeof host);
    word_of(text, "process ", process, sizeof process);
    word_of(text, "since ", since, sizeof since);
    if (host[0] == '\0' || process[0] == '\0' || since[0] == '\0') {
        return fail(ERR_BUSY, "%s is being written by another process (its lock: %s)", output,
                    path);
    }
    return fail(ERR_BUSY, "%s is being written by process %s on %s since %s (its lock: %s)", output,
                process, host, since, path);
}

/* --- the lock --------------------------------------------------------------------------------- */

static bool no_locks_here(int error) {
    return error == ENOLCK || error == EOPNOTSUPP || error == ENOSYS || error == EINVAL;
}

/* Whether the path still leads to the open file. */
static bool still_there(int fd, const char *path) {
    struct stat open_file, named;
    return file_ops()->fstat(fd, &open_file) == 0 && file_ops()->stat(path, &named) == 0 &&
           open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

static enum status go_on_without(struct lock *l, const char *output, int error) {
    log_warn("%s: its file system has no locks (%s): nothing keeps a second process from writing "
             "there too",
             output, strerror(error));
    file_ops()->unlink(l->path);
    file_ops()->close(l->fd);
    l->fd = -1;
    return OK;
}

/* *again is set if the file was removed after it was opened and before it was locked. */
static enum status try_once(struct lock *l, const char *output, bool *again) {
    *again = false;
    l->fd = file_ops()->open(l->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (l->fd < 0) {
        return file_ops_fail(l->path, "open");
    }
    if (file_ops()->flock(l->fd, LOCK_EX | LOCK_NB) == 0) {
        *again = !still_there(l->fd, l->path);
        if (!*again) {
            write_holder(l->fd);
            return OK;
        }
    } else if (no_locks_here(errno)) {
        return go_on_without(l, output, errno);
    }
    const enum status status = *again ? OK
                               : errno == EWOULDBLOCK
                                   ? say_holder(l->fd, l->path, output)
                                   : fail(ERR_IO, "%s: cannot lock: %s", l->path, strerror(errno));
    file_ops()->close(l->fd);
    l->fd = -1;
    return status;
}

enum status lock_take(struct lock *l, const char *path, const char *output) {
    bool again = true;
    *l = LOCK_NONE;
    if ((size_t)snprintf(l->path, sizeof l->path, "%s", path) >= sizeof l->path) {
        return fail(ERR_LIMIT, "path of %zu bytes is too long: %.200s...", strlen(path), path);
    }
    for (int i = 0; again && i < TRIES_MAX; i++) {
        TRY(try_once(l, output, &again));
    }
    return again ? fail(ERR_BUSY, "%s: comes and goes", path) : OK;
}

static size_t without_slashes(const char *path) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') {
        n--;
    }
    return n;
}

enum status lock_take_beside(struct lock *l, const char *output) {
    char path[PATH_BYTES_MAX];
    const size_t n = without_slashes(output);
    *l = LOCK_NONE;
    if (n == 0 || n + sizeof ".lock" > sizeof path) {
        return fail(ERR_LIMIT, "an output's path is empty or longer than %zu bytes",
                    sizeof path - sizeof ".lock");
    }
    snprintf(path, sizeof path, "%.*s.lock", (int)n, output);
    return lock_take(l, path, output);
}

enum status lock_take_in(struct lock *l, const char *dir) {
    char path[PATH_BYTES_MAX];
    *l = LOCK_NONE;
    TRY(path_join(path, dir, "lock"));
    TRY(file_mkdirs(dir));
    return lock_take(l, path, dir);
}

enum status lock_adopt(struct lock *l, int fd, const char *path) {
    *l = LOCK_NONE;
    if (!still_there(fd, path) || file_ops()->flock(fd, LOCK_EX | LOCK_NB) != 0) {
        return fail(ERR_USAGE, "descriptor %d does not hold %s", fd, path);
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    l->fd = fd;
    l->adopted = true;
    snprintf(l->path, sizeof l->path, "%s", path);
    write_holder(fd);
    return OK;
}

void lock_release(struct lock *l) {
    if (l->fd >= 0 && !l->adopted) {
        file_ops()->unlink(l->path);
    }
    if (l->fd >= 0) {
        file_ops()->close(l->fd);
    }
    l->fd = -1;
}
