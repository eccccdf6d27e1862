/* records_run.h - `esmm records`: one record shard (or a few) per slice of time, into a directory
 * that grows. docs/stream.md has the streams. Features stay in the source's shards, of which as
 * many are held as a limit of bytes allows. */
#pragma once

#include "common/base/file.h"
#include "records_of.h"

struct records_options {
    struct file_list data; /* directories of shards with times */
    const char *out;
    struct records_rule rule;
    uint64_t shard_impressions; /* of a shard that is written, at most */
    uint64_t memory;            /* bytes of source shards held, beyond one */
    uint64_t pause_ms;          /* after each shard */
};
struct records_summary {
    struct records counts;                     /* without the records */
    uint64_t impressions, clicks, conversions; /* of the source */
    uint64_t slices, shards;
};
/* Writes the directory; it must not exist. A failure or a stop signal (ERR_CLOSED) leaves it
 * without its file `end`. Blocks. */
enum status records_run(const struct records_options *o, struct records_summary *summary);
