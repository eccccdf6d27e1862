#include "loader.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/data/deal.h"
#include "common/data/sample.h"
#include "common/data/window.h"
#include "common/job/plan.h"

#define APPEAR_MS      10000
#define APPEAR_LOOK_MS 100
#define STREAM_RUNS    0x72756e7300000000u /* of random numbers, as in plan.c and deal.c */

/* --- leases ----------------------------------------------------------------------------------- */

static enum status loader_read_manifests(struct loader *l) {
    if (l->spec.eval->count > 0) {
        TRY(dataset_read_all(&l->eval, l->spec.eval, NULL));
    }
    if (l->spec.data->count == 0) {
        return OK;
    }
    TRY(dataset_read_all(&l->train, l->spec.data, NULL));
    if (l->spec.stream) {
        return OK;
    }
    l->shared = data_ranges_shared(l->spec.config, &l->train);
    return data_ranges(&l->ranges, l->spec.config, &l->train);
}

enum status loader_init(struct loader *l, const struct loader_spec *spec) {
    *l = (struct loader){.spec = *spec};
    return loader_read_manifests(l);
}

void loader_fini(struct loader *l) {
    dataset_free(&l->train);
    dataset_free(&l->eval);
    ranges_fini(&l->ranges);
}

bool loader_mixes(const struct loader *l) {
    return ranges_mixed(&l->ranges);
}

static enum status check_exists(const struct dataset *source, const char *kind, const char *noun,
                                uint32_t at, uint32_t count) {
    char name[PATH_BYTES_MAX];
    if (source->dirs.count == 0) {
        return fail(ERR_CONFIG, "a lease on %s %s %u, but this worker has no %s data directory",
                    kind, noun, at, kind);
    }
    if (at >= count) {
        return fail(ERR_PROTOCOL, "%s: a lease on %s %s %u, but there are %u",
                    dataset_name(&source->dirs, name), kind, noun, at, count);
    }
    return OK;
}

enum status loader_place(const struct loader *l, const struct wire_lease *lease,
                         struct reading_place *place) {
    *place = (struct reading_place){.window = {lease->kind, lease->epoch, lease->shard},
                                    .count = UINT32_MAX};
    if (lease->kind == LEASE_EVAL) {
        return check_exists(&l->eval, "evaluation", "shard", lease->shard, l->eval.shard_count);
    }
    if (l->spec.stream) {
        return check_exists(&l->train, "training", "shard", lease->shard, UINT32_MAX);
    }
    TRY(check_exists(&l->train, "training", "range", lease->shard, l->ranges.count));
    const struct range_batches batches = ranges_place(&l->ranges, lease->shard);
    place->window.window = l->ranges.window[lease->shard];
    place->first = batches.first;
    place->count = batches.count;
    if (lease->ahead > 0 && lease->ahead <= l->ranges.count) {
        place->ahead = place->window;
        place->ahead.window = l->ranges.window[lease->ahead - 1];
    }
    return OK;
}

/* --- shards ----------------------------------------------------------------------------------- */

/* Leaves in a training shard only what the model trains on; the plan has counted this beforehand.
 * info: what the manifest says of the shard; NULL: nothing, since the data is a stream. */
static enum status take_sample(const struct loader *l, struct shard *s, uint32_t number,
                               const struct shard_info *info) {
    const struct sampling sampling = sampling_of(l->spec.config);
    TRY(shard_weigh(s, l->spec.sample_rate));
    TRY(shard_sample(s, l->spec.schema->user_count, &sampling, l->spec.config->seed, number));
    if (info == NULL) {
        return OK;
    }
    const uint64_t planned =
        sampling_count(&sampling, info->impressions, info->clicks, info->conversions);
    if (s->impressions != planned) {
        return fail(ERR_CORRUPT, "%s/%s: %u impressions to train on, by the manifest's counts %llu",
                    dataset_dir(&l->train, info), info->name, s->impressions,
                    (unsigned long long)planned);
    }
    return OK;
}

/* The coordinator has seen the file, but on a shared file system it may appear here a little
 * later. */
static enum status read_streamed(struct loader *l, uint32_t number, struct shard *s) {
    struct shard_info info;
    enum status status;
    shard_name(number, info.name);
    const uint64_t deadline_ms = clock_mono_ms() + APPEAR_MS;
    while ((status = shard_read(s, l->spec.data->names[0], info.name, l->spec.schema)) ==
               ERR_NOT_FOUND &&
           clock_left_ms(deadline_ms) > 0 && !atomic_load(&l->stop)) {
        clock_sleep_ms(APPEAR_LOOK_MS);
    }
    return status;
}

static enum status read_listed(const struct loader *l, const struct dataset *source,
                               uint32_t number, struct shard *s) {
    const struct shard_info *info = &source->shards[number];
    const char *dir = dataset_dir(source, info);
    TRY(shard_read(s, dir, info->name, l->spec.schema));
    if (s->impressions != info->impressions || s->groups != info->groups) {
        return fail(ERR_CORRUPT, "%s/%s: %u impressions in %u groups, the manifest says %u in %u",
                    dir, info->name, s->impressions, s->groups, info->impressions, info->groups);
    }
    return OK;
}

/* --- windows in order: a shard ---------------------------------------------------------------- */

static enum status set_runs(const struct loader *l, struct read_window *w) {
    enum status status = OK;
    const struct shard *s = &w->shard;
    const bool shuffle = l->spec.config->shuffle && w->key.kind == LEASE_TRAIN;
    uint32_t *order = NULL;
    TRY_OUT(mem_array(&order, s->groups));
    TRY_OUT(mem_array(&w->runs, s->groups));
    plan_groups(l->spec.config->seed, shuffle, w->key.epoch, w->key.window, s->groups, order);
    runs_of_groups(s, order, w->runs);
    w->run_count = s->groups;
out:
    mem_free(&order);
    return status;
}

static enum status load_in_order(struct loader *l, struct read_window *w) {
    const uint32_t number = w->key.window;
    const bool eval = w->key.kind == LEASE_EVAL;
    const bool streamed = !eval && l->spec.stream;
    const struct dataset *source = eval ? &l->eval : &l->train;
    TRY(streamed ? read_streamed(l, number, &w->shard) : read_listed(l, source, number, &w->shard));
    const uint32_t impressions = w->shard.impressions;
    /* How impressions count in the figures does not depend on how the model was trained. */
    TRY(eval ? shard_weigh(&w->shard, source->sample_rate)
             : take_sample(l, &w->shard, number, streamed ? NULL : &source->shards[number]));
    w->batches = plan_sampled_batches(impressions, w->shard.impressions, l->spec.config->batch);
    return set_runs(l, w);
}

/* --- windows of many shards ------------------------------------------------------------------- */

static enum status add_slice(const struct loader *l, uint32_t epoch, const struct slice *slice,
                             struct window_builder *b) {
    enum status status = OK;
    struct shard s = {0};
    uint32_t *order = NULL;
    TRY_OUT(read_listed(l, &l->train, slice->shard, &s));
    TRY_OUT(take_sample(l, &s, slice->shard, &l->train.shards[slice->shard]));
    TRY_OUT(mem_array(&order, s.groups));
    plan_groups(l->spec.config->seed, l->spec.config->shuffle, epoch, slice->shard, s.groups,
                order);
    TRY_OUT(window_add(b, &s, order, slice->begin, slice->end));
out:
    mem_free(&order);
    shard_free(&s);
    return status;
}

static enum status add_slices(struct loader *l, struct read_window *w, struct window_builder *b) {
    enum status status = OK;
    struct slice *slices = NULL;
    uint32_t count = 0;
    TRY_OUT(ranges_slices(&l->ranges, w->key.epoch, w->key.window, &slices, &count));
    for (uint32_t i = 0; i < count; i++) {
        TRY_OUT(atomic_load(&l->stop) ? ERR_CLOSED : OK);
        TRY_OUT(add_slice(l, w->key.epoch, &slices[i], b));
    }
out:
    mem_free(&slices);
    return status;
}

/* Runs are samples of their group; of whole groups the order does not matter. */
static uint64_t window_mix(const struct config *c, const struct window_key *key) {
    return sampling_run(c) == 0 ? 0 : rng_u64(c->seed ^ STREAM_RUNS, key->epoch, key->window) | 1;
}

static enum status load_mixed(struct loader *l, struct read_window *w) {
    enum status status = OK;
    struct window_builder *b = NULL;
    const struct config *c = l->spec.config;
    const uint32_t *first_range = &l->ranges.first_range[w->key.window];
    const uint32_t ranges = first_range[1] - first_range[0];
    const struct deal_spec spec = {.seed = c->seed,
                                   .epoch = w->key.epoch,
                                   .window = w->key.window,
                                   .run = sampling_run(c),
                                   .batches = ranges_window_batches(&l->ranges, w->key.window),
                                   .blocks = l->ranges.spec.share ? ranges : 1};
    TRY_OUT(window_begin(&b, l->spec.schema, window_mix(c, &w->key)));
    TRY_OUT(add_slices(l, w, b));
    TRY_OUT(window_finish(b, &w->shard));
    TRY_OUT(deal(&w->shard, &spec, &w->runs, &w->run_count));
    w->batches = spec.batches;
out:
    window_destroy(&b);
    return status;
}

/* --- either ----------------------------------------------------------------------------------- */

enum status loader_load(struct loader *l, struct read_window *w) {
    read_window_free(w);
    return loader_mixes(l) && w->key.kind == LEASE_TRAIN ? load_mixed(l, w) : load_in_order(l, w);
}
