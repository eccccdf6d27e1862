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
        children[i].restarts = 0;
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

/* Begins a phase in which the job is to end. No child is started any more. */
static void enter_phase(struct supervisor *s, enum supervisor_phase phase, uint64_t ms,
                        uint64_t now_ms) {
    s->phase = phase;
    s->deadline_ms = ms > UINT64_MAX - now_ms ? UINT64_MAX : now_ms + ms;
    for (size_t i = 0; i < s->count; i++) {
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
        any |= child_runs(&s->children[i]);
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

static void start_due(struct supervisor *s, uint64_t now_ms) {
    for (size_t i = 0; i < s->count; i++) {
        struct supervised *c = &s->children[i];
        if (c->state != CHILD_WAITING || c->due_ms > now_ms ||
            (s->policy.opening_max > 0 && opening_on(s, c->host) >= s->policy.opening_max)) {
            continue;
        }
        if (s->world.start(s->world.self, i, c->restarts) != OK) {
            char what[512];
            snprintf(what, sizeof what, "cannot be started: %s", fail_text());
            c->state = CHILD_ENDED;
            supervisor_blame(s, i, what);
            enter_phase(s, PHASE_TERM, s->policy.lost_ms, now_ms);
            return;
        }
        c->state = CHILD_OPENING;
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

static void coordinator_ended(struct supervisor *s, const struct ending *e, uint64_t now_ms) {
    char what[1024];
    if (ended_well(e)) {
        s->ended_well = true;
        s->stopped_by = e->code == 0 ? 0 : e->code - 128;
        s->idle = e->idle;
    } else {
        describe_ending(e, what, 512);
        if (s->abandoned[0] != '\0') {
            snprintf(what + strlen(what), sizeof what - strlen(what), " (before that %s)",
                     s->abandoned);
        }
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

static void save_and_fail(struct supervisor *s, size_t child, const char *what, uint64_t now_ms) {
    supervisor_blame(s, child, what);
    if (child_runs(&s->children[0])) {
        s->world.tell(s->world.self, 0, SIGTERM);
    }
    enter_phase(s, PHASE_SAVE, s->policy.save_failed_ms, now_ms);
}

/* Restarts a worker whose process or machine died. A worker that reports an error would fail again,
 * so it is not restarted. */
static void worker_ended(struct supervisor *s, size_t child, const struct ending *e,
                         uint64_t now_ms) {
    struct supervised *c = &s->children[child];
    char what[512], line[768];
    describe_ending(e, what, sizeof what);
    if (e->kind == ENDING_EXIT) {
        save_and_fail(s, child, what, now_ms);
        return;
    }
    if (c->restarts < s->policy.restarts_max) {
        c->restarts++;
        c->state = CHILD_WAITING;
        c->due_ms = now_ms + s->policy.restart_after_ms;
        snprintf(line, sizeof line, "%s %s; started again (%u of %u)", c->name, what, c->restarts,
                 s->policy.restarts_max);
    } else if (another_worker(s)) {
        snprintf(line, sizeof line, "%s %s; the job goes on without it", c->name, what);
        if (s->abandoned[0] == '\0') {
            snprintf(s->abandoned, sizeof s->abandoned, "%s %.400s", c->name, what);
        }
    } else {
        save_and_fail(s, child, what, now_ms);
        return;
    }
    s->world.say(s->world.self, line);
}

static void child_ended(struct supervisor *s, size_t child, const struct ending *e,
                        uint64_t now_ms) {
    char what[512];
    s->children[child].state = CHILD_ENDED;
    s->lasting |= e->kind == ENDING_EXIT && e->code == ROLE_EXIT_LASTING;
    if (child == 0) {
        coordinator_ended(s, e, now_ms);
        return;
    }
    if (ended_well(e)) { /* it was told to end, and the coordinator's own end is not noticed yet */
        return;
    }
    if (s->children[child].kind == CHILD_SERVER && s->phase <= PHASE_SAVE) {
        describe_ending(e, what, sizeof what);
        supervisor_blame(s, child, what);
        enter_phase(s, PHASE_TERM, s->policy.lost_ms, now_ms);
    } else if (s->children[child].kind == CHILD_WORKER && s->phase == PHASE_RUN) {
        worker_ended(s, child, e, now_ms);
    }
}

/* --- signals ---------------------------------------------------------------------------------- */

/* Acts on a signal. The coordinator handles the first one: it saves and ends the job. The second
 * one may stop the job at once. */
static void heed_signal(struct supervisor *s, int signal, uint64_t now_ms) {
    const bool stops = s->policy.second_signal_stops;
    if (s->phase == PHASE_RUN && child_runs(&s->children[0])) {
        s->world.say(s->world.self,
                     stops ? "stopping: saving a checkpoint first (a second signal stops at once)"
                           : "stopping: saving a checkpoint first");
        s->world.tell(s->world.self, 0, signal == SIGINT ? SIGINT : SIGTERM);
        enter_phase(s, PHASE_SAVE, s->policy.save_ms, now_ms);
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
    if (s->phase == PHASE_RUN) {
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
