/* eval.h - measuring a checkpoint on a data set: every impression is scored once, the metrics are
 * exact (common/metric.h). Memory: the rows of the checkpoint and 32 bytes an impression. */
#ifndef TOOLS_EVAL_H
#define TOOLS_EVAL_H

#include "local.h"

struct score_list {
    struct score *scores;
    size_t count, cap;
};
/* A sink for local_score; arg is the list. ERR_MEMORY. */
enum status score_list_take(void *arg, const struct score *scores, size_t n);
void score_list_fini(struct score_list *list);

/* Scores data_dir and fills *e. truth_path: NULL, or the truth file of the log (esmm synth); every
 * impression must be in it. */
enum status eval_run(struct local *local, const char *data_dir, const char *truth_path,
                     uint32_t threads, struct evaluation *e);

#endif
