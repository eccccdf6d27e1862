#include "role.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/entropy.h"
#include "common/base/log.h"

#define FAILURE_HEARD_BEATS 3 /* how long a failing role waits for an answer, in heartbeats */

static void make_hello(const struct role *r, struct link_hello *out) {
    struct wire_hello *hello = &out->hello;
    *out = (struct link_hello){.endpoints = r->endpoints,
                               .endpoint_count = r->endpoint_count,
                               .timeout_ms = r->timeout_ms};
    *hello = (struct wire_hello){.role = r->kind,
                                 .index = r->index,
                                 .pid = (uint32_t)getpid(),
                                 .threads = r->threads,
                                 .incarnation = r->incarnation,
                                 .log_job = r->log_job,
                                 .log_bases = r->log_bases};
    memcpy(hello->log_base, r->log_base, sizeof hello->log_base);
    snprintf(hello->build, sizeof hello->build, "%s", ESMM_VERSION);
    if (gethostname(hello->host, sizeof hello->host - 1) != 0) {
        snprintf(hello->host, sizeof hello->host, "unknown");
    }
}

/* Joins a life of the job: the first one, or another after a rollback. */
static enum status role_join(struct role *r) {
    struct config *config = r->config;
    const bool first = r->link == NULL;
    struct link_hello hello;
    make_hello(r, &hello);
    TRY(first ? link_open(&r->link, r->transport, r->coordinator, &hello, &r->welcome, r->plan)
              : link_rejoin(r->link, &hello, &r->welcome, r->plan));
    if (r->index == WIRE_INDEX_ANY) {
        r->index = r->welcome.index;
    }
    config_default(config);
    TRY(config_parse(config, "the coordinator's configuration", r->plan->config_text));
    log_level_set(config->log_level);
    log_bytes_set(config->log_bytes);
    if (first) {
        log_cpu();
    }
    link_timing(r->link, config->heartbeat_ms, config->request_ms, config->give_up_ms,
                config->stall_ms);
    return layout_init(r->layout, config, &r->plan->schema, r->plan->rate_ctr, r->plan->rate_cvr);
}

static void role_stop(struct role *r, const struct wire_command *c) {
    if (!r->ended && c->failed) {
        log_error("the coordinator stopped the job: %s", c->text);
    } else if (!r->ended) {
        log_info("the job is finished");
    }
    r->ended = true;
}

static void role_goes_back(struct role *r, const struct wire_command *c) {
    if (!r->rejoins) {
        log_warn("the job goes back to its newest checkpoint: %s", c->text);
    }
    r->rejoins = true;
}

static enum status role_hear(struct role *r) {
    struct port_message m;
    enum status status = link_next(r->link, &m, r->step_ms);
    if (status == ERR_TIMEOUT) {
        return OK;
    }
    TRY(status);
    if (m.msg.type == WIRE_ERROR) {
        return fail(ERR_PEER, "the coordinator answered with an error: %s", m.msg.u.error.text);
    }
    if (m.msg.type == WIRE_COMMAND) {
        r->commands++;
        if (m.msg.u.command.order == ORDER_STOP) {
            role_stop(r, &m.msg.u.command);
            return OK;
        }
        if (m.msg.u.command.order == ORDER_REJOIN) {
            role_goes_back(r, &m.msg.u.command);
            return OK;
        }
    }
    return r->parts->take(r->self, &m);
}

void role_beat(struct role *r, const struct wire_heartbeat *b) {
    r->beat = *b;
    r->beat.role = r->kind;
    r->beat.index = r->index;
    r->beat.incarnation = r->incarnation;
    link_beat(r->link, &r->beat);
}

void role_await(struct role *r, uint32_t commands, uint64_t within_ms) {
    const uint64_t until_ms = clock_mono_ms() + within_ms;
    const bool ended = r->ended;
    r->commands = 0;
    link_beat_now(r->link);
    while (r->commands < commands && r->ended == ended && clock_left_ms(until_ms) > 0 &&
           role_hear(r) == OK) {
    }
}

/* Tells the coordinator the cause, so that it does not just find this role silent. The first
 * command may answer an older heartbeat; the second cannot. */
static void say_last_words(struct role *r, const char *why, bool leaving) {
    struct wire_heartbeat b = r->beat;
    b.failing = true;
    b.leaving = leaving;
    snprintf(b.text, sizeof b.text, "%.*s", WIRE_TEXT_MAX - 1, why);
    role_beat(r, &b);
    role_await(r, 2, (uint64_t)FAILURE_HEARD_BEATS * r->config->heartbeat_ms);
}

void role_quit(struct role *r, const char *why) {
    say_last_words(r, why, true);
}

/* Takes part in one life of the job, until the job ends or is rolled back. */
static enum status role_take_part(struct role *r) {
    enum status status = role_join(r);
    if (status == ERR_CLOSED) { /* joined too late, for example after a restart near the job's
                                   end */
        log_info("nothing to do: %s", fail_text());
        r->ended = true;
        return OK;
    }
    TRY(status);
    r->joined = true;
    TRY(r->parts->begin(r->self));
    while (!r->ended && !r->rejoins) {
        TRY(role_hear(r));
        TRY(r->rejoins ? OK : r->parts->work(r->self));
    }
    return OK;
}

static enum status role_live(struct role *r) {
    TRY(transport_create(&r->transport, 1));
    TRY(r->parts->open == NULL ? OK : r->parts->open(r->self));
    r->incarnation = entropy_u64();
    TRY(role_take_part(r));
    while (!r->ended) {
        TRY(r->parts->leave(r->self));
        r->joined = r->rejoins = false;
        TRY(role_take_part(r));
    }
    if (r->joined && r->parts->finish != NULL) {
        r->parts->finish(r->self);
    }
    return OK;
}

enum status role_run(struct role *r) {
    struct cause cause = {0};
    const enum status status = role_live(r);
    cause_keep(&cause, status);
    if (status != OK && status != ERR_PEER && r->link != NULL) {
        say_last_words(r, cause.text, false);
    }
    r->parts->close(r->self);
    link_close(&r->link);
    transport_destroy(&r->transport);
    return cause_again(&cause);
}
