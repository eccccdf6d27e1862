/* roles.c - the command lines of the three roles: coord, ps, worker. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/thread.h"
#include "common/net/link_messages.h"
#include "coord/coord.h"
#include "job.h"
#include "job_note.h"
#include "ps/server.h"
#include "tools/common/tools.h"
#include "worker/worker.h"

static enum status coord_print_config(const struct config *config) {
    struct buf text = BUF_EMPTY;
    enum status status = config_text(config, &text);
    if (status == OK && fwrite(text.data, 1, text.len, stdout) != text.len) {
        status = fail(ERR_IO, "cannot write to standard output");
    }
    buf_fini(&text);
    return status;
}

static enum status role_end(enum status status) {
    if (status != OK) {
        log_error("%s", fail_text_of(status));
    }
    return status;
}

/* Runs the coordinator. A coordinator that a launcher starts checks itself whether anything is left
 * to train. */
static enum status run_coord(const struct coord_options *o) {
    bool complete = false;
    if (o->resume && o->lock_fd == 0) {
        TRY(coord_look(o, &complete));
    }
    if (complete) {
        log_info("%s holds a complete run: nothing is left to train", o->out_dir);
        return OK;
    }
    return coord_run(o);
}

static enum status coord_start(void *line) {
    const struct job *j = line;
    if (j->print_config) {
        return coord_print_config(&j->config);
    }
    stop_grace(j->grace_s);
    stop_signals_install();
    TRY(log_open(j->log, "coord"));
    log_level_set(j->config.log_level);
    log_bytes_set(j->config.log_bytes);
    log_cpu();
    const struct coord_options o = job_coord_options(j);
    const pid_t starter = getppid();
    enum status status = role_end(run_coord(&o));
    if (j->sockets != NULL && getppid() != starter) {
        file_remove_tree(j->sockets);
    }
    return status;
}

static const struct option_row coord_rows[] = {
    {"listen", "ENDPOINT", OPTION_TEXT, OPTION_AT(struct job, listen), .required = true,
     .help = "tcp://host:port or ipc://path"},
    {"log", "FILE", OPTION_TEXT, OPTION_AT(struct job, log), .told = "standard error",
     .help = "log there"},
    {"progress-fd", "N", OPTION_WHOLE, OPTION_AT(struct job, progress_fd), .most = INT_MAX,
     .help = "a JSON line a second to this descriptor"},
    {"print-config", NULL, OPTION_FLAG, OPTION_AT(struct job, print_config),
     .help = "check the options, print the configuration, start nothing"},
    {"lock-fd", "N", OPTION_WHOLE, OPTION_AT(struct job, lock_fd), .most = INT_MAX,
     .help = "descriptor of OUT/lock, which the starter holds"},
    {"launch", "NAME", OPTION_TEXT, OPTION_AT(struct job, launch),
     .help = "of this start of the job: only under the same name an unfinished one is taken over"},
    {"sockets", "DIR", OPTION_TEXT, OPTION_AT(struct job, sockets),
     .help = "directory of ipc sockets, to be removed if the starter has died"},
    {"grace", "S", OPTION_WHOLE, OPTION_AT(struct job, grace_s), .preset = "300", .least = 1,
     .most = 86400, .help = "from a stop signal to the end, at most"},
    {NULL}};
const struct command command_coord = {
    .name = "coord",
    .summary = "one role: the coordinator",
    .usage = "--listen ENDPOINT (--data DIR | --stream DIR) --out DIR [options]",
    .about = "The coordinator: hands out shards, counts progress, commits checkpoints.",
    .role = true,
    .groups = (const struct option_group[]){{NULL, coord_rows}, {"The job:", job_rows}, {0}},
    .line_bytes = sizeof(struct job),
    .init = job_init,
    .check = job_check,
    .run = coord_start,
    .fini = job_fini};

/* --- server and worker ------------------------------------------------------------------------ */

struct role_line {
    const char *coordinator, *join, *listen, *advertise, *push_log, *log, *trace;
    struct file_list data, eval;
    uint32_t index, threads, grace_s;
    uint64_t timeout_ms;
};

static void role_fini(void *line) {
    struct role_line *r = line;
    file_list_free(&r->data);
    file_list_free(&r->eval);
}

static enum status role_open(const struct role_line *r, const char *role) {
    char name[32];
    snprintf(name, sizeof name, r->index == WIRE_INDEX_ANY ? "%s" : "%s-%u", role, r->index);
    stop_grace(r->grace_s);
    stop_signals_install();
    return log_open(r->log, name);
}

static enum status ps_start(void *line) {
    const struct role_line *r = line;
    TRY(role_open(r, "ps"));
    const struct server_options o = {.coordinator = r->coordinator,
                                     .listen = r->listen,
                                     .advertise = r->advertise,
                                     .push_log = r->push_log,
                                     .index = r->index,
                                     .threads = r->threads,
                                     .timeout_ms = r->timeout_ms};
    return role_end(server_run(&o));
}

static enum status worker_check(void *line) {
    const struct role_line *r = line;
    if (r->coordinator == NULL && r->join == NULL) {
        return fail(ERR_USAGE, "--coord is missing, or --join, for a worker that takes any place");
    }
    if (r->coordinator != NULL && r->join != NULL) {
        return fail(ERR_USAGE, "--coord and --join exclude each other");
    }
    return OK;
}

/* Finds the coordinator of the job that is to be joined. */
static enum status find_coordinator(struct role_line *r, struct job_note *note) {
    if (r->join == NULL) {
        return OK;
    }
    r->index = WIRE_INDEX_ANY;
    r->coordinator = r->join;
    if (strstr(r->join, "://") != NULL) {
        return OK;
    }
    const enum status status = job_note_read(note, r->join);
    if (status == ERR_NOT_FOUND || (status == OK && note->state == JOB_ENDED)) {
        return fail(ERR_NOT_FOUND, "no job runs in %s", r->join);
    }
    TRY(status);
    const enum process_state launcher = process_id_look(&note->process);
    if (launcher == PROCESS_ELSEWHERE && strncmp(note->coordinator, "ipc:", 4) == 0) {
        return fail(ERR_USAGE, "the job in %s runs on %s alone, and can be joined only there",
                    r->join, note->process.host);
    }
    r->coordinator = note->coordinator;
    return launcher == PROCESS_GONE
               ? fail(ERR_NOT_FOUND, "no job runs in %s: process %llu, which ran one, is gone",
                      r->join, (unsigned long long)note->process.pid)
               : OK;
}

static enum status worker_start(void *line) {
    struct role_line *r = line;
    struct job_note note;
    TRY(find_coordinator(r, &note));
    TRY(role_open(r, "worker"));
    const struct worker_options o = {.coordinator = r->coordinator,
                                     .index = r->index,
                                     .threads = r->threads,
                                     .timeout_ms = r->timeout_ms,
                                     .trace_path = r->trace,
                                     .data = &r->data,
                                     .eval = &r->eval};
    return role_end(worker_run(&o));
}

static const struct option_row role_rows[] = {
    {"index", "I", OPTION_WHOLE, OPTION_AT(struct role_line, index), .preset = "0", .most = 100000,
     .help = "which of the servers or workers this is"},
    {"log", "FILE", OPTION_TEXT, OPTION_AT(struct role_line, log), .told = "standard error",
     .help = "log there"},
    {"timeout", "MS", OPTION_WHOLE, OPTION_AT(struct role_line, timeout_ms), .preset = "60000",
     .least = 1, .most = 86400000, .help = "for the job to be ready"},
    {"grace", "S", OPTION_WHOLE, OPTION_AT(struct role_line, grace_s), .preset = "300", .least = 1,
     .most = 86400, .help = "from a stop signal to the end, at most"},
    {NULL}};
static const struct option_row ps_rows[] = {
    {"coord", "ENDPOINT", OPTION_TEXT, OPTION_AT(struct role_line, coordinator), .required = true,
     .help = "where the coordinator listens"},
    {"listen", "ENDPOINT", OPTION_TEXT, OPTION_AT(struct role_line, listen), .required = true,
     .help = "ipc://path (.K is added per thread) or tcp://host:0"},
    {"advertise", "HOST", OPTION_TEXT, OPTION_AT(struct role_line, advertise),
     .help = "the name workers reach this machine by"},
    {"push-log", "DIR", OPTION_TEXT, OPTION_AT(struct role_line, push_log),
     .help = "where push logs are kept if recovery.push_log is on; OUT/pushlog, say"},
    {"threads", "N", OPTION_WHOLE, OPTION_AT(struct role_line, threads), .preset = "1", .least = 1,
     .most = 64, .help = "partition threads"},
    {NULL}};
static const struct option_row worker_rows[] = {
    {"coord", "ENDPOINT", OPTION_TEXT, OPTION_AT(struct role_line, coordinator),
     .help = "where the coordinator listens"},
    {"join", "RUN|ENDPOINT", OPTION_TEXT, OPTION_AT(struct role_line, join),
     .help = "join the job that runs there, in any free place"},
    {"threads", "N", OPTION_WHOLE, OPTION_AT(struct role_line, threads), .preset = "1", .least = 1,
     .most = 64, .help = "trainer threads"},
    {"data", "DIR", OPTION_PATHS, OPTION_AT(struct role_line, data),
     .help = "this machine's copy of the training shards"},
    {"eval", "DIR", OPTION_PATHS, OPTION_AT(struct role_line, eval),
     .help = "this machine's copy of the evaluation shards"},
    {"trace", "FILE", OPTION_TEXT, OPTION_AT(struct role_line, trace),
     .help = "one line per training batch with its losses"},
    {NULL}};

const struct command command_ps = {
    .name = "ps",
    .summary = "one role: a parameter server",
    .about = "A parameter server: holds rows and dense slices, applies pushes.",
    .role = true,
    .groups = (const struct option_group[]){{NULL, role_rows}, {NULL, ps_rows}, {0}},
    .line_bytes = sizeof(struct role_line),
    .run = ps_start,
    .fini = role_fini};
const struct command command_worker = {
    .name = "worker",
    .summary = "one role: a worker",
    .about = "A worker: reads impression shards, computes gradients, pushes them.",
    .role = true,
    .groups = (const struct option_group[]){{NULL, role_rows}, {NULL, worker_rows}, {0}},
    .line_bytes = sizeof(struct role_line),
    .check = worker_check,
    .run = worker_start,
    .fini = role_fini};
