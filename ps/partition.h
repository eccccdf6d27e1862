/* partition.h - the buckets that one server thread owns, as a state machine without sockets.
 *
 * A partition holds one table per field (plus a counter table if admit_after > 1), its slice of the
 * dense vector with optimizer state, the names of the applied batches, open tickets, and the
 * running snapshot, if any.
 *
 * A pull changes nothing; a missing row reads as its initial value. Only a push writes, and its
 * name makes sure that it is applied exactly once: admission counts, row creation, update and clock
 * change only when a new name is applied. So resent pulls and pushes are harmless, and evaluation
 * creates nothing.
 *
 * Names are kept per DOMAIN: a range of buckets whose rows have seen the same batches. A fresh
 * partition has one domain. After a restore onto another number of servers, a partition may hold
 * buckets from several old partitions whose cuts differed by the batches in flight. Each domain
 * then applies only what it has not seen, and domains with equal sets merge.
 *
 * One thread owns the partition. Functions that take a const partition may be called by any number
 * of threads at a time while the owner calls nothing else. Nothing here blocks, except a snapshot
 * that has reached its copy limit (see snapshot.h).
 */
#pragma once

#include <stdatomic.h>

#include "common/job/applied.h"
#include "common/job/layout.h"
#include "common/job/schema.h"

struct partition_spec {
    const struct config *config; /* borrowed for the partition's life, as all below */
    const struct schema *schema;
    const struct layout *layout;
    const uint32_t *batches_per_shard;
    uint32_t shards;
    bool grows; /* a stream: shards are added (partition_grow) */
    uint32_t bucket_begin, bucket_end;
    uint64_t memory_bytes;     /* this partition's share of --memory; 0: no limit */
    bool read_only;            /* rows without optimizer state, for eval and predict */
    bool parameters_only;      /* a restore takes rows, sightings, dense and their state, but no
                                      names: training starts at clock 0 (other data, or anew) */
    void (*pause)(void *self); /* NULL, or called now and then during a restore, with pauser */
    void *pauser;
    const atomic_bool *abandon; /* NULL, or a restore ends with ERR_CLOSED once it is true */
};

struct partition;
enum status partition_create(struct partition **p, const struct partition_spec *spec);
void partition_destroy(struct partition **p);

/* Keys of a request: counts[slot] is the number of ids of each field; ids holds all ids,
 * concatenated in slot order. Every id must hash into the buckets of the partition (checked:
 * ERR_PROTOCOL). */
struct key_list {
    const uint32_t *counts; /* [fields] */
    const uint64_t *ids;    /* [total], aligned */
    size_t total;
    uint8_t *missing; /* NULL, or [total]: a pull sets 1 for keys without a row, else 0 */
};

struct pull_result {
    uint64_t ticket;  /* 0: no ticket was opened */
    uint64_t version; /* applied pushes, the least of all domains (staleness = difference
                          to the push's) */
    uint64_t missing; /* keys without a row */
};
/* Writes values to out: rows in key order, each with the dim floats of its field, then (if
 * want_dense) the dense slice. out must have room for partition_pull_floats() floats. */
size_t partition_pull_floats(const struct partition *p, const struct key_list *keys,
                             bool want_dense);
enum status partition_pull(const struct partition *p, const struct key_list *keys, bool want_dense,
                           float *out, struct pull_result *result);
/* The same for a worker: the pull is counted, and want_ticket opens a ticket. A ticket keeps the
 * handles and ids of the request until its push, until it expires, or until tickets exceed
 * ticket_bytes (the oldest go first). now_ms: clock. */
enum status partition_serve_pull(struct partition *p, const struct key_list *keys, bool want_dense,
                                 bool want_ticket, uint64_t now_ms, float *out,
                                 struct pull_result *result);

struct push_result {
    bool duplicate;          /* the name was applied before: nothing was done */
    uint64_t version;        /* after this push */
    uint64_t dropped_values; /* gradient floats dropped: all floats of a row, or of the dense
                                slice, if one is not finite or is 2^63 or more in size */
};
/* Gradients: rows in the order of the ticket (or of keys), then the gradient of the dense slice.
 * Give `keys` when the ticket is unknown, else NULL. ERR_TICKET: send again with keys. ERR_FENCED:
 * the lease of this shard is an older one. ERR_PROTOCOL: sizes do not fit. */
enum status partition_push(struct partition *p, struct batch_name name, uint64_t fence,
                           uint64_t ticket, const struct key_list *keys, const float *gradients,
                           size_t floats, struct push_result *result);

/* --- for a push log (push_log.h) -------------------------------------------------------------- */

/* What memory decided when a push made rows: the only thing that does not follow from the rows and
 * the pushes before, since tickets, a running snapshot and the rest of the process take part. Rows
 * and counts of sightings that a push makes are counted from 1; `call` is which of them. */
struct push_choice {
    uint32_t call;
    bool evicts, refused; /* one of them, or both */
    uint64_t victim;      /* the id whose row, or count, was evicted from the same store */
};
/* What a push, or only its lease, has changed. Valid during the call alone. */
struct push_note {
    bool applied; /* else the fence alone is new */
    struct batch_name name;
    uint64_t fence;
    uint64_t version; /* after the push */
    uint32_t fields;
    const uint32_t *counts; /* [fields] */
    const uint64_t *ids;    /* [total] */
    size_t total;
    const struct push_choice *choices;
    size_t choice_count;
    bool incomplete; /* memory failed: the push is not applied everywhere, or a choice is lost */
};
/* From now on told is called for each push that changes something, after it is applied and before
 * partition_push returns. NULL: nobody listens. */
void partition_listen(struct partition *p, void (*told)(void *self, const struct push_note *note),
                      void *self);
/* Applies a push of a log again: what memory decided is given. ERR_CORRUPT: it was applied before,
 * a choice has no place, or it does not lead to `version`; ERR_MEMORY; others as partition_push.
 * After a failure the partition must be destroyed. */
enum status partition_push_again(struct partition *p, const struct push_note *note,
                                 const float *gradients, size_t floats);
/* The highest lease seen of a shard, and to raise it; 0: none. shard must be known. */
uint64_t partition_fence(const struct partition *p, uint32_t shard);
enum status partition_fence_again(struct partition *p, uint32_t shard, uint64_t fence);
uint32_t partition_shards(const struct partition *p); /* known so far */
uint32_t partition_fields(const struct partition *p);

/* Makes a shard of a stream known before its first push; calling it again does nothing.
 * ERR_PROTOCOL: the shard is known with another number of batches, or the plan is fixed.
 * ERR_MEMORY. */
enum status partition_grow(struct partition *p, uint32_t shard, uint32_t batches);

/* Does housekeeping between requests: ticket expiry, a slice of upkeep (upkeep.h), a slice of a
 * running snapshot. *busy: there is more to do now (poll without waiting). */
enum status partition_tick(struct partition *p, uint64_t now_ms, bool *busy);

struct partition_stats {
    uint64_t rows[FIELDS_MAX];
    uint64_t row_bytes[FIELDS_MAX];
    uint64_t rows_total, table_bytes; /* table_bytes: slabs and indexes */
    uint64_t bytes_total;             /* tables, dense slice, tickets, copies */
    uint64_t pulls, pulled_keys, missing_keys, pushes, pushed_keys, duplicates, dropped_values;
    uint64_t created, refused, evicted_age, evicted_memory, unadmitted; /* unadmitted: sightings */
    uint64_t tickets_open, tickets_expired, tickets_unknown, fenced;
    uint64_t version;
    uint64_t log_bytes; /* of the push log; 0: none, or void */
};
void partition_stats(const struct partition *p, struct partition_stats *s);
