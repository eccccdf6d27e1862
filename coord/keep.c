/* keep.c - which checkpoints of the run stay, and which evaluation belongs to which.
 *
 * With checkpoint.keep_best each evaluation has a checkpoint of just the state that it judges.
 * Training stands still for an evaluation, so a cut begun meanwhile is that state; and training
 * does not go on before the cut is over, since a partition that heard of it late would cut more.
 * Evaluations are numbered. A cut bears the number of the evaluation for which training stands
 * still (0: none); when both the checkpoint and the figures of a number are there, whichever comes
 * first, the figures are written beside the manifest (judged.h), where retention finds them.
 */
#include <math.h>
#include <string.h>

#include "common/base/log.h"
#include "state.h"

/* --- deleting --------------------------------------------------------------------------------- */

/* Before the first publication the directory is only read. */
static void keep_look(struct coord *c, uint64_t again) {
    if (shelf_read(&c->checkpoints.shelf, c->root, again) != OK) {
        log_warn("the older checkpoints stay for now: %s", fail_text());
    }
}

void keep_published(struct coord *c, uint64_t step) {
    const struct retention r = retention_of(c->config);
    keep_look(c, step);
    shelf_clean(&c->checkpoints.shelf, c->root, &r);
}

/* --- the best --------------------------------------------------------------------------------- */

/* What earlier runs of the job have found, as far as the checkpoint is still there. */
void keep_begin(struct coord *c) {
    struct keep *k = &c->keep;
    best_init(&k->best, c->config->keep_best);
    if (c->config->keep_best == BEST_OFF) {
        return;
    }
    keep_look(c, UINT64_MAX);
    for (size_t i = 0; i < c->checkpoints.shelf.count; i++) {
        const struct shelf_item *s = &c->checkpoints.shelf.items[i];
        if (s->judged && !s->aside && s->step <= c->restored_step) {
            best_take(&k->best, judged_figure(&s->figures, k->best.metric), s->step,
                      s->impressions);
        }
    }
    k->best.since = 0;
}

static void write_figures(struct coord *c, const char *dir) {
    struct judged j = {.step = c->checkpoints.newest_step,
                       .impressions = c->keep.figures.impressions,
                       .auc_ctr = c->keep.figures.auc_ctr,
                       .auc_cvr = c->keep.figures.auc_cvr,
                       .auc_ctcvr = c->keep.figures.auc_ctcvr};
    if (judged_write(&j, dir) != OK) {
        log_warn("what the evaluation said of %s is not written: %s", dir, fail_text());
    }
}

/* Joins checkpoint and figures when both are there. */
static void keep_join(struct coord *c) {
    struct keep *k = &c->keep;
    if (k->figured == 0 || k->figured != k->saved || k->figured == k->joined) {
        return;
    }
    k->joined = k->figured;
    write_figures(c, c->checkpoints.newest);
    keep_published(c, UINT64_MAX);
}

/* --- evaluations and cuts --------------------------------------------------------------------- */

void keep_evaluation_begins(struct coord *c) {
    struct keep *k = &c->keep;
    k->standing = ++k->number;
    k->wanted = c->config->keep_best != BEST_OFF;
}

void keep_training_goes_on(struct coord *c) {
    c->keep.standing = 0;
    c->keep.wanted = false;
}

void keep_cut_begins(struct coord *c) {
    c->keep.cut = c->keep.standing;
    c->keep.wanted = false;
}

bool keep_wants_cut(const struct coord *c) {
    return c->keep.wanted;
}

bool keep_holds(const struct coord *c) {
    const struct keep *k = &c->keep;
    const bool cut = c->checkpoints.cut.busy && k->cut == k->standing;
    return c->config->keep_best != BEST_OFF && (k->wanted || cut);
}

void keep_saved(struct coord *c) {
    c->keep.saved = c->config->keep_best != BEST_OFF ? c->keep.cut : 0;
    keep_join(c);
}

void keep_evaluated(struct coord *c) {
    const struct evaluation *e = &c->evaluation[0];
    struct keep *k = &c->keep;
    k->figured = k->standing;
    k->figures = (struct judged){.impressions = c->leases.done_impressions,
                                 .auc_ctr = e->ctr.auc,
                                 .auc_cvr = e->cvr_clicked.auc,
                                 .auc_ctcvr = e->ctcvr.auc};
    if (c->config->keep_best == BEST_OFF) {
        return;
    }
    const double figure = judged_figure(&k->figures, k->best.metric);
    if (best_take(&k->best, figure, applied_count(c->leases.done), c->leases.done_impressions)) {
        log_info("the best %s so far: %.6f", best_metric_name(k->best.metric), figure);
    } else {
        log_info("%u evaluations in a row without a better %s than %.6f (step %llu)", k->best.since,
                 best_metric_name(k->best.metric), k->best.figure,
                 (unsigned long long)k->best.step);
    }
    keep_join(c);
}

bool keep_patience_over(const struct coord *c) {
    return best_exhausted(&c->keep.best, c->config->patience);
}

void keep_json(const struct coord *c, struct json *j) {
    const struct best *b = &c->keep.best;
    char name[32], path[PATH_BYTES_MAX];
    if (b->metric == BEST_OFF || isnan(b->figure)) {
        return;
    }
    manifest_dir_name(b->step, name);
    json_open(j, "best", '{');
    json_str(j, "metric", best_metric_name(b->metric));
    json_f64(j, "figure", b->figure);
    json_u64(j, "step", b->step);
    json_u64(j, "impressions", b->impressions);
    json_u64(j, "evaluations_since", b->since);
    if (path_join(path, c->root, name) == OK && file_exists(path)) {
        json_str(j, "checkpoint", path);
    } else {
        json_null(j, "checkpoint");
    }
    json_close(j);
}
