#include "train_roles.h"

#include <stdio.h>

static enum status log_path(const struct train_roles *r, const char *name, char *out) {
    char file[64];
    snprintf(file, sizeof file, "logs/%s.log", name);
    return path_join(out, r->job->out, file);
}

static enum status add(const struct train_roles *r, struct supervisor *s, const char *role,
                       uint32_t index, struct child **child) {
    char name[32];
    char log[PATH_BYTES_MAX];
    snprintf(name, sizeof name, "%s-%u", role, index);
    TRY(log_path(r, name, log));
    TRY(supervisor_add(s, name, log, child));
    return child_arg(*child, role);
}

static enum status socket_name(const struct train_roles *r, const char *name, uint32_t index,
                               char *out, size_t bytes) {
    int n = snprintf(out, bytes, "ipc://%s/%s-%u", r->sockets, name, index);
    return n > 0 && (size_t)n < bytes ? OK
                                      : fail(ERR_LIMIT, "socket path too long: %s", r->sockets);
}

static enum status add_coord(const struct train_roles *r, struct supervisor *s) {
    struct child *c;
    char endpoint[PATH_BYTES_MAX];
    TRY(socket_name(r, "coord", 0, endpoint, sizeof endpoint));
    TRY(add(r, s, "coord", 0, &c));
    TRY(child_option(c, "--listen", endpoint));
    for (size_t k = 0; k < r->job->data.count; k++) {
        TRY(child_option(c, r->job->stream ? "--stream" : "--data", r->job->data.names[k]));
    }
    for (size_t k = 0; k < r->job->eval.count; k++) {
        TRY(child_option(c, "--eval", r->job->eval.names[k]));
    }
    TRY(child_option(c, "--out", r->job->out));
    TRY(child_option(c, "--conf", r->config_path));
    TRY(child_option_u64(c, "--servers", r->job->servers));
    TRY(child_option_u64(c, "--workers", r->job->workers));
    TRY(child_option_u64(c, "--timeout", r->job->timeout_ms));
    TRY(child_option_u64(c, "--progress-fd", (uint64_t)r->progress_fd));
    TRY(child_option(c, "--sockets", r->sockets));
    if (r->lock_fd >= 0) {
        TRY(child_option_u64(c, "--lock-fd", (uint64_t)r->lock_fd));
    }
    if (r->job->resume) {
        TRY(child_arg(c, "--resume"));
    }
    return child_option(c, "--log", c->log);
}

static enum status add_server(const struct train_roles *r, struct supervisor *s, uint32_t index) {
    struct child *c;
    char coord[PATH_BYTES_MAX];
    char endpoint[PATH_BYTES_MAX];
    TRY(socket_name(r, "coord", 0, coord, sizeof coord));
    TRY(socket_name(r, "ps", index, endpoint, sizeof endpoint));
    TRY(add(r, s, "ps", index, &c));
    TRY(child_option(c, "--coord", coord));
    TRY(child_option_u64(c, "--index", index));
    TRY(child_option(c, "--listen", endpoint));
    TRY(child_option_u64(c, "--threads", r->job->config.server_threads));
    TRY(child_option_u64(c, "--timeout", r->job->timeout_ms));
    return child_option(c, "--log", c->log);
}

static enum status add_worker(const struct train_roles *r, struct supervisor *s, uint32_t index) {
    struct child *c;
    char coord[PATH_BYTES_MAX];
    TRY(socket_name(r, "coord", 0, coord, sizeof coord));
    TRY(add(r, s, "worker", index, &c));
    TRY(child_option(c, "--coord", coord));
    TRY(child_option_u64(c, "--index", index));
    TRY(child_option_u64(c, "--threads", r->job->threads));
    TRY(child_option_u64(c, "--timeout", r->job->timeout_ms));
    if (r->job->trace) {
        char file[64];
        char path[PATH_BYTES_MAX];
        snprintf(file, sizeof file, "logs/trace-%u.tsv", index);
        TRY(path_join(path, r->job->out, file));
        TRY(child_option(c, "--trace", path));
    }
    return child_option(c, "--log", c->log);
}

enum status train_roles_add(const struct train_roles *r, struct supervisor *s) {
    TRY(supervisor_init(s, 1u + r->job->servers + r->job->workers));
    TRY(add_coord(r, s));
    for (uint32_t i = 0; i < r->job->servers; i++) {
        TRY(add_server(r, s, i));
    }
    for (uint32_t i = 0; i < r->job->workers; i++) {
        TRY(add_worker(r, s, i));
    }
    return OK;
}
