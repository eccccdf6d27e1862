/* scorer.c - scoring by shards (see scorer.h).
 *
 * Threads work in rounds: each thread takes one shard, all threads are joined, their scores go to
 * the sink in order, and the next round begins. Shards have about the same size, so waiting for the
 * slowest thread costs little, and nothing has to be reordered or bounded. Each thread keeps its
 * model and buffers from round to round.
 *
 * `lock` guards the partition: a pull only reads rows, but it also updates the partition's
 * counters.
 */
#include "scorer.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/data/data_fit.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/job/plan.h"
#include "common/base/thread.h"
#include "common/checkpoint/scan.h"
#include "ps/restore.h"
#include "worker/model/model.h"

struct scorer {
    char dir[PATH_BYTES_MAX];
    struct manifest manifest;
    struct config config;
    const struct kernel *kernel;
    struct layout layout;
    struct partition *partition;
    float *dense; /* [layout.count] */
    struct unseen unseen;
    pthread_mutex_t lock;
    bool lock_ready;
    /* about the data that were scored last */
    bool no_conversion;
    char data[PATH_BYTES_MAX];
};

/* --- loading ---------------------------------------------------------------------------------- */

static enum status pull_dense(struct scorer *s) {
    const uint32_t counts[FIELDS_MAX] = {0};
    const struct key_list none = {.counts = counts, .ids = NULL, .total = 0};
    struct pull_result result;
    TRY(mem_array(&s->dense, s->layout.count));
    return partition_pull(s->partition, &none, true, s->dense, &result);
}

/* Chooses the kernel. A kernel that the caller forces is used, or the call fails. The checkpoint
 * names the kernel that trained it. That one is used if this machine has it, to get the same bits;
 * otherwise another one is used. */
static enum status choose_kernel(struct scorer *s, const char *forced) {
    if (forced != NULL) {
        char assignment[64];
        snprintf(assignment, sizeof assignment, "compute.kernel=%.40s", forced);
        TRY(config_set(&s->config, assignment));
    }
    enum status status = kernel_find(s->config.kernel, s->config.precision, &s->kernel);
    if (status != OK && forced == NULL && s->config.kernel != KERNEL_AUTO) {
        log_warn("%s: as the checkpoint has it; scored with auto instead", fail_text());
        s->config.kernel = KERNEL_AUTO;
        status = kernel_find(KERNEL_AUTO, s->config.precision, &s->kernel);
    }
    if (status == OK &&
        s->config.precision != PRECISION_F32) { /* else there is nothing to warn of */
        kernel_log(s->kernel, s->config.kernel, s->config.precision);
    }
    return status;
}

static enum status scorer_load(struct scorer *s, const char *path, const char *kernel) {
    TRY(scan_manifest(path, s->dir, &s->manifest));
    config_default(&s->config);
    TRY(config_parse(&s->config, "the checkpoint's configuration", s->manifest.config_text));
    TRY(choose_kernel(s, kernel));
    TRY(layout_init(&s->layout, &s->config, &s->manifest.schema, s->manifest.rate_ctr,
                    s->manifest.rate_cvr));
    const struct partition_spec spec = {
        .config = &s->config,
        .schema = &s->manifest.schema,
        .layout = &s->layout,
        .batches_per_shard = s->manifest.batches_per_shard,
        .shards = s->manifest.shards,
        .bucket_begin = 0,
        .bucket_end = BUCKETS,
        .memory_bytes = 0,
        .read_only = true,
    };
    TRY(partition_create(&s->partition, &spec));
    TRY(partition_restore(s->partition, s->dir, &s->manifest));
    return pull_dense(s);
}

enum status scorer_create(struct scorer **out, const char *path, const char *kernel) {
    struct scorer *s = NULL;
    enum status status = OK;
    *out = NULL;
    TRY_OUT(mem_new(&s));
    if (pthread_mutex_init(&s->lock, NULL) != 0) {
        TRY_OUT(fail(ERR_MEMORY, "cannot make a mutex"));
    }
    s->lock_ready = true;
    TRY_OUT(scorer_load(s, path, kernel));
    *out = s;
    s = NULL;
out:
    scorer_destroy(&s);
    return status;
}

void scorer_destroy(struct scorer **inout) {
    struct scorer *s = *inout;
    if (s == NULL) {
        return;
    }
    partition_destroy(&s->partition);
    manifest_free(&s->manifest);
    mem_free(&s->dense);
    if (s->lock_ready) {
        pthread_mutex_destroy(&s->lock);
    }
    mem_free(inout);
}

const char *scorer_dir(const struct scorer *s) {
    return s->dir;
}

const struct manifest *scorer_manifest(const struct scorer *s) {
    return &s->manifest;
}

enum score_form scorer_form(const struct scorer *s) {
    return score_form_of(&s->config);
}

enum status scorer_judged(const struct scorer *s, enum score_form *out) {
    return score_form_judged(&s->config, s->no_conversion, s->data, out);
}

void scorer_kernel(const struct scorer *s, char out[KERNEL_NAME_MAX]) {
    kernel_describe(s->kernel, out);
}

uint64_t scorer_rows(const struct scorer *s) {
    struct partition_stats stats;
    partition_stats(s->partition, &stats);
    return stats.rows_total;
}

static void unseen_firsts(const struct scorer *s, double first[FIELDS_MAX]) {
    struct partition_stats stats;
    partition_stats(s->partition, &stats);
    unseen_first(&s->config, &s->manifest.schema, stats.rows, s->manifest.field_values, first);
}

enum status scorer_unseen(const struct scorer *s, struct buf *table, struct json *j) {
    const struct schema *schema = &s->manifest.schema;
    double first[FIELDS_MAX];
    struct buf doubts = BUF_EMPTY;
    unseen_firsts(s, first);
    enum status status = unseen_doubts(&s->unseen, schema, first, &doubts);
    data_fit_log(&doubts);
    buf_fini(&doubts);
    if (table != NULL && status == OK) {
        status = unseen_table(&s->unseen, schema, first, table);
    }
    if (j != NULL) {
        unseen_json(&s->unseen, schema, first, j);
    }
    return status;
}

/* --- one thread ------------------------------------------------------------------------------- */

struct scoring {
    struct scorer *scorer;
    struct model *model;
    struct batch_cutter *cutter;
    struct batch batch;
    uint64_t *ids; /* ids of a batch, all fields */
    size_t ids_cap;
    uint8_t *missing; /* one per id: it is missing */
    size_t missing_cap;
    struct unseen unseen; /* of the shard at hand */
    float *rows;          /* the pulled rows */
    size_t rows_cap;
    float *logits; /* a then b */
    size_t logits_cap;
    const struct dataset *data;
    int user_slot;
    uint32_t index; /* of the shard at hand */
    struct score *scores;
    size_t scores_cap, count;
    struct thread thread;
};

static enum status scoring_init(struct scoring *t, struct scorer *scorer,
                                const struct dataset *data, int user_slot) {
    *t = (struct scoring){.scorer = scorer, .data = data, .user_slot = user_slot};
    struct loss_spec loss = loss_spec_of(&scorer->config);
    loss.ctr_shift = loss_shift_of(&scorer->config, scorer->manifest.sample_rate);
    TRY(model_create(&t->model, &scorer->layout, &loss, scorer->kernel));
    return batch_cutter_create(&t->cutter);
}

static void scoring_fini(struct scoring *t) {
    model_destroy(&t->model);
    batch_cutter_destroy(&t->cutter);
    batch_fini(&t->batch);
    mem_free(&t->ids);
    mem_free(&t->missing);
    mem_free(&t->rows);
    mem_free(&t->logits);
    mem_free(&t->scores);
}

/* Pulls the batch's rows into t->rows; rows[f] points to those of field f. */
static enum status pull_rows(struct scoring *t, const float **rows) {
    const struct batch *b = &t->batch;
    uint32_t counts[FIELDS_MAX];
    struct key_list keys = {.counts = counts};
    struct pull_result result;
    for (uint32_t f = 0; f < b->fields; f++) {
        counts[f] = b->field[f].unique;
        keys.total += counts[f];
    }
    TRY(mem_room(&t->ids, &t->ids_cap, keys.total));
    for (uint32_t f = 0, at = 0; f < b->fields; f++) {
        if (counts[f] > 0) {
            memcpy(t->ids + at, b->field[f].ids, counts[f] * sizeof *t->ids);
        }
        at += counts[f];
    }
    TRY(mem_room(&t->missing, &t->missing_cap, keys.total));
    keys.ids = t->ids;
    keys.missing = t->missing;
    const size_t floats = partition_pull_floats(t->scorer->partition, &keys, false);
    TRY(mem_room(&t->rows, &t->rows_cap, floats));
    pthread_mutex_lock(&t->scorer->lock);
    const enum status status = partition_pull(t->scorer->partition, &keys, false, t->rows, &result);
    pthread_mutex_unlock(&t->scorer->lock);
    TRY(status);
    const float *at = t->rows;
    const uint8_t *missing = t->missing;
    for (uint32_t f = 0; f < b->fields; f++) {
        rows[f] = at;
        at += (size_t)counts[f] * t->scorer->layout.dim[f];
        unseen_count(&t->unseen.field[f], b->field[f].index, b->field[f].values, missing,
                     counts[f]);
        missing += counts[f];
    }
    return OK;
}

static enum status keep_scores(struct scoring *t, const float *a, const float *b) {
    const struct batch *batch = &t->batch;
    for (uint32_t i = 0; i < batch->impressions; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i])) {
            const struct shard_info *info = &t->data->shards[t->index];
            return fail(ERR_CORRUPT,
                        "%s/%s: impression %llu has logits %g and %g: the checkpoint %s "
                        "has diverged",
                        dataset_dir(t->data, info), info->name,
                        (unsigned long long)batch->impression_id[i], (double)a[i], (double)b[i],
                        t->scorer->dir);
        }
        t->scores[t->count++] =
            (struct score){.impression_id = batch->impression_id[i],
                           .user = batch->user[i],
                           .a = a[i],
                           .b = b[i],
                           .weight = batch->weight != NULL ? batch->weight[i] : 1,
                           .labels = batch->labels[i] & (LABEL_CLICK | LABEL_CONVERSION)};
    }
    return OK;
}

static enum status score_batch(struct scoring *t, uint32_t begin, uint32_t end) {
    const float *rows[FIELDS_MAX];
    TRY(batch_cut(t->cutter, begin, end, &t->batch));
    TRY(mem_room(&t->logits, &t->logits_cap, 2 * (size_t)(end - begin)));
    TRY(pull_rows(t, rows));
    float *a = t->logits, *b = t->logits + (end - begin);
    TRY(model_forward(t->model, &t->batch, rows, t->scorer->dense, a, b));
    return keep_scores(t, a, b);
}

static enum status score_cut(struct scoring *t, const struct shard *shard) {
    uint32_t *order = NULL;
    struct run *runs = NULL;
    const uint32_t batches = plan_batches(shard->impressions, t->scorer->config.batch);
    enum status status = OK;
    TRY_OUT(mem_array(&order, shard->groups));
    TRY_OUT(mem_array(&runs, shard->groups));
    plan_groups(t->scorer->manifest.seed, false, 0, t->index, shard->groups, order);
    runs_of_groups(shard, order, runs);
    TRY_OUT(batch_cutter_runs(t->cutter, shard, runs, shard->groups,
                              t->scorer->manifest.schema.user_count, t->user_slot));
    TRY_OUT(mem_room(&t->scores, &t->scores_cap, shard->impressions));
    for (uint32_t k = 0; k < batches; k++) {
        TRY_OUT(score_batch(t, plan_begin(shard->impressions, batches, k),
                            plan_begin(shard->impressions, batches, k + 1)));
    }
out:
    mem_free(&order);
    mem_free(&runs);
    return status;
}

static enum status score_shard(void *arg) {
    struct scoring *t = arg;
    const struct shard_info *info = &t->data->shards[t->index];
    const struct schema *schema = &t->scorer->manifest.schema;
    struct shard shard = {0};
    enum status status = OK;
    t->count = 0;
    t->unseen = (struct unseen){.fields = schema->count};
    TRY_OUT(shard_read(&shard, dataset_dir(t->data, info), info->name, schema));
    TRY_OUT(shard_weigh(&shard, t->data->sample_rate));
    TRY_OUT(score_cut(t, &shard));
out:
    shard_free(&shard);
    return status;
}

/* --- fields ----------------------------------------------------------------------------------- */

static enum status join_fields(const struct scorer *s, const struct dataset *d,
                               struct buf *doubts) {
    const struct fit_side model =
        fit_side_checkpoint(&s->manifest.schema, &s->manifest.fields, s->dir);
    const struct fit_side data = fit_side_data(d);
    const enum status status = data_fit(&model, &data, doubts);
    data_fit_log(doubts);
    return status;
}

static int user_slot(const struct scorer *s, const struct dataset *d) {
    const char *name = s->config.user_field;
    if (name[0] == '\0') {
        return -1;
    }
    const int slot = schema_find(&s->manifest.schema, name);
    if (slot < 0 || schema_find(&d->schema, name) < 0) {
        log_warn("eval.user_field '%s' is not a field of %s: GAUC goes by group key", name,
                 slot < 0 ? "the model" : "the data");
        return -1;
    }
    return slot;
}

/* --- all shards ------------------------------------------------------------------------------- */

/* Joins all threads in any case, so that none outlives its scorer. */
static enum status join_round(struct scoring *threads, uint32_t n) {
    enum status first = OK;
    for (uint32_t t = n; t-- > 0;) { /* backwards: the text of the lowest failure remains */
        const enum status status = thread_join(&threads[t].thread);
        first = status != OK ? status : first;
    }
    return first;
}

static enum status score_round(struct scoring *threads, uint32_t n) {
    enum status status = OK;
    uint32_t started = 0;
    for (; started < n && status == OK; started++) {
        threads[started].thread = (struct thread){0};
        status = thread_start(&threads[started].thread, "score", score_shard, &threads[started]);
    }
    const enum status joined = join_round(threads, started);
    return status != OK ? status : joined;
}

static enum status score_all(struct scoring *threads, uint32_t count, const struct dataset *d,
                             struct scorer_sink sink) {
    for (uint32_t next = 0; next < d->shard_count;) {
        const uint32_t left = d->shard_count - next;
        const uint32_t n = left < count ? left : count;
        for (uint32_t t = 0; t < n; t++) {
            threads[t].index = next + t;
        }
        TRY(score_round(threads, n));
        for (uint32_t t = 0; t < n; t++) {
            TRY(sink.take(sink.arg, threads[t].scores, threads[t].count));
            unseen_add(&threads[t].scorer->unseen, &threads[t].unseen);
        }
        next += n;
    }
    return OK;
}

enum status scorer_score(struct scorer *s, const struct file_list *dirs, uint32_t threads_max,
                         struct scorer_sink sink) {
    struct buf doubts = BUF_EMPTY;
    struct dataset data = {0};
    struct scoring *threads = NULL;
    uint32_t made = 0;
    enum status status = OK;
    TRY_OUT(dataset_read_all(&data, dirs, &doubts));
    TRY_OUT(join_fields(s, &data, &doubts));
    s->no_conversion = data.no_conversion;
    dataset_name(dirs, s->data);
    const int user = user_slot(s, &data);
    const uint32_t count = data.shard_count < threads_max ? data.shard_count : threads_max;
    TRY_OUT(mem_array(&threads, count));
    while (made < count) {
        TRY_OUT(scoring_init(&threads[made++], s, &data, user));
    }
    TRY_OUT(score_all(threads, count, &data, sink));
out:
    for (uint32_t t = 0; t < made; t++) {
        scoring_fini(&threads[t]);
    }
    mem_free(&threads);
    dataset_free(&data);
    buf_fini(&doubts);
    return status;
}
