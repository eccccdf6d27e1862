#include "supervisor.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "tools/common/tools.h"

void supervisor_init(struct supervisor *s, const struct supervisor_world *world,
                     const struct supervisor_policy *policy, struct supervised *children,
                     size_t count) {
    *s = (struct supervisor){
        .world = *world, .policy = *policy, .children = children, .count = count};
    for (size_t i = 0; i < count; i++) {
        children[i].state = CHILD_WAITING;
        children[i].due_ms = 0;
        children[i].restarts = children[i].deaths = 0;
        children[i].death[0] = '\0';
    }
}

static bool child_runs(const struct supervised *c) {
    return c->state == CHILD_OPENING || c->state == CHILD_UP;
}

/* --- phases ----------------------------------------------------------------------------------- */

static void tell_all(struct supervisor *s, int signal) {
    for (size_t i = 0; i < s->count; i++) {
        if (child_runs(&s->children[i])) {
            s->world.tell(s->world.self, i, signal);
        }
    }
}

static void cut_all(struct supervisor *s) {
    for (size_t i = 0; i < s->count; i++) {
        if (child_runs(&s->children[i])) {
            s->world.cut(s->world.self, i);
        }
    }
}

/* Begins a phase in which the job is to end. No child is started any more, except a coordinator
 * that is to save. */
static void enter_phase(struct supervisor *s, enum supervisor_phase phase, uint64_t ms,
                        uint64_t now_ms) {
    s->phase = phase;
    s->deadline_ms = ms > UINT64_MAX - now_ms ? UINT64_MAX : now_ms + ms;
    for (size_t i = phase == PHASE_SAVE ? 1 : 0; i < s->count; i++) {
        if (s->children[i].state == CHILD_WAITING) {
            s->children[i].state = CHILD_ENDED;
        }
    }
    if (phase == PHASE_TERM || phase == PHASE_KILL) {
        tell_all(s, phase == PHASE_TERM ? SIGTERM : SIGKILL);
    } else if (phase == PHASE_CUT) {
        cut_all(s);
    }
}

/* Records the cause of the failure, unless an earlier cause is recorded. */
static void supervisor_blame(struct supervisor *s, size_t child, const char *what) {
    if (s->cause[0] == '\0') {
        s->culprit = child;
        snprintf(s->cause, sizeof s->cause, "%s %s", s->children[child].name, what);
    }
}

/* Tells the coordinator to save and to end the job. One that is to be started again is started at
 * once, and then told. */
static void enter_save(struct supervisor *s, int signal, uint64_t ms, uint64_t now_ms) {
    s->told = signal;
    s->children[0].due_ms = now_ms;
    if (child_runs(&s->children[0])) {
        s->world.tell(s->world.self, 0, signal);
    }
    enter_phase(s, PHASE_SAVE, ms, now_ms);
}

static void advance_phase(struct supervisor *s, uint64_t now_ms) {
    if (s->phase == PHASE_RUN || now_ms < s->deadline_ms) {
        return;
    }
    switch (s->phase) {
    case PHASE_SAVE:
        supervisor_blame(s, 0, "did not end within its time to save");
        enter_phase(s, PHASE_TERM, s->policy.term_ms, now_ms);
        break;
    case PHASE_FOLLOW: enter_phase(s, PHASE_TERM, s->policy.term_ms, now_ms); break;
    case PHASE_TERM: enter_phase(s, PHASE_KILL, s->policy.kill_ms, now_ms); break;
    case PHASE_KILL: enter_phase(s, PHASE_CUT, s->policy.kill_ms, now_ms); break;
    default: s->phase = PHASE_OVER; break;
    }
}

bool supervisor_over(const struct supervisor *s) {
    bool any = false;
    for (size_t i = 0; i < s->count; i++) {
        any |= s->children[i].state != CHILD_ENDED;
    }
    return s->phase == PHASE_OVER || (s->phase != PHASE_RUN && !any);
}

/* --- starting --------------------------------------------------------------------------------- */

static uint32_t opening_on(const struct supervisor *s, uint32_t host) {
    uint32_t n = 0;
    for (size_t i = 0; i < s->count; i++) {
        n += s->children[i].state == CHILD_OPENING && s->children[i].host == host;
    }
    return n;
}

/* The wait before a restart after so many deaths in a row. */
static uint64_t restart_wait_ms(const struct supervisor_restarts *r, uint32_t deaths) {
    uint64_t wait_ms = deaths > 1 ? r->again_ms : 0;
    for (uint32_t i = 2; i < deaths && wait_ms < r->again_most_ms; i++) {
        wait_ms *= 2;
    }
    return wait_ms < r->again_most_ms ? wait_ms : r->again_most_ms;
}

static void say_restart(struct supervisor *s, const struct supervised *c, uint64_t wait_ms) {
    const uint32_t most = s->policy.restarts.most;
    char line[512], when[32] = "", count[48];
    if (wait_ms > 0) {
        snprintf(when, sizeof when, " in %llu s", (unsigned long long)(wait_ms + 999) / 1000);
    }
    snprintf(count, sizeof count, most == RESTARTS_UNLIMITED ? "restart %u" : "%u of %u",
             c->restarts, most);
    snprintf(line, sizeof line, "%s %s; started again%s (%s)", c->name, c->death, when, count);
    s->world.say(s->world.self, line);
}

static bool may_restart(const struct supervisor *s, const struct supervised *c) {
    const struct supervisor_restarts *r = &s->policy.restarts;
    const bool kind = c->kind == CHILD_WORKER || (c->kind == CHILD_SERVER && r->servers) ||
                      (c->kind == CHILD_COORD && r->coordinator);
    const bool time = s->phase == PHASE_RUN || (s->phase == PHASE_SAVE && c->kind == CHILD_COORD);
    return kind && time && c->restarts < r->most;
}

/* Lets a process that died be started again, if it may be. */
static bool restart_child(struct supervisor *s, struct supervised *c, const char *death,
                          uint64_t now_ms) {
    const struct supervisor_restarts *r = &s->policy.restarts;
    snprintf(c->death, sizeof c->death, "%.*s", (int)sizeof c->death - 1, death);
    if (!may_restart(s, c)) {
        return false;
    }
    c->deaths = now_ms - c->started_ms >= r->settled_ms ? 1 : c->deaths + 1;
    c->restarts++;
    c->state = CHILD_WAITING;
    const uint64_t wait_ms = restart_wait_ms(r, c->deaths);
    c->due_ms = now_ms + wait_ms;
    say_restart(s, c, wait_ms);
    return true;
}

/* Once a process ran, it is tried again as if it had died. */
static void start_failed(struct supervisor *s, size_t child, uint64_t now_ms) {
    struct supervised *c = &s->children[child];
    char what[512];
    snprintf(what, sizeof what, "cannot be started: %s", fail_text());
    c->state = CHILD_ENDED;
    if (c->restarts == 0 || !restart_child(s, c, what, now_ms)) {
        supervisor_blame(s, child, what);
        enter_phase(s, PHASE_TERM, s->policy.lost_ms, now_ms);
    }
}

static void start_due(struct supervisor *s, uint64_t now_ms) {
    for (size_t i = 0; i < s->count; i++) {
        struct supervised *c = &s->children[i];
        if (c->state != CHILD_WAITING || c->due_ms > now_ms ||
            (s->policy.opening_max > 0 && opening_on(s, c->host) >= s->policy.opening_max)) {
            continue;
        }
        c->started_ms = now_ms;
        if (s->world.start(s->world.self, i, c->restarts) != OK) {
            start_failed(s, i, now_ms);
            continue;
        }
        c->state = CHILD_OPENING;
        if (i == 0 && s->told != 0) {
            s->world.tell(s->world.self, 0, s->told);
        }
    }
}

/* --- endings ---------------------------------------------------------------------------------- */

static void describe_ending(const struct ending *e, char *out, size_t bytes) {
    const char *name = sigabbrev_np(e->code);
    switch (e->kind) {
    case ENDING_KILLED:
        snprintf(out, bytes, "was killed by signal %d (%s)", e->code,
                 name != NULL ? name : "unknown");
        break;
    case ENDING_LOST: snprintf(out, bytes, "lost its connection: %s", e->text); break;
    default: snprintf(out, bytes, "ended with exit code %d: %s", e->code, e->text); break;
    }
}

static bool ended_well(const struct ending *e) {
    return e->kind == ENDING_EXIT &&
           (e->code == 0 || e->code == 128 + SIGINT || e->code == 128 + SIGTERM);
}

/* Another process that has died and is not back for long: the coordinator may have missed it. */
static const struct supervised *troubled(const struct supervisor *s, uint64_t now_ms) {
    for (size_t i = 1; i < s->count; i++) {
        const struct supervised *c = &s->children[i];
        if (c->death[0] != '\0' &&
            (!child_runs(c) || now_ms - c->started_ms < s->policy.restarts.settled_ms)) {
            return c;
        }
    }
    return NULL;
}

static void coordinator_ended(struct supervisor *s, const struct ending *e, const char *what,
                              uint64_t now_ms) {
    const struct supervised *other = troubled(s, now_ms);
    char whole[800];
    if (ended_well(e)) {
        s->ended_well = true;
        s->stopped_by = e->code == 0 ? 0 : e->code - 128;
        s->idle = e->idle;
    } else if (other != NULL) {
        snprintf(whole, sizeof whole, "%s (before that %s %s)", what, other->name, other->death);
        supervisor_blame(s, 0, whole);
    } else {
        supervisor_blame(s, 0, what);
    }
    if (s->phase > PHASE_SAVE) {
        return;
    }
    if (s->idle) { /* the others never connected to it */
        enter_phase(s, PHASE_TERM, s->policy.term_ms, now_ms);
    } else {
        enter_phase(s, PHASE_FOLLOW, s->ended_well ? s->policy.follow_ms : s->policy.fail_ms,
                    now_ms);
    }
}

static bool another_worker(const struct supervisor *s) {
    for (size_t i = 0; i < s->count; i++) {
        if (s->children[i].kind == CHILD_WORKER && s->children[i].state != CHILD_ENDED) {
            return true;
        }
    }
    return false;
}

/* A worker that was told to end, not by the supervisor. */
static void worker_left(struct supervisor *s, const struct supervised *c) {
    char line[512];
    snprintf(line, sizeof line, "%s was told to end; %s", c->name,
             another_worker(s) ? "the job goes on without it"
                               : "none is left: if none joins, the job is saved and ends");
    s->world.say(s->world.self, line);
}

/* A worker that is not started again: it reported an error, with which it would fail again, or it
 * died too often. */
static void worker_ended(struct supervisor *s, size_t child, const struct ending *e,
                         const char *what, uint64_t now_ms) {
    char line[768];
    if (e->kind != ENDING_EXIT && another_worker(s)) {
        snprintf(line, sizeof line, "%s %s; the job goes on without it", s->children[child].name,
                 what);
        s->world.say(s->world.self, line);
        return;
    }
    supervisor_blame(s, child, what);
    enter_save(s, SIGTERM, s->policy.save_failed_ms, now_ms);
}

static void child_ended(struct supervisor *s, size_t child, const struct ending *e,
                        uint64_t now_ms) {
    struct supervised *c = &s->children[child];
    char what[512];
    c->state = CHILD_ENDED;
    s->lasting |= e->kind == ENDING_EXIT && e->code == ROLE_EXIT_LASTING;
    describe_ending(e, what, sizeof what);
    if (e->kind != ENDING_EXIT && restart_child(s, c, what, now_ms)) {
        return;
    }
    if (c->kind == CHILD_SERVER && ended_well(e) && e->code != 0 &&
        restart_child(s, c, "was told to end, and all was saved", now_ms)) {
        return;
    }
    if (child == 0) {
        coordinator_ended(s, e, what, now_ms);
    } else if (ended_well(e)) { /* with code 0 at the job's end, which is not noticed yet */
        if (c->kind == CHILD_WORKER && s->phase == PHASE_RUN && e->code != 0) {
            worker_left(s, c);
        }
    } else if (c->kind == CHILD_SERVER && s->phase <= PHASE_SAVE) {
        supervisor_blame(s, child, what);
        enter_phase(s, PHASE_TERM, s->policy.lost_ms, now_ms);
    } else if (c->kind == CHILD_WORKER && s->phase == PHASE_RUN) {
        worker_ended(s, child, e, what, now_ms);
    }
}

/* --- signals ---------------------------------------------------------------------------------- */

/* Acts on a signal. The coordinator handles the first one: it saves and ends the job. The second
 * one may stop the job at once. */
static void heed_signal(struct supervisor *s, int signal, uint64_t now_ms) {
    const bool stops = s->policy.second_signal_stops;
    if (s->phase == PHASE_RUN) {
        s->world.say(s->world.self,
                     stops ? "stopping: saving a checkpoint first (a second signal stops at once)"
                           : "stopping: saving a checkpoint first");
        enter_save(s, signal == SIGINT ? SIGINT : SIGTERM, s->policy.save_ms, now_ms);
    } else if (s->phase == PHASE_SAVE && stops) {
        supervisor_blame(s, 0, "was stopped at once by a second signal");
        enter_phase(s, PHASE_TERM, s->policy.term_ms, now_ms);
    } else if (s->phase == PHASE_TERM && stops) {
        enter_phase(s, PHASE_KILL, s->policy.kill_ms, now_ms);
    }
}

/* --- the whole -------------------------------------------------------------------------------- */

void supervisor_take(struct supervisor *s, const struct event *e, uint64_t now_ms) {
    switch (e->kind) {
    case EVENT_UP:
        if (s->children[e->child].state == CHILD_OPENING) {
            s->children[e->child].state = CHILD_UP;
        }
        break;
    case EVENT_ENDED: child_ended(s, e->child, &e->ending, now_ms); break;
    case EVENT_SIGNAL: heed_signal(s, e->signal, now_ms); break;
    default: break;
    }
    advance_phase(s, now_ms);
    if (s->phase <= PHASE_SAVE) {
        start_due(s, now_ms);
    }
}

enum status supervisor_run(struct supervisor *s) {
    struct event e = {.kind = EVENT_NONE};
    supervisor_take(s, &e, s->world.now_ms(s->world.self));
    while (!supervisor_over(s)) {
        s->world.wait(s->world.self, &e);
        supervisor_take(s, &e, s->world.now_ms(s->world.self));
    }
    return s->cause[0] == '\0' ? OK : fail(ERR_PEER, "%s", s->cause);
}
