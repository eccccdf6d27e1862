/* records_run.h - `esmm records`: writes one record shard (or a few) per slice of time into a
 * directory that grows. docs/stream.md describes the streams. Features stay in the source's shards;
 * as many of these are held as a limit of bytes allows. */
#pragma once

#include "common/base/file.h"
#include "records_of.h"

struct records_options {
    struct file_list data; /* directories of shards with times */
    const char *out;
    struct records_rule rule;
    uint64_t shard_impressions; /* at most, in a shard that is written */
    uint64_t memory;            /* bytes of source shards held; one is always held */
    uint64_t pause_ms;          /* after each shard */
};
struct records_summary {
    struct records counts;                     /* its pointer to records is not set */
    uint64_t impressions, clicks, conversions; /* in the source */
    uint64_t slices, shards;
};
/* Writes the directory, which must not exist. After a failure or a stop signal (ERR_CLOSED) its
 * file `end` is missing. Blocks. */
enum status records_run(const struct records_options *o, struct records_summary *summary);
