#include "eval.h"

#include <stdio.h>

#include "common/json.h"
#include "common/mem.h"
#include "options.h"
#include "tools.h"
#include "truth.h"

void score_list_fini(struct score_list *list) {
    mem_free(&list->scores);
    list->count = list->cap = 0;
}

enum status score_list_take(void *arg, const struct score *scores, size_t n) {
    struct score_list *list = arg;
    if (list->count + n > list->cap) {
        const size_t cap = list->count + n > 2 * list->cap ? list->count + n : 2 * list->cap;
        TRY(mem_grow((void **)&list->scores, list->cap * sizeof *scores, cap * sizeof *scores));
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
    TRY_OUT(mem_array((void **)truth, list->count, sizeof **truth));
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

enum status eval_run(struct local *local, const char *data_dir, const char *truth_path,
                     uint32_t threads, struct evaluation *e) {
    struct score_list list = {0};
    float *truth = NULL;
    enum status status = OK;
    TRY_OUT(local_score(local, data_dir, threads, (struct local_sink){score_list_take, &list}));
    TRY_OUT(join_truth(&list, truth_path, &truth));
    TRY_OUT(evaluation_compute(e, list.scores, list.count, truth));
out:
    mem_free(&truth);
    score_list_fini(&list);
    return status;
}

/* --- the command ----------------------------------------------------------------------------- */

struct eval_line {
    const char *checkpoint, *data, *truth;
    uint64_t threads;
    bool json, help;
};

enum { V_CHECKPOINT = 256, V_DATA, V_TRUTH, V_THREADS, V_JSON, V_HELP };
static const struct option options[] = {{"checkpoint", required_argument, NULL, V_CHECKPOINT},
                                        {"data", required_argument, NULL, V_DATA},
                                        {"truth", required_argument, NULL, V_TRUTH},
                                        {"threads", required_argument, NULL, V_THREADS},
                                        {"json", no_argument, NULL, V_JSON},
                                        {"help", no_argument, NULL, V_HELP},
                                        {NULL, 0, NULL, 0}};
static const char help[] =
    "usage: esmm eval --checkpoint C --data DIR [--truth FILE] [--json] [--threads N]\n\n"
    "Measures a checkpoint on impression shards: exact AUC with ties, GAUC by user, log loss, and\n"
    "predicted over observed, for CTR (all impressions), CVR (clicked) and CTCVR (all).\n\n"
    "  --checkpoint C        a checkpoint, a checkpoints directory or a run directory\n"
    "  --data DIR            impression shards (esmm prep)\n"
    "  --truth FILE          of esmm synth: adds CVR over the entire space\n"
    "  --json                one JSON object instead of a table\n"
    "  --threads N           shards scored at a time (1)\n";

static enum status apply(void *line, int option, const char *value) {
    struct eval_line *l = line;
    switch (option) {
    case V_CHECKPOINT: l->checkpoint = value; return OK;
    case V_DATA: l->data = value; return OK;
    case V_TRUTH: l->truth = value; return OK;
    case V_THREADS: return option_u64("--threads", value, 1, 256, &l->threads);
    case V_JSON: l->json = true; return OK;
    default: l->help = true; return OK;
    }
}

static enum status parse(struct eval_line *l, int argc, char **argv) {
    *l = (struct eval_line){.threads = 1};
    TRY(options_read(argc, argv, options, apply, l, &l->help));
    if (l->help) {
        return OK;
    }
    TRY(options_end(argc, argv));
    if (l->checkpoint == NULL || l->data == NULL) {
        return fail(ERR_USAGE, "%s is missing; see --help",
                    l->checkpoint == NULL ? "--checkpoint" : "--data");
    }
    return OK;
}

static enum status report(const struct eval_line *l, const struct local *local,
                          const struct evaluation *e) {
    struct buf out = BUF_EMPTY;
    struct json j;
    enum status status = OK;
    if (l->json) {
        json_init(&j, &out, false);
        json_open(&j, NULL, '{');
        evaluation_json(e, &j);
        json_str(&j, "checkpoint", local_dir(local));
        json_u64(&j, "step", local_manifest(local)->step);
        json_str(&j, "data", l->data);
        json_close(&j);
        status = j.status;
    } else {
        status = evaluation_table(e, &out);
    }
    if (status == OK) {
        fwrite(out.data, 1, out.len, stdout);
        fputs(l->json ? "\n" : "", stdout);
    }
    buf_fini(&out);
    return status;
}

enum status tool_eval(int argc, char **argv) {
    struct eval_line l;
    struct local *local = NULL;
    struct evaluation e;
    TRY(parse(&l, argc, argv));
    if (l.help) {
        fputs(help, stdout);
        return OK;
    }
    enum status status = local_create(&local, l.checkpoint);
    if (status == OK) {
        status = eval_run(local, l.data, l.truth, (uint32_t)l.threads, &e);
    }
    if (status == OK) {
        status = report(&l, local, &e);
    }
    local_destroy(&local);
    return status;
}
