/* shard.h - a shard in memory: a set of columns, read from a file that a builder wrote.
 *
 * A shard is a file of impressions in groups; a group is a run of impressions that share one user
 * side, which is stored once (design D1). shard_builder.h writes shards, dataset.h says which of
 * them make a data set, docs/format.md describes the bytes. With B impressions and G groups:
 *
 *     group_key[G]      u64, the log's group id (hashed if not a number)
 *     group_start[G+1]  impressions of group g are [group_start[g], group_start[g+1])
 *     impression_id[B]  u64
 *     labels[B]         LABEL_... bits, record.h
 *     weight[B]         f32, what the impression counts in losses and figures; NULL: each counts 1
 *     column[slot]      one per field; a user field has n = G entries, an item field n = B
 *
 * A column holds a bag of features for each entry, dictionary coded:
 *
 *     dict[dict_count]  the distinct feature ids of this column, ascending
 *     start[n+1]        bag i is code/weight [start[i], start[i+1]); may be empty
 *     code[values]      index into dict
 *     weight[values]    f32; NULL: every weight is 1
 *
 * The dictionary makes a batch cheap: the distinct features of a batch are found by marks in an
 * array of dict_count entries, without hashing.
 *
 * A shard may carry times, time[B], click_time[B] and conversion_time[B] (struct moment; all three
 * columns or none). If its impressions are training records, it also carries kind[B].
 */
#pragma once

#include "common/job/schema.h"
#include "record.h"
#include "shard_weights.h"

struct column {
    uint32_t n, dict_count, values;
    uint64_t *dict;
    uint32_t *start;
    uint32_t *code;
    float *weight;
};

struct shard {
    uint32_t impressions;
    uint32_t groups;
    uint64_t *group_key;
    uint32_t *group_start;
    uint64_t *impression_id;
    uint8_t *labels;
    float *weight;                                 /* NULL: 1 each */
    uint64_t *time, *click_time, *conversion_time; /* NULL: a shard without times */
    uint8_t *kind;                                 /* enum record_kind; NULL: a log's impressions */
    uint32_t columns;                              /* schema.count of the schema it was read with */
    struct column column[FIELDS_MAX];
    /* If all bags of a column are empty, or all hold one value, its `start` is the same as in every
     * such column of the side. They share one array, which is kept here. [side][values per bag] */
    uint32_t *shared_start[2][2];
};

/* Reads dir/name. Columns are mapped onto `schema` by name and side: a field of the schema that the
 * file lacks has empty bags, a column that the schema lacks is skipped. *s owns its arrays until
 * shard_free; after a failure it is empty. Every value is checked: after OK all columns are safe to
 * index. ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO, ERR_MEMORY. */
enum status shard_read(struct shard *s, const char *dir, const char *name,
                       const struct schema *schema);
/* Like shard_read, but from the bytes of a shard file. Messages use `name` as the path. */
enum status shard_decode(struct shard *s, const char *name, const void *data, size_t bytes,
                         const struct schema *schema);
/* Divides the weight of each unclicked impression by sample_rate: if the log kept only this share
 * of them, each one stands for 1 / sample_rate impressions. A rate of 1 changes nothing.
 * ERR_MEMORY. */
enum status shard_weigh(struct shard *s, double sample_rate);
/* *start = the start[] of a column whose bags hold `each` (0 or 1) values, shared in the shard,
 * whose counts must be there. ERR_MEMORY. */
enum status shard_share_start(struct shard *s, enum side side, uint32_t each, uint32_t **start);
void shard_free(struct shard *s); /* safe on a zeroed struct, and twice */
