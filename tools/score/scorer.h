/* scorer.h - loads a checkpoint into this process, to score shards without servers or workers.
 *
 * All rows (only their weights) go into one read-only partition, so the program needs the memory of
 * the table rows. An id without a row gets its initial value, but no row: scoring creates nothing.
 * The shards' fields are matched with the model's fields by name. A field that only one side has
 * gives a warning in the log, once per data set. Ids that were made in another way are refused
 * (common/data/data_fit.h).
 */
#pragma once

#include "common/base/file.h"
#include "common/checkpoint/manifest.h"
#include "common/metric/score.h"
#include "common/data/unseen.h"
#include "worker/kernel/kernel.h"

struct scorer;
/* Loads the checkpoint that manifest_find finds for `path`. kernel: a value of compute.kernel;
 * NULL: the checkpoint's kernel or, if this machine lacks it, auto with a warning. ERR_NOT_FOUND,
 * ERR_CORRUPT, ERR_CONFIG, ERR_MEMORY. */
enum status scorer_create(struct scorer **s, const char *path, const char *kernel);
void scorer_destroy(struct scorer **s);

const char *scorer_dir(const struct scorer *s); /* the checkpoint's directory */
const struct manifest *scorer_manifest(const struct scorer *s);
enum score_form scorer_form(const struct scorer *s); /* the form of its scores: what b is */
/* Gives the form in which the last scored data can be judged; see score_form_judged. */
enum status scorer_judged(const struct scorer *s, enum score_form *out);
void scorer_kernel(const struct scorer *s,
                   char out[KERNEL_NAME_MAX]); /* the kernel that multiplies, for people */
uint64_t scorer_rows(const struct scorer *s);  /* rows in memory; scoring keeps their number */

/* Receives the scores of one shard; valid during the call. */
struct scorer_sink {
    enum status (*take)(void *arg, const struct score *scores, size_t n);
    void *arg;
};
/* Scores every shard of the directories, and calls the sink once per shard, in order, from this
 * thread. Within a shard, impressions come in the file's order. `threads` shards are scored at a
 * time, each thread with its own model; the results do not depend on this number. The GAUC user is
 * the first id of field eval.user_field. If that is not set, or the data or the model lack the
 * field, it is the group key. ERR_CONFIG: no common field. ERR_CORRUPT: a logit is not finite. */
enum status scorer_score(struct scorer *s, const struct file_list *data, uint32_t threads,
                         struct scorer_sink sink);

/* Reports on everything scored so far. Warns of fields in which more values have no row than
 * training leads to expect (common/data/unseen.h). Reports every field into a table and into an
 * open JSON object; each may be NULL. ERR_MEMORY. */
enum status scorer_unseen(const struct scorer *s, struct buf *table, struct json *j);

/* Options of eval and of predict; both name the members in the same way. */
#define SCORE_CHECKPOINT_ROW(type)                                                                 \
    {                                                                                              \
        "checkpoint", "C", OPTION_TEXT, OPTION_AT(type, checkpoint),                               \
            .required = true, .help = "a checkpoint, a checkpoints directory or a run directory"   \
    }
#define SCORE_DATA_ROW(type)                                                                       \
    {                                                                                              \
        "data", "DIR", OPTION_PATHS, OPTION_AT(type, data),                                        \
            .required = true, .help = "impression shards (esmm prep)"                              \
    }
#define SCORE_THREADS_ROW(type)                                                                    \
    {                                                                                              \
        "threads", "N", OPTION_WHOLE, OPTION_AT(type, threads),                                    \
            .preset = "1", .least = 1, .most = 256, .help = "shards scored at a time"              \
    }
#define SCORE_KERNEL_ROW(type)                                                                     \
    {                                                                                              \
        "kernel", "K", OPTION_TEXT, OPTION_AT(type, kernel),                                       \
            .told = "the checkpoint's, where this CPU has it",                                     \
            .help = "compute.kernel of docs/config.md"                                             \
    }
