/* scorer.h - a checkpoint loaded into this process, to score shards without servers or workers.
 *
 * All rows (weights only) go into one read-only partition, so the program needs the memory of the
 * table rows; ids that have no row read as their initial value and stay absent: scoring creates
 * nothing. The shards' fields are matched with the model's by name; what one side lacks is logged
 * as a warning once per data set, and ids made in another way are refused (common/data/data_fit.h).
 */
#pragma once

#include "common/base/file.h"
#include "common/checkpoint/manifest.h"
#include "common/metric/score.h"
#include "common/data/unseen.h"
#include "worker/model/kernel.h"

struct scorer;
/* Loads what manifest_find makes of `path`. kernel: a value of compute.kernel; NULL: the
 * checkpoint's, or auto, with a warning, where this machine lacks that. ERR_NOT_FOUND, ERR_CORRUPT,
 * ERR_CONFIG, ERR_MEMORY. */
enum status scorer_create(struct scorer **s, const char *path, const char *kernel);
void scorer_destroy(struct scorer **s);

const char *scorer_dir(const struct scorer *s); /* the checkpoint's directory */
const struct manifest *scorer_manifest(const struct scorer *s);
enum score_form scorer_form(const struct scorer *s); /* of its scores: what b is */
/* In which form the scores of the data that were scored last can be judged; score_form_judged. */
enum status scorer_judged(const struct scorer *s, enum score_form *out);
void scorer_kernel(const struct scorer *s,
                   char out[KERNEL_NAME_MAX]); /* what multiplies, for people */
uint64_t scorer_rows(const struct scorer *s);  /* in memory; scoring must not change it */

/* Receives the scores of one shard; valid during the call. */
struct scorer_sink {
    enum status (*take)(void *arg, const struct score *scores, size_t n);
    void *arg;
};
/* Scores every shard of the directories and calls the sink once a shard, in order, from this
 * thread; within a shard impressions come in the file's order. `threads` shards are scored at a
 * time, each thread with its own model; results do not depend on the number. The GAUC user is the
 * first id of field eval.user_field, or the group key where the field is not set or the data or
 * model lack it. ERR_CONFIG: no field in common. ERR_CORRUPT: a logit is not finite. */
enum status scorer_score(struct scorer *s, const struct file_list *data, uint32_t threads,
                         struct scorer_sink sink);

/* Of all that was scored: warns of fields with more values that have no row than training makes one
 * expect (common/data/unseen.h), and reports every field into a table and into an open JSON object,
 * either NULL if it is not wanted. ERR_MEMORY. */
enum status scorer_unseen(const struct scorer *s, struct buf *table, struct json *j);

/* Options of eval and of predict; the members are named so in both. */
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
