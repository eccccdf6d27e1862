/* reader.c - leases in, batches out.
 *
 *     leases ──▶ loader thread ──▶ loaded (1) ──▶ cutter thread ──▶ items ──▶ trainers
 *                reads shards                     cuts batches  ◀── free ◀── reader_give_back
 *
 * Two threads, because reading a shard takes long and must not hold up the batches of the one
 * before: while the cutter works on shard k, shard k+1 waits in `loaded` and the loader reads k+2.
 * So at most three shards are in memory, plus the fixed pool of batches; trainers that stop giving
 * batches back stop the reader. `items` has room for every batch and every end mark that can exist,
 * so putting there never waits.
 *
 * Which batches a lease means is the plan's business (plan.h), a pure function; those below the
 * lease's limit and not in its `done` bitmap are cut.
 *
 * The first failure of either thread is kept under `lock` and closes all queues; reader_take hands
 * it to every trainer that asks afterwards. To stop is the same without a failure.
 */
#include "reader.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/data/dataset.h"
#include "common/data/shard_info.h"
#include "common/job/plan.h"
#include "common/base/thread.h"
#include "common/data/sample.h"

#define LEASES_MAX     64
#define WAIT_MS        1000
#define APPEAR_MS      10000
#define APPEAR_LOOK_MS 100

/* A lease with its shard. */
struct loaded {
    struct reader_lease *lease;
    struct shard shard;
    uint32_t impressions; /* of the shard, before a sample was taken */
    bool filled;
};

struct source {
    struct dataset dataset;
    bool open; /* no: no such leases are expected */
};

struct reader {
    struct reader_spec spec;
    struct source train, eval;
    int user_slot;
    struct batch *batches; /* [batches_ahead] */
    struct batch_cutter *cutter;
    uint32_t *order;
    size_t order_cap;
    struct queue leases, loaded, items, free;
    struct thread loader_thread, cutter_thread;
    atomic_bool stop;
    atomic_bool reading; /* the loader is on the disk */
    atomic_ullong load_ns, cut_ns;
    pthread_mutex_t lock; /* guards failure */
    struct cause failure;
};

/* --- waiting ---------------------------------------------------------------------------------- */

/* The next item of a queue; ERR_CLOSED when the reader stops or has failed. */
static enum status await(struct reader *r, struct queue *q, void **item) {
    enum status status = ERR_TIMEOUT;
    while (status == ERR_TIMEOUT && !atomic_load(&r->stop)) {
        status = queue_take(q, item, WAIT_MS);
    }
    return status == ERR_TIMEOUT ? ERR_CLOSED : status;
}

static enum status offer(struct reader *r, struct queue *q, void *item) {
    enum status status = ERR_TIMEOUT;
    while (status == ERR_TIMEOUT && !atomic_load(&r->stop)) {
        status = queue_put(q, item, WAIT_MS);
    }
    return status == ERR_TIMEOUT ? ERR_CLOSED : status;
}

static void close_all(struct reader *r) {
    atomic_store(&r->stop, true);
    queue_close(&r->leases);
    queue_close(&r->loaded);
    queue_close(&r->items);
    queue_close(&r->free);
}

/* A thread's end: ERR_CLOSED is a stop, anything else is noted for the trainers. */
static enum status ended(struct reader *r, enum status status) {
    if (status == ERR_CLOSED || status == OK) {
        return OK;
    }
    pthread_mutex_lock(&r->lock);
    cause_keep(&r->failure, status);
    pthread_mutex_unlock(&r->lock);
    close_all(r);
    return status;
}

/* --- the loader ------------------------------------------------------------------------------- */

static void lease_free(struct reader_lease **l) {
    if (*l != NULL) {
        mem_free(&(*l)->done);
        mem_free(l);
    }
}

static void loaded_free(struct loaded **l) {
    if (*l != NULL) {
        if ((*l)->filled) {
            shard_free(&(*l)->shard);
        }
        lease_free(&(*l)->lease);
        mem_free(l);
    }
}

/* Leaves of a training shard what the model trains on; the plan has counted it beforehand. info:
 * what the manifest says of it; NULL: a stream's says nothing. */
static enum status take_sample(struct reader *r, struct loaded *l, const struct shard_info *info) {
    const struct sampling sampling = sampling_of(r->spec.config);
    TRY(shard_weigh(&l->shard, r->spec.sample_rate));
    TRY(shard_sample(&l->shard, r->spec.schema->user_count, &sampling, r->spec.config->seed,
                     l->lease->lease.shard));
    if (info == NULL) {
        return OK;
    }
    const uint64_t planned =
        sampling_count(&sampling, info->impressions, info->clicks, info->conversions);
    if (l->shard.impressions != planned) {
        return fail(ERR_CORRUPT, "%s/%s: %u impressions to train on, by the manifest's counts %llu",
                    dataset_dir(&r->train.dataset, info), info->name, l->shard.impressions,
                    (unsigned long long)planned);
    }
    return OK;
}

/* The coordinator has seen the file; on a shared file system it may show up here somewhat later. */
static enum status load_streamed(struct reader *r, struct loaded *l) {
    struct shard_info info;
    enum status status;
    shard_name(l->lease->lease.shard, info.name);
    const uint64_t deadline_ms = clock_mono_ms() + APPEAR_MS;
    while ((status = shard_read(&l->shard, r->spec.data->names[0], info.name, r->spec.schema)) ==
               ERR_NOT_FOUND &&
           clock_left_ms(deadline_ms) > 0 && !atomic_load(&r->stop)) {
        clock_sleep_ms(APPEAR_LOOK_MS);
    }
    TRY(status);
    l->filled = true;
    l->impressions = l->shard.impressions;
    return take_sample(r, l, NULL);
}

static enum status load(struct reader *r, struct loaded *l) {
    const struct wire_lease *lease = &l->lease->lease;
    const struct source *source = lease->kind == LEASE_EVAL ? &r->eval : &r->train;
    const char *kind = lease->kind == LEASE_EVAL ? "evaluation" : "training";
    if (!source->open) {
        return fail(ERR_CONFIG, "a lease on %s shard %u, but this worker has no %s data directory",
                    kind, lease->shard, kind);
    }
    if (source == &r->train && r->spec.stream) {
        return load_streamed(r, l);
    }
    if (lease->shard >= source->dataset.shard_count) {
        char name[PATH_BYTES_MAX];
        return fail(ERR_PROTOCOL, "%s: a lease on %s shard %u, but there are %u shards",
                    dataset_name(&source->dataset.dirs, name), kind, lease->shard,
                    source->dataset.shard_count);
    }
    const struct shard_info *info = &source->dataset.shards[lease->shard];
    const char *dir = dataset_dir(&source->dataset, info);
    TRY(shard_read(&l->shard, dir, info->name, r->spec.schema));
    l->filled = true;
    l->impressions = l->shard.impressions;
    if (l->shard.impressions != info->impressions || l->shard.groups != info->groups) {
        return fail(ERR_CORRUPT, "%s/%s: %u impressions in %u groups, the manifest says %u in %u",
                    dir, info->name, l->shard.impressions, l->shard.groups, info->impressions,
                    info->groups);
    }
    /* What figures count does not depend on how the model was trained. */
    return lease->kind == LEASE_EVAL ? shard_weigh(&l->shard, source->dataset.sample_rate)
                                     : take_sample(r, l, info);
}

static enum status load_next(struct reader *r) {
    struct reader_lease *lease;
    TRY(await(r, &r->leases, (void **)&lease));
    struct loaded *l = NULL;
    enum status status = mem_new(&l);
    if (status != OK) {
        lease_free(&lease);
        return status;
    }
    l->lease = lease;
    const uint64_t start_ns = clock_mono_ns();
    atomic_store(&r->reading, true);
    status = load(r, l);
    atomic_store(&r->reading, false);
    atomic_fetch_add(&r->load_ns, clock_mono_ns() - start_ns);
    if (status == OK) {
        status = offer(r, &r->loaded, l);
    }
    if (status != OK) {
        loaded_free(&l);
    }
    return status;
}

static enum status loader_run(void *arg) {
    struct reader *r = arg;
    enum status status = OK;
    while (status == OK) {
        status = load_next(r);
    }
    return ended(r, status);
}

/* --- the cutter ------------------------------------------------------------------------------- */

static enum status set_order(struct reader *r, const struct loaded *l) {
    const struct wire_lease *lease = &l->lease->lease;
    if (l->shard.groups > r->order_cap) {
        mem_free(&r->order);
        r->order_cap = 0;
        TRY(mem_array(&r->order, l->shard.groups));
        r->order_cap = l->shard.groups;
    }
    bool shuffle = r->spec.config->shuffle && lease->kind != LEASE_EVAL;
    plan_groups(r->spec.config->seed, shuffle, lease->epoch, lease->shard, l->shard.groups,
                r->order);
    return batch_cutter_shard(r->cutter, &l->shard, r->order, r->spec.schema->user_count,
                              r->user_slot);
}

static bool is_done(const struct reader_lease *l, uint32_t batch) {
    return batch / 8 < l->done_bytes && (l->done[batch / 8] >> (batch % 8) & 1) != 0;
}

static enum status put_item(struct reader *r, const struct reader_item *item) {
    struct reader_item *copy = NULL;
    TRY(mem_new(&copy));
    *copy = *item;
    enum status status = offer(r, &r->items, copy);
    if (status != OK) {
        mem_free(&copy);
    }
    return status;
}

static enum status cut_one(struct reader *r, const struct loaded *l, uint32_t batches, uint32_t k) {
    const struct wire_lease *lease = &l->lease->lease;
    uint32_t impressions = l->shard.impressions;
    struct batch *b;
    TRY(await(r, &r->free, (void **)&b));
    b->name = (struct batch_name){lease->epoch, lease->shard, k};
    b->fence = lease->fence;
    b->shard_batches = batches;
    const uint64_t start_ns = clock_mono_ns();
    TRY(batch_cut(r->cutter, plan_begin(impressions, batches, k),
                  plan_begin(impressions, batches, k + 1), b));
    atomic_fetch_add(&r->cut_ns, clock_mono_ns() - start_ns);
    return put_item(
        r, &(struct reader_item){.batch = b, .lease = *lease, .shard_impressions = impressions});
}

static enum status cut_lease(struct reader *r, const struct loaded *l) {
    const struct wire_lease *lease = &l->lease->lease;
    uint32_t impressions = l->shard.impressions, queued = 0;
    uint32_t batches = plan_sampled_batches(l->impressions, impressions, r->spec.batch_max);
    TRY(set_order(r, l));
    for (uint32_t k = 0; k < batches && k < lease->batch_limit; k++) {
        if (!is_done(l->lease, k)) {
            TRY(cut_one(r, l, batches, k));
            queued++;
        }
    }
    return put_item(r, &(struct reader_item){.lease = *lease,
                                             .lease_batches = queued,
                                             .shard_impressions = impressions});
}

static enum status cutter_run(void *arg) {
    struct reader *r = arg;
    enum status status = OK;
    while (status == OK) {
        struct loaded *l = NULL;
        status = await(r, &r->loaded, (void **)&l);
        if (status == OK) {
            status = cut_lease(r, l);
        }
        loaded_free(&l);
    }
    return ended(r, status);
}

/* --- life ------------------------------------------------------------------------------------- */

static enum status source_open(struct source *s, const struct file_list *dirs) {
    if (dirs->count == 0) {
        return OK;
    }
    TRY(dataset_read_all(&s->dataset, dirs, NULL));
    s->open = true;
    return OK;
}

/* Evaluation groups by a field or, when it is not named or not there, by the group key. */
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

static enum status start(struct reader *r) {
    uint32_t ahead = r->spec.batches_ahead;
    TRY(source_open(&r->train, r->spec.data));
    TRY(source_open(&r->eval, r->spec.eval));
    r->user_slot = find_user_slot(&r->spec);
    TRY(batch_cutter_create(&r->cutter));
    TRY(mem_array(&r->batches, ahead));
    TRY(queue_init(&r->leases, LEASES_MAX));
    TRY(queue_init(&r->loaded, 1));
    TRY(queue_init(&r->items, (size_t)ahead + LEASES_MAX));
    TRY(queue_init(&r->free, ahead));
    for (uint32_t i = 0; i < ahead; i++) {
        TRY(queue_put(&r->free, &r->batches[i], 0));
    }
    TRY(thread_start(&r->loader_thread, "loader", loader_run, r));
    return thread_start(&r->cutter_thread, "cutter", cutter_run, r);
}

enum status reader_start(struct reader **r, const struct reader_spec *spec) {
    TRY(mem_new(r));
    (*r)->spec = *spec;
    pthread_mutex_init(&(*r)->lock, NULL);
    enum status status = start(*r);
    if (status != OK) {
        reader_stop(r);
    }
    return status;
}

/* What was queued and never taken. */
static void drain(struct reader *r) {
    void *item;
    while (r->leases.items != NULL && queue_take(&r->leases, &item, 0) == OK) {
        struct reader_lease *l = item;
        lease_free(&l);
    }
    while (r->loaded.items != NULL && queue_take(&r->loaded, &item, 0) == OK) {
        struct loaded *l = item;
        loaded_free(&l);
    }
    while (r->items.items != NULL && queue_take(&r->items, &item, 0) == OK) {
        mem_free(&item);
    }
}

void reader_stop(struct reader **reader) {
    struct reader *r = *reader;
    if (r == NULL) {
        return;
    }
    if (r->loader_thread.started) {
        close_all(r);
    }
    thread_join(&r->loader_thread);
    thread_join(&r->cutter_thread);
    drain(r);
    queue_fini(&r->leases);
    queue_fini(&r->loaded);
    queue_fini(&r->items);
    queue_fini(&r->free);
    for (uint32_t i = 0; r->batches != NULL && i < r->spec.batches_ahead; i++) {
        batch_fini(&r->batches[i]);
    }
    mem_free(&r->batches);
    mem_free(&r->order);
    batch_cutter_destroy(&r->cutter);
    if (r->train.open) {
        dataset_free(&r->train.dataset);
    }
    if (r->eval.open) {
        dataset_free(&r->eval.dataset);
    }
    pthread_mutex_destroy(&r->lock);
    mem_free(reader);
}

static enum status failure_of(struct reader *r) {
    pthread_mutex_lock(&r->lock);
    enum status status = r->failure.status == OK ? ERR_CLOSED : cause_again(&r->failure);
    pthread_mutex_unlock(&r->lock);
    return status;
}

enum status reader_lease_put(struct reader *r, struct reader_lease *lease) {
    enum status status = queue_put(&r->leases, lease, 0);
    if (status == ERR_CLOSED) { /* by a failure that no trainer may have brought yet */
        status = failure_of(r);
    }
    if (status == ERR_TIMEOUT) {
        return fail(ERR_LIMIT, "the reader holds %u leases already", LEASES_MAX);
    }
    return status == ERR_CLOSED ? fail(ERR_CLOSED, "the reader has ended") : status;
}

enum status reader_take(struct reader *r, struct reader_item *item, uint64_t timeout_ms) {
    struct reader_item *taken;
    enum status status = queue_take(&r->items, (void **)&taken, timeout_ms);
    if (status == ERR_CLOSED) {
        return failure_of(r);
    }
    TRY(status);
    *item = *taken;
    mem_free(&taken);
    return OK;
}

void reader_give_back(struct reader *r, struct batch *b) {
    /* A closed reader frees its batches itself. */
    (void)queue_put(&r->free, b, 0);
}

bool reader_waits(struct reader *r) {
    return atomic_load(&r->reading) && queue_count(&r->free) == r->spec.batches_ahead;
}

void reader_usage(struct reader *r, struct usage *into) {
    into->stage_s[STAGE_LOAD] += (double)atomic_load(&r->load_ns) * 1e-9;
    into->stage_s[STAGE_CUT] += (double)atomic_load(&r->cut_ns) * 1e-9;
}
