/* train.c - `esmm train`: the whole job on this machine.
 *
 * It starts the roles as processes of this same program, joined by ipc sockets in a directory under
 * TMPDIR, and then only watches: shows the coordinator's progress, passes a stop signal on to the
 * coordinator (which saves and ends the job in order), and reacts to children that end.
 *
 *     coordinator ends well        the job is done; the others get a moment to follow
 *     worker killed by a signal    started again, at most RESTARTS_MAX times: its leases go to
 *                                  whoever asks, and batch names keep pushes from counting twice
 *     anything else ends early     the job fails: everybody is stopped, the first cause is told
 *
 * When a job fails while coordinator and servers live, they are given time to save what there is.
 * When one of them is gone, nothing can be saved any more, and the rest is ended at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/lock.h"
#include "common/checkpoint/manifest.h"
#include "common/base/mem.h"
#include "common/metric/metric.h"
#include "common/base/thread.h"
#include "coord/shard_stream.h"
#include "job.h"
#include "summary_view.h"
#include "supervisor.h"
#include "tools/common/tools.h"
#include "train_doubts.h"
#include "train_roles.h"
#include "view.h"

#define RESTARTS_MAX   3
#define POLL_MS        50
#define FOLLOW_MS      3000
#define CRASH_GRACE_MS 500    /* there is nothing left to save */
#define SAVE_GRACE_MS  10000u /* beside four times net.give_up_ms, the coordinator's own patience */

struct train {
    struct job job;
    struct dataset data;
    struct supervisor supervisor;
    struct view view;
    struct lock lock;  /* of the run directory; the coordinator has it too */
    char sockets[256]; /* directory of ipc sockets and the configuration; "" none yet */
    char config_path[PATH_BYTES_MAX];
    int progress_read, progress_write;
    bool stop_sent;
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

/* From here on the run directory is this job's, unless it is complete: then nothing is touched.
 * That another job writes there is told before what would be wrong with this one. */
static enum status enter_run(struct train *t, bool *complete) {
    char why[1024] = "";
    const struct coord_options o = job_coord_options(&t->job);
    enum status status = t->job.resume ? coord_look(&o, complete) : OK;
    if (status == OK && *complete) {
        printf(
            "%s holds a complete run: nothing is left to train. More --epochs or --max-steps go on "
            "from it; esmm eval measures it\n",
            t->job.out);
        return OK;
    }
    snprintf(why, sizeof why, "%s", fail_text_of(status));
    TRY(lock_take_in(&t->lock, t->job.out));
    return status != OK ? fail(status, "%s", why) : refuse_old_run(&t->job);
}

static enum status make_directories(struct train *t) {
    char path[PATH_BYTES_MAX];
    TRY(path_join(path, t->job.out, "logs"));
    TRY(file_mkdirs(path));
    TRY(path_join(path, t->job.out, "checkpoints"));
    TRY(file_mkdirs(path));
    const char *tmp = getenv("TMPDIR");
    snprintf(t->sockets, sizeof t->sockets, "%s/esmm-XXXXXX", tmp != NULL ? tmp : "/tmp");
    if (mkdtemp(t->sockets) == NULL) {
        enum status status =
            fail(ERR_IO, "cannot make a directory %s: %s", t->sockets, strerror(errno));
        t->sockets[0] = '\0';
        return status;
    }
    return OK;
}

/* For the coordinator, which puts it into the run directory. */
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

static enum status start_children(struct train *t) {
    t->supervisor.keep[0] = t->progress_write;
    t->supervisor.keep[1] = t->lock.fd;
    for (size_t i = 0; i < t->supervisor.count; i++) {
        TRY(supervisor_start(&t->supervisor, &t->supervisor.children[i]));
        if (i == 0) { /* only the coordinator writes progress, and holds the run directory */
            close(t->progress_write);
            t->progress_write = -1;
            t->supervisor.keep[0] = t->supervisor.keep[1] = -1;
        }
    }
    return OK;
}

/* --- watching --------------------------------------------------------------------------------- */

static void read_progress(struct train *t) {
    struct pollfd p = {.fd = t->progress_read, .events = POLLIN};
    if (t->progress_read < 0 || poll(&p, 1, POLL_MS) <= 0) {
        if (t->progress_read < 0) {
            clock_sleep_ms(POLL_MS);
        }
        return;
    }
    char data[4096];
    ssize_t n = read(t->progress_read, data, sizeof data);
    if (n > 0) {
        view_feed(&t->view, data, (size_t)n);
    } else if (n == 0) {
        close(t->progress_read);
        t->progress_read = -1;
    }
}

static void pass_stop_signal(struct train *t) {
    if (stop_requested() && !t->stop_sent && t->supervisor.children[0].pid > 0) {
        view_end(&t->view);
        fprintf(stderr, "stopping: saving a checkpoint first\n");
        kill(t->supervisor.children[0].pid, SIGTERM);
        t->stop_sent = true;
    }
}

static bool ended_well(const struct child *c) {
    return WIFEXITED(c->wait_status) &&
           (WEXITSTATUS(c->wait_status) == 0 || WEXITSTATUS(c->wait_status) == 128 + SIGTERM);
}

static enum status first_cause(const struct child *c) {
    char what[1024];
    child_describe(c, what, sizeof what);
    return fail(ERR_PEER, "%s", what);
}

/* A worker whose machine part died is replaced; one that says it failed would fail again. */
static enum status child_ended(struct train *t, struct child *c, bool *finished) {
    size_t first_worker = 1u + t->job.servers;
    bool worker = (size_t)(c - t->supervisor.children) >= first_worker;
    if (c == &t->supervisor.children[0] && ended_well(c)) {
        *finished = true;
        return OK;
    }
    if (worker && WIFSIGNALED(c->wait_status) && c->restarts < RESTARTS_MAX) {
        char what[1024];
        child_describe(c, what, sizeof what);
        view_end(&t->view);
        fprintf(stderr, "%s; started again (%u of %d)\n", what, c->restarts + 1, RESTARTS_MAX);
        c->restarts++;
        return supervisor_start(&t->supervisor, c);
    }
    if (ended_well(c)) { /* told to stop just before the coordinator's own end was noticed */
        return OK;
    }
    return first_cause(c);
}

static enum status watch(struct train *t) {
    bool finished = false;
    while (!finished) {
        read_progress(t);
        pass_stop_signal(t);
        if (supervisor_reap(&t->supervisor) == 0) {
            continue;
        }
        for (size_t i = 0; i < t->supervisor.count && !finished; i++) {
            struct child *c = &t->supervisor.children[i];
            if (c->ended) {
                c->ended = false;
                TRY(child_ended(t, c, &finished));
            }
        }
    }
    return OK;
}

/* Servers and workers have heard the coordinator's last word; they end by themselves. */
static void follow(struct train *t) {
    uint64_t deadline_ms = clock_mono_ms() + FOLLOW_MS;
    size_t running = 1;
    while (running > 0 && clock_left_ms(deadline_ms) > 0) {
        supervisor_reap(&t->supervisor);
        running = 0;
        for (size_t i = 0; i < t->supervisor.count; i++) {
            running += t->supervisor.children[i].pid > 0;
        }
        clock_sleep_ms(running > 0 ? 10 : 0);
    }
}

/* --- the end ---------------------------------------------------------------------------------- */

static void print_auc(const char *name, double auc) {
    if (isfinite(auc)) {
        printf("%s %.5f", name, auc);
    } else { /* a population lacks a class */
        printf("%s undefined", name);
    }
}

static void print_aucs(const char *head, const char *json) {
    printf("%s", head);
    print_auc(" ctr (all)", json_number(json, "auc_ctr"));
    print_auc("   cvr (clicked)", json_number(json, "auc_cvr_clicked"));
    print_auc("   ctcvr (all)", json_number(json, "auc_ctcvr"));
    printf("\n");
}

static enum status print_summary(struct train *t) {
    char path[PATH_BYTES_MAX];
    char newest[PATH_BYTES_MAX];
    char *text = NULL;
    size_t bytes;
    TRY(path_join(path, t->job.out, "summary.json"));
    TRY(file_read_all(path, 1u << 20, &text, &bytes));
    printf("trained %.0f impressions in %.1f s (%.0f/s), final loss %.6f\n",
           json_number(text, "impressions"), json_number(text, "seconds"),
           json_number(text, "impressions_per_s"), json_number(text, "loss"));
    if (isfinite(json_number(text, "auc_ctr"))) {
        print_aucs("evaluation: AUC", text);
        evaluation_doubt(json_number(text, "auc_ctr"), json_number(text, "auc_cvr_clicked"),
                         json_number(text, "auc_ctcvr"));
    }
    const char *weighted = strstr(text, "\"with_weights\"");
    if (weighted != NULL) {
        print_aucs("  by weight: AUC", weighted);
    }
    const enum status status = summary_view_unseen(text, &t->data.schema);
    if (manifest_find(t->job.out, newest) == OK) {
        printf("checkpoint: %s\n", newest);
    }
    printf("summary:    %s\n", path);
    mem_free(&text);
    return status;
}

static void train_fini(struct train *t) {
    supervisor_fini(&t->supervisor);
    if (t->progress_read >= 0) {
        close(t->progress_read);
    }
    if (t->progress_write >= 0) {
        close(t->progress_write);
    }
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

/* Roles wait for each other only so long; for the first shard of a stream there is no limit. */
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

static enum status run(struct train *t) {
    bool complete = false;
    stop_signals_install();
    TRY(manifest_run_dir(t->job.out));
    TRY(train_read_data(&t->data, &t->job));
    TRY(train_fits(&t->job, &t->data));
    TRY(enter_run(t, &complete));
    if (complete) {
        return OK;
    }
    TRY(await_stream(t));
    TRY(make_directories(t));
    TRY(write_config(t));
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return fail(ERR_IO, "cannot make a pipe: %s", strerror(errno));
    }
    t->progress_read = ends[0];
    t->progress_write = ends[1];
    const struct train_roles roles = {.job = &t->job,
                                      .sockets = t->sockets,
                                      .config_path = t->config_path,
                                      .progress_fd = t->progress_write,
                                      .lock_fd = t->lock.fd};
    view_init(&t->view, total_impressions(t), t->job.config.epochs);
    TRY(train_roles_add(&roles, &t->supervisor));
    TRY(train_warn(&t->job, &t->data, total_impressions(t)));
    say_start(t);
    TRY(start_children(t));
    TRY(watch(t));
    follow(t);
    view_end(&t->view);
    return print_summary(t);
}

static bool coordinator_and_servers_run(const struct train *t) {
    for (size_t i = 0; i <= t->job.servers; i++) {
        if (i >= t->supervisor.count || t->supervisor.children[i].pid == 0) {
            return false;
        }
    }
    return true;
}

/* The coordinator is told to save and end. It gives up by itself on a server that hangs, and a
 * server on a coordinator that does. */
static void let_save(struct train *t) {
    uint64_t deadline_ms = clock_mono_ms() + SAVE_GRACE_MS + 4ull * t->job.config.give_up_ms;
    if (coordinator_and_servers_run(t)) {
        kill(t->supervisor.children[0].pid, SIGTERM);
    }
    while (coordinator_and_servers_run(t) && clock_left_ms(deadline_ms) > 0) {
        clock_sleep_ms(10);
        supervisor_reap(&t->supervisor);
    }
}

/* For a job whose coordinator had no time to write one. */
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

/* Whether some role said that it would fail again: perhaps not the one that was seen to end first.
 */
static bool would_fail_again(const struct train *t) {
    for (size_t i = 0; i < t->supervisor.count; i++) {
        const struct child *c = &t->supervisor.children[i];
        if (c->pid == 0 && WIFEXITED(c->wait_status) &&
            WEXITSTATUS(c->wait_status) == ROLE_EXIT_LASTING) {
            return true;
        }
    }
    return false;
}

/* Ends a failed job, whose cause is in fail_text(), and completes the cause with what there is to
 * go back to. What was refused before any role ran says it all. */
static enum status end_failed(struct train *t, enum status status) {
    char why[1024];
    char newest[PATH_BYTES_MAX] = "";
    snprintf(why, sizeof why, "%s", fail_text_of(status));
    view_end(&t->view);
    let_save(t);
    supervisor_stop(&t->supervisor, CRASH_GRACE_MS);
    if (status != ERR_PEER) {
        return fail(status, "%s", why);
    }
    if (manifest_find(t->job.out, newest) != OK) {
        newest[0] = '\0';
    }
    write_failed_summary(t, why, newest);
    if (newest[0] == '\0') {
        return fail(status, "%s; no checkpoint had been saved", why);
    }
    return fail(status, "%s; newest checkpoint: %s; %s", why, newest,
                would_fail_again(t)
                    ? "it would fail again: mend that first, then continue with --resume"
                    : "continue with --resume");
}

static enum status train_start(void *line) {
    struct train *t = NULL;
    char why[1024];
    TRY(mem_new(&t));
    t->job = *(const struct job *)line; /* its lists stay the line's */
    t->progress_read = t->progress_write = -1;
    t->lock = LOCK_NONE;
    enum status status = run(t);
    if (status != OK && !(status == ERR_CLOSED && stop_requested())) { /* else nothing had begun */
        status = end_failed(t, status);
    }
    snprintf(why, sizeof why, "%s", fail_text());
    train_fini(t);
    mem_free(&t);
    return status == OK ? OK : fail(status, "%s", why);
}

const struct command command_train = {
    .name = "train",
    .summary = "a whole job on this machine",
    .usage = "--data DIR | --stream DIR --out DIR [options]",
    .about = "A whole job on this machine: coordinator, servers, workers.",
    .groups = (const struct option_group[]){{NULL, job_rows}, {0}},
    .line_bytes = sizeof(struct job),
    .init = job_init,
    .check = job_check,
    .run = train_start,
    .fini = job_fini};
