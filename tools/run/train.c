/* train.c - `esmm train`: the whole job on this machine. (With --hostfile: launch.h.)
 *
 * It starts the roles as processes of this same program (crew.h), which talk over ipc sockets in a
 * directory under TMPDIR, and shows the coordinator's progress. When a role ends or a stop signal
 * comes, the supervisor decides what to do (supervisor.h).
 *
 * If a job fails while the coordinator and the servers still run, they get time to save what they
 * have. If one of them is gone, nothing can be saved, and the rest is ended at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/json.h"
#include "common/base/lock.h"
#include "common/checkpoint/manifest.h"
#include "common/base/mem.h"
#include "common/base/thread.h"
#include "coord/shard_stream.h"
#include "detach.h"
#include "job.h"
#include "job_note.h"
#include "launch.h"
#include "summary_view.h"
#include "supervisor.h"
#include "tools/common/tools.h"
#include "train_doubts.h"
#include "train_roles.h"
#include "view.h"

#define FOLLOW_MS      3000
#define CRASH_GRACE_MS 500    /* there is nothing left to save */
#define SAVE_GRACE_MS  10000u /* added to the coordinator's own wait, 4 * net.give_up_ms */
#define KILL_MS        60000u /* freeing much memory takes time */

struct train {
    struct job job;
    struct dataset data;
    struct crew crew;
    struct supervisor supervisor;
    struct view view;
    struct job_noted note;
    struct lock lock;  /* on the run directory; the coordinator inherits it */
    char sockets[256]; /* directory of the ipc sockets and the configuration; "": not made yet */
    char config_path[PATH_BYTES_MAX];
};

/* --- preparing -------------------------------------------------------------------------------- */

static enum status refuse_old_run(const struct job *j) {
    char checkpoints[PATH_BYTES_MAX];
    char found[PATH_BYTES_MAX];
    TRY(path_join(checkpoints, j->out, "checkpoints"));
    if (j->resume || !file_is_dir(checkpoints)) {
        return OK;
    }
    enum status status = manifest_find(checkpoints, found);
    if (status == OK) {
        return fail(ERR_EXISTS,
                    "%s already holds a run (newest checkpoint %s): give --resume to continue it, "
                    "or another --out",
                    j->out, found);
    }
    return status == ERR_NOT_FOUND ? OK : status;
}

/* Takes the run directory for this job, unless it holds a complete run: then nothing is changed. If
 * another job writes there, that is reported before any fault of this job. */
static enum status enter_run(struct train *t, bool *complete) {
    struct cause cause = {0};
    const struct coord_options o = job_coord_options(&t->job);
    enum status status = t->job.resume ? coord_look(&o, complete) : OK;
    if (status == OK && *complete) {
        printf(
            "%s holds a complete run: nothing is left to train. More --epochs or --max-steps go on "
            "from it; esmm eval measures it\n",
            t->job.out);
        return OK;
    }
    cause_keep(&cause, status);
    TRY(lock_take_in(&t->lock, t->job.out));
    return status != OK ? cause_again(&cause) : refuse_old_run(&t->job);
}

static enum status train_directories(struct train *t) {
    char path[PATH_BYTES_MAX];
    TRY(path_join(path, t->job.out, "logs"));
    TRY(file_mkdirs(path));
    TRY(path_join(path, t->job.out, "checkpoints"));
    TRY(file_mkdirs(path));
    const char *tmp = getenv("TMPDIR");
    snprintf(t->sockets, sizeof t->sockets, "%s/esmm-XXXXXX", tmp != NULL ? tmp : "/tmp");
    const enum status status = file_mkdir_unique(t->sockets);
    if (status != OK) {
        t->sockets[0] = '\0'; /* nothing to remove */
    }
    return status;
}

/* Writes the configuration for the coordinator, which puts it into the run directory. */
static enum status write_config(struct train *t) {
    TRY(path_join(t->config_path, t->sockets, "config.ini"));
    struct buf text = BUF_EMPTY;
    enum status status = config_text(&t->job.config, &text);
    if (status == OK) {
        status = file_write_atomic(t->config_path, text.data, text.len);
    }
    buf_fini(&text);
    return status;
}

/* Makes the crew. A pipe that nobody writes to takes the number that the coordinator's end of its
 * progress pipe is to have. */
static enum status make_crew(struct train *t) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return fail(ERR_IO, "cannot make a pipe: %s", strerror(errno));
    }
    close(ends[1]);
    const struct train_roles roles = {.job = &t->job,
                                      .sockets = t->sockets,
                                      .config_path = t->config_path,
                                      .progress_fd = ends[0],
                                      .lock_fd = t->lock.fd};
    const enum status status = train_roles_add(&roles, &t->view, &t->crew);
    t->crew.progress_fd = ends[0];
    t->crew.lock_fd = t->lock.fd;
    return status;
}

static enum status train_crew(struct train *t) {
    const struct supervisor_policy policy = {.restarts = train_restarts(&t->job),
                                             .save_ms = 1000ull * t->job.grace_s,
                                             .save_failed_ms =
                                                 SAVE_GRACE_MS + 4ull * t->job.config.give_up_ms,
                                             .follow_ms = FOLLOW_MS,
                                             .fail_ms = CRASH_GRACE_MS,
                                             .lost_ms = CRASH_GRACE_MS,
                                             .term_ms = CRASH_GRACE_MS,
                                             .kill_ms = KILL_MS};
    const struct supervisor_world world = crew_world(&t->crew);
    supervisor_init(&t->supervisor, &world, &policy, t->crew.supervised, t->crew.count);
    return supervisor_run(&t->supervisor);
}

/* --- the end ---------------------------------------------------------------------------------- */

static enum status train_summary(struct train *t) {
    char path[PATH_BYTES_MAX];
    char newest[PATH_BYTES_MAX];
    char *text = NULL;
    size_t bytes;
    TRY(path_join(path, t->job.out, "summary.json"));
    TRY(file_read_all(path, 1u << 20, &text, &bytes));
    summary_view_print(text);
    const enum status status = summary_view_unseen(text, &t->data.schema);
    if (manifest_find(t->job.out, newest) == OK) {
        printf("checkpoint: %s\n", newest);
    }
    printf("summary:    %s\n", path);
    mem_free(&text);
    return status;
}

static void train_fini(struct train *t) {
    crew_fini(&t->crew);
    if (t->sockets[0] != '\0') {
        file_remove_tree(t->sockets);
    }
    dataset_free(&t->data);
    lock_release(&t->lock);
}

static uint64_t total_impressions(const struct train *t) {
    const struct config *c = &t->job.config;
    if (t->job.stream) {
        return 0;
    }
    uint64_t total = t->data.impressions * c->epochs;
    uint64_t limit = c->max_steps < UINT64_MAX / c->batch ? c->max_steps * c->batch : UINT64_MAX;
    return limit < total ? limit : total;
}

/* Waits for the first shard of a stream, without a time limit. It is done here because roles wait
 * for each other only for a limited time. */
static enum status await_stream(const struct train *t) {
    char first[PATH_BYTES_MAX], name[32];
    shard_name(0, name);
    TRY(path_join(first, t->job.data.names[0], name));
    if (!t->job.stream || file_exists(first)) {
        return OK;
    }
    printf("waiting for the first shard in %s\n", t->job.data.names[0]);
    fflush(stdout);
    return shard_stream_wait(t->job.data.names[0]);
}

static void say_start(const struct train *t) {
    const struct job *j = &t->job;
    if (j->stream) {
        printf("following %s: ", j->data.names[0]);
    } else {
        printf("training on %llu impressions in %u shards", (unsigned long long)t->data.impressions,
               t->data.shard_count);
        printf(j->data.count > 1 ? " of %zu directories: " : ": ", j->data.count);
    }
    printf("%u servers, %u workers, %u threads each; run directory %s\n", j->servers, j->workers,
           j->threads, j->out);
    fflush(stdout);
}

static enum status train_run(struct train *t) {
    char coordinator[sizeof t->sockets + 32];
    bool complete = false;
    stop_signals_install();
    TRY(manifest_run_dir(t->job.out));
    TRY(train_read_data(&t->data, &t->job));
    TRY(train_fits(&t->job, &t->data));
    TRY(enter_run(t, &complete));
    if (complete) {
        return OK;
    }
    TRY(train_directories(t));
    snprintf(coordinator, sizeof coordinator, "ipc://%s/coord-0", t->sockets);
    TRY(job_note_begin(&t->note, t->job.out, coordinator, t->job.background));
    TRY(await_stream(t));
    TRY(write_config(t));
    view_init(&t->view, total_impressions(t), t->job.stream ? 0 : t->job.config.epochs);
    t->view.begun = job_note_training;
    t->view.self = &t->note;
    TRY(make_crew(t));
    TRY(train_warn(&t->job, &t->data, total_impressions(t)));
    say_start(t);
    TRY(train_crew(t));
    view_end(&t->view);
    TRY(train_summary(t));
    if (t->supervisor.stopped_by != 0 && !stop_requested()) { /* it was the coordinator's signal */
        stop_request(t->supervisor.stopped_by);
    }
    return OK;
}

/* Writes the summary of a failed job if its coordinator had no time to write one. */
static void write_failed_summary(const struct train *t, const char *why, const char *newest) {
    char path[PATH_BYTES_MAX];
    struct buf text = BUF_EMPTY;
    struct json j;
    json_init(&j, &text, true);
    json_open(&j, NULL, '{');
    json_str(&j, "status", "failed");
    json_str(&j, "cause", why);
    json_str(&j, "checkpoint", newest);
    json_close(&j);
    if (j.status == OK && buf_put_u8(&text, '\n') == OK &&
        path_join(path, t->job.out, "summary.json") == OK && !file_exists(path)) {
        (void)file_write_atomic(path, text.data, text.len);
    }
    buf_fini(&text);
}

/* Adds to the cause of a failed job, in fail_text(), what the user can read and which checkpoint to
 * go back to. Adds nothing if the job was refused before any role ran. */
static enum status end_failed(struct train *t, enum status status) {
    char why[1024];
    char newest[PATH_BYTES_MAX] = "";
    if (status != ERR_PEER || t->supervisor.cause[0] == '\0') {
        return status;
    }
    view_end(&t->view);
    snprintf(why, sizeof why, "%s; its log: %s", fail_text_of(status),
             t->crew.children[t->supervisor.culprit].log);
    if (manifest_find(t->job.out, newest) != OK) {
        newest[0] = '\0';
    }
    write_failed_summary(t, why, newest);
    if (newest[0] == '\0') {
        return fail(status, "%s; no checkpoint had been saved", why);
    }
    return fail(status, "%s; newest checkpoint: %s; %s", why, newest,
                t->supervisor.lasting
                    ? "it would fail again: mend that first, then continue with --resume"
                    : "continue with --resume");
}

static enum status train_start(void *line) {
    struct train *t = NULL;
    struct cause cause = {0};
    struct job *job = line;
    if (job->detach && !job->background) {
        return detach_run(job->out, &job->exit_code);
    }
    if (job->hostfile != NULL) {
        return launch_run(line);
    }
    TRY(mem_new(&t));
    t->job = *job; /* the lists still belong to the line */
    t->crew.progress_fd = -1;
    t->lock = LOCK_NONE;
    enum status status = train_run(t);
    if (status != OK && !(status == ERR_CLOSED && stop_requested())) { /* else nothing had begun */
        status = end_failed(t, status);
    }
    cause_keep(&cause, status);
    job_note_end(&t->note, job_exit_code(status));
    train_fini(t);
    mem_free(&t);
    return cause_again(&cause);
}

static int train_exit_code(const void *line) {
    return ((const struct job *)line)->exit_code;
}

const struct command command_train = {
    .name = "train",
    .summary = "a whole job, on this machine or on those of a hostfile",
    .usage = "(--data DIR | --stream DIR) --out DIR [options]",
    .about =
        "A whole job: coordinator, servers, workers, on this machine or on those of a hostfile.",
    .groups = (const struct option_group[]){{NULL, job_rows},
                                            {"While it runs:", job_care_rows},
                                            {"On other machines (docs/launch.md):", job_host_rows},
                                            {0}},
    .line_bytes = sizeof(struct job),
    .init = job_init,
    .check = job_check,
    .run = train_start,
    .exit_code = train_exit_code,
    .fini = job_fini};
