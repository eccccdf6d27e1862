#include "eval.h"

#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/lock.h"
#include "common/base/mem.h"
#include "common/data/dataset.h"
#include "tools/common/tools.h"
#include "common/data/truth.h"

void score_list_fini(struct score_list *list) {
    mem_free(&list->scores);
    list->count = list->cap = 0;
}

enum status score_list_take(void *arg, const struct score *scores, size_t n) {
    struct score_list *list = arg;
    TRY(mem_room(&list->scores, &list->cap, list->count + n));
    for (size_t i = 0; i < n; i++) {
        list->scores[list->count++] = scores[i];
    }
    return OK;
}

/* Gives the true p_cvr of every score; *truth is NULL without a file. */
static enum status join_truth(const struct score_list *list, const char *path, float **truth) {
    struct truth file = {0};
    enum status status = OK;
    *truth = NULL;
    if (path == NULL) {
        return OK;
    }
    TRY_OUT(truth_read(&file, path));
    TRY_OUT(mem_array(truth, list->count));
    for (size_t i = 0; i < list->count; i++) {
        const struct truth_row *row = truth_find(&file, list->scores[i].impression_id);
        if (row == NULL) {
            TRY_OUT(fail(ERR_NOT_FOUND, "%s has no impression %llu, which the data have", path,
                         (unsigned long long)list->scores[i].impression_id));
        }
        (*truth)[i] = row->p_cvr;
    }
out:
    truth_free(&file);
    return status;
}

/* Gives the reference's logit of p_ctr for every score; *logits is NULL without a reference. */
static enum status join_reference(const struct score_list *list, const struct score_list *reference,
                                  float **logits) {
    *logits = NULL;
    if (reference == NULL) {
        return OK;
    }
    if (reference->count != list->count) {
        return fail(ERR_CORRUPT, "the reference has scores of %zu impressions, the data have %zu",
                    reference->count, list->count);
    }
    TRY(mem_array(logits, list->count));
    for (size_t i = 0; i < list->count; i++) {
        if (reference->scores[i].impression_id != list->scores[i].impression_id) {
            return fail(ERR_CORRUPT,
                        "impression %zu is %llu in the data, but %llu in the reference", i,
                        (unsigned long long)list->scores[i].impression_id,
                        (unsigned long long)reference->scores[i].impression_id);
        }
        (*logits)[i] = reference->scores[i].a;
    }
    return OK;
}

enum status eval_reference(const char *checkpoint, const char *kernel, const struct file_list *data,
                           uint32_t threads, struct score_list *out) {
    struct scorer *scorer = NULL;
    enum status status = scorer_create(&scorer, checkpoint, kernel);
    if (status == OK) {
        status = scorer_score(scorer, data, threads, (struct scorer_sink){score_list_take, out});
    }
    if (status == OK) {
        status = scorer_unseen(scorer, NULL, NULL);
    }
    scorer_destroy(&scorer);
    return status;
}

const char *const eval_weights_names[] = {"both", "no", "yes", NULL};

enum status eval_scores(const struct eval_spec *spec, const struct evaluation_spec *what,
                        const struct score_list *list, struct evaluation *e, uint32_t *count) {
    char name[PATH_BYTES_MAX];
    struct evaluation_spec of = *what;
    if (spec->weights == EVAL_BOTH) {
        return evaluations_compute(e, count, list->scores, list->count, what);
    }
    of.weighted = spec->weights == EVAL_WEIGHTED;
    if (of.weighted && !scores_weighted(list->scores, list->count)) {
        return fail(ERR_CONFIG,
                    "%s carries no weights and no sample rate: every impression counts 1",
                    dataset_name(spec->data, name));
    }
    *count = 1;
    return evaluation_compute(e, list->scores, list->count, &of);
}

enum status eval_run(struct scorer *scorer, const struct eval_spec *spec, struct evaluation *e,
                     uint32_t *count) {
    struct score_list list = {0};
    float *truth = NULL, *reference = NULL;
    enum status status = OK;
    const struct scorer_sink sink = {score_list_take, &list};
    TRY_OUT(scorer_score(scorer, spec->data, spec->threads, sink));
    TRY_OUT(join_truth(&list, spec->truth, &truth));
    TRY_OUT(join_reference(&list, spec->reference, &reference));
    enum score_form form;
    TRY_OUT(scorer_judged(scorer, &form));
    const struct evaluation_spec what = {.form = form,
                                         .truth_cvr = truth,
                                         .reference_ctr = reference,
                                         .resamples = spec->resamples,
                                         .seed = spec->seed};
    TRY_OUT(eval_scores(spec, &what, &list, e, count));
    evaluation_doubt(e->ctr.auc, e->cvr_clicked.auc, e->ctcvr.auc);
out:
    mem_free(&truth);
    mem_free(&reference);
    score_list_fini(&list);
    return status;
}

/* --- the command ------------------------------------------------------------------------------ */

struct eval_line {
    const char *checkpoint, *truth, *reference, *picture, *kernel;
    struct file_list data;
    uint32_t threads, resamples;
    uint64_t seed;
    enum eval_weights weights;
    bool json, calibration;
};

static enum status eval_tables(const struct eval_line *l, const struct scorer *scorer,
                               const struct evaluation *e, uint32_t count, struct buf *out) {
    char kernel[KERNEL_NAME_MAX];
    for (uint32_t k = 0; k < count; k++) {
        TRY(evaluation_table(&e[k], out));
        TRY(buf_printf(out, "\n"));
    }
    TRY(scorer_unseen(scorer, out, NULL));
    for (uint32_t k = 0; k < count && l->calibration; k++) {
        TRY(k > 0 ? buf_printf(out, "\nby weight:\n") : OK);
        TRY(evaluation_calibration(&e[k], out));
    }
    scorer_kernel(scorer, kernel);
    return buf_printf(out, "products: %s\n", kernel);
}

static enum status eval_json(const struct eval_line *l, const struct scorer *scorer,
                             const struct evaluation *e, uint32_t count, struct buf *out) {
    struct json j;
    char kernel[KERNEL_NAME_MAX], dirs[PATH_BYTES_MAX];
    scorer_kernel(scorer, kernel);
    json_begin(&j, out, false);
    evaluations_json(e, count, &j);
    TRY(scorer_unseen(scorer, NULL, &j));
    json_str(&j, "checkpoint", scorer_dir(scorer));
    json_u64(&j, "step", scorer_manifest(scorer)->step);
    json_str(&j, "data", dataset_name(&l->data, dirs));
    json_str(&j, "kernel", kernel);
    if (l->reference != NULL) {
        json_str(&j, "reference", l->reference);
    }
    TRY(json_end(&j));
    return buf_put_u8(out, '\n');
}

static enum status eval_report(const struct eval_line *l, const struct scorer *scorer,
                               const struct evaluation *e, uint32_t count) {
    struct buf out = BUF_EMPTY;
    const enum status status =
        l->json ? eval_json(l, scorer, e, count, &out) : eval_tables(l, scorer, e, count, &out);
    if (status == OK) {
        fwrite(out.data, 1, out.len, stdout);
    }
    buf_fini(&out);
    return status;
}

/* Writes the picture. The file appears only when it is complete. */
static enum status eval_draw(const struct eval_line *l, const struct scorer *scorer,
                             const struct evaluation *e) {
    struct buf out = BUF_EMPTY;
    char title[3 * PATH_BYTES_MAX], dirs[PATH_BYTES_MAX];
    struct lock lock = LOCK_NONE;
    enum status status;
    snprintf(title, sizeof title, "Reliability of %s on %s", scorer_dir(scorer),
             dataset_name(&l->data, dirs));
    TRY_OUT(evaluation_picture(e, title, &out));
    TRY_OUT(lock_take_beside(&lock, l->picture));
    TRY_OUT(file_write_atomic(l->picture, out.data, out.len));
out:
    lock_release(&lock);
    buf_fini(&out);
    return status;
}

static enum status eval_start(void *line) {
    const struct eval_line *l = line;
    struct scorer *scorer = NULL;
    struct score_list reference = {0};
    struct evaluation e[2];
    uint32_t count = 0;
    enum status status = OK;
    if (l->picture != NULL) { /* report errors before the work, not after it */
        TRY_OUT(file_may_replace(l->picture));
    }
    if (l->reference != NULL) {
        TRY_OUT(eval_reference(l->reference, l->kernel, &l->data, l->threads, &reference));
    }
    TRY_OUT(scorer_create(&scorer, l->checkpoint, l->kernel));
    const struct eval_spec spec = {.data = &l->data,
                                   .truth = l->truth,
                                   .reference = l->reference != NULL ? &reference : NULL,
                                   .threads = l->threads,
                                   .resamples = l->resamples,
                                   .seed = l->seed,
                                   .weights = l->weights};
    TRY_OUT(eval_run(scorer, &spec, e, &count));
    if (l->picture != NULL) { /* if both exist, the unweighted one */
        TRY_OUT(eval_draw(l, scorer, e));
    }
    TRY_OUT(eval_report(l, scorer, e, count));
out:
    score_list_fini(&reference);
    scorer_destroy(&scorer);
    return status;
}

static void eval_fini(void *line) {
    file_list_free(&((struct eval_line *)line)->data);
}

#define AT(member) OPTION_AT(struct eval_line, member)
static const struct option_row eval_rows[] = {
    SCORE_CHECKPOINT_ROW(struct eval_line),
    SCORE_DATA_ROW(struct eval_line),
    {"truth", "FILE", OPTION_TEXT, AT(truth),
     .help = "of esmm synth: adds CVR over the entire space"},
    {"reference", "C", OPTION_TEXT, AT(reference),
     .help =
         "adds the AUC of CTCVR with p_ctr of this checkpoint instead of the model's own, as in "
         "the paper's table"},
    EVAL_BOOTSTRAP_ROW(struct eval_line),
    {"seed", "S", OPTION_WHOLE, AT(seed), .preset = "1", .help = "of the resampling"},
    {"calibration", NULL, OPTION_FLAG, AT(calibration),
     .help = "adds predicted against observed in 20 buckets of equal count"},
    {"picture", "FILE.svg", OPTION_TEXT, AT(picture), .help = "draws them"},
    {"weights", NULL, OPTION_CHOICE, AT(weights), .choices = eval_weights_names, .preset = "both",
     .help = "each impression counts 1 and, if the data carry weights or a sample rate, a second "
             "time its weight; or one of the two"},
    {"json", NULL, OPTION_FLAG, AT(json), .help = "one JSON object instead of the tables"},
    SCORE_THREADS_ROW(struct eval_line),
    SCORE_KERNEL_ROW(struct eval_line),
    {NULL}};
const struct command command_eval = {
    .name = "eval",
    .summary = "measure a checkpoint on shards",
    .about =
        "Measures a checkpoint on impression shards: exact AUC with ties and 95 % intervals, "
        "GAUC by user, average precision, log loss, normalised entropy and calibration, for "
        "CTR (all impressions), CVR (clicked) and CTCVR (all); and for each field the share of "
        "values that the model has no row of. Shards whose ids were made otherwise than the "
        "training data's are refused. See docs/metrics.md.",
    .groups = (const struct option_group[]){{NULL, eval_rows}, {0}},
    .line_bytes = sizeof(struct eval_line),
    .run = eval_start,
    .fini = eval_fini};
