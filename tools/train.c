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

#include "common/clock.h"
#include "common/data_fit.h"
#include "common/drift.h"
#include "common/json.h"
#include "common/lock.h"
#include "common/manifest.h"
#include "common/mem.h"
#include "common/metric.h"
#include "common/thread.h"
#include "coord/stream.h"
#include "job.h"
#include "summary_view.h"
#include "supervisor.h"
#include "tools.h"
#include "view.h"
#include "worker/kernel.h"

#define RESTARTS_MAX 3
#define POLL_MS 50
#define FOLLOW_MS 3000
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

/* --- preparing ---------------------------------------------------------------------------------- */

/* All workers run here: what would end each of them is told before anything is made. */
static enum status kernel_is_here(const struct config *config) {
    const struct kernel *kernel;
    return kernel_find(config->kernel, config->precision, &kernel);
}

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

/* From here on the run directory is this job's, unless it is complete: then nothing is touched. That
 * another job writes there is told before what would be wrong with this one. */
static enum status enter_run(struct train *t, bool *complete) {
    char why[1024] = "";
    const struct coord_options o = job_coord_options(&t->job);
    enum status status = t->job.resume ? coord_look(&o, complete) : OK;
    if (status == OK && *complete) {
        printf("%s holds a complete run: nothing is left to train. More --epochs or --max-steps go on "
               "from it; esmm eval measures it\n", t->job.out);
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

/* --- the children's command lines ---------------------------------------------------------------- */

static enum status log_path(const struct train *t, const char *name, char *out) {
    char file[64];
    snprintf(file, sizeof file, "logs/%s.log", name);
    return path_join(out, t->job.out, file);
}

static enum status add(struct train *t, const char *role, uint32_t index, struct child **child) {
    char name[32];
    char log[PATH_BYTES_MAX];
    snprintf(name, sizeof name, "%s-%u", role, index);
    TRY(log_path(t, name, log));
    TRY(supervisor_add(&t->supervisor, name, log, child));
    return child_arg(*child, role);
}

static enum status arg2(struct child *c, const char *option, const char *value) {
    TRY(child_arg(c, option));
    return child_arg(c, value);
}

static enum status arg_u64(struct child *c, const char *option, uint64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return arg2(c, option, text);
}

static enum status socket_name(const struct train *t, const char *name, uint32_t index, char *out,
                               size_t bytes) {
    int n = snprintf(out, bytes, "ipc://%s/%s-%u", t->sockets, name, index);
    return n > 0 && (size_t)n < bytes ? OK : fail(ERR_LIMIT, "socket path too long: %s", t->sockets);
}

static enum status add_coord(struct train *t) {
    struct child *c;
    char endpoint[PATH_BYTES_MAX];
    TRY(socket_name(t, "coord", 0, endpoint, sizeof endpoint));
    TRY(add(t, "coord", 0, &c));
    TRY(arg2(c, "--listen", endpoint));
    for (size_t k = 0; k < t->job.data.count; k++) {
        TRY(arg2(c, t->job.stream ? "--stream" : "--data", t->job.data.names[k]));
    }
    for (size_t k = 0; k < t->job.eval.count; k++) {
        TRY(arg2(c, "--eval", t->job.eval.names[k]));
    }
    TRY(arg2(c, "--out", t->job.out));
    TRY(arg2(c, "--conf", t->config_path));
    TRY(arg_u64(c, "--servers", t->job.servers));
    TRY(arg_u64(c, "--workers", t->job.workers));
    TRY(arg_u64(c, "--timeout", t->job.timeout_ms));
    TRY(arg_u64(c, "--progress-fd", (uint64_t)t->progress_write));
    TRY(arg2(c, "--sockets", t->sockets));
    if (t->lock.fd >= 0) {
        TRY(arg_u64(c, "--lock-fd", (uint64_t)t->lock.fd));
    }
    if (t->job.resume) {
        TRY(child_arg(c, "--resume"));
    }
    return arg2(c, "--log", c->log);
}

static enum status add_server(struct train *t, uint32_t index) {
    struct child *c;
    char coord[PATH_BYTES_MAX];
    char endpoint[PATH_BYTES_MAX];
    TRY(socket_name(t, "coord", 0, coord, sizeof coord));
    TRY(socket_name(t, "ps", index, endpoint, sizeof endpoint));
    TRY(add(t, "ps", index, &c));
    TRY(arg2(c, "--coord", coord));
    TRY(arg_u64(c, "--index", index));
    TRY(arg2(c, "--listen", endpoint));
    TRY(arg_u64(c, "--threads", t->job.config.server_threads));
    TRY(arg_u64(c, "--timeout", t->job.timeout_ms));
    return arg2(c, "--log", c->log);
}

static enum status add_worker(struct train *t, uint32_t index) {
    struct child *c;
    char coord[PATH_BYTES_MAX];
    TRY(socket_name(t, "coord", 0, coord, sizeof coord));
    TRY(add(t, "worker", index, &c));
    TRY(arg2(c, "--coord", coord));
    TRY(arg_u64(c, "--index", index));
    TRY(arg_u64(c, "--threads", t->job.threads));
    TRY(arg_u64(c, "--timeout", t->job.timeout_ms));
    if (t->job.trace) {
        char file[64];
        char path[PATH_BYTES_MAX];
        snprintf(file, sizeof file, "logs/trace-%u.tsv", index);
        TRY(path_join(path, t->job.out, file));
        TRY(arg2(c, "--trace", path));
    }
    return arg2(c, "--log", c->log);
}

static enum status add_children(struct train *t) {
    TRY(supervisor_init(&t->supervisor, 1u + t->job.servers + t->job.workers));
    t->supervisor.keep[0] = t->progress_write;
    t->supervisor.keep[1] = t->lock.fd;
    TRY(add_coord(t));
    for (uint32_t i = 0; i < t->job.servers; i++) {
        TRY(add_server(t, i));
    }
    for (uint32_t i = 0; i < t->job.workers; i++) {
        TRY(add_worker(t, i));
    }
    return OK;
}

static enum status start_children(struct train *t) {
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

/* --- watching ----------------------------------------------------------------------------------- */

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

/* --- the end ------------------------------------------------------------------------------------ */

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
        printf("evaluation: AUC ctr (all) %.5f   cvr (clicked) %.5f   ctcvr (all) %.5f\n",
               json_number(text, "auc_ctr"), json_number(text, "auc_cvr_clicked"),
               json_number(text, "auc_ctcvr"));
        evaluation_doubt(json_number(text, "auc_ctr"), json_number(text, "auc_cvr_clicked"),
                         json_number(text, "auc_ctcvr"));
    }
    const char *weighted = strstr(text, "\"with_weights\"");
    if (weighted != NULL) {
        printf("  by weight: AUC ctr (all) %.5f   cvr (clicked) %.5f   ctcvr (all) %.5f\n",
               json_number(weighted, "auc_ctr"), json_number(weighted, "auc_cvr_clicked"),
               json_number(weighted, "auc_ctcvr"));
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
    job_fini(&t->job);
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
    return stream_wait(t->job.data.names[0]);
}

/* A model of what comes between click and conversion, on data in which nothing does: it would train,
 * and be no better than esmm. Of a stream that has begun the first shard is looked at. A shard that
 * cannot be read is for the job itself to find. */
static void warn_of_no_behaviours(const struct train *t) {
    const struct config *c = &t->job.config;
    struct dataset_contents all = {0};
    struct shard_info first = {0};
    char name[sizeof first.name], dirs[PATH_BYTES_MAX];
    const bool wants = c->model == MODEL_ESM2 || (c->model == MODEL_CHAIN && c->behaviours > 0);
    shard_name(0, name);
    if (!wants || (t->job.stream ? shard_peek(t->job.data.names[0], name, &first)
                                 : dataset_peek(&t->data, &all)) != OK) {
        return;
    }
    if ((all.behaviours | first.behaviours) == 0) {
        fprintf(stderr, "warning: model.name = %s learns from behaviours after the click, and %s%s "
                        "has none (docs/prep.md: log.behaviours)\n",
                c->model == MODEL_ESM2 ? "esm2" : "chain", t->job.stream ? "the first shard of " : "",
                dataset_name(&t->job.data, dirs));
    }
}

/* Parameters are as many batches old as others are under way. The fewer steps a job has, the more that
 * costs: a hundredth of them, and one or two in any case, is what docs/quality.md found still harmless. */
static void warn_of_staleness(const struct train *t) {
    const struct config *c = &t->job.config;
    const uint64_t steps = total_impressions(t) / c->batch;
    const uint64_t others = (uint64_t)t->job.workers * t->job.threads - 1;
    if (t->job.stream || c->deterministic || others < 3 || others * 100 <= steps) {
        return;
    }
    fprintf(stderr, "warning: in %llu batches of %u, each is computed with parameters %s %llu batches old: fewer "
                    "workers or threads, or a smaller train.batch, train better (docs/train.md)\n",
            (unsigned long long)steps, c->batch,
            c->consistency == CONSISTENCY_ASYNC ? "about" : "up to", (unsigned long long)others);
}

/* Batches are cut from one shard each. A stream's order is what it is; records are no log. */
static enum status warn_of_order(const struct train *t) {
    struct drift_counts *parts = NULL;
    if (t->job.stream || t->data.stream[0] != '\0') {
        return OK;
    }
    TRY(mem_array((void **)&parts, t->data.shard_count, sizeof *parts));
    for (uint32_t s = 0; s < t->data.shard_count; s++) {
        const struct shard_info *info = &t->data.shards[s];
        parts[s] = (struct drift_counts){info->impressions, info->clicks, info->conversions};
    }
    const struct drift_finding f = drift_judge(parts, t->data.shard_count, t->data.groups);
    if (f.found) {
        const struct shard_info *info = &t->data.shards[f.part];
        fprintf(stderr,
                "warning: the data look sorted by %s: %s/%s has a share of %.3g %s, all shards %.3g (%zu of "
                "%u stand out); batches are cut from one shard each: esmm prep --shuffle all mixes the "
                "log (docs/prep.md)\n",
                f.conversions ? "conversion" : "click", dataset_dir(&t->data, info), info->name, f.share,
                f.conversions ? "of conversions among its clicks" : "of clicks", f.mean, f.parts,
                t->data.shard_count);
    }
    mem_free(&parts);
    return OK;
}

static enum status read_data(struct train *t) {
    struct buf doubts = BUF_EMPTY;
    const enum status status = dataset_read_all(&t->data, &t->job.data, &doubts);
    print_warnings(&doubts);
    buf_fini(&doubts);
    return status;
}

/* The coordinator looks at this too; here it is told before anything begins, and on the terminal. */
static enum status eval_fits(const struct train *t) {
    struct dataset eval = {0};
    struct buf doubts = BUF_EMPTY;
    enum status status = OK;
    if (t->job.eval.count == 0) {
        return OK;
    }
    TRY_OUT(dataset_read_all(&eval, &t->job.eval, &doubts));
    const struct fit_side model = fit_side_data(&t->data);
    const struct fit_side data = fit_side_data(&eval);
    status = data_fit(&model, &data, &doubts);
    print_warnings(&doubts);
out:
    buf_fini(&doubts);
    dataset_free(&eval);
    return status;
}

static enum status resume_fits(const struct train *t) {
    char found[PATH_BYTES_MAX];
    struct manifest m = {0};
    struct buf doubts = BUF_EMPTY;
    enum status status = OK;
    if (!t->job.resume || manifest_find(t->job.out, found) != OK) { /* the coordinator's to judge */
        return OK;
    }
    TRY_OUT(manifest_read(&m, found));
    const struct fit_side model = fit_side_checkpoint(&m, found);
    const struct fit_side data = fit_side_data(&t->data);
    status = field_schemas_match(model.fields, model.says, data.fields, data.says, &doubts);
    print_warnings(&doubts);
out:
    buf_fini(&doubts);
    manifest_free(&m);
    return status == ERR_CONFIG ? fail(status, "cannot resume: %s", fail_text()) : status;
}

static void say_start(const struct train *t) {
    const struct job *j = &t->job;
    if (j->stream) {
        printf("following %s: ", j->data.names[0]);
    } else {
        printf("training on %llu impressions in %u shards",
               (unsigned long long)t->data.impressions, t->data.shard_count);
        printf(j->data.count > 1 ? " of %zu directories: " : ": ", j->data.count);
    }
    printf("%u servers, %u workers, %u threads each; run directory %s\n", j->servers, j->workers,
           j->threads, j->out);
    fflush(stdout);
}

static enum status run(struct train *t) {
    bool complete = false;
    stop_signals_install();
    char dirs[PATH_BYTES_MAX];
    TRY(read_data(t));
    TRY(streams_fit(t->job.config.delay, t->data.stream, dataset_name(&t->job.data, dirs)));
    TRY(eval_fits(t));
    TRY(kernel_is_here(&t->job.config));
    TRY(resume_fits(t));
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
    view_init(&t->view, total_impressions(t), t->job.config.epochs);
    TRY(add_children(t));
    warn_of_no_behaviours(t);
    warn_of_staleness(t);
    TRY(warn_of_order(t));
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

/* Whether some role said that it would fail again: perhaps not the one that was seen to end first. */
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
                would_fail_again(t) ? "it would fail again: mend that first, then continue with --resume"
                                    : "continue with --resume");
}

enum status tool_train(int argc, char **argv) {
    struct train *t = NULL;
    bool help = false;
    TRY(mem_alloc((void **)&t, sizeof *t));
    t->progress_read = t->progress_write = -1;
    t->lock = LOCK_NONE;
    enum status status = job_parse(&t->job, argc, argv, false, &help);
    if (status == OK && help) {
        printf("usage: esmm train --data DIR | --stream DIR --out DIR [options]\n\n"
               "A whole job on this machine: coordinator, servers, workers.\n\n%s",
               job_options_help);
    } else if (status == OK) {
        status = run(t);
    }
    char why[1024];
    if (status == ERR_CLOSED && stop_requested()) { /* nothing had begun */
        fprintf(stderr, "esmm train: %s\n", fail_text());
        status = OK;
    }
    if (status != OK && !help) {
        status = end_failed(t, status);
    }
    snprintf(why, sizeof why, "%s", fail_text());
    train_fini(t);
    mem_free(&t);
    return status == OK ? OK : fail(status, "%s", why);
}
