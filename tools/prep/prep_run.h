/* prep_run.h - a run of `esmm prep`: what was asked for, the state on the main thread, and what
 * every pass over a log does there. The formats (prep_aliccp.c, prep_csv.c) share it. */
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
    struct file_list skeleton; /* aliccp; one log, as input */
    const char *common;
    const char *schema;     /* csv */
    struct file_list input; /* its files, one log in their order; or "-" alone */
    uint64_t seed, threads, shard_impressions;
    double bad_max; /* percent */
    bool shuffle;
    uint64_t window; /* with shuffle: impressions; 0: the whole log */
    struct prep_split split;
    const char *split_text;
    uint64_t mix_bytes;                 /* 0: MIX_BYTES; smaller in tests */
    size_t block_bytes, line_bytes_max; /* 0: as the reader has them; smaller in tests */
    bool drop_orphans;
};

/* Do the log's shards become others in a second pass (prep_mix.h)? */
static inline bool prep_arranges(const struct prep_options *o) {
    return o->shuffle || o->split.kind != SPLIT_NONE;
}

struct prep_run {
    const struct prep_options *o;
    struct prep_output out;
    struct prep_input input; /* of the pass that runs */
    struct prep_progress progress;
    struct log_fields fields;      /* merged from the workers of the pass */
    struct field_schemas schemas;  /* of those fields, set by the format */
    struct prep_tally tally;       /* of the file that is open */
    struct prep_tally log, common; /* of the files that are done; the latter Ali-CCP's common one */
    struct buf continued;          /* where the first records of several lines are, as text */
    uint32_t continued_count;
    uint64_t bytes_taken, impressions;
    bool no_conversion;  /* as struct dataset's */
    bool click_all;      /* the schema says that every row is a click */
    struct drift drift;  /* of the log, in its order */
    double sample_rate;  /* as struct dataset's; the format sets it, 0 is 1 */
    uint64_t bytes_read; /* over all passes */
    void *format;        /* the state of the format */
    /* Called on the main thread with every piece, in order, after what the run itself does with
     * it. NULL: nothing more is done. */
    enum status (*take)(struct prep_run *r, struct prep_piece *p);
    const struct prep_workers *workers; /* of the pass */
};

/* A format's worker threads, as in pipeline.h. */
struct prep_workers {
    enum status (*open)(void *run, void **worker);
    void (*close)(void *worker);
    enum status (*work)(void *worker, void *piece);
    size_t fields; /* where in a worker its struct log_fields is */
};

static inline double prep_percent(uint64_t part, uint64_t whole) {
    return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

/* Opens files, which are one log, as run->input. Statuses as prep_input_open. */
enum status prep_run_open(struct prep_run *r, const struct file_list *files);
/* One pass over run->input with a format's workers: rejects and shards go to the output, too many
 * rejects or a stop signal (ERR_CLOSED) end it, run->fields is what the workers found. A file
 * without rows is ERR_FORMAT. */
enum status prep_run_pass(struct prep_run *r, const char *what, const struct prep_workers *workers);
/* The file is done: not too many of its lines are rejected (ERR_LIMIT), and each is accounted for
 * (ERR_CORRUPT, a fault of ours). Its tally joins *to, run->log or run->common; the input is
 * closed. */
enum status prep_run_end(struct prep_run *r, struct prep_tally *to);
