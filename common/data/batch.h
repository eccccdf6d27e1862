/* batch.h - one batch cut from a shard: its groups, its distinct features, and the places where
 * they occur.
 *
 * Shapes: B impressions, G groups (only those present), per field f: U_f distinct features, n_f
 * bags (G for a user field, B for an item field).
 *
 *   ids[f][U_f]        distinct feature ids, ascending (the shard's dictionary is sorted)
 *   start[f][n_f+1]    bag i of field f is index/weight[start[i], start[i+1])
 *   index[f][...]      position in ids[f]
 *   weight[f][...]     f32; NULL: all 1
 *   group_of[B]        group of each impression, 0..G-1, non-decreasing
 *   labels[B], impression_id[B], user[B] (GAUC key), in the order of the runs
 *   weight[B]          how much each impression counts; NULL: 1 each
 *   kind[B]            enum record_kind; KIND_LOG if the shard holds no records
 *   elapsed_days[B]    of a clicked record: from the click to the conversion if it has one, else to
 *                      the record's time; 0 of all others
 *
 * Batches in a row may share the bags of some user fields (batch_cut_shared). Then n_f of such a
 * field is the number S of groups that these batches have, in the first of them and in the last,
 * and 0 in those between:
 *
 *   shared_of[G]       of each group its bag of the shared fields, 0..S-1
 *
 * One thread builds a batch, and one thread at a time uses it. It owns its arrays and reuses them
 * for the next batch without freeing them.
 */
#pragma once

#include "common/job/applied.h"
#include "shard.h"

struct batch_field {
    uint32_t bags, unique, values;
    uint64_t *ids;
    uint32_t *start;
    uint32_t *index;
    float *weight; /* NULL if `plain` */
    bool plain;
    bool shared;         /* its bags are those of several batches */
    float *weight_store; /* the owned array behind weight */
    size_t ids_cap, start_cap, value_cap;
};
struct batch {
    struct batch_name name;
    uint64_t fence;
    uint32_t shard_batches; /* number of batches of its shard */
    uint32_t impressions, groups, fields, user_fields;
    uint32_t *group_of;
    uint8_t *labels;
    uint64_t *impression_id;
    uint64_t *user;
    float *weight; /* NULL, or weight_store */
    float *weight_store;
    uint8_t *kind;
    float *elapsed_days;
    bool records; /* false: every kind is KIND_LOG */
    size_t impression_cap;
    uint32_t shared_groups; /* S; 0: no field is shared */
    bool shared_first, shared_last;
    uint32_t *shared_of;
    size_t shared_cap;
    struct batch_field field[FIELDS_MAX];
};

/* Impressions [begin, end) of a shard, all of one group. */
struct run {
    uint32_t group, begin, end;
};
/* runs[groups]: each group as one run, in the order order[groups]. */
void runs_of_groups(const struct shard *s, const uint32_t *order, struct run *runs);

/* Work space for cutting: marks per dictionary entry, and the positions of the runs. Each cutting
 * thread has its own.
 */
struct batch_cutter;
enum status batch_cutter_create(struct batch_cutter **c);
void batch_cutter_destroy(struct batch_cutter **c);
/* Sets the shard to cut and the order of its impressions: runs[count], laid end to end. Both are
 * borrowed until the next call. Runs may be empty, and need not cover the shard. user_slot: the
 * field whose first id is the GAUC user; -1: the group key is the user. ERR_MEMORY. */
enum status batch_cutter_runs(struct batch_cutter *c, const struct shard *s, const struct run *runs,
                              uint32_t count, uint32_t user_fields, int user_slot);
/* Fills *b with positions [begin, end) of the impressions in the order of the runs; a run that lies
 * across a border is split. Runs of one group that follow each other are one group of the batch;
 * apart from each other they are two, each with a copy of the user bags. ERR_MEMORY. */
enum status batch_cut(struct batch_cutter *c, uint32_t begin, uint32_t end, struct batch *b);

/* What batches in a row share: bags of user fields, once for each group that they have. */
struct batch_share {
    const bool *field;   /* [fields] which fields; true of user fields only; borrowed */
    uint32_t begin, end; /* positions of the batches together */
    uint32_t *group;     /* [groups] of the shard, ascending; owned */
    uint32_t groups;
    size_t cap;
};
/* Finds the groups of the positions [begin, end) into *s, which keeps its array for the next call.
 * ERR_MEMORY. */
enum status batch_cutter_share(struct batch_cutter *c, uint32_t begin, uint32_t end,
                               const bool *field, struct batch_share *s);
void batch_share_fini(struct batch_share *s); /* zero-initialised is fine */
/* As batch_cut, of positions among those of *s. The batch that begins at s->begin is the first, the
 * one that ends at s->end the last. ERR_MEMORY. */
enum status batch_cut_shared(struct batch_cutter *c, uint32_t begin, uint32_t end,
                             const struct batch_share *s, struct batch *b);
void batch_fini(struct batch *b); /* zero-initialised is fine */
