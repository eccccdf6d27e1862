#include "predict.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/lock.h"
#include "tools/common/options.h"
#include "tools/common/paths.h"
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
    uint64_t threads;
    bool help;
};

enum { P_CHECKPOINT = 256, P_DATA, P_OUT, P_THREADS, P_KERNEL, P_HELP };
static const struct option options[] = {{"checkpoint", required_argument, NULL, P_CHECKPOINT},
                                        {"data", required_argument, NULL, P_DATA},
                                        {"out", required_argument, NULL, P_OUT},
                                        {"threads", required_argument, NULL, P_THREADS},
                                        {"kernel", required_argument, NULL, P_KERNEL},
                                        {"help", no_argument, NULL, P_HELP},
                                        {NULL, 0, NULL, 0}};
static const char help[] =
    "usage: esmm predict --checkpoint C --data DIR --out FILE.csv [options]\n\n"
    "Writes impression_id,p_ctr,p_cvr,p_ctcvr of every impression, in the order of the shards.\n"
    "What the model does not predict (base has no p_ctr) is an empty cell. A model that learns\n"
    "p_ctcvr instead of p_cvr (division, aitm) has p_cvr = p_ctcvr / p_ctr, unclipped: it may exceed 1.\n"
    "Says for each field which share of its values the model has no row of. Shards whose ids were made\n"
    "otherwise than the training data's are refused.\n\n"
    "  --checkpoint C        a checkpoint, a checkpoints directory or a run directory\n"
    "  --data DIR            impression shards (esmm prep); given often, or a pattern: all of them\n"
    "  --out FILE            appears when everything is written\n"
    "  --threads N           shards scored at a time (1)\n"
    "  --kernel K            compute.kernel of docs/config.md (the checkpoint's, where this CPU has it)\n";

static enum status apply(void *line, int option, const char *value) {
    struct predict_line *l = line;
    switch (option) {
    case P_CHECKPOINT: l->checkpoint = value; return OK;
    case P_DATA: return paths_add(&l->data, value);
    case P_OUT: l->out = value; return OK;
    case P_THREADS: return option_u64("--threads", value, 1, 256, &l->threads);
    case P_KERNEL: l->kernel = value; return OK;
    default: l->help = true; return OK;
    }
}

static enum status parse(struct predict_line *l, int argc, char **argv) {
    *l = (struct predict_line){.threads = 1};
    static const int often[] = {P_DATA, 0};
    const struct option_set set = {.table = options, .often = often};
    TRY(options_read(argc, argv, &set, apply, l, &l->help));
    if (l->help) {
        return OK;
    }
    TRY(options_end(argc, argv));
    if (l->checkpoint == NULL || l->data.count == 0 || l->out == NULL) {
        return fail(ERR_USAGE, "%s is missing; see --help",
                    l->checkpoint == NULL ? "--checkpoint"
                    : l->data.count == 0  ? "--data"
                                          : "--out");
    }
    return OK;
}

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

static enum status predict(const struct predict_line *l) {
    struct scorer *scorer = NULL;
    uint64_t lines = 0;
    TRY(scorer_create(&scorer, l->checkpoint, l->kernel));
    enum status status = predict_csv(scorer, &l->data, (uint32_t)l->threads, l->out, &lines);
    if (status == OK) {
        status = report(l, scorer, lines);
    }
    scorer_destroy(&scorer);
    return status;
}

enum status tool_predict(int argc, char **argv) {
    struct predict_line l;
    enum status status = parse(&l, argc, argv);
    if (status == OK && l.help) {
        fputs(help, stdout);
    } else if (status == OK) {
        status = predict(&l);
    }
    file_list_free(&l.data);
    return status;
}
