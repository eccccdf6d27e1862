/* resume.c - finds where a job starts: at its newest good checkpoint (newest.h), or afresh.
 *
 * A resumed job must be the same job. Only together with the data, the batch size, the seed and the
 * shuffling does a batch name stand for certain impressions: if any of these differs, the names
 * that a checkpoint calls done stand for other impressions. Parameters have a meaning only together
 * with the shape of the model. So all these are compared, and a difference refuses the resume. More
 * epochs or another learning rate are allowed.
 *
 * For a stream, only the fields and the batches of each shard that the run knew can be compared.
 * The producer promises that the shards behind those names are the same (shard_stream.h).
 */
#include <stdio.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/checkpoint/manifest.h"
#include "common/data/data_fit.h"
#include "state.h"

/* Compares the settings that give batches and parameters their meaning. */
static enum status same_config(const struct config *was, const struct config *now) {
    static const char *const keys[] = {"train.seed",
                                       "train.shuffle",
                                       "model.name",
                                       "model.input",
                                       "model.tower",
                                       "model.behaviours",
                                       "model.experts",
                                       "model.levels",
                                       "train.sample_correction",
                                       NULL};
    static const char *const delay[] = {"model.delay", NULL};
    const struct method a = method_with(was->model, was->behaviours, was->delay),
                        b = method_with(now->model, now->behaviours, now->delay);
    TRY(config_same(was, now, keys));
    for (uint32_t k = 0; k < TOWERS_MAX;
         k++) { /* model.delay may change if the towers stay the same */
        const char *x = k < a.towers ? a.tower[k] : "", *y = k < b.towers ? b.tower[k] : "";
        TRY(strcmp(x, y) == 0 ? OK : config_same(was, now, delay));
    }
    return OK;
}

/* Compares the shape of rows and the meaning of their state. Servers also compare them with the
 * parts (ps/restore.c), but a job that they would refuse must not even begin. */
static enum status same_tables(const struct config *was, const struct config *now,
                               const struct schema *schema) {
    static const char *const names[] = {"dim", "optimizer", NULL};
    static const char *const dense[] = {"dense.optimizer", NULL};
    for (uint32_t f = 0; f < schema->count; f++) {
        TRY(config_same_table(was, now, schema->fields[f].name, names));
    }
    return config_same(was, now, dense);
}

/* Differing ids are reported first: they are the usual reason why data do not match. */
static enum status same_fields(const struct coord *c, const struct manifest *m, const char *dir) {
    const struct fit_side model = fit_side_checkpoint(&m->schema, &m->fields, dir);
    const struct fit_side data = fit_side_data(&c->data);
    struct buf doubts = BUF_EMPTY;
    const enum status status =
        field_schemas_match(model.fields, model.says, data.fields, data.says, &doubts);
    if (!c->looking) {
        data_fit_log(&doubts);
    }
    buf_fini(&doubts);
    return status == ERR_CONFIG ? fail(status, "cannot resume from %s: %s", dir, fail_text())
                                : status;
}

/* Names of batches have a meaning only with the order that they were cut in. */
static enum status same_order(const struct config *was, const struct config *now) {
    static const char *const keys[] = {"train.window", "train.run", NULL};
    return config_same(was, now, keys) == OK
               ? OK
               : fail(ERR_CONFIG, "%s: resume with --set train.window=%u --set train.run=%u",
                      fail_text(), was->window, was->run);
}

/* What is shared may come from train.share_bags=auto, so the fields are compared. */
static enum status same_shared(const struct coord *c, const struct config *was) {
    static const char *const names[] = {
        [SHARE_AUTO] = "auto", [SHARE_NEVER] = "never", [SHARE_ALWAYS] = "always"};
    const struct shared_fields a = data_ranges_shared(was, &c->data);
    const struct shared_fields b = data_ranges_shared(c->config, &c->data);
    return memcmp(a.field, b.field, sizeof a.field) == 0
               ? OK
               : fail(ERR_CONFIG, "train.share_bags was %s, now %s", names[was->share_bags],
                      names[c->config->share_bags]);
}

static enum status same_batches(struct coord *c, const struct manifest *m, const char *dir) {
    const struct ranges *r = &c->ranges;
    if (c->options->stream) {
        TRY(stream_plan_restore(c, m->shards, dir));
    }
    if (m->shards != r->count ||
        memcmp(m->batches_per_shard, r->batches, m->shards * sizeof *r->batches) != 0) {
        return fail(ERR_CONFIG,
                    "cannot resume from %s: its batches were cut differently "
                    "(train.batch is %u now)",
                    dir, c->config->batch);
    }
    return OK;
}

static enum status same_settings(struct coord *c, const struct manifest *m, const char *dir,
                                 const struct config *before) {
    enum status status = c->options->stream ? OK : same_order(before, c->config);
    if (status == OK && !c->options->stream) {
        status = same_shared(c, before);
    }
    if (status == OK) {
        TRY(same_batches(c, m, dir));
        status = same_config(before, c->config);
    }
    if (status == OK) {
        status = same_tables(before, c->config, &m->schema);
    }
    return status == OK ? OK : fail(status, "cannot resume from %s: %s", dir, fail_text());
}

static enum status same_job(struct coord *c, const struct manifest *m, const char *dir) {
    char name[PATH_BYTES_MAX];
    TRY(same_fields(c, m, dir));
    if (m->data_checksum != c->data_checksum) {
        return fail(ERR_CONFIG, "cannot resume from %s: it was trained on other data than %s%s",
                    dir, dataset_name(c->options->data, name),
                    c->options->data->count > 1 ? ", or on these in another order" : "");
    }
    if (m->sample_rate != c->data.sample_rate) { /* only a stream's checksum does not cover it */
        return fail(ERR_CONFIG,
                    "cannot resume from %s: its data kept %g of the unclicked impressions, "
                    "those of %s %g",
                    dir, m->sample_rate, dataset_name(c->options->data, name), c->data.sample_rate);
    }
    struct config *before = NULL;
    TRY(mem_new(&before));
    enum status status = manifest_config(m, dir, before);
    if (status == OK) {
        status = same_settings(c, m, dir, before);
    }
    mem_free(&before);
    return status;
}

/* What the checkpoint says of where the job is. */
static enum status take_over(struct coord *c, const struct manifest *m, const char *dir,
                             struct applied **done) {
    TRY(applied_decode(done, m->applied, m->applied_bytes, c->ranges.batches, c->ranges.count));
    c->restored_step = m->step;
    c->checkpoints.base = checkpoints_as_base(m);
    c->restored_epoch = applied_base(*done);
    c->job_plan.rate_ctr = m->rate_ctr; /* for a stream; other jobs compute theirs again */
    c->job_plan.rate_cvr = m->rate_cvr;
    c->resume_bytes = manifest_bytes(m);
    TRY(path_resolve(c->resume_dir, dir));
    memcpy(c->checkpoints.newest, c->resume_dir, sizeof c->checkpoints.newest);
    c->checkpoints.newest_step = c->restored_step;
    c->checkpoints.newest_cut = m->cut;
    return OK;
}

/* again: for a rollback, to a checkpoint that this run has made or found to be of this job. */
static enum status resume_from(struct coord *c, const char *dir, bool again,
                               struct applied **done) {
    struct manifest *m = NULL;
    TRY(mem_new(&m));
    enum status status = manifest_read(m, dir);
    if (status == OK) {
        status = again ? OK : same_job(c, m, dir);
        if (status == OK) {
            status = take_over(c, m, dir, done);
        }
        manifest_free(m);
    }
    mem_free(&m);
    return status;
}

static enum status start_afresh(const struct coord *c, struct applied **done) {
    return c->options->stream ? applied_create_open(done)
                              : applied_create(done, c->ranges.batches, c->ranges.count);
}

/* Damaged checkpoints that were passed over go out of the way, so that nobody takes them for the
 * newest again. One that cannot be renamed stays: it would only be passed over again. */
static void set_aside(struct coord *c) {
    char text[FAIL_TEXT_BYTES + 2 * PATH_BYTES_MAX];
    for (size_t i = 0; i < c->resumed.passed_count && !c->looking; i++) {
        newest_say(&c->resumed, i, text, sizeof text);
        log_warn("%s", text);
        if (newest_set_aside(c->resumed.passed[i].dir) != OK) {
            log_warn("it stays where it is: %s", fail_text());
        }
    }
    c->checkpoints.damaged += c->looking ? 0 : (uint32_t)c->resumed.passed_count;
}

enum status resume_find(struct coord *c, struct applied **done) {
    struct newest *found = &c->resumed;
    newest_free(found);
    enum status status = newest_good(c->root, found);
    if (status == OK && !c->options->resume) {
        return fail(ERR_EXISTS,
                    "%s already holds a run (newest checkpoint %s): resume it, or "
                    "choose another output directory",
                    c->out_dir, found->dir);
    }
    if (status == OK) {
        TRY(resume_from(c, found->dir, false, done));
        set_aside(c);
        return OK;
    }
    return status == ERR_NOT_FOUND ? start_afresh(c, done) : status;
}

enum status resume_again(struct coord *c, struct applied **done) {
    newest_free(&c->resumed);
    const enum status status = newest_good(c->root, &c->resumed);
    if (status == OK) {
        TRY(resume_from(c, c->resumed.dir, true, done));
        set_aside(c);
        resume_events(c);
        return OK;
    }
    c->resume_dir[0] = c->checkpoints.newest[0] = '\0';
    c->checkpoints.newest_cut = 0;
    c->checkpoints.base = (struct manifest_base){0};
    c->restored_step = c->resume_bytes = 0;
    c->restored_epoch = 0;
    return status == ERR_NOT_FOUND ? start_afresh(c, done) : status;
}

void resume_events(struct coord *c) {
    for (size_t i = 0; i < c->resumed.passed_count; i++) {
        const struct newest_passed *p = &c->resumed.passed[i];
        struct json *j = event_log_event(&c->event_log, "checkpoint_damaged");
        json_str(j, "path", p->dir);
        json_u64(j, "step", p->step);
        json_u64(j, "step_resumed", c->resumed.step);
        if (p->counted && p->impressions >= c->resumed.impressions) {
            json_u64(j, "impressions_lost", p->impressions - c->resumed.impressions);
        } else {
            json_null(j, "impressions_lost");
        }
        json_str(j, "cause", p->why);
        event_log_event_end(&c->event_log);
    }
}
