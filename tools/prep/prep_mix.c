/* prep_mix.c - puts groups into another order, in bounded memory.
 *
 * A log that is larger than memory is permuted in two steps. Each group goes into one of K buckets,
 * chosen by a random number. Then each bucket, which fits into memory, is permuted by itself. The
 * buckets one after the other are a permutation of the whole log, and every permutation is equally
 * likely. With a window of N impressions, each stretch of the log is a bucket, or several buckets
 * if a window does not fit into memory either.
 *
 * A bucket consists of shards, too. They are built in memory, written to DIR.tmp/mix when the
 * bucket has used its share of memory, and read back when it is the bucket's turn. If everything
 * fits (K = 1), nothing is written in between: the shards of the first pass are held until their
 * groups are written out. Without --shuffle a window is one group.
 *
 * Not chosen: drawing from a buffer of groups while reading, as the input pipelines of trainers do.
 * It mixes only over the buffer's length, and a log sorted by label needs mixing over the whole
 * log.
 */
#include "prep_mix.h"

#include <stdio.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/base/thread.h"
#include "common/data/shard_format.h"

#define DRAW_BUCKET            0x6275636b6574u /* keeps the draws of one seed apart */
#define DRAW_ORDER             0x6f72646572u
#define GROUP_VALUE_BYTES      16u /* memory per value in a builder */
#define GROUP_IMPRESSION_BYTES 64u /* memory per impression, besides its values */

struct bucket {
    struct shard_builder *builder;
    uint32_t files; /* number of files written */
};

struct ref {
    const struct shard *shard;
    uint32_t group;
};

struct mix {
    const struct mix_spec *spec;
    char dir[PATH_BYTES_MAX]; /* directory of the buckets */
    struct bucket *buckets;   /* [count]; not allocated if count is 1 */
    uint32_t count;
    struct shard **held; /* [held_count] shards that refs point to */
    size_t held_count, held_cap;
    struct ref *refs; /* the groups to write out next */
    size_t refs_count, refs_cap;
    uint64_t ordinal, windows; /* number of groups and windows so far */
    uint64_t in_window;        /* impressions in the current window */
    struct feature_list room;
    struct prep_progress progress;
    uint64_t bytes_done, impressions_done;
};

static enum status mix_stopped(void) {
    return stop_requested()
               ? fail(ERR_CLOSED, "stopped by signal %d; nothing was written", stop_signal())
               : OK;
}

/* --- holding ---------------------------------------------------------------------------------- */

static void mix_release(struct mix *m, size_t keep) {
    for (size_t k = 0; k + keep < m->held_count; k++) {
        shard_free(m->held[k]);
        mem_free(&m->held[k]);
    }
    if (keep > 0 && m->held_count > keep) {
        m->held[0] = m->held[m->held_count - 1];
    }
    m->held_count = m->held_count < keep ? m->held_count : keep;
    m->refs_count = 0;
}

static enum status mix_hold(struct mix *m, const char *dir, const char *name, struct shard **out) {
    char path[PATH_BYTES_MAX];
    TRY(mem_room(&m->held, &m->held_cap, m->held_count + 1));
    TRY(mem_new(&m->held[m->held_count]));
    *out = m->held[m->held_count++];
    TRY(shard_read(*out, dir, name, m->spec->schema));
    TRY(path_join(path, dir, name));
    return file_remove(path);
}

static enum status mix_refer(struct mix *m, const struct shard *s, uint32_t group) {
    TRY(mem_room(&m->refs, &m->refs_cap, m->refs_count + 1));
    m->refs[m->refs_count++] = (struct ref){s, group};
    return OK;
}

/* --- out -------------------------------------------------------------------------------------- */

static enum status mix_emit_one(struct mix *m, const struct ref *r) {
    const struct mix_spec *spec = m->spec;
    const uint32_t side = prep_split_side(&spec->split, spec->seed, r->shard, r->group);
    return prep_side_add(spec->side[side], r->shard, r->group);
}

/* Writes out the groups in refs, permuted if they are to be mixed. Each call needs a new `part`, or
 * a new window. */
static enum status mix_emit(struct mix *m, uint64_t part) {
    for (size_t i = m->refs_count; m->spec->shuffle && i > 1; i--) {
        const uint64_t draw = rng_u64(m->spec->seed, DRAW_ORDER, part);
        const size_t j = (size_t)rng_below(draw, m->windows, i, i);
        const struct ref last = m->refs[i - 1];
        m->refs[i - 1] = m->refs[j];
        m->refs[j] = last;
    }
    for (size_t i = 0; i < m->refs_count; i++) {
        TRY((i & 4095u) == 0 ? mix_stopped() : OK);
        TRY(mix_emit_one(m, &m->refs[i]));
    }
    return OK;
}

/* --- buckets ---------------------------------------------------------------------------------- */

static void bucket_name(uint32_t bucket, uint32_t file, char out[32]) {
    snprintf(out, 32, "%u-%u.bin", bucket, file);
}

static enum status bucket_write(struct mix *m, uint32_t k) {
    struct bucket *b = &m->buckets[k];
    struct shard_info info;
    char name[sizeof info.name];
    if (shard_builder_impressions(b->builder) == 0) {
        return OK;
    }
    bucket_name(k, b->files++, name);
    return shard_builder_write(b->builder, m->spec->schema, m->dir, name, &info);
}

static enum status bucket_builder(struct bucket *b) {
    TRY(shard_builder_create(&b->builder));
    shard_builder_fleeting(b->builder);
    return OK;
}

static enum status mix_throw(struct mix *m, const struct shard *s, uint32_t group) {
    const uint32_t k = (uint32_t)rng_below(m->spec->seed, DRAW_BUCKET, m->ordinal, m->count);
    struct bucket *b = &m->buckets[k];
    const uint32_t n = s->group_start[group + 1] - s->group_start[group];
    TRY(b->builder == NULL ? bucket_builder(b) : OK);
    if (shard_builder_bytes(b->builder) > m->spec->bytes / m->count ||
        shard_builder_impressions(b->builder) + n > SHARD_IMPRESSIONS_MAX) {
        TRY(bucket_write(m, k));
        shard_builder_destroy(&b->builder); /* this also frees its memory */
        TRY(bucket_builder(b));
    }
    return shard_copy_group(b->builder, s, m->spec->schema, group, &m->room);
}

static enum status bucket_read(struct mix *m, uint32_t k) {
    struct bucket *b = &m->buckets[k];
    struct shard *s = NULL;
    char name[32];
    for (uint32_t file = 0; file < b->files; file++) {
        TRY(mix_stopped());
        bucket_name(k, file, name);
        TRY(mix_hold(m, m->dir, name, &s));
        for (uint32_t g = 0; g < s->groups; g++) {
            TRY(mix_refer(m, s, g));
        }
    }
    b->files = 0;
    return OK;
}

static enum status empty_buckets(struct mix *m) {
    for (uint32_t k = 0; k < m->count; k++) {
        if (m->buckets[k].builder != NULL) {
            TRY(bucket_write(m, k));
            shard_builder_destroy(&m->buckets[k].builder);
        }
    }
    for (uint32_t k = 0; k < m->count; k++) {
        TRY(bucket_read(m, k));
        TRY(mix_emit(m, k));
        mix_release(m, 0);
    }
    return OK;
}

/* --- in --------------------------------------------------------------------------------------- */

/* Ends a window. `current`: the shard that is being read is held too, and stays held. */
static enum status end_window(struct mix *m, bool current) {
    TRY(m->count > 1 ? empty_buckets(m) : mix_emit(m, 0));
    if (m->count == 1) {
        mix_release(m, current ? 1 : 0);
    }
    m->windows++;
    m->in_window = 0;
    return OK;
}

static enum status take_group(struct mix *m, const struct shard *s, uint32_t g) {
    const uint64_t window = m->spec->shuffle ? m->spec->window : 1;
    TRY(m->count > 1 ? mix_throw(m, s, g) : mix_refer(m, s, g));
    m->ordinal++;
    m->in_window += s->group_start[g + 1] - s->group_start[g];
    return window > 0 && m->in_window >= window ? end_window(m, true) : OK;
}

/* With buckets, no other shard is held while this one is read. */
static enum status take_shard(struct mix *m, const struct shard_info *info) {
    struct shard *s = NULL;
    enum status status = OK;
    TRY(mix_stopped());
    TRY(mix_hold(m, m->spec->dir, info->name, &s));
    if (m->count > 1) {
        m->held_count--; /* this function owns it for now */
    }
    if (m->spec->split.kind == SPLIT_TIME && s->time == NULL) {
        status = fail(ERR_FORMAT, "--split by a time needs times: the log has none (log.time and "
                                  "log.conversion_time of a csv schema); --split 90%% needs none");
    }
    for (uint32_t g = 0; g < s->groups && status == OK; g++) {
        status = take_group(m, s, g);
    }
    m->bytes_done += info->bytes;
    m->impressions_done += info->impressions;
    prep_progress_show(&m->progress, m->bytes_done, m->impressions_done);
    if (m->count > 1) {
        shard_free(s);
        mem_free(&s);
    }
    return status;
}

/* Gives how many buckets a window needs. */
static uint32_t buckets_for(const struct mix_spec *spec) {
    double bytes = 0, impressions = 0;
    for (size_t k = 0; k < spec->count; k++) {
        bytes += (double)spec->shards[k].values * GROUP_VALUE_BYTES +
                 (double)spec->shards[k].impressions * GROUP_IMPRESSION_BYTES;
        impressions += (double)spec->shards[k].impressions;
    }
    if (spec->window > 0 && (double)spec->window < impressions) {
        bytes *= (double)spec->window / impressions;
    }
    return spec->shuffle ? 1 + (uint32_t)(bytes / (double)spec->bytes) : 1;
}

static enum status make_buckets(struct mix *m) {
    m->count = buckets_for(m->spec);
    if (m->count == 1) {
        return OK;
    }
    TRY(path_join(m->dir, m->spec->dir, "mix"));
    TRY(file_mkdirs_private(m->dir));
    return mem_array(&m->buckets, m->count);
}

static enum status mix_run(struct mix *m) {
    const struct mix_spec *spec = m->spec;
    uint64_t bytes = 0;
    for (size_t k = 0; k < spec->count; k++) {
        bytes += spec->shards[k].bytes;
    }
    TRY(make_buckets(m));
    prep_progress_start(&m->progress, spec->shuffle ? "mixing" : "splitting", bytes);
    for (size_t k = 0; k < spec->count; k++) {
        TRY(take_shard(m, &spec->shards[k]));
    }
    TRY(end_window(m, false));
    for (uint32_t k = 0; k < SPLIT_SIDES && spec->side[k] != NULL; k++) {
        TRY(prep_side_end(spec->side[k]));
        TRY(drift_end(&spec->side[k]->drift));
    }
    return m->count > 1 ? file_remove_tree(m->dir) : OK;
}

enum status prep_mix(const struct mix_spec *spec) {
    struct mix *m = NULL;
    TRY(mem_new(&m));
    m->spec = spec;
    const enum status status = mix_run(m);
    prep_progress_end(&m->progress);
    mix_release(m, 0);
    for (uint32_t k = 0; k < m->count && m->buckets != NULL; k++) {
        shard_builder_destroy(&m->buckets[k].builder);
    }
    mem_free(&m->buckets);
    mem_free(&m->held);
    mem_free(&m->refs);
    feature_list_fini(&m->room);
    mem_free(&m);
    return status;
}
