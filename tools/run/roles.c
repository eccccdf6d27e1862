/* roles.c - the command lines of the three roles: coord, ps, worker. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/thread.h"
#include "coord/coord.h"
#include "job.h"
#include "tools/common/options.h"
#include "tools/common/paths.h"
#include "ps/server.h"
#include "tools/common/tools.h"
#include "worker/worker.h"

static enum status print_config(const struct config *config) {
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

/* A coordinator that a launcher starts looks itself whether there is anything to do. */
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

static enum status coord(struct job *j, int argc, char **argv) {
    bool help;
    TRY(job_parse(j, argc, argv, true, &help));
    if (help) {
        printf(
            "usage: esmm coord --listen ENDPOINT --data DIR | --stream DIR --out DIR [options]\n\n"
            "The coordinator: hands out shards, counts progress, commits checkpoints.\n\n"
            "  --listen ENDPOINT     tcp://host:port or ipc://path\n"
            "  --log FILE            log there instead of standard error\n"
            "  --timeout MS          for all roles to appear (60000)\n"
            "  --progress-fd N       a JSON line a second to this descriptor\n"
            "  --print-config        check the options, print the configuration, start nothing\n"
            "%s",
            job_options_help);
        return OK;
    }
    if (j->print_config) {
        return print_config(&j->config);
    }
    stop_signals_install();
    TRY(log_open(j->log, "coord"));
    log_level_set(j->config.log_level);
    const struct coord_options o = job_coord_options(j);
    const pid_t starter = getppid();
    enum status status = role_end(run_coord(&o));
    if (j->sockets != NULL && getppid() != starter) {
        file_remove_tree(j->sockets);
    }
    return status;
}

enum status tool_coord(int argc, char **argv) {
    struct job j = {0};
    const enum status status = coord(&j, argc, argv);
    job_fini(&j);
    return status;
}

enum {
    R_COORD = 256,
    R_INDEX,
    R_LISTEN,
    R_ADVERTISE,
    R_THREADS,
    R_LOG,
    R_TIMEOUT,
    R_TRACE,
    R_DATA,
    R_EVAL,
    R_HELP
};
static const struct option role_options[] = {{"coord", required_argument, NULL, R_COORD},
                                             {"index", required_argument, NULL, R_INDEX},
                                             {"listen", required_argument, NULL, R_LISTEN},
                                             {"advertise", required_argument, NULL, R_ADVERTISE},
                                             {"threads", required_argument, NULL, R_THREADS},
                                             {"log", required_argument, NULL, R_LOG},
                                             {"timeout", required_argument, NULL, R_TIMEOUT},
                                             {"trace", required_argument, NULL, R_TRACE},
                                             {"data", required_argument, NULL, R_DATA},
                                             {"eval", required_argument, NULL, R_EVAL},
                                             {"help", no_argument, NULL, R_HELP},
                                             {NULL, 0, NULL, 0}};
struct role_line {
    const char *coordinator, *listen, *advertise, *log, *trace;
    struct file_list data, eval;
    uint64_t index, threads, timeout_ms;
    bool help;
};

static enum status role_option(void *line, int option, const char *value) {
    struct role_line *r = line;
    switch (option) {
    case R_COORD: r->coordinator = value; return OK;
    case R_INDEX: return option_u64("--index", value, 0, 100000, &r->index);
    case R_LISTEN: r->listen = value; return OK;
    case R_ADVERTISE: r->advertise = value; return OK;
    case R_THREADS: return option_u64("--threads", value, 1, 64, &r->threads);
    case R_LOG: r->log = value; return OK;
    case R_TIMEOUT: return option_u64("--timeout", value, 1, 86400000, &r->timeout_ms);
    case R_TRACE: r->trace = value; return OK;
    case R_DATA: return paths_add(&r->data, value);
    case R_EVAL: return paths_add(&r->eval, value);
    default: r->help = true; return OK;
    }
}

static void role_fini(struct role_line *r) {
    file_list_free(&r->data);
    file_list_free(&r->eval);
}

static enum status role_parse(struct role_line *r, int argc, char **argv) {
    *r = (struct role_line){.threads = 1, .timeout_ms = 60000};
    static const int often[] = {R_DATA, R_EVAL, 0};
    const struct option_set set = {.table = role_options, .often = often};
    TRY(options_read(argc, argv, &set, role_option, r, &r->help));
    if (r->help) {
        return OK;
    }
    TRY(options_end(argc, argv));
    if (r->coordinator == NULL) {
        return fail(ERR_USAGE, "--coord is missing: the coordinator's endpoint");
    }
    return OK;
}

static enum status ps(struct role_line *r, int argc, char **argv) {
    TRY(role_parse(r, argc, argv));
    if (r->help) {
        printf("usage: esmm ps --coord ENDPOINT --index I --listen ENDPOINT [options]\n\n"
               "A parameter server: holds rows and dense slices, applies pushes.\n\n"
               "  --listen ENDPOINT     ipc://path (.K is added per thread) or tcp://host:0\n"
               "  --advertise HOST      the name workers reach this machine by\n"
               "  --threads N           partition threads (1)\n"
               "  --log FILE            log there instead of standard error\n"
               "  --timeout MS          for the job to be ready (60000)\n");
        return OK;
    }
    if (r->listen == NULL) {
        return fail(ERR_USAGE, "--listen is missing: ipc://path or tcp://host:0");
    }
    char name[32];
    snprintf(name, sizeof name, "ps-%u", (unsigned)r->index);
    stop_signals_install();
    TRY(log_open(r->log, name));
    struct server_options o = {.coordinator = r->coordinator,
                               .listen = r->listen,
                               .advertise = r->advertise,
                               .index = (uint32_t)r->index,
                               .threads = (uint32_t)r->threads,
                               .timeout_ms = r->timeout_ms};
    return role_end(server_run(&o));
}

enum status tool_ps(int argc, char **argv) {
    struct role_line r = {0};
    const enum status status = ps(&r, argc, argv);
    role_fini(&r);
    return status;
}

static enum status worker(struct role_line *r, int argc, char **argv) {
    TRY(role_parse(r, argc, argv));
    if (r->help) {
        printf("usage: esmm worker --coord ENDPOINT --index I [options]\n\n"
               "A worker: reads impression shards, computes gradients, pushes them.\n\n"
               "  --threads N           trainer threads (1)\n"
               "  --data DIR            this machine's copy of the training shards; all, in order\n"
               "  --eval DIR            this machine's copy of the evaluation shards\n"
               "  --trace FILE          one line per training batch with its losses\n"
               "  --log FILE            log there instead of standard error\n"
               "  --timeout MS          for the job to be ready (60000)\n");
        return OK;
    }
    char name[32];
    snprintf(name, sizeof name, "worker-%u", (unsigned)r->index);
    stop_signals_install();
    TRY(log_open(r->log, name));
    struct worker_options o = {.coordinator = r->coordinator,
                               .index = (uint32_t)r->index,
                               .threads = (uint32_t)r->threads,
                               .timeout_ms = r->timeout_ms,
                               .trace_path = r->trace,
                               .data = &r->data,
                               .eval = &r->eval};
    return role_end(worker_run(&o));
}

enum status tool_worker(int argc, char **argv) {
    struct role_line r = {0};
    const enum status status = worker(&r, argc, argv);
    role_fini(&r);
    return status;
}
