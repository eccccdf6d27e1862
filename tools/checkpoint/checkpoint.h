/* checkpoint.h - the checkpoints of a run: listed, deleted, pinned (docs/checkpoints.md). */
#pragma once

#include "common/base/bytes.h"
#include "common/base/file.h"
#include "common/checkpoint/shelf.h"

struct run_shelf {
    char root[PATH_BYTES_MAX]; /* RUN/checkpoints */
    struct shelf shelf;        /* decided by: */
    struct retention rule;     /* what the configuration in the newest checkpoint says */
};
/* path: a run directory or its `checkpoints`. ERR_NOT_FOUND: it has no checkpoint that reads. */
enum status run_shelf_open(struct run_shelf *r, const char *path);
void run_shelf_close(struct run_shelf *r);

/* Appends a table, or one JSON object. */
enum status checkpoint_list(const struct run_shelf *r, bool json, struct buf *out);
