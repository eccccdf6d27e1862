/* partition_state.h - the inside of a partition, only for the files of ps/ that implement it:
 * partition_state (life, figures), partition_pull, partition_push, admission, eviction, upkeep,
 * changes, and, in the layer above, snapshot, cut_meta and restore. */
#pragma once

#include "common/base/log.h"
#include "dense.h"
#include "domain.h"
#include "partition.h"
#include "ps/table/table.h"
#include "ticket.h"

#define KEYS_BLOCK 256u /* keys that are found, then read or updated, while in the cache */

/* What changed in a store since a cut: one bit per block of slots (changes.h). */
struct marks {
    uint64_t *now;    /* set since the newest cut */
    uint64_t *before; /* set between the base and that cut */
    uint32_t words;   /* 64 blocks each; 0: nothing is kept */
    uint32_t shift;   /* 1 << shift slots are a block */
    uint64_t *gone;   /* ids of rows that made room for others since the base */
    size_t gone_count, gone_cap;
    size_t gone_at_cut; /* so many of them at the newest cut */
};
/* A cut, and the clocks of the domains at it. */
struct cut_clock {
    uint32_t bucket_end;
    uint64_t clock;
};
struct cut_point {
    uint64_t cut; /* its id; 0: none */
    struct cut_clock *clocks;
    uint32_t count;
};
struct changes {
    struct cut_point base, cut; /* the newest one known to be committed; the newest */
    uint64_t bytes;             /* of all marks, counted */
};

/* One store of rows: a field's table, or its sightings. */
struct store {
    struct table *table;  /* NULL: the field has no sightings */
    uint32_t evict_age;   /* 0: never */
    uint32_t age_hand;    /* next slot of the search for expired rows */
    uint32_t age_due;     /* slots that it is to visit (upkeep.h) */
    uint32_t memory_hand; /* next slot of the search for a victim */
    uint32_t unit;        /* its number in a snapshot: 2 * slot, + 1 for sightings */
    struct marks marks;
};

struct field_rows {
    struct table_config config;
    uint64_t salt;
    struct store rows;
    struct store sightings;
};

/* A running snapshot, as the partition sees it. The snapshot (snapshot.h) is in the layer above the
 * partition; the partition calls it through these hooks only. */
struct snapshot;
struct snapshot_hooks {
    /* A slot of the store `unit` is about to change. May wait for the disk. */
    void (*before_write)(struct partition *p, uint32_t unit, uint32_t handle);
    /* Copies a slice; true if there is more to do at once. */
    bool (*step)(struct partition *p);
    uint64_t (*bytes)(const struct partition *p); /* memory of the snapshot */
    void (*abandon)(struct partition *p);         /* the partition ends */
};

/* What memory decides during a push, or has decided when the push was applied first. */
struct choices {
    struct push_choice *list; /* [count]; borrowed if `again`, else owned */
    size_t count, cap;
    size_t next;    /* again: the next of the list */
    uint32_t calls; /* rows that this push has asked for */
    bool again;     /* the list says what happens */
    bool failed;    /* memory failed: a choice is not in the list, or could not be followed */
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
    struct snapshot *snapshot;          /* belongs to the hooks */
    struct changes changes;
    uint64_t bytes_rows;           /* of the tables, kept up to date */
    uint64_t bytes_fixed;          /* dense, fences, ring */
    struct partition_stats counts; /* only counters; partition_stats fills in the rest */
    uint32_t upkeep_field;         /* where the next slice of upkeep begins */
    struct log_limit dropped;      /* log lines about dropped gradients */
    struct choices choices;
    void (*told)(void *self, const struct push_note *note); /* NULL: nobody listens */
    void *listener;
};

static inline uint32_t key_bucket(const struct field_rows *f, uint64_t id) {
    return hash_bucket(hash_key(f->salt, id));
}
static inline struct domain *key_domain(const struct partition *p, const struct field_rows *f,
                                        uint64_t id) {
    return p->domains.count == 1 ? p->domains.list : domains_find(&p->domains, key_bucket(f, id));
}
/* Whether a row has not been updated for evict_age batches: it then counts as missing everywhere,
 * even if it is not freed yet. */
static inline bool row_expired(const struct row *row, uint32_t evict_age, uint64_t clock) {
    return evict_age != 0 && (uint32_t)clock - row->last >= evict_age;
}
/* Must be called before anything in a slot of a table changes. */
static inline void partition_before_write(struct partition *p, struct store *s, uint32_t handle) {
    const uint32_t block = handle >> s->marks.shift;
    if (block / 64 < s->marks.words) {
        s->marks.now[block / 64] |= (uint64_t)1 << (block % 64);
    }
    if (p->hooks != NULL) {
        p->hooks->before_write(p, s->unit, handle);
    }
}

uint64_t partition_bytes(const struct partition *p);
/* Checks that every id is in the buckets of the partition and that counts add up to total: else
 * ERR_PROTOCOL. */
enum status partition_check_keys(const struct partition *p, const struct key_list *keys);
