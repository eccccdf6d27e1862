#include "compare_run.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "common/base/bytes.h"
#include "common/base/clock.h"
#include "common/base/json.h"
#include "common/base/mem.h"
#include "common/base/thread.h"
#include "coord/coord.h"
#include "tools/run/job.h"
#include "tools/run/supervisor.h"
#include "tools/common/tools.h"

#define POLL_MS          20
#define SMALL_FILE_BYTES ((size_t)1 << 20)

/* --- what a run directory says ---------------------------------------------------------------- */

enum status compare_same_text(const char *path, const char *text, const char *what) {
    char *old = NULL;
    size_t bytes;
    TRY(file_read_all(path, SMALL_FILE_BYTES, &old, &bytes));
    const char *a = old, *b = text;
    for (size_t line = 1; *a != '\0' || *b != '\0'; line++) {
        const size_t na = strcspn(a, "\n"), nb = strcspn(b, "\n");
        if (na != nb || memcmp(a, b, na) != 0) {
            const enum status status = fail(
                ERR_EXISTS, "%s: line %zu of %s was '%.*s' and is '%.*s' now; give another --out",
                what, line, path, (int)(na < 200 ? na : 200), a, (int)(nb < 200 ? nb : 200), b);
            mem_free(&old);
            return status;
        }
        a += na + (a[na] != '\0');
        b += nb + (b[nb] != '\0');
    }
    mem_free(&old);
    return OK;
}

static enum status read_summary(const struct compare_run *run, char **text) {
    char path[PATH_BYTES_MAX];
    size_t bytes;
    TRY(path_join(path, run->dir, "summary.json"));
    return file_read_all(path, SMALL_FILE_BYTES, text, &bytes);
}

enum status compare_run_cost(const struct compare_run *run, double *impressions, double *seconds) {
    char *text = NULL;
    TRY(read_summary(run, &text));
    *impressions = json_number(text, "impressions");
    *seconds = json_number(text, "seconds");
    mem_free(&text);
    return OK;
}

/* --- the child's command line ----------------------------------------------------------------- */

const char *compare_set_for(const struct compare_method *m, const char *method_set) {
    const char *const names[] = {m->label, m->model};
    for (size_t i = 0; i < 2; i++) {
        const size_t n = strlen(names[i]);
        if (strncmp(method_set, names[i], n) == 0 && method_set[n] == ':') {
            const char *rest = method_set + n + 1;
            if (rest[strcspn(rest, ":=")] == '=') { /* else a longer label begins like this name */
                return rest;
            }
        }
    }
    return NULL;
}

/* The configuration that train will make of the arguments so far. The caller frees *job. */
static enum status parsed(struct child *c, struct job **job) {
    bool printed;
    TRY(mem_new(job));
    return command_parse(&command_train, *job, (int)c->argc - 1, c->argv + 1, stdout, &printed);
}

/* Later ones win: what is given for all, then what makes the method and its seed, then what is
 * given for it. */
static enum status add_sets(struct child *c, const struct compare_settings *s,
                            const struct compare_method *m, uint32_t seed) {
    char model[64], set_seed[32];
    for (size_t i = 0; i < s->set_count; i++) {
        TRY(child_option(c, "--set", s->set[i]));
    }
    snprintf(model, sizeof model, "model.name=%s", m->model);
    TRY(child_option(c, "--set", model));
    if (m->variant[0] != '\0') {
        TRY(child_option(c, "--set", m->variant));
    }
    snprintf(set_seed, sizeof set_seed, "train.seed=%u", seed);
    TRY(child_option(c, "--set", set_seed));
    for (size_t i = 0; i < s->method_set_count; i++) {
        const char *set = compare_set_for(m, s->method_set[i]);
        if (set != NULL) {
            TRY(child_option(c, "--set", set));
        }
    }
    return OK;
}

static enum status add_arguments(struct child *c, const struct compare_settings *s,
                                 const struct compare_method *m, uint32_t seed, const char *dir) {
    TRY(child_arg(c, "train"));
    for (size_t i = 0; i < s->data.count; i++) {
        TRY(child_option(c, "--data", s->data.names[i]));
    }
    TRY(child_option(c, "--out", dir));
    for (size_t i = 0; i < s->conf_count; i++) {
        TRY(child_option(c, "--conf", s->conf[i]));
    }
    TRY(child_option_u64(c, "--servers", s->servers));
    TRY(child_option_u64(c, "--workers", s->workers));
    TRY(child_option_u64(c, "--threads", s->threads));
    return add_sets(c, s, m, seed);
}

static enum status add_run(struct supervisor *sup, const struct compare_settings *s,
                           const struct compare_method *m, uint32_t seed, struct compare_run *run,
                           struct child **c) {
    char name[COMPARE_LABEL_MAX + 16];
    char file[COMPARE_LABEL_MAX + 32];
    char log[PATH_BYTES_MAX];
    snprintf(name, sizeof name, "%s-%u", m->file, seed);
    snprintf(file, sizeof file, "runs/%s", name);
    TRY(path_join(run->dir, s->out, file));
    snprintf(file, sizeof file, "logs/%s.log", name);
    TRY(path_join(log, s->out, file));
    TRY(supervisor_init(sup, 1));
    TRY(supervisor_add(sup, name, log, c));
    return add_arguments(*c, s, m, seed, run->dir);
}

/* --- looking ---------------------------------------------------------------------------------- */

/* The configuration that train will write, against the one that it has written. */
static enum status check_config(const struct job *job, const struct compare_run *run) {
    char path[PATH_BYTES_MAX];
    struct buf text = BUF_EMPTY;
    TRY(path_join(path, run->dir, "config.ini"));
    if (!file_exists(path)) {
        return OK;
    }
    enum status status = config_text(&job->config, &text);
    if (status == OK) {
        status =
            compare_same_text(path, (const char *)text.data, "a run with other settings is there");
    }
    buf_fini(&text);
    return status;
}

static enum status look(struct child *c, struct compare_run *run) {
    struct job *job = NULL;
    enum status status = parsed(c, &job);
    if (status == OK) {
        status = check_config(job, run);
    }
    if (job != NULL) {
        job_fini(job);
    }
    mem_free(&job);
    return status == OK ? coord_summary_complete(run->dir, &run->complete) : status;
}

enum status compare_run_look(const struct compare_settings *s, const struct compare_method *m,
                             uint32_t seed, struct compare_run *run) {
    struct supervisor sup;
    struct child *c;
    enum status status = add_run(&sup, s, m, seed, run, &c);
    if (status == OK) {
        status = look(c, run);
    }
    supervisor_fini(&sup);
    return status;
}

/* --- training --------------------------------------------------------------------------------- */

static enum status wait_for(struct supervisor *sup, const struct child *c) {
    bool passed = false;
    TRY(supervisor_start(sup, &sup->children[0]));
    while (supervisor_reap(sup) == 0) {
        if (stop_requested() && !passed) {
            kill(c->pid, SIGTERM); /* it saves a checkpoint, from which a rerun goes on */
            passed = true;
        }
        clock_sleep_ms(POLL_MS);
    }
    if (stop_requested()) {
        return fail(ERR_CLOSED, "stopped");
    }
    if (WIFEXITED(c->wait_status) && WEXITSTATUS(c->wait_status) == 0) {
        return OK;
    }
    char what[1024];
    child_describe(c, what, sizeof what);
    return fail(ERR_PEER, "training %s; the same command goes on from what is finished", what);
}

static enum status train(struct supervisor *sup, struct child *c, struct compare_run *run) {
    TRY(look(c, run));
    if (run->complete) {
        return OK;
    }
    TRY(child_arg(c, "--resume")); /* afresh where there is nothing to resume */
    TRY(wait_for(sup, c));
    bool complete;
    TRY(coord_summary_complete(run->dir, &complete));
    return complete ? OK : fail(ERR_PEER, "training %s ended early (log: %s)", c->name, c->log);
}

enum status compare_run_train(const struct compare_settings *s, const struct compare_method *m,
                              uint32_t seed, struct compare_run *run) {
    struct supervisor sup;
    struct child *c;
    enum status status = add_run(&sup, s, m, seed, run, &c);
    if (status == OK) {
        status = train(&sup, c, run);
    }
    supervisor_fini(&sup);
    return status;
}
