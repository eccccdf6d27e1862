#include "process_id.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/base/boot.h"
#include "common/base/file.h"

#define STAT_BYTES   1024
#define STARTED_WORD 20 /* of /proc/PID/stat, after the name; proc(5) counts from the number: 22 */

/* Reads a small file of /proc, whose size is not known in advance. */
static enum status read_proc(const char *path, char *out, size_t bytes) {
    struct file f = FILE_CLOSED;
    size_t got = 0;
    TRY(file_open_read(&f, path));
    const enum status status = file_read(&f, out, bytes - 1, &got);
    file_close(&f);
    out[status == OK ? got : 0] = '\0';
    return status;
}

/* The start of a living process; a zombie counts as gone. The name, in parentheses, may hold
 * anything. */
static enum status started_of(uint64_t pid, uint64_t *started) {
    char path[64], text[STAT_BYTES];
    snprintf(path, sizeof path, "/proc/%llu/stat", (unsigned long long)pid);
    TRY(read_proc(path, text, sizeof text));
    const char *at = strrchr(text, ')');
    for (int word = 1; at != NULL && word < STARTED_WORD; word++) {
        at = strchr(at + 1, ' ');
        if (word == 1 && at != NULL && (at[1] == 'Z' || at[1] == 'X')) {
            return fail(ERR_NOT_FOUND, "process %llu has ended", (unsigned long long)pid);
        }
    }
    at = at == NULL ? NULL : strchr(at + 1, ' ');
    if (at == NULL) {
        return fail(ERR_FORMAT, "%s is not understood", path);
    }
    *started = strtoull(at + 1, NULL, 10);
    return OK;
}

enum status process_id_self(struct process_id *p) {
    *p = (struct process_id){.pid = (uint64_t)getpid()};
    if (gethostname(p->host, sizeof p->host - 1) != 0 || p->host[0] == '\0') {
        snprintf(p->host, sizeof p->host, "unknown");
    }
    TRY(boot_id(p->boot));
    return started_of(p->pid, &p->started);
}

enum process_state process_id_look(const struct process_id *p) {
    char host[sizeof p->host] = "", boot[BOOT_ID_BYTES];
    uint64_t started = 0;
    if (gethostname(host, sizeof host - 1) != 0 || strcmp(host, p->host) != 0) {
        return PROCESS_ELSEWHERE;
    }
    if (boot_id(boot) != OK || strcmp(boot, p->boot) != 0) {
        return PROCESS_GONE;
    }
    return started_of(p->pid, &started) == OK && started == p->started ? PROCESS_RUNS
                                                                       : PROCESS_GONE;
}

enum status process_id_signal(const struct process_id *p, int signal) {
    /* Opened before it is looked at, so that it is the process that is seen then. */
    const int fd = (int)syscall(SYS_pidfd_open, (pid_t)p->pid, 0);
    const enum process_state state = process_id_look(p);
    int sent = -1;
    if (state == PROCESS_RUNS) {
        sent = fd >= 0 ? (int)syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0)
                       : kill((pid_t)p->pid, signal); /* a kernel older than 5.3 */
    }
    const int error = errno;
    if (fd >= 0) {
        close(fd);
    }
    if (state == PROCESS_ELSEWHERE) {
        return fail(ERR_USAGE, "process %llu is on %s, not on this machine",
                    (unsigned long long)p->pid, p->host);
    }
    if (state == PROCESS_GONE || (sent != 0 && error == ESRCH)) {
        return fail(ERR_NOT_FOUND, "process %llu is gone", (unsigned long long)p->pid);
    }
    return sent == 0 ? OK
                     : fail(ERR_IO, "process %llu cannot be signalled: %s",
                            (unsigned long long)p->pid, strerror(error));
}
