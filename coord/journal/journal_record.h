/* journal_record.h - the records of the coordinator's journal, to bytes and back (docs/format.md).
 *
 * The journal holds what a coordinator that is started again must know to go on with the job: one
 * record for each thing that happened, in order (journal_state.h says what they add up to).
 *
 *   file   = head (16 bytes: magic "ESMMPS\r\n", u32 version, u32 "JRNL"), record*
 *   record = header (40 bytes: u64 XXH3-64 of all of the record that follows, u32 mark "JREC", u32
 *            bytes of the body, u32 kind, u32 0, u64 offset of the record in the file, u64 synced),
 *            body
 *
 * `synced`: all before this offset was on disk when the record was written. So a reader can tell a
 * torn tail from damage: bytes that nobody synced may be missing or wrong after a crash, and are
 * cut off. Bytes that a later record calls synced must be there: if they are not, the file is
 * refused. Everything little-endian; numbers in bodies are varints.
 *
 * No files, no clock; the caller keeps the bytes.
 */
#pragma once

#include "common/base/bytes.h"
#include "common/net/link_messages.h"

#define JOURNAL_VERSION      1u
#define JOURNAL_HEAD_BYTES   16u
#define JOURNAL_RECORD_BYTES 40u /* of a record's header */
#define JOURNAL_BODY_MAX     (1u << 28)
#define JOURNAL_LISTEN_MAX   256
#define JOURNAL_LAUNCH_MAX   64
#define JOURNAL_SERVERS_MAX  65536u
#define JOURNAL_WORKERS_MAX  1048576u

enum journal_kind {
    JOURNAL_LIFE = 1,   /* a life begins; all before is void */
    JOURNAL_TERM,       /* a coordinator begins its term; what came before is a whole state */
    JOURNAL_MEMBER,     /* a process joined, or took the place of another */
    JOURNAL_DONE,       /* the batches that are done, all of them */
    JOURNAL_BACK,       /* and a range that is done beside them */
    JOURNAL_BEGUN,      /* training began */
    JOURNAL_EPOCH,      /* an epoch began */
    JOURNAL_ASK,        /* a worker returned a lease, was granted one, or both */
    JOURNAL_FREED,      /* a worker lost its leases */
    JOURNAL_EVALUATION, /* an evaluation began or ended, or the clock of training goes on */
    JOURNAL_RESULT,     /* of an evaluation */
    JOURNAL_CUT,        /* a cut began or ended */
    JOURNAL_COUNTERS,   /* what a worker had counted when this was written */
    JOURNAL_ENDED,      /* nothing is left to train */
    JOURNAL_STOPPED,    /* a stop signal came */
    JOURNAL_KINDS
};

struct journal_bytes {
    const uint8_t *data; /* borrowed */
    size_t bytes;
};
struct journal_recovery { /* what coord/recover.h knows beside the number of the life */
    uint32_t servers_lost, rollbacks, fruitless, lives;
    uint64_t batches_repeated, from_step, to_step, hurry_ms, resumed_step;
    double seconds, from_s; /* from_s: since 1970; 0: none is under way */
    char cause[WIRE_TEXT_MAX], first_cause[WIRE_TEXT_MAX];
    struct wire_progress life_start;
};
struct journal_life {
    uint64_t job;
    char launch[JOURNAL_LAUNCH_MAX]; /* names the start of the job: --launch */
    char listen[JOURNAL_LISTEN_MAX]; /* --listen */
    char bound[JOURNAL_LISTEN_MAX];  /* the endpoint that came of it */
    char build[64];
    uint32_t servers, workers;
    uint64_t plan; /* a hash of data, ranges and configuration */
    /* The checkpoint that the life began from; it may have been deleted since. */
    char resume_dir[WIRE_TEXT_MAX]; /* "": none */
    uint64_t resume_bytes, restored_step, restored_impressions;
    uint32_t restored_epoch;
    double rate_ctr, rate_cvr;
    struct journal_recovery recovery;
};
struct journal_term {
    uint64_t term; /* 1, 2, ... */
};
struct journal_member {
    enum wire_role role;
    uint32_t index, pid;
    uint64_t incarnation;
    char host[64];
    bool rejoins;                   /* has not said hello in this life */
    struct journal_bytes endpoints; /* of a server, as in HELLO */
    struct wire_progress gone; /* of a worker: what all workers that were replaced had counted */
};
struct journal_back {
    uint32_t epoch, range, limit; /* its batches below the limit */
};
struct journal_epoch {
    uint32_t epoch;
    uint64_t last_shards;
    struct wire_progress totals; /* before it */
};
struct journal_ask {
    uint32_t worker;
    uint64_t incarnation, id; /* of the question */
    bool returns;
    struct journal_back back;
    uint64_t back_fence;
    bool grants;
    struct wire_lease lease;
};
enum journal_phase { JOURNAL_TRAINING, JOURNAL_EVALUATING, JOURNAL_EVALUATED };
struct journal_evaluation { /* the state from now on */
    enum journal_phase phase;
    uint32_t epoch;
    bool within;
    uint64_t next, before;
    uint32_t owed;
    double still_s, spent_s;
    double from_s, began_s; /* seconds since 1970; 0: not */
};
struct journal_cut { /* the state from now on */
    uint64_t number;
    bool final_begun, final_done;
    double last_s; /* when it began, seconds since 1970 */
    uint64_t last_impressions, last_shards;
    uint64_t count; /* committed checkpoints */
};
struct journal_counters {
    uint32_t worker;
    uint64_t incarnation;
    struct wire_progress progress;
};
struct journal_record {
    enum journal_kind kind;
    union {
        struct journal_life life;
        struct journal_term term;
        struct journal_member member;
        struct journal_bytes bytes; /* DONE (applied_encode), RESULT */
        struct journal_back back;
        double wall_s; /* BEGUN, ENDED: seconds since 1970 */
        struct journal_epoch epoch;
        struct journal_ask ask;
        uint32_t worker; /* FREED */
        struct journal_evaluation evaluation;
        struct journal_cut cut;
        struct journal_counters counters; /* COUNTERS */
    } u;
};

/* Appends the head of a file. ERR_MEMORY. */
enum status journal_head_put(struct buf *out);
/* Appends the record that begins at `offset` of the file. ERR_MEMORY; ERR_LIMIT: the body is longer
 * than JOURNAL_BODY_MAX. */
enum status journal_record_put(struct buf *out, const struct journal_record *r, uint64_t offset,
                               uint64_t synced);

/* Reads the bytes of a journal, record by record. */
struct journal_scan {
    const char *name; /* borrowed; for messages */
    const uint8_t *data;
    size_t bytes, at;
    bool torn; /* what is left from `at` on was never synced, and is no record */
};
/* ERR_CORRUPT: not a journal, or of another version. */
enum status journal_scan_open(struct journal_scan *s, const char *name, const void *data,
                              size_t bytes);
/* *got is false at the end, and at a torn tail. The record's bytes lie in the scan's. ERR_CORRUPT
 * names file and offset of a damaged record that was on disk. */
enum status journal_scan_next(struct journal_scan *s, struct journal_record *r, bool *got);
