/* partition.h - the buckets one server thread owns, as a state machine without sockets.
 *
 * It holds one table per field (plus a counter table where admit_after > 1), its slice of the dense
 * vector with optimizer state, the applied batch names, open tickets, and a snapshot in progress.
 *
 * A pull changes nothing; a missing row reads as its initial value. A push is the only writer, and
 * its name makes it exactly-once: admission counts, row creation, update and clock all happen when
 * a new name is applied. So resent pulls and pushes are harmless, and evaluation creates nothing.
 *
 * Names are kept per DOMAIN: a range of buckets whose rows have seen the same batches. A fresh
 * partition has one. After a restore onto another number of servers a partition may hold buckets
 * from several old ones whose cuts differed by the batches in flight; each domain then applies just
 * what it has not seen, and domains with equal sets merge.
 *
 * One thread owns it. What takes a const partition may be called by any number of threads at a
 * time while the owner calls nothing else. Nothing here blocks, except a snapshot at its copy limit
 * (see snapshot.h).
 */
#pragma once

#include "common/job/applied.h"
#include "common/job/layout.h"
#include "common/job/schema.h"

struct partition_spec {
    const struct config *config; /* borrowed for the partition's life, as all below */
    const struct schema *schema;
    const struct layout *layout;
    const uint32_t *batches_per_shard;
    uint32_t shards;
    bool grows; /* a stream: more shards come (partition_grow) */
    uint32_t bucket_begin, bucket_end;
    uint64_t memory_bytes; /* this partition's share of --memory; 0: no limit */
    bool read_only;        /* rows without optimizer state, for eval and predict */
    bool parameters_only;  /* a restore takes rows, sightings, dense and their state, but no
                                      names: training starts at clock 0 (other data, or anew) */
};

struct partition;
enum status partition_create(struct partition **p, const struct partition_spec *spec);
void partition_destroy(struct partition **p);

/* Keys of a request: counts[slot] ids of each field, all ids concatenated in slot order. Every id
 * must hash into the partition's buckets (checked: ERR_PROTOCOL). */
struct key_list {
    const uint32_t *counts; /* [fields] */
    const uint64_t *ids;    /* [total], aligned */
    size_t total;
    uint8_t *missing; /* NULL, or [total] where a pull notes which keys have no row: 1, else 0 */
};

struct pull_result {
    uint64_t ticket;  /* 0: none was opened */
    uint64_t version; /* applied pushes so far, the least of any domain (staleness = difference
                          to the push's) */
    uint64_t missing; /* keys without a row */
};
/* Values out: rows in key order, each its field's dim floats, then (if want_dense) the dense slice.
 * out has partition_pull_floats() room. */
size_t partition_pull_floats(const struct partition *p, const struct key_list *keys,
                             bool want_dense);
enum status partition_pull(const struct partition *p, const struct key_list *keys, bool want_dense,
                           float *out, struct pull_result *result);
/* The same for a worker: it is counted, and with want_ticket a ticket is opened, which keeps the
 * request's handles and ids until its push, a time, or the ticket_bytes limit (oldest first).
 * now_ms: clock. */
enum status partition_serve_pull(struct partition *p, const struct key_list *keys, bool want_dense,
                                 bool want_ticket, uint64_t now_ms, float *out,
                                 struct pull_result *result);

struct push_result {
    bool duplicate;          /* the name was applied before: nothing done */
    uint64_t version;        /* after this push */
    uint64_t dropped_values; /* gradient floats dropped: those of every row, or of the dense
                                slice, with a value that is not finite or above 2^63 */
};
/* Gradients: rows in the ticket's (or keys') order, then the dense slice's gradient. Give `keys`
 * when the ticket is unknown, else NULL. ERR_TICKET: send again with keys. ERR_FENCED: an older
 * lease of this shard. ERR_PROTOCOL: sizes do not fit. */
enum status partition_push(struct partition *p, struct batch_name name, uint64_t fence,
                           uint64_t ticket, const struct key_list *keys, const float *gradients,
                           size_t floats, struct push_result *result);

/* Makes a shard of a stream known before its first push; again: nothing. ERR_PROTOCOL: it is known
 * with another number of batches, or the plan is fixed. ERR_MEMORY. */
enum status partition_grow(struct partition *p, uint32_t shard, uint32_t batches);

/* Housekeeping between requests: ticket expiry, a slice of eviction, a slice of a running snapshot.
 * *busy = there is more to do now (poll without waiting). */
enum status partition_tick(struct partition *p, uint64_t now_ms, bool *busy);

struct partition_stats {
    uint64_t rows[FIELDS_MAX];
    uint64_t row_bytes[FIELDS_MAX];
    uint64_t rows_total, table_bytes; /* slabs, index */
    uint64_t bytes_total;             /* and dense slice, tickets, copies */
    uint64_t pulls, pulled_keys, missing_keys, pushes, pushed_keys, duplicates, dropped_values;
    uint64_t created, refused, evicted_age, evicted_memory, unadmitted; /* unadmitted: sightings */
    uint64_t tickets_open, tickets_expired, tickets_unknown, fenced;
    uint64_t version;
};
void partition_stats(const struct partition *p, struct partition_stats *s);
