/* hosts.h - the machines of a job, read from a file with one line per machine; '#' begins a comment
 * (docs/launch.md):
 *
 *     [user@]host slots=N addr=NAME
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

#define HOST_NAME_BYTES 256
struct host {
    char name[HOST_NAME_BYTES];    /* the destination for ssh: [user@]host */
    char address[HOST_NAME_BYTES]; /* the address at which other hosts reach it */
    uint32_t slots;                /* how many servers and workers it takes */
};
struct hosts {
    struct host *list;
    size_t count, cap;
};

/* Fills *h, which is zeroed. ERR_USAGE: the file cannot be read; a line is not understood (the
 * message names it); or one of several hosts cannot be reached by the others (localhost). */
enum status hosts_read(struct hosts *h, const char *path);
/* Like hosts_read, but for a text; messages show `name` in place of the path. */
enum status hosts_parse(struct hosts *h, const char *name, const char *text);
void hosts_fini(struct hosts *h); /* safe on a zeroed struct */
/* The name without the user. */
const char *host_bare(const struct host *h);
