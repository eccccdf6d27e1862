/* link.c - the control thread's conversation with the coordinator.
 *
 * A request is kept with its frames until its answer has come. After request_ms without an answer
 * it is sent again (the wait doubles each time, up to RESEND_FACTOR_MAX times request_ms, so as not
 * to make a slow coordinator slower), and at once if the coordinator was started again. Answers are
 * matched by id. An answer that no request waits for (the second answer to a request that was sent
 * twice) is dropped here. A heartbeat is not kept: the next one has newer content. Every COMMAND is
 * given to the caller, whichever heartbeat it answers.
 *
 * The coordinator counts as dead if an answer has been awaited for give_up_ms, nothing came from it
 * in that time, and it was asked again in between. If it answers heartbeats but not one of the
 * requests (which it cannot have received, else it would have answered), it has stall_ms for that.
 * Messages that have already arrived are always read first, so a process that was itself stopped
 * for a while does not blame its peer.
 */
#include "link.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/thread.h"
#include "common/fault/fault.h"

#define HELLO_AGAIN_MS    100  /* the coordinator said: not yet */
#define HELLO_RESEND_MS   1000 /* the coordinator said nothing */
#define RESEND_FACTOR_MAX 8
/* Until link_timing is called. */
#define HEARTBEAT_MS 1000
#define REQUEST_MS   2000
#define GIVE_UP_MS   30000
#define STALL_MS     300000
#define SENDS_MIN    3 /* a request sent fewer times than this blames nobody */

struct request {
    struct wire_msg msg;
    struct buf keys, values;
    uint64_t first_ms, sent_ms, wait_ms;
    uint32_t sends;
    struct request *next;
};

struct link {
    struct port *port;
    uint64_t job;
    uint64_t last_id;
    struct request *waiting; /* unanswered, oldest first */
    uint32_t heartbeat_ms, request_ms, give_up_ms, stall_ms;
    uint64_t heard_ms;
    uint64_t term; /* of the coordinator; 0: not known yet */
    /* heartbeats */
    bool beating;
    struct wire_heartbeat beat;
    struct buf beat_values;
    uint64_t beat_next_ms;
    uint64_t beat_since_ms; /* of the first beat since the coordinator was last heard; 0: none */
    uint32_t beats_unheard;
    uint64_t turn_ms; /* when silence was last looked for; 0: never */
};

/* Removes the request from its list and frees it. */
static void drop_request(struct request **at) {
    struct request *r = *at;
    *at = r->next;
    buf_fini(&r->keys);
    buf_fini(&r->values);
    mem_free(&r);
}

void link_close(struct link **l) {
    if (*l == NULL) {
        return;
    }
    while ((*l)->waiting != NULL) {
        drop_request(&(*l)->waiting);
    }
    buf_fini(&(*l)->beat_values);
    port_close(&(*l)->port);
    mem_free(l);
}

void link_timing(struct link *l, uint32_t heartbeat_ms, uint32_t request_ms, uint32_t give_up_ms,
                 uint32_t stall_ms) {
    l->heartbeat_ms = heartbeat_ms;
    l->request_ms = request_ms;
    l->give_up_ms = give_up_ms;
    l->stall_ms = stall_ms;
}

/* A full queue is no failure: each message sent here is sent again soon. */
static enum status link_send(struct link *l, const struct wire_msg *m, const struct buf *keys,
                             const struct buf *values) {
    enum status status =
        port_send(l->port, NULL, 0, m, keys->data, keys->len, values->data, values->len);
    return status == ERR_AGAIN ? OK : status;
}

/* --- hello ------------------------------------------------------------------------------------ */

struct greeting { /* one link_open */
    struct wire_msg hello;
    struct buf frame; /* the endpoints */
    uint64_t deadline_ms, next_ms, timeout_ms;
    uint64_t first_id; /* answers to older ones are of another life */
    bool answered;     /* some answer has come */
    bool done;         /* the job is ready; the two results are filled */
    struct wire_welcome *welcome;
    struct job_plan *plan;
};

static enum status no_welcome(const struct link *l, const struct greeting *g) {
    if (g->answered) {
        return fail(ERR_TIMEOUT,
                    "the coordinator at %s was there, then silent for %llu ms before "
                    "the job was complete",
                    port_endpoint(l->port), (unsigned long long)g->timeout_ms);
    }
    return fail(ERR_TIMEOUT, "no coordinator answered at %s for %llu ms", port_endpoint(l->port),
                (unsigned long long)g->timeout_ms);
}

/* The coordinator will not have this process: ERR_CLOSED because the job has ended well, ERR_PEER
 * because it has failed, else because something must be changed first. */
static enum status take_refusal(const struct link *l, const struct port_message *m) {
    const enum status why = m->msg.u.error.status;
    if (why == ERR_CLOSED) {
        return fail(ERR_CLOSED, "the coordinator at %s says: %s", port_endpoint(l->port),
                    m->msg.u.error.text);
    }
    return fail(why == ERR_PEER ? ERR_PEER : ERR_CONFIG, "the coordinator at %s refused: %s",
                port_endpoint(l->port), m->msg.u.error.text);
}

static enum status take_welcome(struct link *l, struct greeting *g, const struct port_message *m) {
    if (m->msg.id < g->first_id) {
        return OK;
    }
    g->answered = true;
    if (m->msg.type == WIRE_REFUSE || m->msg.type == WIRE_ERROR) {
        return take_refusal(l, m);
    }
    if (m->msg.type != WIRE_WELCOME) {
        return OK;
    }
    if (!m->msg.u.welcome.ready) {
        /* Other roles are missing or still restore rows; the coordinator's own deadline applies. */
        g->next_ms = clock_mono_ms() + HELLO_AGAIN_MS;
        g->deadline_ms = clock_mono_ms() + g->timeout_ms;
        return OK;
    }
    TRY(job_plan_decode(g->plan, m->keys, m->keys_bytes));
    *g->welcome = m->msg.u.welcome;
    FAULT("role.welcome");
    l->job = g->welcome->job;
    g->done = true;
    return OK;
}

static enum status send_hello(struct link *l, struct greeting *g) {
    uint64_t now_ms = clock_mono_ms();
    if (now_ms < g->next_ms) {
        return OK;
    }
    FAULT("role.hello");
    g->next_ms = now_ms + HELLO_RESEND_MS;
    g->hello.id = ++l->last_id;
    return link_send(l, &g->hello, &g->frame, &BUF_EMPTY);
}

static enum status link_greet(struct link *l, struct greeting *g) {
    struct port_message m;
    while (!g->done) {
        if (stop_requested()) {
            return fail(ERR_CLOSED, "stopped by signal %d while waiting for the coordinator at %s",
                        stop_signal(), port_endpoint(l->port));
        }
        if (clock_left_ms(g->deadline_ms) == 0) {
            return no_welcome(l, g);
        }
        TRY(send_hello(l, g));
        uint64_t until_ms = g->next_ms < g->deadline_ms ? g->next_ms : g->deadline_ms;
        enum status status = port_receive(l->port, &m, clock_left_ms(until_ms));
        if (status != ERR_TIMEOUT) {
            TRY(status);
            TRY(take_welcome(l, g, &m));
        }
    }
    return OK;
}

/* Says HELLO until the job is ready. */
static enum status link_join(struct link *l, const struct link_hello *h,
                             struct wire_welcome *welcome, struct job_plan *plan) {
    struct greeting g = {.hello = {.type = WIRE_HELLO, .u.hello = h->hello},
                         .deadline_ms = clock_mono_ms() + h->timeout_ms,
                         .timeout_ms = h->timeout_ms,
                         .first_id = l->last_id + 1,
                         .welcome = welcome,
                         .plan = plan};
    enum status status = OK;
    memset(plan, 0, sizeof *plan);
    for (uint32_t k = 0; status == OK && k < h->endpoint_count; k++) {
        status = buf_put(&g.frame, h->endpoints[k], strlen(h->endpoints[k]) + 1);
    }
    if (status == OK) {
        status = link_greet(l, &g);
    }
    l->heard_ms = clock_mono_ms();
    buf_fini(&g.frame);
    return status;
}

enum status link_open(struct link **l, struct transport *t, const char *coordinator,
                      const struct link_hello *hello, struct wire_welcome *welcome,
                      struct job_plan *plan) {
    enum status status;
    *l = NULL;
    TRY_OUT(mem_new(l));
    link_timing(*l, HEARTBEAT_MS, REQUEST_MS, GIVE_UP_MS, STALL_MS);
    TRY_OUT(port_connect(&(*l)->port, t, coordinator, WIRE_LINK_BYTES_MAX));
    TRY_OUT(link_join(*l, hello, welcome, plan));
out:
    if (status != OK) {
        link_close(l);
    }
    return status;
}

enum status link_rejoin(struct link *l, const struct link_hello *hello,
                        struct wire_welcome *welcome, struct job_plan *plan) {
    while (l->waiting != NULL) {
        drop_request(&l->waiting);
    }
    l->beating = false;
    l->beat_since_ms = 0;
    l->beats_unheard = 0;
    return link_join(l, hello, welcome, plan);
}

/* --- requests --------------------------------------------------------------------------------- */

static enum status send_request(struct link *l, struct request *r) {
    FAULT("role.request.send");
    r->sent_ms = clock_mono_ms();
    r->sends++;
    return link_send(l, &r->msg, &r->keys, &r->values);
}

enum status link_request(struct link *l, struct wire_msg *msg, const void *keys, size_t keys_bytes,
                         const void *values, size_t values_bytes, uint64_t *id) {
    struct request **at = &l->waiting;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    TRY(mem_new(at));
    struct request *r = *at;
    msg->job = l->job;
    msg->id = ++l->last_id;
    *id = msg->id;
    r->msg = *msg;
    r->first_ms = clock_mono_ms();
    r->wait_ms = l->request_ms;
    enum status status = buf_put(&r->keys, keys, keys_bytes);
    if (status == OK) {
        status = buf_put(&r->values, values, values_bytes);
    }
    if (status != OK) {
        drop_request(at);
        return status;
    }
    return send_request(l, r);
}

static enum status resend_due(struct link *l, uint64_t now_ms) {
    for (struct request *r = l->waiting; r != NULL; r = r->next) {
        if (now_ms >= r->sent_ms + r->wait_ms) {
            uint64_t longest_ms = (uint64_t)l->request_ms * RESEND_FACTOR_MAX;
            const uint64_t next_ms = r->wait_ms == 0 ? l->request_ms : 2 * r->wait_ms;
            r->wait_ms = next_ms < longest_ms ? next_ms : longest_ms;
            log_debug("asking the coordinator again: %s", wire_type_name(r->msg.type));
            FAULT("role.request.again");
            TRY(send_request(l, r));
        }
    }
    return OK;
}

/* Whether a request with this id was waiting; if so, it is dropped. */
static bool settle_request(struct link *l, uint64_t id) {
    for (struct request **at = &l->waiting; *at != NULL; at = &(*at)->next) {
        if ((*at)->msg.id == id) {
            FAULT("role.answer.taken");
            drop_request(at);
            return true;
        }
    }
    return false;
}

/* --- heartbeats ------------------------------------------------------------------------------- */

void link_beat(struct link *l, const struct wire_heartbeat *beat) {
    if (!l->beating || (beat->failing && !l->beat.failing)) {
        l->beat_next_ms = 0;
    }
    l->beating = true;
    l->beat = *beat;
}

void link_beat_now(struct link *l) {
    l->beat_next_ms = 0;
}

enum status link_beat_values(struct link *l, const void *values, size_t bytes) {
    buf_clear(&l->beat_values);
    return buf_put(&l->beat_values, values, bytes);
}

static enum status beat_due(struct link *l, uint64_t now_ms) {
    if (!l->beating || now_ms < l->beat_next_ms) {
        return OK;
    }
    struct wire_msg msg = {
        .type = WIRE_HEARTBEAT, .job = l->job, .id = ++l->last_id, .u.heartbeat = l->beat};
    FAULT("role.beat.send");
    l->beat_next_ms = now_ms + l->heartbeat_ms;
    l->beats_unheard++;
    if (l->beat_since_ms == 0) {
        l->beat_since_ms = now_ms;
    }
    return link_send(l, &msg, &BUF_EMPTY, &l->beat_values);
}

/* --- hearing ---------------------------------------------------------------------------------- */

/* Names what has been awaited for give_up_ms while the coordinator was silent, although it was
 * requested more than once; NULL: nothing. */
static const char *awaited_in_vain(const struct link *l, uint64_t now_ms) {
    if (now_ms < l->heard_ms + l->give_up_ms) {
        return NULL;
    }
    for (const struct request *r = l->waiting; r != NULL; r = r->next) {
        if (now_ms >= r->first_ms + l->give_up_ms && r->sent_ms > r->first_ms &&
            now_ms > r->sent_ms) {
            return wire_type_name(r->msg.type);
        }
    }
    bool beat = l->beats_unheard > 1 && now_ms >= l->beat_since_ms + l->give_up_ms;
    return beat ? wire_type_name(WIRE_HEARTBEAT) : NULL;
}

/* Fails if the coordinator leaves one request unanswered while it answers others. */
static enum status check_answers(const struct link *l, uint64_t now_ms) {
    for (const struct request *r = l->waiting; r != NULL; r = r->next) {
        if (r->msg.type != WIRE_CLOCK_ASK && r->sends >= SENDS_MIN &&
            now_ms >= r->first_ms + l->stall_ms && now_ms >= r->sent_ms + l->request_ms) {
            return fail(ERR_PEER,
                        "the coordinator at %s answers heartbeats, but has not answered a %s "
                        "of %zu bytes that it was sent %u times in %llu ms",
                        port_endpoint(l->port), wire_type_name(r->msg.type),
                        r->keys.len + r->values.len, r->sends,
                        (unsigned long long)(now_ms - r->first_ms));
        }
    }
    return OK;
}

/* A process that was itself away (stopped, or starved) begins its patience anew: what it asked
 * before may have been answered meanwhile, and the answers may not be here yet. */
static void note_absence(struct link *l, uint64_t now_ms) {
    if (l->turn_ms != 0 && now_ms > l->turn_ms + l->give_up_ms / 2) {
        l->heard_ms = now_ms;
    }
    l->turn_ms = now_ms;
}

static enum status check_silence(const struct link *l, uint64_t now_ms) {
    const char *what = awaited_in_vain(l, now_ms);
    if (what == NULL) {
        return check_answers(l, now_ms);
    }
    return fail(ERR_PEER,
                "the coordinator at %s has been silent for %llu ms; its answer to %s was "
                "awaited",
                port_endpoint(l->port), (unsigned long long)(now_ms - l->heard_ms), what);
}

/* A coordinator that has taken over from one that died has not heard what was asked before: each
 * request is sent again now. */
static void learn_term(struct link *l, uint64_t term) {
    if (term == l->term) {
        return;
    }
    if (l->term != 0) {
        log_info("the coordinator was started again (term %llu)", (unsigned long long)term);
        for (struct request *r = l->waiting; r != NULL; r = r->next) {
            r->wait_ms = 0;
        }
    }
    l->term = term;
}

/* OK: *wanted says whether the caller gets the message. */
static enum status link_judge(struct link *l, const struct port_message *m, bool *wanted) {
    *wanted = false;
    if (m->msg.type == WIRE_REFUSE) {
        return fail(ERR_PEER, "the coordinator at %s refused: %s", port_endpoint(l->port),
                    m->msg.u.error.text);
    }
    if (m->msg.job != l->job || m->msg.type == WIRE_WELCOME) {
        return OK;
    }
    l->heard_ms = clock_mono_ms();
    l->beat_since_ms = 0;
    l->beats_unheard = 0;
    if (m->msg.type == WIRE_COMMAND) {
        learn_term(l, m->msg.u.command.term);
    }
    *wanted = m->msg.type == WIRE_COMMAND || settle_request(l, m->msg.id);
    return OK;
}

/* Milliseconds until something must be sent, at most `most_ms`. */
static uint64_t until_due_ms(const struct link *l, uint64_t now_ms, uint64_t most_ms) {
    uint64_t due_ms = now_ms + most_ms;
    if (l->beating && l->beat_next_ms < due_ms) {
        due_ms = l->beat_next_ms;
    }
    for (const struct request *r = l->waiting; r != NULL; r = r->next) {
        if (r->sent_ms + r->wait_ms < due_ms) {
            due_ms = r->sent_ms + r->wait_ms;
        }
    }
    return due_ms > now_ms ? due_ms - now_ms : 0;
}

enum status link_next(struct link *l, struct port_message *m, uint64_t timeout_ms) {
    uint64_t deadline_ms = clock_mono_ms() + timeout_ms;
    uint64_t wait_ms = 0; /* read first what has already arrived */
    for (;;) {
        enum status status = port_receive(l->port, m, wait_ms);
        if (status == OK) {
            bool wanted;
            TRY(link_judge(l, m, &wanted));
            if (wanted) {
                TRY(beat_due(l, clock_mono_ms()));
                return OK;
            }
            wait_ms = 0;
            continue;
        }
        if (status != ERR_TIMEOUT) {
            return status;
        }
        uint64_t now_ms = clock_mono_ms();
        note_absence(l, now_ms);
        TRY(check_silence(l, now_ms));
        TRY(beat_due(l, now_ms));
        TRY(resend_due(l, now_ms));
        if (now_ms >= deadline_ms || (wait_ms > 0 && stop_requested())) {
            return ERR_TIMEOUT;
        }
        wait_ms = until_due_ms(l, now_ms, deadline_ms - now_ms);
    }
}
