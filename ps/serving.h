/* serving.h - how a partition's thread answers its peers: pulls, pushes and questions.
 *
 * Owned by the thread. Values in f32 are read where the request has them and written where the
 * answer takes them; others cost one pass more. A request that cannot be served is answered with an
 * ERROR that says why; nothing that a peer sends ends the thread. An answer that cannot be sent at
 * once is dropped: the peer asks again, and every request may be repeated.
 */
#pragma once

#include "common/base/log.h"
#include "common/checkpoint/manifest.h"
#include "common/job/config.h"
#include "common/net/transport.h"
#include "common/net/job_plan.h"
#include "partition.h"
#include "push_log.h"

/* What all threads of a server share. It is read-only from BEGIN on and outlives the threads. */
struct server_job {
    uint64_t job;
    struct config config;
    struct job_plan plan;
    struct layout layout;
    char resume_dir[WIRE_TEXT_MAX]; /* "": start from initial values */
    bool parameters_only;           /* names and clock start afresh */
    struct manifest manifest;       /* of resume_dir */
    struct snapshot_writer *writer;
    uint32_t index;               /* of the server */
    char log_dir[PATH_BYTES_MAX]; /* of the push logs; "": none is kept */
    uint64_t base;                /* id of the state that resume_dir stands for (wire_base) */
    uint32_t threads;             /* number in this server; they share config.memory_bytes */
};

struct serving {
    const struct server_job *job;
    uint32_t number; /* number of the partition in the job */
    struct port *port;
    struct partition *partition;
    struct push_log *log;               /* NULL: none is kept */
    struct push_frames frames;          /* of the push being served, for the log */
    struct port_message in;             /* the request */
    uint64_t unsent;                    /* answers dropped */
    uint64_t former;                    /* requests of another life of the job, not answered */
    struct log_limit refused[STATUSES]; /* log lines about refused requests, by status */
    /* The answer, and the buffers it is built in. */
    struct wire_msg out;
    uint64_t *ids;
    float *floats;
    uint8_t *missing;
    size_t ids_cap, floats_cap, missing_cap;
};
/* From now on what pushes change is written to v->log before they are answered. */
void serving_log(struct serving *v);
/* Serves the request v->in and answers it. One of another life of the job gets no answer: its
 * sender, or this server, has yet to hear of a rollback. Fails only as push_log_check does; then
 * nothing was answered. */
enum status serving_answer(struct serving *v, uint64_t now_ms);
/* Tells who sent the request v->in to ask again: the rows are not back yet. */
void serving_not_ready(struct serving *v);
/* Drops the partition and its log, which may be NULL, and the job. */
void serving_leave(struct serving *v);
/* Also closes the port and destroys the partition; either may be NULL. */
void serving_fini(struct serving *v);
