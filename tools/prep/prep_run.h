/* prep_run.h - a run of `esmm prep`: its options, its state on the main thread, and what the main
 * thread does in every pass over a log. The formats (prep_aliccp.c, prep_csv.c) share it. */
#pragma once

#include "common/data/drift.h"
#include "prep_output.h"
#include "prep_input.h"
#include "prep_progress.h"
#include "prep_split.h"
#include "tools/log/log_fields.h"

#define SHARD_IMPRESSIONS_DEFAULT 65536u
#define PIECE_BYTES_MAX           ((size_t)48 << 20) /* of raw text */

struct prep_options {
    const char *format, *out;
    struct file_list skeleton; /* aliccp; one log, like input */
    const char *common;
    const char *schema;     /* csv */
    struct file_list input; /* the files of one log, in order; or "-" alone */
    uint64_t seed, threads, shard_impressions;
    double bad_max; /* percent */
    bool shuffle;
    uint64_t window; /* with shuffle: impressions; 0: the whole log */
    struct prep_split split;
    const char *split_text;
    uint64_t mix_bytes;                 /* 0: MIX_BYTES; smaller in tests */
    size_t block_bytes, line_bytes_max; /* 0: the reader's own; smaller in tests */
    bool drop_orphans;
};

/* Does a second pass turn the log's shards into others (prep_mix.h)? */
static inline bool prep_arranges(const struct prep_options *o) {
    return o->shuffle || o->split.kind != SPLIT_NONE;
}

struct prep_run {
    const struct prep_options *o;
    struct prep_output out;
    struct prep_input input; /* of the running pass */
    struct prep_progress progress;
    struct log_fields fields;      /* merged from the workers of the pass */
    struct field_schemas schemas;  /* of those fields, set by the format */
    struct prep_tally tally;       /* of the open file */
    struct prep_tally log, common; /* of the finished files; common: Ali-CCP's common file */
    struct buf continued;          /* where the first records of several lines are, as text */
    uint32_t continued_count;
    uint64_t bytes_taken, impressions;
    bool no_conversion;  /* as in struct dataset */
    bool click_all;      /* the schema says that every row is a click */
    struct drift drift;  /* of the log, in its order */
    double sample_rate;  /* as in struct dataset; the format sets it, 0 means 1 */
    uint64_t bytes_read; /* over all passes */
    void *format;        /* the state of the format */
    /* Called on the main thread with every piece, in order, after the run itself has handled it.
     * NULL: nothing more is done. */
    enum status (*take)(struct prep_run *r, struct prep_piece *p);
    const struct prep_workers *workers; /* of the pass */
};

/* A format's worker threads, as in pipeline.h. */
struct prep_workers {
    enum status (*open)(void *run, void **worker);
    void (*close)(void *worker);
    enum status (*work)(void *worker, void *piece);
    size_t fields; /* offset of the struct log_fields in a worker */
};

static inline double prep_percent(uint64_t part, uint64_t whole) {
    return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

/* Opens the files, which are one log, as run->input. Statuses as prep_input_open. */
enum status prep_run_open(struct prep_run *r, const struct file_list *files);
/* Makes one pass over run->input with a format's workers. Rejects and shards go to the output; too
 * many rejects or a stop signal (ERR_CLOSED) end the pass; run->fields is what the workers found. A
 * file without rows is ERR_FORMAT. */
enum status prep_run_pass(struct prep_run *r, const char *what, const struct prep_workers *workers);
/* Ends a file: checks that not too many of its lines are rejected (ERR_LIMIT) and that each line is
 * accounted for (ERR_CORRUPT, an error in prep itself). Adds its tally to *to, which is run->log or
 * run->common, and closes the input. */
enum status prep_run_end(struct prep_run *r, struct prep_tally *to);
