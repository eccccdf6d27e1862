/* shard_info.h - what is known of a shard's file without its columns: from an entry of the
 * manifest, from the builder that wrote the file, or from a peek into the file. */
#pragma once

#include "shard_weights.h"

struct shard_info {
    char name[32]; /* shard-00000.bin */
    uint32_t dir;  /* place of its directory in the dataset's list */
    uint32_t impressions, groups, clicks, conversions;
    uint64_t bytes, checksum; /* of the file */
    uint64_t values;          /* of all columns */
    struct weight_sums weights;
    /* Only shard_peek sets these: */
    bool timed, records; /* has times; has kinds */
    uint8_t behaviours;  /* LABEL_BEHAVIOUR bits that occur */
};
/* The name of shard n, shard-00000.bin and so on, into out[32]. */
void shard_name(uint32_t n, char *out);
/* Fills *info from the file dir/name at low cost, all except its checksum and values. It reads only
 * the header, index, META, labels and weights. So it notices a file that is cut short or is no
 * shard, but no damage in other blocks. ERR_NOT_FOUND, ERR_CORRUPT, ERR_IO, ERR_MEMORY; ERR_LIMIT:
 * the name is too long. */
enum status shard_peek(const char *dir, const char *name, struct shard_info *info);
