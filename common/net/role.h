/* role.h - what a server and a worker do alike: join the job, hear the coordinator, beat, work,
 * leave.
 *
 * The role's control thread owns it. role_run joins the job, then takes turns: a turn hears the
 * coordinator for at most step_ms, and lets the role do its own work. It ends when the coordinator
 * says STOP, or when something fails, of which the coordinator is told before the role leaves.
 *
 * A role gives its own parts as functions. What it wants said by the next heartbeats it puts with
 * role_beat; requests go through `link` directly, and their answers come to the part `take`.
 */
#pragma once

#include "link.h"
#include "common/job/layout.h"
#include "job_plan.h"

/* Each is called by role_run with role.self; a status that is not OK ends the role. */
struct role_parts {
    enum status (*open)(void *self);  /* before HELLO, with a transport; NULL: nothing */
    enum status (*begin)(void *self); /* after WELCOME: plan, config and layout are known */
    enum status (*take)(void *self, const struct port_message *m); /* an answer, or COMMAND */
    enum status (*work)(void *self);                               /* once a turn, after hearing */
    void (*finish)(void *self); /* after a STOP, if nothing here has failed; NULL: nothing */
    void (*close)(void *self);  /* at the end, however far it got */
};

struct role {
    /* The owner's to fill before role_run; all it points to must outlive that. */
    const struct role_parts *parts;
    void *self;
    enum wire_role kind;
    uint32_t index, threads;
    const char *coordinator;                    /* endpoint */
    const char (*endpoints)[WIRE_ENDPOINT_MAX]; /* where a server's partitions listen */
    uint32_t endpoint_count;
    uint64_t timeout_ms; /* for the coordinator and peers to appear */
    uint32_t step_ms;
    struct config *config; /* these three are filled before `begin` */
    struct job_plan *plan; /* to be freed by the owner */
    struct layout *layout;
    /* The role's own. */
    struct transport *transport; /* from before `open` until after `close` */
    struct wire_welcome welcome;
    uint64_t incarnation; /* random per process start */
    struct link *link;    /* NULL before the role has joined */
    struct wire_heartbeat beat;
    uint32_t commands; /* heard since role_await began */
    bool ended;        /* the coordinator said STOP */
};
/* Blocks until the job ends: OK (so too when there is no job to join any more), or the first cause.
 */
enum status role_run(struct role *r);

/* What the next heartbeats say: *b, and whose it is. */
void role_beat(struct role *r, const struct wire_heartbeat *b);
/* For `finish`: sends a heartbeat now, and hears until that many commands have come, the first STOP
 * among them, or within_ms are over. */
void role_await(struct role *r, uint32_t commands, uint64_t within_ms);
