#include "eval.h"

#include <stdio.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/json.h"
#include "common/base/lock.h"
#include "common/base/mem.h"
#include "common/data/dataset.h"
#include "tools/common/options.h"
#include "tools/common/paths.h"
#include "tools/common/tools.h"
#include "common/data/truth.h"

void score_list_fini(struct score_list *list) {
    mem_free(&list->scores);
    list->count = list->cap = 0;
}

enum status score_list_take(void *arg, const struct score *scores, size_t n) {
    struct score_list *list = arg;
    if (list->count + n > list->cap) {
        const size_t cap = list->count + n > 2 * list->cap ? list->count + n : 2 * list->cap;
        TRY(mem_resize((void **)&list->scores, list->cap * sizeof *scores, cap * sizeof *scores));
        list->cap = cap;
    }
    for (size_t i = 0; i < n; i++) {
        list->scores[list->count++] = scores[i];
    }
    return OK;
}

/* The true p_cvr of every score, or *truth NULL without a file. */
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

/* The reference's logit of p_ctr for every score, or *logits NULL without one. */
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

enum status eval_weights_of(const char *value, enum eval_weights *out) {
    static const char *const names[] = {"both", "no", "yes"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        if (strcmp(value, names[k]) == 0) {
            *out = (enum eval_weights)k;
            return OK;
        }
    }
    return fail(ERR_USAGE, "--weights is '%s', expected both, no or yes", value);
}

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
    evaluation_doubt(e->auc_ctr, e->auc_cvr_clicked, e->auc_ctcvr);
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
    uint64_t threads, resamples, seed;
    enum eval_weights weights;
    bool json, calibration, help;
};

enum {
    V_CHECKPOINT = 256,
    V_DATA,
    V_TRUTH,
    V_REFERENCE,
    V_BOOTSTRAP,
    V_SEED,
    V_CALIBRATION,
    V_PICTURE,
    V_WEIGHTS,
    V_THREADS,
    V_KERNEL,
    V_JSON,
    V_HELP
};
static const struct option options[] = {{"checkpoint", required_argument, NULL, V_CHECKPOINT},
                                        {"data", required_argument, NULL, V_DATA},
                                        {"truth", required_argument, NULL, V_TRUTH},
                                        {"reference", required_argument, NULL, V_REFERENCE},
                                        {"bootstrap", required_argument, NULL, V_BOOTSTRAP},
                                        {"seed", required_argument, NULL, V_SEED},
                                        {"calibration", no_argument, NULL, V_CALIBRATION},
                                        {"picture", required_argument, NULL, V_PICTURE},
                                        {"weights", required_argument, NULL, V_WEIGHTS},
                                        {"threads", required_argument, NULL, V_THREADS},
                                        {"kernel", required_argument, NULL, V_KERNEL},
                                        {"json", no_argument, NULL, V_JSON},
                                        {"help", no_argument, NULL, V_HELP},
                                        {NULL, 0, NULL, 0}};
static const char help[] =
    "usage: esmm eval --checkpoint C --data DIR [options]\n\n"
    "Measures a checkpoint on impression shards: exact AUC with ties and 95 % intervals, GAUC by\n"
    "user, average precision, log loss, normalised entropy and calibration, for CTR (all\n"
    "impressions), CVR (clicked) and CTCVR (all); and for each field the share of values that the\n"
    "model has no row of. Shards whose ids were made otherwise than the training data's are refused.\n\n"
    "  --checkpoint C        a checkpoint, a checkpoints directory or a run directory\n"
    "  --data DIR            impression shards (esmm prep); given often, or a pattern: all of them\n"
    "  --truth FILE          of esmm synth: adds CVR over the entire space\n"
    "  --reference C         adds the AUC of CTCVR with p_ctr of this checkpoint instead of the\n"
    "                        model's own, as in the paper's table\n"
    "  --bootstrap N         resamples of the users for the intervals (1000; at least 40, or 0: none)\n"
    "  --seed S              of the resampling (1)\n"
    "  --calibration         adds predicted against observed in 20 buckets of equal count\n"
    "  --picture FILE.svg    draws them\n"
    "  --weights W           both, no or yes: each impression counts 1 and, if the data carry weights\n"
    "                        or a sample rate, a second time its weight; or one of the two (both)\n"
    "  --json                one JSON object instead of the tables\n"
    "  --threads N           shards scored at a time (1)\n"
    "  --kernel K            compute.kernel of docs/config.md (the checkpoint's, where this CPU has it)\n";

static enum status resamples_of(const char *value, uint64_t *out) {
    TRY(option_u64("--bootstrap", value, 0, EVAL_RESAMPLES_MAX, out));
    return *out == 0 || *out >= EVAL_RESAMPLES_MIN
               ? OK
               : fail(ERR_USAGE, "--bootstrap %s: at least %u resamples for a 95 %% interval, or 0",
                      value, EVAL_RESAMPLES_MIN);
}

static enum status apply(void *line, int option, const char *value) {
    struct eval_line *l = line;
    switch (option) {
    case V_CHECKPOINT: l->checkpoint = value; return OK;
    case V_DATA: return paths_add(&l->data, value);
    case V_TRUTH: l->truth = value; return OK;
    case V_REFERENCE: l->reference = value; return OK;
    case V_BOOTSTRAP: return resamples_of(value, &l->resamples);
    case V_SEED: return option_u64("--seed", value, 0, UINT64_MAX, &l->seed);
    case V_CALIBRATION: l->calibration = true; return OK;
    case V_PICTURE: l->picture = value; return OK;
    case V_WEIGHTS: return eval_weights_of(value, &l->weights);
    case V_THREADS: return option_u64("--threads", value, 1, 256, &l->threads);
    case V_KERNEL: l->kernel = value; return OK;
    case V_JSON: l->json = true; return OK;
    default: l->help = true; return OK;
    }
}

static enum status parse(struct eval_line *l, int argc, char **argv) {
    *l = (struct eval_line){.threads = 1, .resamples = EVAL_RESAMPLES, .seed = 1};
    static const int often[] = {V_DATA, 0};
    const struct option_set set = {.table = options, .often = often};
    TRY(options_read(argc, argv, &set, apply, l, &l->help));
    if (l->help) {
        return OK;
    }
    TRY(options_end(argc, argv));
    if (l->checkpoint == NULL || l->data.count == 0) {
        return fail(ERR_USAGE, "%s is missing; see --help",
                    l->checkpoint == NULL ? "--checkpoint" : "--data");
    }
    return OK;
}

static enum status tables(const struct eval_line *l, const struct scorer *scorer,
                          const struct evaluation *e, uint32_t count, struct buf *out) {
    for (uint32_t k = 0; k < count; k++) {
        TRY(evaluation_table(&e[k], out));
        TRY(buf_printf(out, "\n"));
    }
    TRY(scorer_unseen(scorer, out, NULL));
    for (uint32_t k = 0; k < count && l->calibration; k++) {
        TRY(k > 0 ? buf_printf(out, "\nby weight:\n") : OK);
        TRY(evaluation_calibration(&e[k], out));
    }
    return OK;
}

static enum status report(const struct eval_line *l, const struct scorer *scorer,
                          const struct evaluation *e, uint32_t count) {
    struct buf out = BUF_EMPTY;
    struct json j;
    char kernel[KERNEL_NAME_MAX], dirs[PATH_BYTES_MAX];
    enum status status = OK;
    scorer_kernel(scorer, kernel);
    if (l->json) {
        json_init(&j, &out, false);
        json_open(&j, NULL, '{');
        evaluations_json(e, count, &j);
        status = scorer_unseen(scorer, NULL, &j);
        json_str(&j, "checkpoint", scorer_dir(scorer));
        json_u64(&j, "step", scorer_manifest(scorer)->step);
        json_str(&j, "data", dataset_name(&l->data, dirs));
        json_str(&j, "kernel", kernel);
        if (l->reference != NULL) {
            json_str(&j, "reference", l->reference);
        }
        json_close(&j);
        status = status == OK ? j.status : status;
    } else {
        status = tables(l, scorer, e, count, &out);
        if (status == OK) {
            status = buf_printf(&out, "products: %s\n", kernel);
        }
    }
    if (status == OK) {
        fwrite(out.data, 1, out.len, stdout);
        fputs(l->json ? "\n" : "", stdout);
    }
    buf_fini(&out);
    return status;
}

/* The file appears whole. */
static enum status draw(const struct eval_line *l, const struct scorer *scorer,
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

static enum status measure(const struct eval_line *l) {
    struct scorer *scorer = NULL;
    struct score_list reference = {0};
    struct evaluation e[2];
    uint32_t count = 0;
    const uint32_t threads = (uint32_t)l->threads;
    enum status status = OK;
    if (l->picture != NULL) { /* told before the work, not after it */
        TRY_OUT(file_may_replace(l->picture));
    }
    if (l->reference != NULL) {
        TRY_OUT(eval_reference(l->reference, l->kernel, &l->data, threads, &reference));
    }
    TRY_OUT(scorer_create(&scorer, l->checkpoint, l->kernel));
    const struct eval_spec spec = {.data = &l->data,
                                   .truth = l->truth,
                                   .reference = l->reference != NULL ? &reference : NULL,
                                   .threads = threads,
                                   .resamples = (uint32_t)l->resamples,
                                   .seed = l->seed,
                                   .weights = l->weights};
    TRY_OUT(eval_run(scorer, &spec, e, &count));
    if (l->picture != NULL) { /* of both, unweighted */
        TRY_OUT(draw(l, scorer, e));
    }
    TRY_OUT(report(l, scorer, e, count));
out:
    score_list_fini(&reference);
    scorer_destroy(&scorer);
    return status;
}

enum status tool_eval(int argc, char **argv) {
    struct eval_line l;
    enum status status = parse(&l, argc, argv);
    if (status == OK && l.help) {
        fputs(help, stdout);
    } else if (status == OK) {
        status = measure(&l);
    }
    file_list_free(&l.data);
    return status;
}
