/* shard_info.h - what is known of a shard's file without its columns: a manifest's entry, what a
 * builder says of the file it wrote, and what a peek into a file tells. */
#pragma once

#include "shard_weights.h"

struct shard_info {
    char name[32]; /* shard-00000.bin */
    uint32_t dir;  /* place of its directory in the dataset's list */
    uint32_t impressions, groups, clicks, conversions;
    uint64_t bytes, checksum; /* of the file */
    uint64_t values;          /* of all columns */
    struct weight_sums weights;
    /* Of shard_peek alone: */
    bool timed, records; /* has times; has kinds */
    uint8_t behaviours;  /* LABEL_BEHAVIOUR bits that occur */
};
/* The name of shard n, shard-00000.bin and so on, into out[32]. */
void shard_name(uint32_t n, char *out);
/* What can be said of the file dir/name for little: all of *info but its checksum and values. Reads
 * no more than header, index, META, labels and weights, so it finds a file that is torn or no
 * shard, but no damage elsewhere. ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO, ERR_MEMORY; ERR_LIMIT: too
 * long a name. */
enum status shard_peek(const char *dir, const char *name, struct shard_info *info);
