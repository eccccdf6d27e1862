/* train_doubts.c - checks a job before it begins and reports on the terminal. The coordinator makes
 * most of these checks too, but writes the results into its log. */
#include "train_doubts.h"

#include <stdio.h>

#include "common/data/data_fit.h"
#include "common/data/data_ranges.h"
#include "common/data/drift.h"
#include "common/base/file.h"
#include "common/checkpoint/newest.h"
#include "common/base/mem.h"
#include "summary_view.h"
#include "worker/kernel/kernel.h"

enum status train_read_data(struct dataset *data, const struct job *j) {
    struct buf doubts = BUF_EMPTY;
    const enum status status = dataset_read_all(data, &j->data, &doubts);
    print_warnings(&doubts);
    buf_fini(&doubts);
    return status;
}

static enum status eval_fits(const struct job *j, const struct dataset *data) {
    struct dataset eval = {0};
    struct buf doubts = BUF_EMPTY;
    enum status status = OK;
    if (j->eval.count == 0) {
        return OK;
    }
    TRY_OUT(dataset_read_all(&eval, &j->eval, &doubts));
    const struct fit_side trained = fit_side_data(data), judged = fit_side_data(&eval);
    status = data_fit(&trained, &judged, &doubts);
    print_warnings(&doubts);
out:
    buf_fini(&doubts);
    dataset_free(&eval);
    return status;
}

/* Tells of damaged checkpoints that the job will pass over. */
static void warn_of_damage(const struct newest *found) {
    char text[FAIL_TEXT_BYTES + 2 * PATH_BYTES_MAX];
    for (size_t i = 0; i < found->passed_count; i++) {
        newest_say(found, i, text, sizeof text);
        fprintf(stderr, "warning: %s\n", text);
    }
}

static enum status resume_fits(const struct job *j, const struct dataset *data) {
    struct newest found = {0};
    struct manifest m = {0};
    struct buf doubts = BUF_EMPTY;
    enum status status = OK;
    if (job_resumes_from(j, &found) != OK) { /* the coordinator decides this */
        goto out;
    }
    warn_of_damage(&found);
    TRY_OUT(manifest_read(&m, found.dir));
    const struct fit_side model = fit_side_checkpoint(&m.schema, &m.fields, found.dir),
                          now = fit_side_data(data);
    status = field_schemas_match(model.fields, model.says, now.fields, now.says, &doubts);
    print_warnings(&doubts);
out:
    buf_fini(&doubts);
    manifest_free(&m);
    newest_free(&found);
    return status == ERR_CONFIG ? fail(status, "cannot resume: %s", fail_text()) : status;
}

/* Checks that this machine has the kernel. All workers run here, so a missing kernel would end each
 * of them; this is reported before anything is made. */
static enum status kernel_is_here(const struct config *config) {
    const struct kernel *kernel;
    return kernel_find(config->kernel, config->precision, &kernel);
}

enum status train_fits(const struct job *j, const struct dataset *data) {
    char dirs[PATH_BYTES_MAX];
    TRY(streams_fit(j->config.delay, data->stream, dataset_name(&j->data, dirs)));
    TRY(eval_fits(j, data));
    TRY(kernel_is_here(&j->config));
    return resume_fits(j, data);
}

/* --- warnings --------------------------------------------------------------------------------- */

/* Warns if the model learns from behaviours between click and conversion, but the data have none.
 * Such a model would train, but be no better than esmm. For a stream that has begun, the first
 * shard is checked. If a shard cannot be read, the job itself reports it. */
static void warn_of_no_behaviours(const struct job *j, const struct dataset *data) {
    const struct config *c = &j->config;
    struct dataset_contents all = {0};
    struct shard_info first = {0};
    char name[sizeof first.name], dirs[PATH_BYTES_MAX];
    const bool wants = c->model == MODEL_ESM2 || (c->model == MODEL_CHAIN && c->behaviours > 0);
    shard_name(0, name);
    if (!wants ||
        (j->stream ? shard_peek(j->data.names[0], name, &first) : dataset_peek(data, &all)) != OK) {
        return;
    }
    if ((all.behaviours | first.behaviours) == 0) {
        fprintf(stderr,
                "warning: model.name = %s learns from behaviours after the click, and %s%s "
                "has none (docs/prep.md: log.behaviours)\n",
                c->model == MODEL_ESM2 ? "esm2" : "chain", j->stream ? "the first shard of " : "",
                dataset_name(&j->data, dirs));
    }
}

/* Warns if too many batches are under way at once: parameters are then as many batches old. The
 * fewer steps a job has, the more that costs. docs/quality.md found that a hundredth of the steps
 * is harmless, and one or two batches in any case. */
static void warn_of_staleness(const struct job *j, uint64_t impressions) {
    const struct config *c = &j->config;
    const uint64_t steps = impressions / c->batch;
    const uint64_t others = (uint64_t)j->workers * j->threads - 1;
    if (j->stream || c->deterministic || others < 3 || others * 100 <= steps) {
        return;
    }
    fprintf(stderr,
            "warning: in %llu batches of %u, each is computed with parameters %s %llu batches old: "
            "fewer workers or threads, or a smaller train.batch, train better (docs/train.md)\n",
            (unsigned long long)steps, c->batch,
            c->consistency == CONSISTENCY_ASYNC ? "about" : "up to", (unsigned long long)others);
}

/* Warns of the order of the data where each batch is cut from one shard. A stream's order cannot
 * be changed, and records are not a log, so both are skipped. */
static enum status warn_of_order(const struct job *j, const struct dataset *data) {
    struct drift_counts *parts = NULL;
    if (j->stream || data->stream[0] != '\0' || data_ranges_mix(&j->config)) {
        return OK;
    }
    TRY(mem_array(&parts, data->shard_count));
    for (uint32_t s = 0; s < data->shard_count; s++) {
        const struct shard_info *info = &data->shards[s];
        parts[s] = (struct drift_counts){info->impressions, info->clicks, info->conversions};
    }
    const struct drift_finding f = drift_judge(parts, data->shard_count, data->groups);
    if (f.found) {
        const struct shard_info *info = &data->shards[f.part];
        fprintf(
            stderr,
            "warning: the data look sorted by %s: %s/%s has a share of %.3g %s, all shards %.3g "
            "(%zu of %u stand out); batches are cut from one shard each: train.window mixes "
            "shards (docs/train.md), and esmm prep --shuffle all the log (docs/prep.md)\n",
            f.conversions ? "conversion" : "click", dataset_dir(data, info), info->name, f.share,
            f.conversions ? "of conversions among its clicks" : "of clicks", f.mean, f.parts,
            data->shard_count);
    }
    mem_free(&parts);
    return OK;
}

/* Warns if the job may wait forever: a stream ends with a file `end`, which an ordinary directory
 * never gets. */
static enum status warn_of_waiting(const struct job *j, const struct dataset *data) {
    char last[PATH_BYTES_MAX], end[PATH_BYTES_MAX];
    if (!j->stream || data->shard_count == 0) {
        return OK;
    }
    const char *dir = j->data.names[0];
    TRY(path_join(last, dir, data->shards[data->shard_count - 1].name));
    TRY(path_join(end, dir, "end"));
    if (file_exists(last) && !file_exists(end)) {
        fprintf(stderr,
                "warning: %s has all %u shards of its manifest and no file 'end': as a stream it "
                "is waited on for more. Train on it with --data, or say that nothing comes any "
                "more: touch %s\n",
                dir, data->shard_count, end);
    }
    return OK;
}

enum status train_warn(const struct job *j, const struct dataset *data, uint64_t impressions) {
    warn_of_no_behaviours(j, data);
    warn_of_staleness(j, impressions);
    TRY(warn_of_waiting(j, data));
    return warn_of_order(j, data);
}
