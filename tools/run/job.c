#include "job.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "tools/common/options.h"
#include "tools/common/paths.h"

const char job_options_help[] =
    "  --data DIR            training shards (esmm prep); given often, or a pattern: all of them\n"
    "  --stream DIR          instead of --data: follow a directory that grows (docs/stream.md)\n"
    "  --eval DIR            shards to evaluate on after every epoch; likewise\n"
    "  --out DIR             run directory\n"
    "  --conf FILE           configuration (INI); see docs/config.md\n"
    "  --set SECTION.KEY=V   overrides one key; may be given often\n"
    "  --servers N           parameter servers (2)\n"
    "  --workers N           workers (2)\n"
    "  --threads N           trainer threads per worker (1)\n"
    "  --epochs N            passes over the data (1)\n"
    "  --batch N             impressions a batch (2048)\n"
    "  --max-steps N         stop after N batches; 0 saves the initial state only\n"
    "  --seed N              of initial values and order (1)\n"
    "  --memory BYTES        limit per server, e.g. 8G\n"
    "  --checkpoint-every N  impressions, or seconds as in 60s (also one at the end and on SIGTERM)\n"
    "  --deterministic       one order of batches and applies: runs are byte-identical\n"
    "  --resume              continue from the newest checkpoint in --out\n"
    "  --timeout MS          for all roles to appear (60000)\n"
    "  --trace               workers log every batch to OUT/logs/trace-N.tsv (docs/model.md)\n";

enum {
    O_DATA = 256,
    O_STREAM,
    O_EVAL,
    O_OUT,
    O_CONF,
    O_SET,
    O_SERVERS,
    O_WORKERS,
    O_THREADS,
    O_EPOCHS,
    O_BATCH,
    O_MAX_STEPS,
    O_SEED,
    O_MEMORY,
    O_EVERY,
    O_DETERMINISTIC,
    O_RESUME,
    O_TRACE,
    O_TIMEOUT,
    O_HELP,
    O_LISTEN, /* from here on the coordinator's own */
    O_LOG,
    O_PROGRESS,
    O_PRINT_CONFIG,
    O_LOCK,
    O_SOCKETS
};
static const struct option options[] = {{"data", required_argument, NULL, O_DATA},
                                        {"stream", required_argument, NULL, O_STREAM},
                                        {"eval", required_argument, NULL, O_EVAL},
                                        {"out", required_argument, NULL, O_OUT},
                                        {"conf", required_argument, NULL, O_CONF},
                                        {"set", required_argument, NULL, O_SET},
                                        {"servers", required_argument, NULL, O_SERVERS},
                                        {"workers", required_argument, NULL, O_WORKERS},
                                        {"threads", required_argument, NULL, O_THREADS},
                                        {"epochs", required_argument, NULL, O_EPOCHS},
                                        {"batch", required_argument, NULL, O_BATCH},
                                        {"max-steps", required_argument, NULL, O_MAX_STEPS},
                                        {"seed", required_argument, NULL, O_SEED},
                                        {"memory", required_argument, NULL, O_MEMORY},
                                        {"checkpoint-every", required_argument, NULL, O_EVERY},
                                        {"deterministic", no_argument, NULL, O_DETERMINISTIC},
                                        {"resume", no_argument, NULL, O_RESUME},
                                        {"trace", no_argument, NULL, O_TRACE},
                                        {"timeout", required_argument, NULL, O_TIMEOUT},
                                        {"help", no_argument, NULL, O_HELP},
                                        {"listen", required_argument, NULL, O_LISTEN},
                                        {"log", required_argument, NULL, O_LOG},
                                        {"progress-fd", required_argument, NULL, O_PROGRESS},
                                        {"print-config", no_argument, NULL, O_PRINT_CONFIG},
                                        {"lock-fd", required_argument, NULL, O_LOCK},
                                        {"sockets", required_argument, NULL, O_SOCKETS},
                                        {NULL, 0, NULL, 0}};
#define COMMON_OPTIONS (O_LISTEN - O_DATA) /* the first of the table, in the order of the enum */

static enum status option_u32(const char *what, const char *text, uint32_t min, uint32_t max,
                              uint32_t *out) {
    uint64_t v = 0;
    TRY(option_u64(what, text, min, max, &v));
    *out = (uint32_t)v;
    return OK;
}

static enum status option_fd(const char *what, const char *text, int *out) {
    uint64_t fd = 0;
    TRY(option_u64(what, text, 0, INT_MAX, &fd));
    *out = (int)fd;
    return OK;
}

/* Roles and launchers run in other directories, so paths are made absolute here, once. */
static enum status absolute(const char *path, char *out) {
    if (path[0] == '/') {
        return path_join(out, "/", path + 1);
    }
    char *here = realpath(".", NULL);
    if (here == NULL) {
        return fail(ERR_IO, "cannot resolve the current directory: %s", strerror(errno));
    }
    enum status status = path_join(out, here, path);
    free(here);
    return status;
}

static enum status set_config(struct job *j, const char *key, const char *value) {
    char assignment[256];
    snprintf(assignment, sizeof assignment, "%s=%s", key, value);
    return config_set(&j->config, assignment);
}

static enum status checkpoint_every(struct job *j, const char *value) {
    size_t n = strlen(value);
    if (n > 1 && value[n - 1] == 's') {
        char seconds[32];
        snprintf(seconds, sizeof seconds, "%.*s", (int)(n - 1), value);
        return set_config(j, "checkpoint.every_seconds", seconds);
    }
    return set_config(j, "checkpoint.every_impressions", value);
}

static enum status add_dirs(struct file_list *list, const char *argument) {
    struct file_list found = {0};
    char path[PATH_BYTES_MAX];
    enum status status = paths_add(&found, argument);
    for (size_t k = 0; status == OK && k < found.count; k++) {
        status = absolute(found.names[k], path);
        status = status == OK ? file_list_add(list, path) : status;
    }
    file_list_free(&found);
    return status;
}

static enum status set_data(struct job *j, const char *dir, bool stream) {
    if (j->data.count > 0 && j->stream != stream) {
        return fail(ERR_USAGE, "--data and --stream exclude each other");
    }
    j->stream = stream;
    if (stream) {
        char path[PATH_BYTES_MAX];
        TRY(absolute(dir, path));
        return file_list_add(&j->data, path);
    }
    return add_dirs(&j->data, dir);
}

static enum status apply(void *line, int option, const char *value) {
    struct job *j = line;
    switch (option) {
    case O_DATA: return set_data(j, value, false);
    case O_STREAM: return set_data(j, value, true);
    case O_EVAL: return add_dirs(&j->eval, value);
    case O_OUT: return absolute(value, j->out);
    case O_CONF: return OK; /* read before everything else */
    case O_SET: return config_set(&j->config, value);
    case O_SERVERS: return option_u32("--servers", value, 1, 256, &j->servers);
    case O_WORKERS: return option_u32("--workers", value, 1, 10000, &j->workers);
    case O_THREADS: return option_u32("--threads", value, 1, 64, &j->threads);
    case O_EPOCHS: return set_config(j, "train.epochs", value);
    case O_BATCH: return set_config(j, "train.batch", value);
    case O_MAX_STEPS: return set_config(j, "train.max_steps", value);
    case O_SEED: return set_config(j, "train.seed", value);
    case O_MEMORY: return set_config(j, "server.memory", value);
    case O_EVERY: return checkpoint_every(j, value);
    case O_DETERMINISTIC: return set_config(j, "train.deterministic", "true");
    case O_RESUME: j->resume = true; return OK;
    case O_TRACE: j->trace = true; return OK;
    case O_TIMEOUT: return option_u64("--timeout", value, 1, 86400000, &j->timeout_ms);
    case O_LISTEN: j->listen = value; return OK;
    case O_LOG: j->log = value; return OK;
    case O_SOCKETS: j->sockets = value; return OK;
    case O_PROGRESS: return option_fd("--progress-fd", value, &j->progress_fd);
    case O_LOCK: return option_fd("--lock-fd", value, &j->lock_fd);
    case O_PRINT_CONFIG: j->print_config = true; return OK;
    default: j->help = true; return OK;
    }
}

/* The file's values must lie under those of the command line, wherever --conf stands. What is wrong
 * with the other options shows when they are applied. */
static enum status read_conf(struct job *j, int argc, char **argv) {
    int option;
    optind = 0;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (option == O_CONF) {
            TRY(config_read(&j->config, optarg));
        }
    }
    return OK;
}

static enum status complete(const struct job *j, bool coord) {
    if (j->data.count == 0) {
        return fail(ERR_USAGE, "--data (or --stream) is missing: the directory of training shards");
    }
    if (j->out[0] == '\0') {
        return fail(ERR_USAGE, "--out is missing: the run directory");
    }
    if (coord && j->listen == NULL) {
        return fail(ERR_USAGE, "--listen is missing: tcp://host:port or ipc://path");
    }
    return config_check(&j->config);
}

enum status job_parse(struct job *j, int argc, char **argv, bool coord, bool *help) {
    *j = (struct job){
        .servers = 2, .workers = 2, .threads = 1, .progress_fd = -1, .timeout_ms = 60000};
    static const int often[] = {O_DATA, O_EVAL, O_CONF, O_SET, 0};
    struct option table[sizeof options / sizeof options[0]];
    config_default(&j->config);
    *help = false;
    TRY(read_conf(j, argc, argv));
    memcpy(table, options, sizeof options);
    if (!coord) {
        table[COMMON_OPTIONS] = (struct option){0};
    }
    const struct option_set set = {.table = table, .often = often};
    TRY(options_read(argc, argv, &set, apply, j, &j->help));
    *help = j->help;
    if (j->help) {
        return OK;
    }
    TRY(options_end(argc, argv));
    return complete(j, coord);
}

void job_fini(struct job *j) {
    file_list_free(&j->data);
    file_list_free(&j->eval);
}

struct coord_options job_coord_options(const struct job *j) {
    return (struct coord_options){.listen = j->listen,
                                  .data = &j->data,
                                  .stream = j->stream,
                                  .eval = &j->eval,
                                  .out_dir = j->out,
                                  .config = &j->config,
                                  .servers = j->servers,
                                  .workers = j->workers,
                                  .resume = j->resume,
                                  .timeout_ms = j->timeout_ms,
                                  .progress_fd = j->progress_fd,
                                  .lock_fd = j->lock_fd};
}
