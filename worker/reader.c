/* reader.c - leases in, batches out.
 *
 *     leases --> loader thread --> loaded --> cutter thread --> items --> trainers
 *                reads shards                 cuts batches  <-- pool <-- reader_give_back
 *
 * There are two threads, because reading a shard takes long and must not hold up the batches of the
 * shard before. read_ahead.h decides under `lock` what either thread does next. The thread does it
 * without the lock, reports it, and wakes those who may go on.
 *
 * plan.h says which batches a lease means; that is a pure function.
 */
#include "reader.h"

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/job/plan.h"
#include "common/base/thread.h"
#include "common/data/dataset.h"
#include "common/data/sample.h"

#define APPEAR_MS      10000
#define APPEAR_LOOK_MS 100

struct reader {
    struct reader_spec spec;
    struct dataset train, eval; /* without directories no such leases are expected */
    int user_slot;
    struct batch *batches; /* [batches_ahead] the pool */
    struct batch_cutter *cutter;
    uint32_t *order;
    struct run *runs; /* of the lease that is being cut */
    size_t order_cap, runs_cap;
    struct thread loader_thread, cutter_thread;
    atomic_bool stop;     /* the loader looks at it while it waits for a file */
    pthread_mutex_t lock; /* guards all members below */
    pthread_cond_t to_load, to_cut, to_take;
    struct read_ahead ahead;
    uint64_t load_ns, cut_ns;
};

/* Ends loading and cutting: with a failure, or with ERR_CLOSED. */
static void reader_close(struct reader *r, enum status status) {
    atomic_store(&r->stop, true);
    pthread_mutex_lock(&r->lock);
    read_ahead_close(&r->ahead, status);
    pthread_cond_broadcast(&r->to_load);
    pthread_cond_broadcast(&r->to_cut);
    pthread_cond_broadcast(&r->to_take);
    pthread_mutex_unlock(&r->lock);
}

/* --- the loader ------------------------------------------------------------------------------- */

/* Leaves in a training shard only what the model trains on; the plan has counted this beforehand.
 * info: what the manifest says of the shard; NULL: nothing, since the data is a stream. */
static enum status take_sample(struct reader *r, struct reading *x, const struct shard_info *info) {
    const struct sampling sampling = sampling_of(r->spec.config);
    TRY(shard_weigh(&x->shard, r->spec.sample_rate));
    TRY(shard_sample(&x->shard, r->spec.schema->user_count, &sampling, r->spec.config->seed,
                     x->lease.shard));
    if (info == NULL) {
        return OK;
    }
    const uint64_t planned =
        sampling_count(&sampling, info->impressions, info->clicks, info->conversions);
    if (x->shard.impressions != planned) {
        return fail(ERR_CORRUPT, "%s/%s: %u impressions to train on, by the manifest's counts %llu",
                    dataset_dir(&r->train, info), info->name, x->shard.impressions,
                    (unsigned long long)planned);
    }
    return OK;
}

/* The coordinator has seen the file, but on a shared file system it may appear here a little
 * later. */
static enum status load_streamed(struct reader *r, struct reading *x) {
    struct shard_info info;
    enum status status;
    shard_name(x->lease.shard, info.name);
    const uint64_t deadline_ms = clock_mono_ms() + APPEAR_MS;
    while ((status = shard_read(&x->shard, r->spec.data->names[0], info.name, r->spec.schema)) ==
               ERR_NOT_FOUND &&
           clock_left_ms(deadline_ms) > 0 && !atomic_load(&r->stop)) {
        clock_sleep_ms(APPEAR_LOOK_MS);
    }
    TRY(status);
    x->filled = true;
    x->impressions = x->shard.impressions;
    return take_sample(r, x, NULL);
}

static enum status load_shard(struct reader *r, struct reading *x) {
    const struct wire_lease *lease = &x->lease;
    const struct dataset *source = lease->kind == LEASE_EVAL ? &r->eval : &r->train;
    const char *kind = lease->kind == LEASE_EVAL ? "evaluation" : "training";
    if (source->dirs.count == 0) {
        return fail(ERR_CONFIG, "a lease on %s shard %u, but this worker has no %s data directory",
                    kind, lease->shard, kind);
    }
    if (source == &r->train && r->spec.stream) {
        return load_streamed(r, x);
    }
    if (lease->shard >= source->shard_count) {
        char name[PATH_BYTES_MAX];
        return fail(ERR_PROTOCOL, "%s: a lease on %s shard %u, but there are %u shards",
                    dataset_name(&source->dirs, name), kind, lease->shard, source->shard_count);
    }
    const struct shard_info *info = &source->shards[lease->shard];
    const char *dir = dataset_dir(source, info);
    TRY(shard_read(&x->shard, dir, info->name, r->spec.schema));
    x->filled = true;
    x->impressions = x->shard.impressions;
    if (x->shard.impressions != info->impressions || x->shard.groups != info->groups) {
        return fail(ERR_CORRUPT, "%s/%s: %u impressions in %u groups, the manifest says %u in %u",
                    dir, info->name, x->shard.impressions, x->shard.groups, info->impressions,
                    info->groups);
    }
    /* How impressions count in the figures does not depend on how the model was trained. */
    return lease->kind == LEASE_EVAL ? shard_weigh(&x->shard, source->sample_rate)
                                     : take_sample(r, x, info);
}

/* The next lease to load, LOADING; NULL: the reader is closed. */
static struct reading *await_load(struct reader *r) {
    struct reading *x;
    pthread_mutex_lock(&r->lock);
    while ((x = read_ahead_load(&r->ahead)) == NULL && !r->ahead.closed) {
        pthread_cond_wait(&r->to_load, &r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return x;
}

static enum status loader_run(void *arg) {
    struct reader *r = arg;
    struct reading *x;
    while ((x = await_load(r)) != NULL) {
        const uint64_t start_ns = clock_mono_ns();
        enum status status = load_shard(r, x);
        if (status != OK) {
            reader_close(r, status);
            return status;
        }
        pthread_mutex_lock(&r->lock);
        r->load_ns += clock_mono_ns() - start_ns;
        x->batches = plan_sampled_batches(x->impressions, x->shard.impressions, r->spec.batch_max);
        read_ahead_loaded(x);
        pthread_cond_signal(&r->to_cut);
        pthread_mutex_unlock(&r->lock);
    }
    return OK;
}

/* --- the cutter ------------------------------------------------------------------------------- */

static enum status begin_lease(struct reader *r, struct reading *x) {
    const struct wire_lease *lease = &x->lease;
    TRY(mem_room(&r->order, &r->order_cap, x->shard.groups));
    TRY(mem_room(&r->runs, &r->runs_cap, x->shard.groups));
    bool shuffle = r->spec.config->shuffle && lease->kind != LEASE_EVAL;
    plan_groups(r->spec.config->seed, shuffle, lease->epoch, lease->shard, x->shard.groups,
                r->order);
    runs_of_groups(&x->shard, r->order, r->runs);
    return batch_cutter_runs(r->cutter, &x->shard, r->runs, x->shard.groups,
                             r->spec.schema->user_count, r->user_slot);
}

static enum status cut_batch(struct reader *r, const struct read_cut *cut) {
    struct reading *x = cut->lease;
    struct batch *b = cut->batch;
    const uint32_t impressions = x->shard.impressions;
    if (b == NULL) { /* free the shard before taking the lock: it may take long */
        shard_free(&x->shard);
        x->filled = false;
        return OK;
    }
    if (cut->begins) {
        TRY(begin_lease(r, x));
    }
    b->name = (struct batch_name){x->lease.epoch, x->lease.shard, x->at};
    b->fence = x->lease.fence;
    b->shard_batches = x->batches;
    return batch_cut(r->cutter, plan_begin(impressions, x->batches, x->at),
                     plan_begin(impressions, x->batches, x->at + 1), b);
}

/* False: the reader is closed. */
static bool await_cut(struct reader *r, struct read_cut *cut) {
    bool any;
    pthread_mutex_lock(&r->lock);
    while (!(any = read_ahead_cut(&r->ahead, cut)) && !r->ahead.closed) {
        pthread_cond_wait(&r->to_cut, &r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return any;
}

static enum status cutter_run(void *arg) {
    struct reader *r = arg;
    struct read_cut cut;
    while (await_cut(r, &cut)) {
        const uint64_t start_ns = clock_mono_ns();
        enum status status = cut_batch(r, &cut);
        if (status != OK) {
            reader_close(r, status);
            return status;
        }
        pthread_mutex_lock(&r->lock);
        r->cut_ns += clock_mono_ns() - start_ns;
        if (cut.batch != NULL) {
            read_ahead_batch(&r->ahead, &cut);
        } else {
            read_ahead_end(&r->ahead, &cut);
            pthread_cond_signal(&r->to_load);
        }
        pthread_cond_signal(&r->to_take);
        pthread_mutex_unlock(&r->lock);
    }
    return OK;
}

/* --- life ------------------------------------------------------------------------------------- */

/* The slot of the field that evaluation groups by. -1: it groups by the group key, because no such
 * field is named or there is none. */
static int find_user_slot(const struct reader_spec *spec) {
    if (spec->config->user_field[0] == '\0') {
        return -1;
    }
    int slot = schema_find(spec->schema, spec->config->user_field);
    if (slot < 0) {
        log_warn("eval.user_field=%s is not a field of the data: GAUC goes by group key",
                 spec->config->user_field);
    }
    return slot;
}

static enum status reader_begin(struct reader *r) {
    uint32_t ahead = r->spec.batches_ahead;
    if (r->spec.data->count > 0) {
        TRY(dataset_read_all(&r->train, r->spec.data, NULL));
    }
    if (r->spec.eval->count > 0) {
        TRY(dataset_read_all(&r->eval, r->spec.eval, NULL));
    }
    r->user_slot = find_user_slot(&r->spec);
    TRY(batch_cutter_create(&r->cutter));
    TRY(mem_array(&r->batches, ahead));
    TRY(read_ahead_init(&r->ahead, r->batches, ahead));
    TRY(thread_start(&r->loader_thread, "loader", loader_run, r));
    return thread_start(&r->cutter_thread, "cutter", cutter_run, r);
}

enum status reader_start(struct reader **r, const struct reader_spec *spec) {
    TRY(mem_new(r));
    (*r)->spec = *spec;
    pthread_mutex_init(&(*r)->lock, NULL);
    thread_cond_init(&(*r)->to_load);
    thread_cond_init(&(*r)->to_cut);
    thread_cond_init(&(*r)->to_take);
    enum status status = reader_begin(*r);
    if (status != OK) {
        reader_stop(r);
    }
    return status;
}

void reader_stop(struct reader **reader) {
    struct reader *r = *reader;
    if (r == NULL) {
        return;
    }
    reader_close(r, ERR_CLOSED);
    thread_join(&r->loader_thread);
    thread_join(&r->cutter_thread);
    read_ahead_fini(&r->ahead);
    for (uint32_t i = 0; r->batches != NULL && i < r->spec.batches_ahead; i++) {
        batch_fini(&r->batches[i]);
    }
    mem_free(&r->batches);
    mem_free(&r->order);
    mem_free(&r->runs);
    batch_cutter_destroy(&r->cutter);
    dataset_free(&r->train);
    dataset_free(&r->eval);
    pthread_cond_destroy(&r->to_load);
    pthread_cond_destroy(&r->to_cut);
    pthread_cond_destroy(&r->to_take);
    pthread_mutex_destroy(&r->lock);
    mem_free(reader);
}

enum status reader_lease_put(struct reader *r, const struct wire_lease *lease, const void *done,
                             size_t done_bytes) {
    struct reading *x;
    TRY(reading_create(&x, lease, done, done_bytes));
    pthread_mutex_lock(&r->lock);
    enum status status = read_ahead_lease(&r->ahead, x);
    pthread_cond_signal(&r->to_load);
    pthread_mutex_unlock(&r->lock);
    if (status != OK) {
        reading_destroy(&x);
    }
    return status;
}

enum status reader_take(struct reader *r, struct reader_item *item, uint64_t timeout_ms) {
    const struct timespec until = thread_cond_until(timeout_ms);
    bool late = timeout_ms == 0;
    enum status status;
    pthread_mutex_lock(&r->lock);
    while ((status = read_ahead_take(&r->ahead, item)) == ERR_TIMEOUT && !late) {
        late = pthread_cond_timedwait(&r->to_take, &r->lock, &until) != 0;
    }
    pthread_mutex_unlock(&r->lock);
    return status;
}

void reader_give_back(struct reader *r, struct batch *b) {
    pthread_mutex_lock(&r->lock);
    read_ahead_give_back(&r->ahead, b);
    pthread_cond_signal(&r->to_cut);
    pthread_mutex_unlock(&r->lock);
}

bool reader_waits(struct reader *r) {
    pthread_mutex_lock(&r->lock);
    const bool waits = read_ahead_waits(&r->ahead);
    pthread_mutex_unlock(&r->lock);
    return waits;
}

void reader_usage(struct reader *r, struct usage *into) {
    pthread_mutex_lock(&r->lock);
    into->stage_s[STAGE_LOAD] += (double)r->load_ns * 1e-9;
    into->stage_s[STAGE_CUT] += (double)r->cut_ns * 1e-9;
    pthread_mutex_unlock(&r->lock);
}
