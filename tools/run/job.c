#include "job.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/number.h"
#include "common/checkpoint/manifest.h"
#include "supervisor.h"

#define PLACES    64u        /* for workers that join */
#define NOT_GIVEN UINT32_MAX /* of train.window and train.run, which are never so large */

/* Makes the paths absolute, in place. This is done once and here, because roles and launchers run
 * in other directories. */
static enum status absolute_list(struct file_list *list) {
    struct file_list all = {0};
    char path[PATH_BYTES_MAX];
    enum status status = OK;
    for (size_t k = 0; k < list->count && status == OK; k++) {
        status = path_absolute(path, list->names[k]);
        status = status == OK ? file_list_add(&all, path) : status;
    }
    file_list_free(list);
    *list = all;
    return status;
}

/* --- options ---------------------------------------------------------------------------------- */

static enum status job_take_out(void *line, const char *value) {
    return path_absolute(((struct job *)line)->out, value);
}

static enum status job_take_conf(void *line, const char *value) {
    return config_read(&((struct job *)line)->config, value);
}

static enum status job_set(struct job *j, const char *key, const char *value) {
    char assignment[256];
    snprintf(assignment, sizeof assignment, "%s=%s", key, value);
    const enum status status = config_set(&j->config, assignment);
    return status == OK ? OK : fail(status, "--checkpoint-every: %s", fail_text());
}

static enum status job_take_every(void *line, const char *value) {
    struct job *j = line;
    size_t n = strlen(value);
    if (n > 1 && value[n - 1] == 's') {
        char seconds[32];
        snprintf(seconds, sizeof seconds, "%.*s", (int)(n - 1), value);
        return job_set(j, "checkpoint.every_seconds", seconds);
    }
    return job_set(j, "checkpoint.every_impressions", value);
}

#define KEY(name) .kind = OPTION_CONFIG, .at = offsetof(struct job, config), .key = name
const struct option_row job_rows[] = {
    {"data", "DIR", OPTION_PATHS, OPTION_AT(struct job, data),
     .help = "training shards (esmm prep)"},
    {"stream", "DIR", OPTION_TEXT, OPTION_AT(struct job, stream_dir),
     .help = "instead of --data: follow a directory that grows, shard by shard, to its end; see "
             "docs/stream.md"},
    {"eval", "DIR", OPTION_PATHS, OPTION_AT(struct job, eval),
     .help = "shards to evaluate on after every epoch and at the end"},
    {"out", "DIR", OPTION_OWN, .take = job_take_out, .required = true,
     .help = "run directory, made if absent"},
    {"conf", "FILE", OPTION_OWN, .take = job_take_conf, .often = true, .first = true,
     .help = "configuration (INI); see docs/config.md"},
    {"set", "SECTION.KEY=V", KEY(NULL), .help = "overrides one key"},
    {"servers", "N", OPTION_WHOLE, OPTION_AT(struct job, servers), .preset = "2", .least = 1,
     .most = 256, .help = "parameter servers"},
    {"workers", "N", OPTION_WHOLE, OPTION_AT(struct job, workers), .preset = "2", .least = 1,
     .most = 10000, .help = "workers"},
    {"workers-max", "N", OPTION_WHOLE, OPTION_AT(struct job, workers_max), .told = "64 more",
     .least = 1, .most = 10000,
     .help = "places for workers, with those that join later (esmm worker --join)"},
    {"threads", "N", OPTION_WHOLE, OPTION_AT(struct job, threads), .preset = "1", .least = 1,
     .most = 64, .help = "trainer threads per worker"},
    {"epochs", "N", KEY("train.epochs"), .told = "1", .help = "passes over the data"},
    {"batch", "N", KEY("train.batch"), .told = "2048", .help = "impressions a batch"},
    {"max-steps", "N", KEY("train.max_steps"),
     .help =
         "stop after the first N batches of the epochs' orders, rounded up where they share bags; "
         "0 saves the initial state only"},
    {"seed", "N", KEY("train.seed"), .told = "1", .help = "of initial values and order"},
    {"memory", "BYTES", KEY("server.memory"),
     .help = "limit per server, e.g. 8G; see docs/rows.md"},
    {"checkpoint-every", "N", OPTION_OWN, .take = job_take_every,
     .help =
         "impressions, or seconds as in 60s, from checkpoint to checkpoint; there is one at the "
         "end and on SIGTERM in any case"},
    {"deterministic", NULL, KEY("train.deterministic"),
     .help = "one order of batches and applies: runs are byte-identical"},
    {"resume", NULL, OPTION_FLAG, OPTION_AT(struct job, resume),
     .help = "continue from the newest checkpoint in --out"},
    {"timeout", "MS", OPTION_WHOLE, OPTION_AT(struct job, timeout_ms), .preset = "60000",
     .least = 1, .most = 86400000, .help = "for all roles to appear and servers to restore"},
    {"trace", NULL, OPTION_FLAG, OPTION_AT(struct job, trace),
     .help = "workers log the losses and impressions of every batch to OUT/logs/trace-N.tsv; see "
             "docs/model.md"},
    {NULL}};

static enum status job_take_restarts(void *line, const char *value) {
    uint64_t n = RESTARTS_UNLIMITED;
    if (strcmp(value, "unlimited") != 0 &&
        (number_parse(value, NUMBER_PLAIN, &n) != NUMBER_GOOD || n >= RESTARTS_UNLIMITED)) {
        return fail(ERR_USAGE, "--restarts is '%.100s', expected a number or 'unlimited'", value);
    }
    ((struct job *)line)->restarts = (uint32_t)n;
    return OK;
}

const struct option_row job_care_rows[] = {
    {"restarts", "N", OPTION_OWN, .take = job_take_restarts, .told = "unlimited",
     .help = "how often a process that was killed or lost is started again"},
    {"grace", "S", OPTION_WHOLE, OPTION_AT(struct job, grace_s), .preset = "300", .least = 1,
     .most = 86400, .help = "from a stop signal to the end, for the last checkpoint"},
    {"detach", NULL, OPTION_FLAG, OPTION_AT(struct job, detach),
     .help = "return once the job trains, which goes on in the background; see esmm attach"},
    {"background", NULL, OPTION_FLAG, OPTION_AT(struct job, background)},
    {NULL}};

static enum status job_take_program(void *line, const char *value) {
    return path_absolute(((struct job *)line)->program, value);
}

#define FOR_HOSTS .given = offsetof(struct job, given_for_hosts)
const struct option_row job_host_rows[] = {
    {"hostfile", "FILE", OPTION_TEXT, OPTION_AT(struct job, hostfile),
     .help = "the machines, a line each: [user@]host slots=N addr=NAME"},
    {"program", "PATH", OPTION_OWN, .take = job_take_program, FOR_HOSTS,
     .told = "the path of this one", .help = "esmm on the hosts"},
    {"port-base", "P", OPTION_WHOLE, OPTION_AT(struct job, port_base), FOR_HOSTS, .preset = "27500",
     .least = 1, .most = 65535, .help = "the coordinator's port; servers take those after it"},
    {"ssh", "COMMAND", OPTION_TEXT, OPTION_AT(struct job, ssh), FOR_HOSTS, .preset = "ssh",
     .help = "how to reach a host, e.g. 'ssh -F my.conf'"},
    {"lifeline", "S", OPTION_WHOLE, OPTION_AT(struct job, lifeline_s), FOR_HOSTS, .preset = "120",
     .least = 2, .most = 86400,
     .help = "roles save and end when the launcher was not heard for S seconds"},
    {"dry-run", NULL, OPTION_FLAG, OPTION_AT(struct job, dry_run), FOR_HOSTS,
     .help = "print what would be run on which host; run nothing"},
    {NULL}};

void job_init(void *line) {
    struct job *j = line;
    j->progress_fd = -1;
    j->restarts = RESTARTS_UNLIMITED;
    j->exit_code = -1;
    config_default(&j->config);
    j->config.window = j->config.run = NOT_GIVEN;
    j->config.share_bags = (enum share_bags)NOT_GIVEN;
}

enum status job_resumes_from(const struct job *j, struct newest *out) {
    char root[PATH_BYTES_MAX];
    *out = (struct newest){0};
    if (!j->resume) {
        return ERR_NOT_FOUND;
    }
    TRY(path_join(root, j->out, "checkpoints"));
    return newest_good(root, out);
}

static enum status config_of_checkpoint(const struct job *j, struct config *out) {
    struct newest found;
    struct manifest *m = NULL;
    enum status status;
    TRY(mem_new(&m));
    TRY_OUT(job_resumes_from(j, &found));
    TRY_OUT(manifest_read(m, found.dir));
    status = manifest_config(m, found.dir, out);
    manifest_free(m);
out:
    newest_free(&found);
    mem_free(&m);
    return status;
}

/* The order of impressions that was not given: a resumed job keeps its checkpoint's, since it could
 * not go on in another; else it is the default. Of a checkpoint that cannot be read the coordinator
 * will tell. */
static enum status settle_order(struct job *j) {
    struct config *from = NULL;
    TRY(mem_new(&from));
    if (config_of_checkpoint(j, from) != OK) {
        config_default(from);
    }
    if (j->config.window == NOT_GIVEN) {
        j->config.window = from->window;
    }
    if (j->config.run == NOT_GIVEN) {
        j->config.run = from->run;
    }
    if (j->config.share_bags == (enum share_bags)NOT_GIVEN) {
        j->config.share_bags = from->share_bags;
    }
    mem_free(&from);
    return OK;
}

enum status job_check(void *line) {
    struct job *j = line;
    if (j->data.count > 0 && j->stream_dir != NULL) {
        return fail(ERR_USAGE, "--data and --stream exclude each other");
    }
    if (j->given_for_hosts && j->hostfile == NULL) {
        return fail(ERR_USAGE, "--hostfile is missing: --program, --port-base, --ssh, --lifeline "
                               "and --dry-run are for a job on its hosts");
    }
    if (j->workers_max > 0 && j->workers_max < j->workers) {
        return fail(ERR_USAGE, "--workers-max is %u, fewer than the %u workers of --workers",
                    j->workers_max, j->workers);
    }
    if (j->detach && j->dry_run) {
        return fail(ERR_USAGE, "--detach and --dry-run exclude each other");
    }
    j->stream = j->stream_dir != NULL;
    TRY(j->stream ? file_list_add(&j->data, j->stream_dir) : OK);
    if (j->data.count == 0) {
        return fail(ERR_USAGE, "--data (or --stream) is missing: the directory of training shards");
    }
    TRY(absolute_list(&j->data));
    TRY(absolute_list(&j->eval));
    TRY(settle_order(j));
    return config_check(&j->config);
}

void job_fini(void *line) {
    struct job *j = line;
    file_list_free(&j->data);
    file_list_free(&j->eval);
}

struct coord_options job_coord_options(const struct job *j) {
    return (struct coord_options){.listen = j->listen,
                                  .data = &j->data,
                                  .stream = j->stream,
                                  .eval = &j->eval,
                                  .out_dir = j->out,
                                  .launch = j->launch,
                                  .config = &j->config,
                                  .servers = j->servers,
                                  .workers = j->workers,
                                  .workers_max =
                                      j->workers_max > 0 ? j->workers_max : j->workers + PLACES,
                                  .resume = j->resume,
                                  .timeout_ms = j->timeout_ms,
                                  .progress_fd = j->progress_fd,
                                  .lock_fd = j->lock_fd};
}
