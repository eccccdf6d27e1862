/* compare_run.c - one training: this program's own `train` as a child, so that every run has its
 * process, its memory and its log.
 *
 * A run directory is finished if it has a summary.json, which the coordinator writes last. One that is not
 * is removed and trained anew.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/thread.h"
#include "compare.h"
#include "supervisor.h"

#define POLL_MS  20
#define GRACE_MS 20000

enum status compare_dir(const struct compare *c, const struct compare_method *m, uint64_t seed,
                        char *out) {
    char name[128];
    snprintf(name, sizeof name, "runs/%s-%llu", m->label, (unsigned long long)seed);
    return path_join(out, c->out, name);
}

/* Does "label:section.key=value" belong to the method? Then the setting, else NULL. */
static const char *own_setting(const struct compare_method *m, const char *method_set) {
    const size_t n = strlen(m->label);
    return strncmp(method_set, m->label, n) == 0 && method_set[n] == ':' ? method_set + n + 1 : NULL;
}

static enum status add_set(struct child *child, struct config *config, const char *setting) {
    TRY(config_set(config, setting));
    TRY(child_arg(child, "--set"));
    return child_arg(child, setting);
}

/* --set options in order of strength; *config follows, to know the batch. */
static enum status add_settings(struct compare *c, const struct compare_method *m, uint64_t seed,
                                struct child *child) {
    struct config config;
    char text[192];
    config_default(&config);
    if (c->conf != NULL) {
        TRY(config_read(&config, c->conf));
        TRY(child_arg(child, "--conf"));
        TRY(child_arg(child, c->conf));
    }
    for (uint32_t i = 0; i < c->sets; i++) {
        TRY(add_set(child, &config, c->set[i]));
    }
    snprintf(text, sizeof text, "model.name=%s", m->name);
    TRY(add_set(child, &config, text));
    snprintf(text, sizeof text, "train.seed=%llu", (unsigned long long)seed);
    TRY(add_set(child, &config, text));
    if (m->variant[0] != '\0') {
        TRY(add_set(child, &config, m->variant));
    }
    snprintf(text, sizeof text, "train.batch=%u", compare_batch(&config, &c->dataset, config.batch));
    TRY(add_set(child, &config, text));
    for (uint32_t i = 0; i < c->method_sets; i++) {
        const char *own = own_setting(m, c->method_set[i]);
        if (own != NULL) {
            TRY(add_set(child, &config, own));
        }
    }
    return config_check(&config);
}

static enum status add_number(struct child *child, const char *option, uint64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    TRY(child_arg(child, option));
    return child_arg(child, text);
}

static enum status add_arguments(struct compare *c, const struct compare_method *m, uint64_t seed,
                                 const char *dir, struct child *child) {
    TRY(child_arg(child, "train"));
    TRY(child_arg(child, "--data"));
    TRY(child_arg(child, c->data));
    TRY(child_arg(child, "--out"));
    TRY(child_arg(child, dir));
    TRY(add_number(child, "--servers", c->servers));
    TRY(add_number(child, "--workers", c->workers));
    TRY(add_number(child, "--threads", c->threads));
    return add_settings(c, m, seed, child);
}

static enum status await(struct supervisor *s, struct child *child) {
    while (!child->ended && !stop_requested()) {
        supervisor_reap(s);
        clock_sleep_ms(POLL_MS);
    }
    if (stop_requested()) {
        supervisor_stop(s, GRACE_MS);
        return fail(ERR_CLOSED, "stopped; the same command goes on with the runs that are missing");
    }
    if (child->wait_status != 0) {
        char what[512];
        child_describe(child, what, sizeof what);
        return fail(ERR_IO, "%s %s; its log is %s", child->name, what, child->log);
    }
    return OK;
}

enum status compare_train(struct compare *c, const struct compare_method *m, uint64_t seed) {
    char dir[PATH_BYTES_MAX], log[PATH_BYTES_MAX], summary[PATH_BYTES_MAX], name[32];
    struct supervisor s;
    struct child *child;
    TRY(compare_dir(c, m, seed, dir));
    TRY(path_join(summary, dir, "summary.json"));
    if (file_exists(summary)) {
        return OK;
    }
    TRY(file_remove_tree(dir));
    if ((size_t)snprintf(log, sizeof log, "%s.log", dir) >= sizeof log) {
        return fail(ERR_LIMIT, "%s: the path is too long", dir);
    }
    snprintf(name, sizeof name, "%.24s-%u", m->label, (unsigned)seed);
    TRY(supervisor_init(&s, 1));
    s.keep_fd = -1;
    enum status status = supervisor_add(&s, name, log, &child);
    if (status == OK) {
        status = add_arguments(c, m, seed, dir, child);
    }
    if (status == OK) {
        status = supervisor_start(&s, child);
    }
    if (status == OK) {
        status = await(&s, child);
    }
    supervisor_fini(&s);
    return status;
}
