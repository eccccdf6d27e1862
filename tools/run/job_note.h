/* job_note.h - RUN/launcher: who runs the job of a run directory, and how far it is. `esmm train`
 * writes it, `esmm attach` and `esmm train --detach` read it.
 *
 * Lines of a key and a value: launcher (the version of this format), host, boot, process, started
 * (process_id.h), since, coordinator, background, state, exit. It is removed at the end of a job
 * that ran in the foreground; of one in the background it stays and tells the exit code. It locks
 * nothing: the locks of the run directory do. */
#pragma once

#include <stdbool.h>

#include "common/base/bytes.h"
#include "common/base/file.h"
#include "process_id.h"

enum job_state { JOB_STARTING, JOB_TRAINING, JOB_ENDED };
struct job_note {
    struct process_id process;
    char since[32];        /* UTC */
    char coordinator[256]; /* its endpoint, as workers reach it */
    bool background;
    enum job_state state;
    int exit_code; /* JOB_ENDED */
};
enum status job_note_encode(const struct job_note *n, struct buf *out);
/* ERR_FORMAT: a line is missing or not understood. */
enum status job_note_decode(struct job_note *n, const char *text, size_t bytes);
/* ERR_NOT_FOUND: no launcher has begun a job there. */
enum status job_note_read(struct job_note *n, const char *run);
/* The exit code of a job that ends with this status (tools/main.c). */
int job_exit_code(enum status status);

/* The side of `esmm train`. */
struct job_noted {
    char path[PATH_BYTES_MAX]; /* "": nothing was begun */
    struct job_note note;
};
/* Writes the note of this process, which must hold the lock of the run directory. background:
 * first standard output and error go to RUN/logs/train.log, whose directory exists. */
enum status job_note_begin(struct job_noted *n, const char *run, const char *coordinator,
                           bool background);
void job_note_training(void *n); /* the first batches are trained; struct job_noted */
void job_note_end(struct job_noted *n, int exit_code); /* before the lock is released */
/* RUN/logs/train.log */
enum status job_note_log(const char *run, char log[PATH_BYTES_MAX]);
