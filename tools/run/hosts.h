/* hosts.h - the machines of a job, from a file: a line each, '#' begins a comment (docs/launch.md):
 *
 *     [user@]host slots=N addr=NAME
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/base/status.h"

#define HOST_NAME_BYTES 256
struct host {
    char name[HOST_NAME_BYTES];    /* where ssh goes: [user@]host */
    char address[HOST_NAME_BYTES]; /* what the others reach it by */
    uint32_t slots;                /* servers and workers that it takes */
};
struct hosts {
    struct host *list;
    size_t count, cap;
};

/* Fills *h, which is zeroed. ERR_USAGE: the file cannot be read, or a line (named) is not
 * understood; of several hosts one that the others cannot reach (localhost). */
enum status hosts_read(struct hosts *h, const char *path);
/* The same of a text; `name` stands for the path in messages. */
enum status hosts_parse(struct hosts *h, const char *name, const char *text);
void hosts_fini(struct hosts *h); /* safe on a zeroed struct */
/* The name without the user. */
const char *host_bare(const struct host *h);
