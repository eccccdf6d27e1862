#include "train_roles.h"

#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"

static uint32_t role_number(const struct train_roles *r, enum child_kind kind, uint32_t index) {
    return kind == CHILD_COORD ? 0 : index + 1 + (kind == CHILD_WORKER ? r->job->servers : 0);
}

/* Sets where a role over ssh runs, and how it is reached. */
static enum status place_role(const struct train_roles *r, struct crew *s, uint32_t number,
                              struct crew_child *c) {
    const uint32_t at = r->placement->places[number].host;
    const struct host *host = &r->hosts->list[at];
    s->supervised[number].host = at;
    snprintf(c->tag, sizeof c->tag, "[%s %s]", host_bare(host), c->name);
    c->grace_s = r->job->grace_s;
    c->lifeline_s = r->job->lifeline_s;
    for (size_t i = 0; i < r->ssh->count; i++) {
        TRY(words_add(&c->prefix, r->ssh->list[i]));
    }
    return words_add(&c->prefix, host->name);
}

static enum status add_role(const struct train_roles *r, struct crew *s, enum child_kind kind,
                            uint32_t index, struct crew_child **child) {
    static const char *const roles[] = {"coord", "ps", "worker"};
    char file[64];
    TRY(crew_add(s, kind, index, child));
    snprintf(file, sizeof file, "logs/%s.log", (*child)->name);
    TRY(path_join((*child)->log, r->job->out, file));
    if (r->hosts != NULL) {
        TRY(place_role(r, s, role_number(r, kind, index), *child));
    }
    TRY(words_add(&(*child)->command, r->hosts != NULL ? r->job->program : "esmm"));
    return words_add(&(*child)->command, roles[kind]);
}

/* Adds an endpoint option. listen: for the role that listens there, on every address of its
 * machine. */
static enum status add_endpoint(const struct train_roles *r, struct crew_child *c,
                                const char *option, enum child_kind kind, uint32_t index,
                                bool listen) {
    char text[PATH_BYTES_MAX];
    int n;
    if (r->hosts == NULL) {
        n = snprintf(text, sizeof text, "ipc://%s/%s-%u", r->sockets,
                     kind == CHILD_COORD ? "coord" : "ps", index);
    } else {
        const struct place *p = &r->placement->places[role_number(r, kind, index)];
        n = snprintf(text, sizeof text, "tcp://%s:%u",
                     listen ? "*" : r->hosts->list[p->host].address, p->port);
    }
    return n > 0 && (size_t)n < sizeof text
               ? words_option(&c->command, option, text)
               : fail(ERR_LIMIT, "socket path too long: %s", r->sockets);
}

static enum status add_dirs(struct crew_child *c, const char *option,
                            const struct file_list *dirs) {
    for (size_t k = 0; k < dirs->count; k++) {
        TRY(words_option(&c->command, option, dirs->names[k]));
    }
    return OK;
}

/* --- the configuration ------------------------------------------------------------------------ */

/* True if both lines have the same key. */
static bool same_config_key(const char *a, const char *b) {
    const size_t n = strcspn(a, "=\n");
    return strncmp(a, b, n) == 0 && a[n] == b[n] && a[n] == '=';
}

/* Adds --set for a line "key = value" of the section. */
static enum status add_set(struct crew_child *c, const char *section, const char *line) {
    struct buf text = BUF_EMPTY;
    const size_t key = strcspn(line, " ="), value = strcspn(line, "=") + 1;
    const size_t blanks = strspn(line + value, " ");
    enum status status =
        buf_printf(&text, "%s.%.*s=%.*s", section, (int)key, line,
                   (int)strcspn(line + value + blanks, "\n"), line + value + blanks);
    status = status == OK ? words_option(&c->command, "--set", (const char *)text.data) : status;
    buf_fini(&text);
    return status;
}

/* Adds what differs from the defaults. Both texts have the same keys in the same order, except that
 * the defaults lack the sections of single fields. */
static enum status add_differences(struct crew_child *c, const char *text, const char *defaults) {
    char section[256] = "";
    for (const char *line = text, *old = defaults; *line != '\0';) {
        const size_t n = strcspn(line, "\n");
        const bool same = strncmp(line, old, n + 1) == 0;
        if (line[0] == '[') {
            snprintf(section, sizeof section, "%.*s", (int)strcspn(line + 1, "]\n"), line + 1);
        } else if (!same && n > 0) {
            TRY(add_set(c, section, line));
        }
        if (same || same_config_key(line, old)) {
            old += strcspn(old, "\n");
            old += *old == '\n';
        }
        line += n + (line[n] == '\n');
    }
    return OK;
}

static enum status add_config(const struct train_roles *r, struct crew_child *c) {
    struct config *defaults = NULL;
    struct buf text = BUF_EMPTY, default_text = BUF_EMPTY;
    enum status status = OK;
    if (r->hosts == NULL) {
        return words_option(&c->command, "--conf", r->config_path);
    }
    TRY(mem_new(&defaults));
    config_default(defaults);
    TRY_OUT(config_text(&r->job->config, &text));
    TRY_OUT(config_text(defaults, &default_text));
    status = add_differences(c, (const char *)text.data, (const char *)default_text.data);
out:
    buf_fini(&text);
    buf_fini(&default_text);
    mem_free(&defaults);
    return status;
}

/* --- the roles -------------------------------------------------------------------------------- */

/* Adds the last options of a role. On this machine a role writes its log itself. */
static enum status add_role_end(const struct train_roles *r, struct crew_child *c) {
    TRY(words_number(&c->command, "--timeout", r->job->timeout_ms));
    TRY(words_number(&c->command, "--grace", r->job->grace_s));
    return r->hosts == NULL ? words_option(&c->command, "--log", c->log) : OK;
}

/* The name of this start of the job: its port may be that of an earlier one. */
static enum status add_launch(const struct train_roles *r, struct crew_child *c) {
    char name[24];
    snprintf(name, sizeof name, "%016llx", (unsigned long long)r->launch);
    return words_option(&c->command, "--launch", name);
}

static enum status add_coord(const struct train_roles *r, struct crew *s) {
    struct crew_child *c;
    TRY(add_role(r, s, CHILD_COORD, 0, &c));
    TRY(add_endpoint(r, c, "--listen", CHILD_COORD, 0, true));
    TRY(add_dirs(c, r->job->stream ? "--stream" : "--data", &r->job->data));
    TRY(add_dirs(c, "--eval", &r->job->eval));
    TRY(words_option(&c->command, "--out", r->job->out));
    TRY(add_config(r, c));
    TRY(words_number(&c->command, "--servers", r->job->servers));
    TRY(words_number(&c->command, "--workers", r->job->workers));
    if (r->job->workers_max > 0) {
        TRY(words_number(&c->command, "--workers-max", r->job->workers_max));
    }
    TRY(words_number(&c->command, "--progress-fd",
                     r->hosts != NULL ? 1 : (uint64_t)r->progress_fd));
    if (r->hosts == NULL) { /* its path names the start of the job */
        TRY(words_option(&c->command, "--sockets", r->sockets));
    } else {
        TRY(add_launch(r, c));
    }
    if (r->hosts == NULL && r->lock_fd >= 0) {
        TRY(words_number(&c->command, "--lock-fd", (uint64_t)r->lock_fd));
    }
    if (r->job->resume) {
        TRY(words_add(&c->command, "--resume"));
    }
    return add_role_end(r, c);
}

static enum status add_server(const struct train_roles *r, struct crew *s, uint32_t index) {
    struct crew_child *c;
    TRY(add_role(r, s, CHILD_SERVER, index, &c));
    TRY(add_endpoint(r, c, "--coord", CHILD_COORD, 0, false));
    TRY(words_number(&c->command, "--index", index));
    TRY(add_endpoint(r, c, "--listen", CHILD_SERVER, index, true));
    if (r->hosts != NULL) {
        const uint32_t at = r->placement->places[role_number(r, CHILD_SERVER, index)].host;
        TRY(words_option(&c->command, "--advertise", r->hosts->list[at].address));
    }
    TRY(words_number(&c->command, "--threads", r->job->config.server_threads));
    if (r->job->config.push_log == PUSH_LOG_ON) {
        char path[PATH_BYTES_MAX];
        TRY(path_join(path, r->job->out, "pushlog"));
        TRY(words_option(&c->command, "--push-log", path));
    }
    return add_role_end(r, c);
}

static enum status add_worker(const struct train_roles *r, struct crew *s, uint32_t index) {
    struct crew_child *c;
    TRY(add_role(r, s, CHILD_WORKER, index, &c));
    TRY(add_endpoint(r, c, "--coord", CHILD_COORD, 0, false));
    TRY(words_number(&c->command, "--index", index));
    TRY(words_number(&c->command, "--threads", r->job->threads));
    if (r->hosts != NULL) { /* the hosts have the data under the same paths */
        TRY(add_dirs(c, "--data", &r->job->data));
        TRY(add_dirs(c, "--eval", &r->job->eval));
    }
    if (r->job->trace) {
        char file[64];
        char path[PATH_BYTES_MAX];
        snprintf(file, sizeof file, "logs/trace-%u.tsv", index);
        TRY(path_join(path, r->job->out, file));
        TRY(words_option(&c->command, "--trace", path));
        c->before = r->make_logs;
    }
    return add_role_end(r, c);
}

enum status train_roles_add(const struct train_roles *r, struct view *view, struct crew *s) {
    TRY(crew_init(s, 1u + r->job->servers + r->job->workers, view));
    TRY(add_coord(r, s));
    for (uint32_t i = 0; i < r->job->servers; i++) {
        TRY(add_server(r, s, i));
    }
    for (uint32_t i = 0; i < r->job->workers; i++) {
        TRY(add_worker(r, s, i));
    }
    return OK;
}

/* The coordinator goes back to a checkpoint when a server is started again, and is itself started
 * again from its journal. */
struct supervisor_restarts train_restarts(const struct job *job) {
    return (struct supervisor_restarts){.most = job->restarts,
                                        .servers = true,
                                        .coordinator = true,
                                        .again_ms = 1000,
                                        .again_most_ms = 60000,
                                        .settled_ms = 60000};
}
