#include "compare_run.h"

#include <stdio.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/json.h"
#include "common/base/mem.h"
#include "common/base/thread.h"
#include "coord/coord.h"
#include "tools/run/crew.h"
#include "tools/run/job.h"
#include "tools/run/supervisor.h"
#include "tools/common/tools.h"

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
            if (rest[strcspn(rest, ":=")] == '=') { /* else a longer label begins so */
                return rest;
            }
        }
    }
    return NULL;
}

/* Makes the configuration that train will make from the arguments so far. The caller frees *job. */
static enum status parsed(struct crew_child *c, struct job **job) {
    bool printed;
    TRY(mem_new(job));
    return command_parse(&command_train, *job, (int)c->command.count - 1, c->command.list + 1,
                         stdout, &printed);
}

/* Adds the settings in this order, because later ones win: those for all runs, those that make the
 * method and its seed, those for this method. */
static enum status add_sets(struct crew_child *c, const struct compare_settings *s,
                            const struct compare_method *m, uint32_t seed) {
    char model[64], set_seed[32];
    for (size_t i = 0; i < s->set.count; i++) {
        TRY(words_option(&c->command, "--set", s->set.names[i]));
    }
    snprintf(model, sizeof model, "model.name=%s", m->model);
    TRY(words_option(&c->command, "--set", model));
    if (m->variant[0] != '\0') {
        TRY(words_option(&c->command, "--set", m->variant));
    }
    snprintf(set_seed, sizeof set_seed, "train.seed=%u", seed);
    TRY(words_option(&c->command, "--set", set_seed));
    for (size_t i = 0; i < s->method_set.count; i++) {
        const char *set = compare_set_for(m, s->method_set.names[i]);
        if (set != NULL) {
            TRY(words_option(&c->command, "--set", set));
        }
    }
    return OK;
}

static enum status add_arguments(struct crew_child *c, const struct compare_settings *s,
                                 const struct compare_method *m, uint32_t seed, const char *dir) {
    TRY(words_add(&c->command, "train"));
    for (size_t i = 0; i < s->data.count; i++) {
        TRY(words_option(&c->command, "--data", s->data.names[i]));
    }
    TRY(words_option(&c->command, "--out", dir));
    for (size_t i = 0; i < s->conf.count; i++) {
        TRY(words_option(&c->command, "--conf", s->conf.names[i]));
    }
    TRY(words_number(&c->command, "--servers", s->servers));
    TRY(words_number(&c->command, "--workers", s->workers));
    TRY(words_number(&c->command, "--threads", s->threads));
    return add_sets(c, s, m, seed);
}

static enum status add_run(struct crew *crew, const struct compare_settings *s,
                           const struct compare_method *m, uint32_t seed, struct compare_run *run,
                           struct crew_child **c) {
    char name[COMPARE_LABEL_MAX + 16];
    char file[COMPARE_LABEL_MAX + 32];
    snprintf(name, sizeof name, "%s-%u", m->file, seed);
    snprintf(file, sizeof file, "runs/%s", name);
    TRY(path_join(run->dir, s->out, file));
    snprintf(file, sizeof file, "logs/%s.log", name);
    TRY(crew_init(crew, 1, NULL));
    TRY(crew_add(crew, CHILD_COORD, 0, c));
    TRY(path_join((*c)->log, s->out, file));
    snprintf((*c)->tag, sizeof(*c)->tag, "%s", name);
    TRY(words_add(&(*c)->command, "esmm"));
    return add_arguments(*c, s, m, seed, run->dir);
}

/* --- looking ---------------------------------------------------------------------------------- */

/* Compares the configuration that train will write with the one that it has written. */
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

static enum status compare_child_look(struct crew_child *c, struct compare_run *run) {
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
    struct crew crew;
    struct crew_child *c;
    enum status status = add_run(&crew, s, m, seed, run, &c);
    if (status == OK) {
        status = compare_child_look(c, run);
    }
    crew_fini(&crew);
    return status;
}

/* --- training --------------------------------------------------------------------------------- */

/* Waits for the child. A stop signal is passed on to it; it then saves a checkpoint, from which a
 * rerun goes on. */
static enum status wait_for(struct crew *crew, const struct crew_child *c) {
    const struct supervisor_policy policy = {.save_ms = UINT64_MAX};
    const struct supervisor_world world = crew_world(crew);
    struct supervisor sup;
    supervisor_init(&sup, &world, &policy, crew->supervised, crew->count);
    const enum status status = supervisor_run(&sup);
    if (stop_requested()) {
        return fail(ERR_CLOSED, "stopped");
    }
    return status == OK ? OK
                        : fail(status,
                               "training %s; its log: %s; the same command goes on from what is "
                               "finished",
                               sup.cause, c->log);
}

static enum status compare_train(struct crew *crew, struct crew_child *c, struct compare_run *run) {
    TRY(compare_child_look(c, run));
    if (run->complete) {
        return OK;
    }
    TRY(words_add(&c->command, "--resume")); /* starts afresh if there is nothing to resume */
    TRY(wait_for(crew, c));
    bool complete;
    TRY(coord_summary_complete(run->dir, &complete));
    return complete ? OK : fail(ERR_PEER, "training %s ended early (log: %s)", c->tag, c->log);
}

enum status compare_run_train(const struct compare_settings *s, const struct compare_method *m,
                              uint32_t seed, struct compare_run *run) {
    struct crew crew;
    struct crew_child *c;
    enum status status = add_run(&crew, s, m, seed, run, &c);
    if (status == OK) {
        status = compare_train(&crew, c, run);
    }
    crew_fini(&crew);
    return status;
}
