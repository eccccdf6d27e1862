/* scorer.c - scoring by shards (see scorer.h).
 *
 * Threads work in rounds: each takes one shard, all are joined, their scores go to the sink in
 * order, and the next round begins. Shards are of about one size, so little is lost by waiting for
 * the slowest, and nothing has to be reordered or bounded. Each thread keeps its model and buffers
 * from round to round.
 *
 * `lock` guards the partition: a pull reads rows only, but it counts what it serves.
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

struct local {
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
    /* of the data that were scored last */
    bool no_conversion;
    char data[PATH_BYTES_MAX];
};

/* --- loading ---------------------------------------------------------------------------------- */

static enum status pull_dense(struct local *l) {
    const uint32_t counts[FIELDS_MAX] = {0};
    const struct key_list none = {.counts = counts, .ids = NULL, .total = 0};
    struct pull_result result;
    TRY(mem_array(&l->dense, l->layout.count));
    return partition_pull(l->partition, &none, true, l->dense, &result);
}

/* Who asks for a kernel gets it or an error. What the checkpoint names is where it was trained:
 * followed, for the same bits, but no reason to refuse a machine that has another one. */
static enum status choose_kernel(struct local *l, const char *forced) {
    if (forced != NULL) {
        char assignment[64];
        snprintf(assignment, sizeof assignment, "compute.kernel=%.40s", forced);
        TRY(config_set(&l->config, assignment));
    }
    enum status status = kernel_find(l->config.kernel, l->config.precision, &l->kernel);
    if (status != OK && forced == NULL && l->config.kernel != KERNEL_AUTO) {
        log_warn("%s: as the checkpoint has it; scored with auto instead", fail_text());
        l->config.kernel = KERNEL_AUTO;
        status = kernel_find(KERNEL_AUTO, l->config.precision, &l->kernel);
    }
    if (status == OK &&
        l->config.precision != PRECISION_F32) { /* else there is nothing to warn of */
        kernel_log(l->kernel, l->config.kernel, l->config.precision);
    }
    return status;
}

static enum status load(struct local *l, const char *path, const char *kernel) {
    TRY(scan_manifest(path, l->dir, &l->manifest));
    config_default(&l->config);
    TRY(config_parse(&l->config, "the checkpoint's configuration", l->manifest.config_text));
    TRY(choose_kernel(l, kernel));
    TRY(layout_init(&l->layout, &l->config, &l->manifest.schema, l->manifest.rate_ctr,
                    l->manifest.rate_cvr));
    const struct partition_spec spec = {
        .config = &l->config,
        .schema = &l->manifest.schema,
        .layout = &l->layout,
        .batches_per_shard = l->manifest.batches_per_shard,
        .shards = l->manifest.shards,
        .bucket_begin = 0,
        .bucket_end = BUCKETS,
        .memory_bytes = 0,
        .read_only = true,
    };
    TRY(partition_create(&l->partition, &spec));
    TRY(partition_restore(l->partition, l->dir, &l->manifest));
    return pull_dense(l);
}

enum status local_create(struct local **out, const char *path, const char *kernel) {
    struct local *l = NULL;
    enum status status = OK;
    *out = NULL;
    TRY_OUT(mem_new(&l));
    if (pthread_mutex_init(&l->lock, NULL) != 0) {
        TRY_OUT(fail(ERR_MEMORY, "cannot make a mutex"));
    }
    l->lock_ready = true;
    TRY_OUT(load(l, path, kernel));
    *out = l;
    l = NULL;
out:
    local_destroy(&l);
    return status;
}

void local_destroy(struct local **inout) {
    struct local *l = *inout;
    if (l == NULL) {
        return;
    }
    partition_destroy(&l->partition);
    manifest_free(&l->manifest);
    mem_free(&l->dense);
    if (l->lock_ready) {
        pthread_mutex_destroy(&l->lock);
    }
    mem_free(inout);
}

const char *local_dir(const struct local *l) {
    return l->dir;
}

const struct manifest *local_manifest(const struct local *l) {
    return &l->manifest;
}

enum score_form local_form(const struct local *l) {
    return score_form_of(&l->config);
}

enum status local_judged(const struct local *l, enum score_form *out) {
    return score_form_judged(&l->config, l->no_conversion, l->data, out);
}

void local_kernel(const struct local *l, char out[KERNEL_NAME_MAX]) {
    kernel_describe(l->kernel, out);
}

uint64_t local_rows(const struct local *l) {
    struct partition_stats stats;
    partition_stats(l->partition, &stats);
    return stats.rows_total;
}

static void unseen_firsts(const struct local *l, double first[FIELDS_MAX]) {
    struct partition_stats stats;
    partition_stats(l->partition, &stats);
    unseen_first(&l->config, &l->manifest.schema, stats.rows, l->manifest.field_values, first);
}

enum status local_unseen(const struct local *l, struct buf *table, struct json *j) {
    const struct schema *schema = &l->manifest.schema;
    double first[FIELDS_MAX];
    struct buf doubts = BUF_EMPTY;
    unseen_firsts(l, first);
    enum status status = unseen_doubts(&l->unseen, schema, first, &doubts);
    data_fit_log(&doubts);
    buf_fini(&doubts);
    if (table != NULL && status == OK) {
        status = unseen_table(&l->unseen, schema, first, table);
    }
    if (j != NULL) {
        unseen_json(&l->unseen, schema, first, j);
    }
    return status;
}

/* --- one thread ------------------------------------------------------------------------------- */

struct scorer {
    struct local *local;
    struct model *model;
    struct batch_cutter *cutter;
    struct batch batch;
    uint64_t *ids; /* of a batch, all fields */
    size_t ids_cap;
    uint8_t *missing; /* beside them */
    size_t missing_cap;
    struct unseen unseen; /* of the shard at hand */
    float *rows;          /* what was pulled */
    size_t rows_cap;
    float *logits; /* a then b */
    size_t logits_cap;
    /* the shard at hand */
    const char *data_dir, *name;
    uint32_t index;
    int user_slot;
    double sample_rate;
    struct score *scores;
    size_t scores_cap, count;
    struct thread thread;
};

static enum status reserve(void **array, size_t *cap, size_t need, size_t size) {
    if (need <= *cap) {
        return OK;
    }
    mem_free_at(array);
    *cap = 0;
    TRY(mem_array_of(array, need, size));
    *cap = need;
    return OK;
}

static enum status scorer_init(struct scorer *s, struct local *local) {
    *s = (struct scorer){.local = local};
    struct loss_spec loss = loss_spec_of(&local->config);
    loss.ctr_shift = loss_shift_of(&local->config, local->manifest.sample_rate);
    TRY(model_create(&s->model, &local->layout, &loss, local->kernel));
    return batch_cutter_create(&s->cutter);
}

static void scorer_fini(struct scorer *s) {
    model_destroy(&s->model);
    batch_cutter_destroy(&s->cutter);
    batch_fini(&s->batch);
    mem_free(&s->ids);
    mem_free(&s->missing);
    mem_free(&s->rows);
    mem_free(&s->logits);
    mem_free(&s->scores);
}

/* The batch's rows into s->rows; rows[f] points at those of field f. */
static enum status pull_rows(struct scorer *s, const float **rows) {
    const struct batch *b = &s->batch;
    uint32_t counts[FIELDS_MAX];
    struct key_list keys = {.counts = counts};
    struct pull_result result;
    for (uint32_t f = 0; f < b->fields; f++) {
        counts[f] = b->field[f].unique;
        keys.total += counts[f];
    }
    TRY(reserve((void **)&s->ids, &s->ids_cap, keys.total, sizeof *s->ids));
    for (uint32_t f = 0, at = 0; f < b->fields; f++) {
        if (counts[f] > 0) {
            memcpy(s->ids + at, b->field[f].ids, counts[f] * sizeof *s->ids);
        }
        at += counts[f];
    }
    TRY(reserve((void **)&s->missing, &s->missing_cap, keys.total, sizeof *s->missing));
    keys.ids = s->ids;
    keys.missing = s->missing;
    const size_t floats = partition_pull_floats(s->local->partition, &keys, false);
    TRY(reserve((void **)&s->rows, &s->rows_cap, floats, sizeof *s->rows));
    pthread_mutex_lock(&s->local->lock);
    const enum status status = partition_pull(s->local->partition, &keys, false, s->rows, &result);
    pthread_mutex_unlock(&s->local->lock);
    TRY(status);
    const float *at = s->rows;
    const uint8_t *missing = s->missing;
    for (uint32_t f = 0; f < b->fields; f++) {
        rows[f] = at;
        at += (size_t)counts[f] * s->local->layout.dim[f];
        unseen_count(&s->unseen.field[f], b->field[f].index, b->field[f].values, missing,
                     counts[f]);
        missing += counts[f];
    }
    return OK;
}

static enum status keep_scores(struct scorer *s, const float *a, const float *b) {
    const struct batch *batch = &s->batch;
    for (uint32_t i = 0; i < batch->impressions; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i])) {
            return fail(ERR_CORRUPT,
                        "%s/%s: impression %llu has logits %g and %g: the checkpoint %s "
                        "has diverged",
                        s->data_dir, s->name, (unsigned long long)batch->impression_id[i],
                        (double)a[i], (double)b[i], s->local->dir);
        }
        s->scores[s->count++] =
            (struct score){.impression_id = batch->impression_id[i],
                           .user = batch->user[i],
                           .a = a[i],
                           .b = b[i],
                           .weight = batch->weight != NULL ? batch->weight[i] : 1,
                           .labels = batch->labels[i] & (LABEL_CLICK | LABEL_CONVERSION)};
    }
    return OK;
}

static enum status score_batch(struct scorer *s, uint32_t begin, uint32_t end) {
    const float *rows[FIELDS_MAX];
    TRY(batch_cut(s->cutter, begin, end, &s->batch));
    TRY(reserve((void **)&s->logits, &s->logits_cap, 2 * (size_t)(end - begin), sizeof(float)));
    TRY(pull_rows(s, rows));
    float *a = s->logits, *b = s->logits + (end - begin);
    TRY(model_forward(s->model, &s->batch, rows, s->local->dense, a, b));
    return keep_scores(s, a, b);
}

static enum status score_cut(struct scorer *s, const struct shard *shard) {
    uint32_t *order = NULL;
    const uint32_t batches = plan_batches(shard->impressions, s->local->config.batch);
    enum status status = OK;
    TRY_OUT(mem_array(&order, shard->groups));
    plan_groups(s->local->manifest.seed, false, 0, s->index, shard->groups, order);
    TRY_OUT(batch_cutter_shard(s->cutter, shard, order, s->local->manifest.schema.user_count,
                               s->user_slot));
    TRY_OUT(reserve((void **)&s->scores, &s->scores_cap, shard->impressions, sizeof *s->scores));
    for (uint32_t k = 0; k < batches; k++) {
        TRY_OUT(score_batch(s, plan_begin(shard->impressions, batches, k),
                            plan_begin(shard->impressions, batches, k + 1)));
    }
out:
    mem_free(&order);
    return status;
}

static enum status score_shard(void *arg) {
    struct scorer *s = arg;
    struct shard shard = {0};
    s->count = 0;
    s->unseen = (struct unseen){.fields = s->local->manifest.schema.count};
    enum status status = shard_read(&shard, s->data_dir, s->name, &s->local->manifest.schema);
    if (status == OK) {
        status = shard_weigh(&shard, s->sample_rate);
    }
    if (status == OK) {
        status = score_cut(s, &shard);
    }
    shard_free(&shard);
    return status;
}

/* --- fields ----------------------------------------------------------------------------------- */

static enum status join_fields(const struct local *l, const struct dataset *d, struct buf *doubts) {
    const struct fit_side model =
        fit_side_checkpoint(&l->manifest.schema, &l->manifest.fields, l->dir);
    const struct fit_side data = fit_side_data(d);
    const enum status status = data_fit(&model, &data, doubts);
    data_fit_log(doubts);
    return status;
}

static int user_slot(const struct local *l, const struct dataset *d) {
    const char *name = l->config.user_field;
    if (name[0] == '\0') {
        return -1;
    }
    const int slot = schema_find(&l->manifest.schema, name);
    if (slot < 0 || schema_find(&d->schema, name) < 0) {
        log_warn("eval.user_field '%s' is not a field of %s: GAUC goes by group key", name,
                 slot < 0 ? "the model" : "the data");
        return -1;
    }
    return slot;
}

/* --- all shards ------------------------------------------------------------------------------- */

/* Joins all threads whatever happens, so that none outlives its scorer. */
static enum status join_round(struct scorer *scorers, uint32_t n) {
    enum status first = OK;
    for (uint32_t t = n; t-- > 0;) { /* backwards: the text of the lowest failure stays */
        const enum status status = thread_join(&scorers[t].thread);
        first = status != OK ? status : first;
    }
    return first;
}

static enum status score_round(struct scorer *scorers, uint32_t n) {
    enum status status = OK;
    uint32_t started = 0;
    for (; started < n && status == OK; started++) {
        scorers[started].thread = (struct thread){0};
        status = thread_start(&scorers[started].thread, "score", score_shard, &scorers[started]);
    }
    const enum status joined = join_round(scorers, started);
    return status != OK ? status : joined;
}

static enum status score_all(struct scorer *scorers, uint32_t threads, const struct dataset *d,
                             int user, struct local_sink sink) {
    for (uint32_t next = 0; next < d->shard_count;) {
        const uint32_t left = d->shard_count - next;
        const uint32_t n = left < threads ? left : threads;
        for (uint32_t t = 0; t < n; t++) {
            scorers[t].data_dir = dataset_dir(d, &d->shards[next + t]);
            scorers[t].index = next + t;
            scorers[t].name = d->shards[next + t].name;
            scorers[t].user_slot = user;
            scorers[t].sample_rate = d->sample_rate;
        }
        TRY(score_round(scorers, n));
        for (uint32_t t = 0; t < n; t++) {
            TRY(sink.take(sink.arg, scorers[t].scores, scorers[t].count));
            unseen_add(&scorers[t].local->unseen, &scorers[t].unseen);
        }
        next += n;
    }
    return OK;
}

enum status local_score(struct local *l, const struct file_list *dirs, uint32_t threads,
                        struct local_sink sink) {
    struct buf doubts = BUF_EMPTY;
    struct dataset data = {0};
    struct scorer *scorers = NULL;
    uint32_t made = 0;
    enum status status = OK;
    TRY_OUT(dataset_read_all(&data, dirs, &doubts));
    TRY_OUT(join_fields(l, &data, &doubts));
    l->no_conversion = data.no_conversion;
    dataset_name(dirs, l->data);
    threads = data.shard_count < threads ? data.shard_count : threads;
    TRY_OUT(mem_array(&scorers, threads));
    while (made < threads) {
        TRY_OUT(scorer_init(&scorers[made++], l));
    }
    TRY_OUT(score_all(scorers, threads, &data, user_slot(l, &data), sink));
out:
    for (uint32_t t = 0; t < made; t++) {
        scorer_fini(&scorers[t]);
    }
    mem_free(&scorers);
    dataset_free(&data);
    buf_fini(&doubts);
    return status;
}
