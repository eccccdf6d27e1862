#include "predict.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/lock.h"
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

/* A cell; empty for what the model does not predict. */
static enum status cell(struct buf *out, double p) {
    return isnan(p) ? buf_printf(out, ",") : buf_printf(out, ",%.9g", p);
}

static enum status csv_take(void *arg, const struct score *scores, size_t n) {
    struct csv *c = arg;
    for (size_t i = 0; i < n; i++) {
        const struct score_rates p = score_rates(&scores[i], c->form);
        TRY(buf_printf(&c->text, "%llu", (unsigned long long)scores[i].impression_id));
        TRY(cell(&c->text, p.ctr));
        TRY(cell(&c->text, p.cvr));
        TRY(cell(&c->text, p.ctcvr));
        TRY(buf_put_u8(&c->text, '\n'));
        if (c->text.len >= FLUSH_BYTES) {
            TRY(csv_flush(c));
        }
    }
    c->lines += n;
    return OK;
}

enum status predict_csv(struct scorer *scorer, const struct file_list *data, uint32_t threads,
                        const char *path, uint64_t *lines) {
    char temporary[PATH_BYTES_MAX];
    struct csv c = {.form = scorer_form(scorer), .file = FILE_CLOSED};
    struct lock lock = LOCK_NONE;
    bool made = false;
    enum status status = OK;
    if ((size_t)snprintf(temporary, sizeof temporary, "%s.tmp", path) >= sizeof temporary) {
        return fail(ERR_LIMIT, "--out is longer than %d bytes", PATH_BYTES_MAX - 5);
    }
    TRY_OUT(file_may_replace(path));
    TRY_OUT(lock_take_beside(&lock, path));
    TRY_OUT(file_open_write(&c.file, temporary));
    made = true;
    TRY_OUT(buf_printf(&c.text, "impression_id,p_ctr,p_cvr,p_ctcvr\n"));
    TRY_OUT(scorer_score(scorer, data, threads, (struct scorer_sink){csv_take, &c}));
    TRY_OUT(csv_flush(&c));
    TRY_OUT(file_sync(&c.file));
    TRY_OUT(file_close(&c.file));
    TRY_OUT(file_rename(temporary, path));
    *lines = c.lines;
out:
    if (status != OK && made) {
        struct cause cause = {0};
        cause_keep(&cause, status);
        (void)file_close(&c.file);
        (void)file_remove(temporary);
        (void)cause_again(&cause);
    }
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

static enum status report(const struct predict_line *l, const struct scorer *scorer,
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
        status = report(l, scorer, lines);
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
