/* attach.c - `esmm attach RUN`: shows a job that runs in the background, and ends with its exit
 * code.
 *
 * It follows RUN/logs/train.log and looks at RUN/launcher (job_note.h). It is no part of the job:
 * whatever happens to it, the job goes on.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/thread.h"
#include "common/checkpoint/manifest.h"
#include "job_note.h"
#include "tools/common/tools.h"

#define LOOK_MS        200
#define SHOWN_AT_FIRST 4096u /* bytes of the log */
#define ELSEWHERE_MS   2000  /* for the last lines of a log that another machine writes */

struct attach {
    const char *run;
    bool stop;
    struct job_note note;
    struct file log; /* closed: the job prints elsewhere */
    uint64_t shown;  /* bytes of the log */
    int exit_code;
};

/* --- the log ---------------------------------------------------------------------------------- */

/* Prints what has come since the last time. */
static enum status show_more(struct attach *a) {
    char text[16384];
    uint64_t bytes = 0;
    TRY(a->log.fd >= 0 ? file_size(&a->log, &bytes) : OK);
    while (a->shown < bytes) {
        const size_t n = bytes - a->shown < sizeof text ? bytes - a->shown : sizeof text;
        TRY(file_pread(&a->log, text, n, a->shown));
        fwrite(text, 1, n, stdout);
        a->shown += n;
    }
    fflush(stdout);
    return OK;
}

/* Goes to the first whole line of the last bytes. */
static enum status open_log(struct attach *a) {
    char path[PATH_BYTES_MAX], text[SHOWN_AT_FIRST];
    uint64_t bytes = 0;
    TRY(job_note_log(a->run, path));
    TRY(file_open_read(&a->log, path));
    TRY(file_size(&a->log, &bytes));
    if (bytes > sizeof text) {
        a->shown = bytes - sizeof text;
        TRY(file_pread(&a->log, text, sizeof text, a->shown));
        const char *end = memchr(text, '\n', sizeof text);
        a->shown += end == NULL ? 0 : (uint64_t)(end + 1 - text);
    }
    return OK;
}

/* --- the job ---------------------------------------------------------------------------------- */

static enum status gone(const struct attach *a) {
    char newest[PATH_BYTES_MAX];
    const unsigned long long pid = a->note.process.pid;
    if (manifest_find(a->run, newest) != OK) {
        return fail(ERR_PEER,
                    "process %llu, which ran the job, is gone without a word: it was killed. No "
                    "checkpoint had been saved",
                    pid);
    }
    return fail(ERR_PEER,
                "process %llu, which ran the job, is gone without a word: it was killed. Its roles "
                "save and end by themselves; newest checkpoint so far: %s; then continue with "
                "--resume",
                pid, newest);
}

/* Renews the note. *other: it is another job's by now. */
static enum status look_again(struct attach *a, bool *other) {
    struct job_note now;
    TRY(job_note_read(&now, a->run));
    *other = now.process.pid != a->note.process.pid ||
             now.process.started != a->note.process.started ||
             strcmp(now.process.boot, a->note.process.boot) != 0;
    if (!*other) {
        a->note = now;
    }
    return OK;
}

/* *over: the job has ended, and all that it printed was shown. */
static enum status attach_look(struct attach *a, bool *over) {
    bool other = false;
    /* In this order: what is gone now has written its last note before. */
    const enum process_state process = process_id_look(&a->note.process);
    const enum status status = look_again(a, &other);
    if (status == ERR_NOT_FOUND && !a->note.background) { /* it is removed at the end */
        printf("the job has ended\n");
        *over = true;
        return OK;
    }
    TRY(status);
    if (other) {
        return fail(ERR_PEER, "the job has ended, and another one has begun in %s", a->run);
    }
    if (process == PROCESS_GONE && a->note.state != JOB_ENDED) {
        TRY(show_more(a));
        return gone(a);
    }
    if (a->note.state == JOB_ENDED && process != PROCESS_RUNS) {
        clock_sleep_ms(process == PROCESS_ELSEWHERE ? ELSEWHERE_MS : 0);
        a->exit_code = a->note.exit_code;
        *over = true;
    }
    return show_more(a);
}

static enum status attach_follow(struct attach *a) {
    bool over = false;
    while (!over) {
        if (stop_requested()) {
            return fail(ERR_CLOSED, "the job goes on; esmm attach %s --stop ends it", a->run);
        }
        TRY(attach_look(a, &over));
        clock_sleep_ms(over ? 0 : LOOK_MS);
    }
    return OK;
}

static enum status attach_begin(struct attach *a) {
    const struct process_id *p = &a->note.process;
    enum status status = job_note_read(&a->note, a->run);
    if (status == ERR_NOT_FOUND) {
        return fail(ERR_NOT_FOUND,
                    "%s has no job that runs, and none that ran in the background (esmm train "
                    "--detach)",
                    a->run);
    }
    TRY(status);
    printf("job in %s: process %llu on %s, since %s\n", a->run, (unsigned long long)p->pid, p->host,
           a->note.since);
    if (a->note.background) {
        TRY(open_log(a));
    } else {
        printf("it runs in the foreground there, and prints there\n");
    }
    if (a->stop && a->note.state != JOB_ENDED) {
        status = process_id_signal(p, SIGTERM);
        return status == ERR_NOT_FOUND ? OK : status; /* then its end is found */
    }
    return OK;
}

static enum status attach_run(void *line) {
    struct attach *a = line;
    a->log = FILE_CLOSED;
    stop_signals_install();
    enum status status = attach_begin(a);
    status = status == OK ? attach_follow(a) : status;
    file_close(&a->log);
    return status;
}

static int attach_exit_code(const void *line) {
    return ((const struct attach *)line)->exit_code;
}

static const struct option_row attach_rows[] = {
    {"run", "RUN", OPTION_TEXT, OPTION_AT(struct attach, run), .argument = true, .required = true,
     .help = "the run directory of the job"},
    {"stop", NULL, OPTION_FLAG, OPTION_AT(struct attach, stop),
     .help = "tell the job to save and end"},
    {NULL}};
const struct command command_attach = {
    .name = "attach",
    .summary = "shows a job that esmm train --detach began",
    .about = "Shows what a job in the background prints, and ends with its exit code. Ctrl-C ends "
             "this command only: the job goes on.",
    .groups = (const struct option_group[]){{NULL, attach_rows}, {0}},
    .line_bytes = sizeof(struct attach),
    .run = attach_run,
    .exit_code = attach_exit_code};
