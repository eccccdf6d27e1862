/* role.h - what a server and a worker do alike: join the job, hear the coordinator, beat, work,
 * leave.
 *
 * The role's control thread owns it. role_run joins the job, then takes turns: a turn receives from
 * the coordinator for at most step_ms, then lets the role do its own work. It ends when the
 * coordinator says STOP or when something fails; it reports a failure to the coordinator before it
 * leaves.
 *
 * If the job is rolled back, the coordinator says REJOIN: the role drops all that it holds of that
 * life of the job (`leave`), and joins the next one as the same process: transport, link and
 * incarnation stay.
 *
 * A role gives its own parts as functions. It sets the content of the next heartbeats with
 * role_beat. It sends requests through `link` directly, and the part `take` gets their answers.
 */
#pragma once

#include "link.h"
#include "common/job/layout.h"
#include "job_plan.h"

/* role_run calls each of them with role.self; a status that is not OK ends the role. */
struct role_parts {
    enum status (*open)(void *self);  /* before HELLO, with a transport; NULL: nothing */
    enum status (*begin)(void *self); /* after WELCOME: plan, config and layout are known */
    enum status (*take)(void *self, const struct port_message *m); /* an answer, or COMMAND */
    enum status (*work)(void *self);                               /* each turn, after receiving */
    enum status (*leave)(
        void *self);            /* after a REJOIN: drops all that `begin` made, and the plan */
    void (*finish)(void *self); /* after a STOP, if nothing here has failed; NULL: nothing */
    void (*close)(void *self);  /* at the end, however far it got */
};

struct role {
    /* The owner fills these before role_run; all they point to must live until it returns. */
    const struct role_parts *parts;
    void *self;
    enum wire_role kind;
    uint32_t index, threads; /* index: WIRE_INDEX_ANY until it has joined, if it takes any */
    const char *coordinator; /* endpoint */
    const char (*endpoints)[WIRE_ENDPOINT_MAX]; /* of a server's partitions */
    uint32_t endpoint_count;
    uint64_t timeout_ms; /* how long to wait for the coordinator and peers to appear */
    uint32_t step_ms;
    /* A server's push logs, filled by `open` (wire_hello). */
    uint64_t log_job, log_base[WIRE_BASES_MAX];
    uint32_t log_bases;
    struct config *config; /* these three are filled before `begin` */
    struct job_plan *plan; /* the owner frees it */
    struct layout *layout;
    /* role_run sets these. */
    struct transport *transport; /* from before `open` until after `close` */
    struct wire_welcome welcome;
    uint64_t incarnation; /* random per process start */
    struct link *link;    /* NULL before the role has joined */
    struct wire_heartbeat beat;
    uint32_t commands; /* received since role_await began */
    bool joined;       /* it takes part in a life of the job */
    bool rejoins;      /* the coordinator said REJOIN */
    bool ended;        /* the coordinator said STOP */
};
/* Blocks until the job ends. OK, also if the job had already ended; else the first failure.
 */
enum status role_run(struct role *r);

/* Sets the content of the next heartbeats: *b, and the role's own identity. */
void role_beat(struct role *r, const struct wire_heartbeat *b);
/* Tells the coordinator that this role goes now because it was told to end, so that what it holds
 * is free at once. Waits for an answer, at most three heartbeats. */
void role_quit(struct role *r, const char *why);
/* For `finish`: sends a heartbeat now, and receives until that many commands or the first STOP have
 * come, or within_ms have passed. */
void role_await(struct role *r, uint32_t commands, uint64_t within_ms);
