#include "predict.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/lock.h"
#include "common/base/mem.h"
#include "common/base/rank.h"
#include "common/data/dataset.h"
#include "common/data/shard.h"
#include "tools/common/tools.h"

#define FLUSH_BYTES ((size_t)1 << 20)

struct csv {
    enum score_form form;
    struct file file;
    struct buf text;
    uint64_t lines;
};

static enum status csv_flush(struct csv *c) {
    const enum status status =
        c->text.len == 0 ? OK : file_write(&c->file, c->text.data, c->text.len);
    buf_clear(&c->text);
    return status;
}

/* Writes a cell, which is empty if the model does not predict the value. */
static enum status csv_cell(struct buf *out, double p) {
    return isnan(p) ? buf_printf(out, ",") : buf_printf(out, ",%.9g", p);
}

static enum status csv_take(void *arg, const struct score *scores, size_t n) {
    struct csv *c = arg;
    for (size_t i = 0; i < n; i++) {
        const struct score_rates p = score_rates(&scores[i], c->form);
        TRY(buf_printf(&c->text, "%llu", (unsigned long long)scores[i].impression_id));
        TRY(csv_cell(&c->text, p.ctr));
        TRY(csv_cell(&c->text, p.cvr));
        TRY(csv_cell(&c->text, p.ctcvr));
        TRY(buf_put_u8(&c->text, '\n'));
        if (c->text.len >= FLUSH_BYTES) {
            TRY(csv_flush(c));
        }
    }
    c->lines += n;
    return OK;
}

/* Checks that no two directories have the same impression id, because a line of predictions names
 * its impression only by the id. (Records of a stream repeat ids, but only within a directory.) */
static enum status check_ids(const struct file_list *dirs) {
    const struct schema none = {0};
    struct dataset d = {0};
    struct shard s = {0};
    struct ranked *ids = NULL;
    size_t n = 0, cap = 0;
    enum status status = OK;
    TRY_OUT(dataset_read_all(&d, dirs, NULL));
    for (uint32_t k = 0; k < d.shard_count; k++) {
        const struct shard_info *info = &d.shards[k];
        TRY_OUT(shard_read(&s, dataset_dir(&d, info), info->name, &none));
        TRY_OUT(mem_room(&ids, &cap, n + s.impressions));
        for (uint32_t i = 0; i < s.impressions; i++) {
            ids[n++] = (struct ranked){s.impression_id[i], info->dir};
        }
        shard_free(&s);
    }
    TRY_OUT(rank_sort(ids, n));
    for (size_t i = 1; i < n; i++) {
        if (ids[i].key == ids[i - 1].key && ids[i].tag != ids[i - 1].tag) {
            TRY_OUT(
                fail(ERR_CONFIG,
                     "impression %llu is in %s and in %s: predictions of both could not be told "
                     "apart. Predict one directory at a time; logs without a column of ids have "
                     "line numbers for ids, which esmm prep counts on over logs that it is "
                     "given together",
                     (unsigned long long)ids[i].key, d.dirs.names[ids[i - 1].tag],
                     d.dirs.names[ids[i].tag]));
        }
    }
out:
    shard_free(&s);
    mem_free(&ids);
    dataset_free(&d);
    return status;
}

enum status predict_csv(struct scorer *scorer, const struct file_list *data, uint32_t threads,
                        const char *path, uint64_t *lines) {
    struct csv c = {.form = scorer_form(scorer), .file = FILE_CLOSED};
    struct lock lock = LOCK_NONE;
    enum status status = OK;
    TRY_OUT(file_may_replace(path));
    TRY_OUT(data->count > 1 ? check_ids(data) : OK);
    TRY_OUT(lock_take_beside(&lock, path));
    TRY_OUT(file_create(&c.file, path));
    TRY_OUT(buf_printf(&c.text, "impression_id,p_ctr,p_cvr,p_ctcvr\n"));
    TRY_OUT(scorer_score(scorer, data, threads, (struct scorer_sink){csv_take, &c}));
    TRY_OUT(csv_flush(&c));
    TRY_OUT(file_publish(&c.file, true));
    *lines = c.lines;
out:
    file_abandon(&c.file);
    buf_fini(&c.text);
    lock_release(&lock);
    return status;
}

/* --- the command ------------------------------------------------------------------------------ */

struct predict_line {
    const char *checkpoint, *out, *kernel;
    struct file_list data;
    uint32_t threads;
};

static enum status predict_report(const struct predict_line *l, const struct scorer *scorer,
                                  uint64_t lines) {
    struct buf out = BUF_EMPTY;
    enum status status = OK;
    TRY_OUT(buf_printf(&out, "%s: %llu impressions, step %llu\n", l->out, (unsigned long long)lines,
                       (unsigned long long)scorer_manifest(scorer)->step));
    TRY_OUT(scorer_unseen(scorer, &out, NULL));
    fwrite(out.data, 1, out.len, stdout);
out:
    buf_fini(&out);
    return status;
}

static enum status predict_start(void *line) {
    const struct predict_line *l = line;
    struct scorer *scorer = NULL;
    uint64_t lines = 0;
    TRY(scorer_create(&scorer, l->checkpoint, l->kernel));
    enum status status = predict_csv(scorer, &l->data, l->threads, l->out, &lines);
    if (status == OK) {
        status = predict_report(l, scorer, lines);
    }
    scorer_destroy(&scorer);
    return status;
}

static void predict_fini(void *line) {
    file_list_free(&((struct predict_line *)line)->data);
}

static const struct option_row predict_rows[] = {
    SCORE_CHECKPOINT_ROW(struct predict_line),
    SCORE_DATA_ROW(struct predict_line),
    {"out", "FILE.csv", OPTION_TEXT, OPTION_AT(struct predict_line, out), .required = true,
     .help = "appears when everything is written"},
    SCORE_THREADS_ROW(struct predict_line),
    SCORE_KERNEL_ROW(struct predict_line),
    {NULL}};
const struct command command_predict = {
    .name = "predict",
    .summary = "p_ctr, p_cvr, p_ctcvr of every impression",
    .about =
        "Writes impression_id,p_ctr,p_cvr,p_ctcvr of every impression, in the order of the "
        "shards. What the model does not predict (base has no p_ctr) is an empty cell. A model "
        "that learns p_ctcvr instead of p_cvr (division, aitm) has p_cvr = p_ctcvr / p_ctr, "
        "unclipped: it may exceed 1. Says for each field which share of its values the model "
        "has no row of. Shards whose ids were made otherwise than the training data's are "
        "refused.",
    .groups = (const struct option_group[]){{NULL, predict_rows}, {0}},
    .line_bytes = sizeof(struct predict_line),
    .run = predict_start,
    .fini = predict_fini};
