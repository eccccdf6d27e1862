/* membership.h - which processes belong to the job: servers and workers by index, one process per
 * index at a time.
 *
 * Uses no sockets: the caller passes messages and the time in and gets verdicts. A process is named
 * by its role, its index and its incarnation (random per process start). Rules:
 *
 *   - An index out of range, another program version, or a malformed endpoint list is refused.
 *   - A second process that claims a taken index is a candidate. If the holder goes on giving signs
 *     of life after the candidate appeared, the candidate is refused: somebody started the role
 *     twice. If the holder has been silent for replace_ms, and the candidate has been there for a
 *     third of that, the candidate takes its place. Until this is decided the candidate is told to
 *     ask again.
 *   - Whoever is replaced takes with it what it held: a worker its leases, a server its rows. What
 *     follows from that is decided elsewhere (recover.h).
 *   - A worker is lost when it is silent for lost_ms or reports a failure, a server when it is
 *     silent for longer (the caller says how long) or reports a failure. A sign of life of the same
 *     incarnation brings it back, but not after a failure.
 *   - When a new life of the job begins, all members stay, and each must say hello again
 *     (membership_new_life). Until then none of them serves.
 *
 * Single thread.
 */
#pragma once

#include "common/net/link_messages.h"
#include "common/base/status.h"

enum member_state {
    MEMBER_ABSENT,
    MEMBER_PRESENT, /* has said hello */
    MEMBER_SERVING, /* has sent a heartbeat, and reads no more: a server then holds its rows */
    MEMBER_LOST,    /* silent, or failing */
};
struct member {
    enum wire_role role;
    uint32_t index;
    enum member_state state;
    char host[64];
    uint32_t pid;
    uint64_t incarnation;
    uint8_t peer[64]; /* where its last heartbeat came from; 0 bytes: from nowhere yet */
    size_t peer_bytes;
    uint64_t heard_ms;
    uint64_t moved_ms;     /* worker: when it last made progress or got work (coord/stall.c) */
    uint64_t finished;     /* worker: batches, as last reported */
    uint64_t version;      /* server: batches that its partitions had when it last said so */
    bool rejoins;          /* has not said hello in this life of the job */
    bool reading;          /* worker: idle until a shard is read; server: restores its rows */
    bool stuck;            /* worker: lost its leases as it made no progress */
    uint64_t candidate;    /* incarnation of a second process, 0: none */
    uint64_t candidate_ms; /* when it appeared */
    bool leaving;          /* was told to end, and gets no more work */
    uint64_t leaves_after; /* server that is leaving: the cut after which it may go; 0: none yet */
    bool failing;          /* has ended, or is about to */
    char text[WIRE_TEXT_MAX];            /* describes the failure, or why it left */
    bool told_stop;                      /* has been sent ORDER_STOP */
    bool said_last;                      /* and has sent a heartbeat after that */
    char (*endpoint)[WIRE_ENDPOINT_MAX]; /* servers: one per partition */
    uint32_t endpoints;
};
struct membership {
    struct member *server, *worker;
    uint32_t servers, workers;
    uint32_t awaited; /* workers that the job waits for at its start; more may join */
    uint64_t replace_ms, lost_ms;
    uint64_t patient_until_ms; /* nobody is lost for silence before */
    const char *build;
};

/* build is borrowed. ERR_MEMORY. */
enum status membership_init(struct membership *m, uint32_t servers, uint32_t workers,
                            uint64_t replace_ms, uint64_t lost_ms, const char *build);
void membership_fini(struct membership *m);
/* Makes places for workers that are not awaited but may join. ERR_MEMORY. */
enum status membership_room(struct membership *m, uint32_t workers_max);
/* The place of a worker that named none: the one that this incarnation has, else one whose worker
 * has left, else one that is not awaited and that nobody had. WIRE_INDEX_ANY: all are taken. */
uint32_t membership_place(const struct membership *m, uint64_t incarnation);

enum hello_verdict {
    HELLO_WELCOME, /* belongs to the job */
    HELLO_WAIT,    /* undecided: ask again */
    HELLO_REFUSE,
};
/* keys: the endpoints of a server's partitions, NUL-separated. *fresh: this incarnation is new
 * under its index, so the leases and clocks of the holder before are void. why[WIRE_TEXT_MAX] is
 * set on HELLO_REFUSE. */
enum hello_verdict membership_hello(struct membership *m, const struct wire_hello *hello,
                                    const void *keys, size_t keys_bytes, uint64_t now_ms,
                                    bool *fresh, char *why);

/* For a coordinator that takes a job over: the member is as the hello says, and was heard just now.
 * ERR_MEMORY; ERR_CORRUPT: the job has no such member. */
enum restore_as { RESTORE_REJOINS, RESTORE_PRESENT, RESTORE_SERVING };
enum status membership_restore(struct membership *m, const struct wire_hello *hello,
                               const void *keys, size_t keys_bytes, enum restore_as as,
                               uint64_t now_ms);
struct member *membership_find(const struct membership *m, enum wire_role role, uint32_t index);
/* Notes a sign of life. NULL: there is no such member, or it has another incarnation. */
struct member *membership_heard(struct membership *m, enum wire_role role, uint32_t index,
                                uint64_t incarnation, uint64_t now_ms);
/* Notes a heartbeat of a member that membership_heard returned, and whether the member made
 * progress. */
void membership_beat(struct member *member, const struct wire_heartbeat *beat);
/* The member has been given work: from now on it is expected to make progress. */
void membership_busy(struct member *member, uint64_t now_ms);

bool membership_servers_known(const struct membership *m);   /* all have said hello */
bool membership_servers_serving(const struct membership *m); /* all have sent a heartbeat */
bool membership_complete(const struct membership *m);        /* and all workers have said hello */
void membership_new_life(struct membership *m);              /* everybody must say hello again */
uint32_t membership_partitions(const struct membership *m);
/* Partition numbers of a server: [first, first + count), in index order. */
void membership_partition_range(const struct membership *m, uint32_t server, uint32_t *first,
                                uint32_t *count);
/* All endpoints in partition order; freed with mem_free. ERR_LIMIT beyond WIRE_PARTITIONS_MAX. */
enum status membership_endpoints(const struct membership *m, char (**out)[WIRE_ENDPOINT_MAX],
                                 uint32_t *count);

/* Return a server, a worker that is lost as of now, each once; NULL: no more. */
struct member *membership_next_lost_server(struct membership *m, uint64_t now_ms,
                                           uint64_t give_up_ms);
struct member *membership_next_lost(struct membership *m, uint64_t now_ms);
/* Whether every worker that was there was told to end, and went. */
bool membership_all_left(const struct membership *m);
uint32_t membership_workers_alive(const struct membership *m);
/* Whether every member that can still be reached has been told to stop. */
bool membership_all_told(const struct membership *m);
/* Whether every server that can still be reached has sent its last figures after it was told to
 * stop. */
bool membership_servers_said_last(const struct membership *m);

/* "server 1 (host db3, pid 4711)". */
void member_describe(const struct member *member, char *out, size_t bytes);
/* "server 1 (...) failed: ...", "left: ..." or "has been silent for 3000 ms". */
void member_describe_loss(const struct member *member, uint64_t now_ms, char *out, size_t bytes);
/* Lists the members that have not appeared or do not serve yet: "server 1 (not heard of), worker 0
 * (…)". */
void membership_missing(const struct membership *m, char *out, size_t bytes);
