/* setup.c - determines what a job is: its data, its plan of batches, and where it starts.
 *
 * The rates of clicks and conversions (each impression counted by its weight) give the initial
 * biases. Those of a stream are taken from its first shard, whatever the manifest says by now, so
 * that a job that follows the stream later has the same rates. A resumed job has the rates of its
 * checkpoint (resume.c).
 */
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/entropy.h"
#include "common/data/data_fit.h"
#include "common/base/log.h"
#include "common/checkpoint/manifest.h"
#include "common/base/mem.h"
#include "common/fault/fault.h"
#include "state.h"

static enum status resolve_all(const struct file_list *dirs, struct file_list *out) {
    char path[PATH_BYTES_MAX];
    for (size_t k = 0; k < dirs->count; k++) {
        TRY(path_resolve(path, dirs->names[k]));
        TRY(file_list_add(out, path));
    }
    return OK;
}

static enum status read_stream(struct coord *c) {
    const char *dir = c->options->data->names[0];
    if (c->config->epochs != 1) {
        return fail(ERR_CONFIG, "train.epochs is %u, but a stream is read once: %s",
                    c->config->epochs, dir);
    }
    c->data_checksum = shard_stream_checksum(&c->data.schema);
    shard_stream_init(&c->stream, dir);
    struct shard_info first;
    char name[sizeof first.name];
    shard_name(0, name);
    TRY(shard_stream_wait(dir));
    TRY(shard_peek(dir, name, &first));
    c->data.impressions = first.impressions;
    c->data.clicks = first.clicks;
    c->data.conversions = first.conversions;
    c->data.weights = first.weights;
    return OK;
}

static enum status eval_fits(const struct coord *c) {
    const struct fit_side model = fit_side_data(&c->data);
    const struct fit_side data = fit_side_data(&c->eval);
    struct buf doubts = BUF_EMPTY;
    const enum status status = data_fit(&model, &data, &doubts);
    data_fit_log(&doubts);
    buf_fini(&doubts);
    return status;
}

static enum status read_data(struct coord *c) {
    const struct coord_options *o = c->options;
    char name[PATH_BYTES_MAX];
    TRY(data_fit_read(&c->data, o->data));
    TRY(streams_fit(c->config->delay, c->data.stream, dataset_name(o->data, name)));
    TRY(data_fit_labels(c->config, &c->data, name));
    if (o->stream) {
        TRY(read_stream(c));
    } else if (c->data.impressions == 0) {
        return fail(ERR_CONFIG, "%s holds no impressions", dataset_name(o->data, name));
    } else if (c->data.weights.all == 0) {
        return fail(ERR_CONFIG, "%s: every impression has weight 0, nothing would be learnt",
                    dataset_name(o->data, name));
    } else {
        TRY(dataset_identity(o->data, &c->data_checksum));
    }
    if (o->eval->count == 0 && c->config->eval_every > 0) {
        return fail(ERR_CONFIG,
                    "eval.every_impressions is %llu, but there is nothing to evaluate on: give "
                    "--eval DIR",
                    (unsigned long long)c->config->eval_every);
    }
    if (o->eval->count == 0 && c->config->keep_best != BEST_OFF) {
        return fail(ERR_CONFIG,
                    "checkpoint.keep_best is %s, but there is nothing to evaluate on: give --eval "
                    "DIR",
                    best_metric_name(c->config->keep_best));
    }
    if (o->eval->count > 0) {
        TRY(data_fit_read(&c->eval, o->eval));
        if (c->eval.impressions == 0) {
            return fail(ERR_CONFIG, "%s holds no impressions to evaluate on",
                        dataset_name(o->eval, name));
        }
        TRY(eval_fits(c));
        c->has_eval = true;
    }
    return OK;
}

static void say_correction(const struct coord *c) {
    char name[PATH_BYTES_MAX];
    const double s = c->data.sample_rate;
    if (s < 1 && c->config->sample_correction == CORRECT_WEIGHT) {
        log_info("%s kept %g of its unclicked impressions: each of them counts %g times",
                 dataset_name(c->options->data, name), s, 1 / s);
    } else if (s < 1) {
        log_info("%s kept %g of its unclicked impressions: p_ctr is corrected after training",
                 dataset_name(c->options->data, name), s);
    }
}

static enum status make_plan(struct coord *c) {
    const bool stream = c->options->stream; /* shards are added one by one (stream_plan.c) */
    TRY(stream ? data_ranges_stream(&c->ranges, c->config)
               : data_ranges(&c->ranges, c->config, &c->data));
    c->plan = (struct batch_plan){
        .ranges = &c->ranges, .epochs = c->config->epochs, .max_steps = c->config->max_steps};
    return batch_plan_job(&c->plan, &c->job_batches, &c->job_impressions);
}

/* Rows of a shared field are updated once a range at most, so the number of all batches says
 * nothing about their moments: adam corrects these by the rows' own updates, unless the field's
 * section says something. */
static enum status settle_shared(struct coord *c) {
    const struct shared_fields shared = data_ranges_shared(c->config, &c->data);
    c->settled = *c->config;
    c->config = &c->settled;
    for (uint32_t f = 0; f < c->data.schema.user_count; f++) {
        const char *name = c->data.schema.fields[f].name;
        char text[FIELD_NAME_MAX + 64];
        if (!c->ranges.spec.share || !shared.field[f]) { /* a stream shares nothing */
            continue;
        }
        if (!config_table_sets(c->config, name, "bias_correction")) {
            snprintf(text, sizeof text, "field.%s.bias_correction=row", name);
            TRY(config_set(&c->settled, text));
        }
        log_info("train.share_bags: field %s is pulled, pooled and pushed once per group and range",
                 name);
    }
    return OK;
}

static void say_shared(const struct coord *c) {
    if (c->ranges.spec.share && c->job_batches > c->plan.max_steps) {
        log_info("train.max_steps=%llu: %llu batches will be trained, to the end of a range",
                 (unsigned long long)c->plan.max_steps, (unsigned long long)c->job_batches);
    }
    if (c->config->share_bags == SHARE_ALWAYS && !c->ranges.spec.share) {
        log_info("train.share_bags=always: nothing is shared, for want of a window, of a run, or "
                 "of user fields known to have more than %u values a group",
                 SHARE_FIELD_VALUES);
    }
}

static enum status make_job_plan(struct coord *c) {
    struct job_plan *p = &c->job_plan;
    struct buf text = BUF_EMPTY;
    enum status status = config_text(c->config, &text);
    if (status == OK) {
        status = buf_put_u8(&text, 0);
    }
    if (status == OK) {
        status = mem_strdup(&p->config_text, (const char *)text.data);
    }
    buf_fini(&text);
    TRY(status);
    p->stream = c->options->stream;
    p->schema = c->data.schema;
    if (!p->stream || c->resume_dir[0] == '\0') {
        const bool counted = c->config->sample_correction == CORRECT_WEIGHT;
        weight_sums_rates(&c->data.weights, counted ? c->data.sample_rate : 1, &p->rate_ctr,
                          &p->rate_cvr);
    }
    p->sample_rate = c->data.sample_rate;
    TRY(resolve_all(c->options->data, &p->data_dirs));
    return resolve_all(c->options->eval, &p->eval_dirs);
}

/* --- all of it -------------------------------------------------------------------------------- */

/* Takes the lock: from here on nobody else writes into the run directory. */
static enum status lock_run(struct coord *c) {
    char path[PATH_BYTES_MAX];
    TRY(file_mkdirs(c->options->out_dir));
    TRY(path_resolve(c->out_dir, c->options->out_dir));
    TRY(manifest_run_dir(c->out_dir));
    if (c->options->lock_fd == 0) {
        return lock_take_in(&c->lock, c->out_dir);
    }
    TRY(path_join(path, c->out_dir, "lock"));
    return lock_adopt(&c->lock, c->options->lock_fd, path);
}

static enum status make_directories(struct coord *c) {
    TRY(path_join(c->root, c->out_dir, "checkpoints"));
    return file_mkdirs(c->root);
}

enum status setup_life(struct coord *c, struct applied *done) {
    const struct config *k = c->config;
    TRY(leases_init(&c->leases, &c->plan, done, k->deterministic, k->lease_ms,
                    c->notes.term << FENCES_PER_TERM));
    c->leases.backups = k->consistency == CONSISTENCY_ASYNC && !k->deterministic;
    c->leases.whole_ranges = data_ranges_shared(k, &c->data).count > 0;
    c->restored_impressions = c->notes.left != NULL ? c->notes.left->life.restored_impressions
                                                    : c->leases.done_impressions;
    staleness_init(&c->staleness, k->consistency == CONSISTENCY_ASYNC ? k->staleness_max : 0,
                   k->lease_ms);
    return OK;
}

void setup_begin(struct coord *c) {
    c->resumed_step = c->restored_step;
    c->evaluations.next = c->restored_impressions + c->config->eval_every;
    keep_begin(c);
}

static enum status make_machines(struct coord *c) {
    const struct config *k = c->config;
    const struct coord_options *o = c->options;
    struct applied *done = NULL;
    enum status status = c->notes.left != NULL ? takeover_done(c, &done) : resume_find(c, &done);
    if (status != OK) {
        applied_destroy(&done);
        return status;
    }
    TRY(setup_life(c, done));
    setup_begin(c);
    TRY(membership_init(&c->members, o->servers, o->workers, 3ull * k->heartbeat_ms, k->lease_ms,
                        ESMM_VERSION));
    TRY(membership_room(&c->members, o->workers_max));
    TRY(pace_init(&c->pace, c->members.workers));
    TRY(progress_init(&c->progress, c->members.workers, o->servers, c->data.schema.count,
                      c->job_impressions, c->restored_impressions));
    c->progress.open = o->stream;
    TRY(mem_array(&c->answers, c->members.workers));
    if (c->has_eval) {
        TRY(eval_job_init(&c->eval_job, &c->eval, k->batch));
        char name[PATH_BYTES_MAX];
        TRY(score_form_judged(k, c->eval.no_conversion, dataset_name(o->eval, name),
                              &c->eval_job.form));
    }
    return OK;
}

static void say_start(const struct coord *c) {
    if (c->notes.left != NULL) {
        return;
    }
    if (c->resume_dir[0] != '\0') {
        log_info("resuming from %s: %llu batches are applied", c->resume_dir,
                 (unsigned long long)c->restored_step);
    } else if (c->options->resume) {
        log_info("%s has no checkpoint to resume from: starting afresh", c->out_dir);
    }
}

/* The job is certain to start: its configuration replaces an earlier one. The earlier summary is
 * removed, so that nobody takes it for the summary of this job if this job fails. */
static enum status replace_old(const struct coord *c) {
    char path[PATH_BYTES_MAX];
    const char *text = c->job_plan.config_text;
    TRY(path_join(path, c->out_dir, "config.ini"));
    TRY(file_write_atomic(path, text, strlen(text)));
    TRY(path_join(path, c->out_dir, "summary.json"));
    return file_remove_tree(path);
}

enum status setup(struct coord *c) {
    if (c->options->servers == 0 || c->options->workers == 0) {
        return fail(ERR_CONFIG, "a job needs at least one server and one worker");
    }
    TRY(lock_run(c));
    FAULT("coord.setup.locked");
    TRY(read_data(c));
    say_correction(c);
    TRY(make_plan(c));
    TRY(settle_shared(c));
    say_shared(c);
    TRY(sizes_of_names(c));
    TRY(make_directories(c));
    FAULT("coord.setup.directories");
    TRY(takeover_find(c));
    c->checkpoints.cut.number = (c->notes.term - 1) << CUTS_PER_TERM;
    TRY(make_machines(c));
    say_start(c);
    TRY(make_job_plan(c));
    TRY(event_log_open(&c->event_log, c->out_dir, c->options->progress_fd));
    resume_events(c);
    TRY(transport_create(&c->transport, 1));
    if (c->notes.left != NULL) {
        TRY(port_bind(&c->port, c->transport, c->notes.left->life.bound, WIRE_LINK_BYTES_MAX));
        return takeover_run(c);
    }
    TRY(port_bind(&c->port, c->transport, c->options->listen, WIRE_LINK_BYTES_MAX));
    FAULT("coord.setup.bound");
    recover_init(&c->recover, entropy_u64());
    c->job = recover_job(&c->recover);
    TRY(replace_old(c));
    notes_begin(c);
    return OK;
}

/* --- looking only ----------------------------------------------------------------------------- */

/* Whether a stream has more shards than the checkpoint knows. The job reports damaged ones. */
static bool shard_stream_goes_on(struct coord *c) {
    struct shard_info info;
    bool found = false;
    return c->job_batches < c->plan.max_steps &&
           (shard_stream_look(&c->stream, &info, &found) != OK || found || !c->stream.ended);
}

static enum status nothing_to_lease(struct coord *c, bool *nothing) {
    const struct batch_plan *p = &c->plan;
    *nothing = !c->options->stream || !shard_stream_goes_on(c);
    for (uint32_t epoch = c->restored_epoch;
         *nothing && epoch < p->epochs && c->ranges.epoch_batches * epoch < p->max_steps; epoch++) {
        TRY(leases_train(&c->leases, epoch));
        *nothing = leases_phase_complete(&c->leases);
    }
    return OK;
}

static enum status has_started(const struct coord *c, bool *started) {
    char first[PATH_BYTES_MAX], name[32];
    shard_name(0, name);
    TRY(path_join(first, c->options->data->names[0], name));
    *started = file_is_dir(c->root) && (!c->options->stream || file_exists(first));
    return OK;
}

enum status setup_look(struct coord *c, bool *nothing_left) {
    struct applied *done = NULL;
    bool started = false;
    *nothing_left = false;
    c->looking = true;
    TRY(path_join(c->root, c->options->out_dir, "checkpoints"));
    TRY(has_started(c, &started));
    if (!started) {
        return OK;
    }
    TRY(read_data(c));
    TRY(make_plan(c));
    const enum status status = resume_find(c, &done);
    if (status != OK || c->resume_dir[0] == '\0') {
        applied_destroy(&done);
        return status;
    }
    TRY(leases_init(&c->leases, &c->plan, done, false, 0, 0));
    return nothing_to_lease(c, nothing_left);
}

/* The batches of each shard, as far as they are known: a stream may have none yet. */
static enum status plan_batches_now(struct job_plan *p, const struct ranges *r) {
    mem_free(&p->batches_per_shard);
    p->shards = 0;
    TRY(mem_array(&p->batches_per_shard, r->count));
    for (uint32_t s = 0; s < r->count; s++) {
        p->batches_per_shard[s] = r->batches[s];
    }
    p->shards = r->count;
    return OK;
}

/* Numbers of cuts go on (rollback.c). */
static enum status plan_cuts(struct cut *cut, const struct job_plan *p) {
    const uint64_t number = cut->number;
    cut_fini(cut);
    TRY(cut_init(cut, p->partitions, p->stream));
    cut->number = number;
    return OK;
}

enum status setup_plan(struct coord *c) {
    struct job_plan *p = &c->job_plan;
    TRY(plan_batches_now(p, &c->ranges));
    mem_free(&p->endpoint);
    TRY(membership_endpoints(&c->members, &p->endpoint, &p->partitions));
    TRY(plan_cuts(&c->checkpoints.cut, p));
    FAULT("coord.plan.encode");
    TRY(job_plan_encode(p, &c->plan_bytes));
    TRY(sizes_with_servers(c));
    log_info("all %u servers are known: %u partitions", c->members.servers, p->partitions);
    return OK;
}
