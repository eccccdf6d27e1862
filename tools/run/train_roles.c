#include "train_roles.h"

#include <stdio.h>

static enum status add(const struct train_roles *r, struct crew *s, enum child_kind kind,
                       uint32_t index, struct crew_child **child) {
    static const char *const roles[] = {"coord", "ps", "worker"};
    char file[64];
    TRY(crew_add(s, kind, index, child));
    snprintf(file, sizeof file, "logs/%s.log", (*child)->name);
    TRY(path_join((*child)->log, r->job->out, file));
    TRY(words_add(&(*child)->command, "esmm"));
    return words_add(&(*child)->command, roles[kind]);
}

static enum status socket_name(const struct train_roles *r, const char *name, uint32_t index,
                               char *out, size_t bytes) {
    int n = snprintf(out, bytes, "ipc://%s/%s-%u", r->sockets, name, index);
    return n > 0 && (size_t)n < bytes ? OK
                                      : fail(ERR_LIMIT, "socket path too long: %s", r->sockets);
}

static enum status add_coord(const struct train_roles *r, struct crew *s) {
    struct crew_child *c;
    char endpoint[PATH_BYTES_MAX];
    TRY(socket_name(r, "coord", 0, endpoint, sizeof endpoint));
    TRY(add(r, s, CHILD_COORD, 0, &c));
    TRY(words_option(&c->command, "--listen", endpoint));
    for (size_t k = 0; k < r->job->data.count; k++) {
        TRY(words_option(&c->command, r->job->stream ? "--stream" : "--data",
                         r->job->data.names[k]));
    }
    for (size_t k = 0; k < r->job->eval.count; k++) {
        TRY(words_option(&c->command, "--eval", r->job->eval.names[k]));
    }
    TRY(words_option(&c->command, "--out", r->job->out));
    TRY(words_option(&c->command, "--conf", r->config_path));
    TRY(words_number(&c->command, "--servers", r->job->servers));
    TRY(words_number(&c->command, "--workers", r->job->workers));
    TRY(words_number(&c->command, "--timeout", r->job->timeout_ms));
    TRY(words_number(&c->command, "--progress-fd", (uint64_t)r->progress_fd));
    TRY(words_option(&c->command, "--sockets", r->sockets));
    if (r->lock_fd >= 0) {
        TRY(words_number(&c->command, "--lock-fd", (uint64_t)r->lock_fd));
    }
    if (r->job->resume) {
        TRY(words_add(&c->command, "--resume"));
    }
    return words_option(&c->command, "--log", c->log);
}

static enum status add_server(const struct train_roles *r, struct crew *s, uint32_t index) {
    struct crew_child *c;
    char coord[PATH_BYTES_MAX];
    char endpoint[PATH_BYTES_MAX];
    TRY(socket_name(r, "coord", 0, coord, sizeof coord));
    TRY(socket_name(r, "ps", index, endpoint, sizeof endpoint));
    TRY(add(r, s, CHILD_SERVER, index, &c));
    TRY(words_option(&c->command, "--coord", coord));
    TRY(words_number(&c->command, "--index", index));
    TRY(words_option(&c->command, "--listen", endpoint));
    TRY(words_number(&c->command, "--threads", r->job->config.server_threads));
    TRY(words_number(&c->command, "--timeout", r->job->timeout_ms));
    return words_option(&c->command, "--log", c->log);
}

static enum status add_worker(const struct train_roles *r, struct crew *s, uint32_t index) {
    struct crew_child *c;
    char coord[PATH_BYTES_MAX];
    TRY(socket_name(r, "coord", 0, coord, sizeof coord));
    TRY(add(r, s, CHILD_WORKER, index, &c));
    TRY(words_option(&c->command, "--coord", coord));
    TRY(words_number(&c->command, "--index", index));
    TRY(words_number(&c->command, "--threads", r->job->threads));
    TRY(words_number(&c->command, "--timeout", r->job->timeout_ms));
    if (r->job->trace) {
        char file[64];
        char path[PATH_BYTES_MAX];
        snprintf(file, sizeof file, "logs/trace-%u.tsv", index);
        TRY(path_join(path, r->job->out, file));
        TRY(words_option(&c->command, "--trace", path));
    }
    return words_option(&c->command, "--log", c->log);
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
