/* records_run.c - writes records into a directory that grows.
 *
 * The source is read twice. The first pass makes every shard's records and sorts them. The second
 * pass goes through the slices of time and copies each record's features from the shard it came
 * from. In the order of time these are mostly the same few shards, but late conversions reach back
 * as far as the attribution window. So shards are held up to a limit of bytes, and the least
 * recently used one is dropped first.
 *
 * A reader that follows the directory first sees a manifest without shards. Then it sees shards 0,
 * 1, 2, ..., each complete, then the manifest again with all shards, then `end`.
 */
#include "records_run.h"

#include <stdio.h>

#include "common/base/clock.h"
#include "common/data/data_fit.h"
#include "common/base/lock.h"
#include "common/base/mem.h"
#include "common/base/thread.h"
#include "tools/common/shard_copy.h"

#define PAUSE_STEP_MS 50u /* a pause checks for a stop signal so often */

struct held {
    struct shard *shard; /* NULL: not held */
    uint64_t bytes, used;
};

struct run {
    const struct records_options *o;
    struct records_summary *summary;
    struct dataset source, out;
    struct records records;
    struct held *held; /* [source.shard_count] */
    uint64_t held_bytes, clock;
    struct shard_builder *builder;
    struct feature_list features;
    struct shard_info *shards; /* the shards written so far */
    size_t shards_cap;
    struct lock lock; /* the lock of out */
};

/* --- shards of the source --------------------------------------------------------------------- */

static void held_drop(struct run *r, struct held *h) {
    r->held_bytes -= h->bytes;
    shard_free(h->shard);
    mem_free(&h->shard);
    h->bytes = 0;
}

/* Drops shards until the limit holds; any may go except the one used last. */
static void make_room(struct run *r) {
    while (r->held_bytes > r->o->memory) {
        struct held *oldest = NULL;
        for (uint32_t s = 0; s < r->source.shard_count; s++) {
            struct held *h = &r->held[s];
            if (h->shard != NULL && h->used != r->clock &&
                (oldest == NULL || h->used < oldest->used)) {
                oldest = h;
            }
        }
        if (oldest == NULL) {
            return;
        }
        held_drop(r, oldest);
    }
}

/* *out is valid until the next call. */
static enum status held_shard(struct run *r, uint32_t number, const struct shard **out) {
    struct held *h = &r->held[number];
    h->used = ++r->clock;
    if (h->shard == NULL) {
        TRY(mem_new(&h->shard));
        const struct shard_info *info = &r->source.shards[number];
        TRY(shard_read(h->shard, dataset_dir(&r->source, info), info->name, &r->source.schema));
        /* Impressions were thinned out by the clicks of the log, not by the clicks that came in
         * time. */
        TRY(shard_weigh(h->shard, r->source.sample_rate));
        h->bytes = shard_memory(h->shard);
        r->held_bytes += h->bytes;
        make_room(r);
    }
    *out = h->shard;
    return OK;
}

static enum status add_all(struct run *r) {
    const struct shard *s = NULL;
    for (uint32_t k = 0; k < r->source.shard_count; k++) {
        if (stop_requested()) {
            return fail(ERR_CLOSED, "stopped by signal %d", stop_signal());
        }
        TRY(held_shard(r, k, &s));
        TRY(records_add(&r->records, &r->o->rule, s, k));
    }
    records_sort(&r->records);
    r->summary->counts = r->records;
    r->summary->counts.records = NULL;
    return OK;
}

/* --- shards that are written ------------------------------------------------------------------ */

static enum status add_record(struct run *r, const struct record *x, bool fresh) {
    const struct shard *s = NULL;
    TRY(held_shard(r, x->shard, &s));
    if (fresh) {
        TRY(shard_features(s, &r->source.schema, SIDE_USER, x->group, &r->features));
        TRY(shard_builder_group(r->builder, s->group_key[x->group], r->features.features,
                                r->features.count));
    }
    const struct moment when = {.time = x->time,
                                .click_time = s->click_time[x->impression],
                                .conversion_time = s->conversion_time[x->impression],
                                .kind = (enum record_kind)x->kind};
    TRY(shard_features(s, &r->source.schema, SIDE_ITEM, x->impression, &r->features));
    TRY(shard_builder_timed(r->builder, s->impression_id[x->impression], x->labels, &when,
                            r->features.features, r->features.count));
    const float weight = s->weight == NULL ? 1.0f : s->weight[x->impression];
    return shard_builder_weigh(r->builder, weight);
}

static enum status pause_writing(uint64_t ms) {
    for (; ms > 0 && !stop_requested(); ms -= ms < PAUSE_STEP_MS ? ms : PAUSE_STEP_MS) {
        const uint64_t step = ms < PAUSE_STEP_MS ? ms : PAUSE_STEP_MS;
        clock_sleep_ms(step);
    }
    return stop_requested() ? fail(ERR_CLOSED, "stopped by signal %d", stop_signal()) : OK;
}

static enum status write_shard(struct run *r, const struct record *from, size_t count) {
    char name[sizeof r->shards->name];
    for (size_t i = 0; i < count; i++) {
        const bool fresh =
            i == 0 || from[i].shard != from[i - 1].shard || from[i].group != from[i - 1].group;
        TRY(add_record(r, &from[i], fresh));
    }
    TRY(mem_room(&r->shards, &r->shards_cap, r->out.shard_count + 1));
    shard_name(r->out.shard_count, name);
    TRY(shard_builder_write(r->builder, &r->source.schema, r->o->out, name,
                            &r->shards[r->out.shard_count]));
    r->out.shard_count++;
    return pause_writing(r->o->pause_ms);
}

static enum status write_slice(struct run *r, struct record *slice, size_t count) {
    if (count > UINT32_MAX) {
        return fail(ERR_LIMIT, "a slice of more than 2^32 records: give a shorter --slice");
    }
    records_order(slice, count);
    for (size_t i = 0; i < count; i += r->o->shard_impressions) {
        const size_t left = count - i;
        TRY(write_shard(r, slice + i,
                        left < r->o->shard_impressions ? left : r->o->shard_impressions));
    }
    r->summary->slices++;
    return OK;
}

static enum status write_slices(struct run *r) {
    struct record *all = r->records.records;
    for (size_t i = 0, end = 0; i < r->records.count; i = end) {
        const uint64_t slice = records_slice(&r->o->rule, all[i].time);
        while (end < r->records.count && records_slice(&r->o->rule, all[end].time) == slice) {
            end++;
        }
        TRY(write_slice(r, all + i, end - i));
    }
    return OK;
}

/* --- the directory ---------------------------------------------------------------------------- */

static enum status write_manifest(struct run *r) {
    r->out.shards = r->shards;
    const enum status status = dataset_write(&r->out, r->o->out);
    r->out.shards = NULL;
    return status;
}

static enum status records_begin(struct run *r) {
    TRY(file_mkdirs_above(r->o->out));
    TRY(lock_take_beside(&r->lock, r->o->out));
    if (file_exists(r->o->out)) {
        return fail(ERR_EXISTS, "%s exists already; records writes a new directory", r->o->out);
    }
    TRY(data_fit_read(&r->source, &r->o->data));
    TRY(mem_array(&r->held, r->source.shard_count));
    TRY(shard_builder_create(&r->builder));
    r->summary->impressions = r->source.impressions;
    r->summary->clicks = r->source.clicks;
    r->summary->conversions = r->source.conversions;
    r->out.schema = r->source.schema;
    r->out.fields = r->source.fields; /* still owned by the source */
    r->out.seed = r->source.seed;
    r->out.no_conversion = r->source.no_conversion;
    memcpy(r->out.source, "records", sizeof "records");
    snprintf(r->out.stream, sizeof r->out.stream, "%s", streams_name(r->o->rule.stream));
    return OK;
}

static enum status records_publish(struct run *r) {
    char path[PATH_BYTES_MAX];
    if (r->records.count > 0) {
        r->out.first_time = r->records.records[0].time;
        r->out.last_time = r->records.records[r->records.count - 1].time;
    }
    TRY(file_mkdirs(r->o->out));
    TRY(write_manifest(r));
    TRY(write_slices(r));
    r->summary->shards = r->out.shard_count;
    TRY(write_manifest(r));
    TRY(path_join(path, r->o->out, "end"));
    return file_write_atomic(path, "", 0);
}

static void records_run_fini(struct run *r) {
    for (uint32_t s = 0; s < r->source.shard_count && r->held != NULL; s++) {
        if (r->held[s].shard != NULL) {
            held_drop(r, &r->held[s]);
        }
    }
    mem_free(&r->held);
    mem_free(&r->shards);
    records_fini(&r->records);
    feature_list_fini(&r->features);
    shard_builder_destroy(&r->builder);
    dataset_free(&r->source);
    lock_release(&r->lock);
}

enum status records_run(const struct records_options *o, struct records_summary *summary) {
    struct run *r = NULL;
    enum status status = OK;
    *summary = (struct records_summary){0};
    TRY(mem_new(&r));
    r->o = o;
    r->summary = summary;
    r->lock = LOCK_NONE;
    TRY_OUT(records_begin(r));
    TRY_OUT(add_all(r));
    TRY_OUT(records_publish(r));
out:
    records_run_fini(r);
    mem_free(&r);
    return status;
}
