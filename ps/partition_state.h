/* partition_state.h - a partition from inside, for the files of ps/ that are its parts:
 * partition_state (life, figures), partition_pull, partition_push, admission, eviction, and, above
 * these, snapshot, cut_meta and restore. Nobody else includes it. */
#pragma once

#include "common/base/log.h"
#include "dense.h"
#include "domain.h"
#include "partition.h"
#include "table.h"
#include "ticket.h"

#define KEYS_BLOCK 256u /* keys found, then read or updated, while their lines are in the cache */

/* One store of rows: a field's table, or its sightings. */
struct store {
    struct table *table;  /* NULL: the field has no sightings */
    uint32_t evict_age;   /* 0: never */
    uint32_t age_hand;    /* next slot of the search for expired rows */
    uint32_t memory_hand; /* next slot of the search for a victim */
    uint32_t unit;        /* its number in a snapshot: 2 * slot, + 1 for sightings */
};

struct field_rows {
    struct table_config config;
    uint64_t salt;
    struct store rows;
    struct store sightings;
};

/* A running snapshot, as the partition sees it. The snapshot (snapshot.h) sits above the partition,
 * which calls it through these and knows nothing else of it. */
struct snapshot;
struct snapshot_hooks {
    /* The slot of a store is about to change; `unit` is the store's. May wait for the disk. */
    void (*before_write)(struct partition *p, uint32_t unit, uint32_t handle);
    /* A slice of the copying; true if there is more to do at once. */
    bool (*step)(struct partition *p);
    uint64_t (*bytes)(const struct partition *p); /* that it holds */
    void (*abandon)(struct partition *p);         /* the partition ends */
};

struct partition {
    struct partition_spec spec;
    struct field_rows *fields;
    uint32_t field_count;
    struct dense dense;
    struct domains domains;
    struct tickets tickets;
    uint64_t *fences;                   /* [shards]: highest lease seen */
    const struct snapshot_hooks *hooks; /* NULL: no snapshot is running */
    struct snapshot *snapshot;          /* the hooks' own */
    uint64_t bytes_rows;                /* tables, kept up to date */
    uint64_t bytes_fixed;               /* dense, fences, ring */
    struct partition_stats counts;      /* its counters; the rest is filled in by partition_stats */
    struct log_limit dropped;           /* lines about gradients that were */
};

static inline uint32_t key_bucket(const struct field_rows *f, uint64_t id) {
    return hash_bucket(hash_key(f->salt, id));
}
static inline struct domain *key_domain(const struct partition *p, const struct field_rows *f,
                                        uint64_t id) {
    return p->domains.count == 1 ? p->domains.list : domains_find(&p->domains, key_bucket(f, id));
}
/* Whether a row has not been updated for evict_age batches: it then counts as missing everywhere,
 * whether or not the search for such rows has freed it. */
static inline bool row_expired(const struct row *row, uint32_t evict_age, uint64_t clock) {
    return evict_age != 0 && (uint32_t)clock - row->last >= evict_age;
}
/* To be called before anything in a slot of a table changes. */
static inline void partition_before_write(struct partition *p, uint32_t unit, uint32_t handle) {
    if (p->hooks != NULL) {
        p->hooks->before_write(p, unit, handle);
    }
}

uint64_t partition_bytes(const struct partition *p);
/* Every id in the partition's buckets, counts add up to total: else ERR_PROTOCOL. */
enum status partition_check_keys(const struct partition *p, const struct key_list *keys);
