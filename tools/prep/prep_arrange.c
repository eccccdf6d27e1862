#include "prep_arrange.h"

#include <stdio.h>

#include "common/base/mem.h"
#include "common/field/civil.h"
#include "prep_mix.h"

static const char *const side_names[SPLIT_SIDES] = {"train", "eval"};

struct arrangement {
    struct schema schema; /* finished */
    struct prep_side side[SPLIT_SIDES];
    uint32_t sides;
};

/* --- a log that is sorted --------------------------------------------------------------------- */

/* The options decide which order is examined: that of the resulting shards. */
static enum status doubt_order(const struct dataset *d, const struct drift *drift,
                               struct buf *doubts) {
    const struct drift_finding f = drift_tenths(drift, d->groups);
    if (!f.found) {
        return OK;
    }
    return buf_printf(
        doubts,
        "the log looks sorted by %s: tenth %zu has a share of %.3g %s, all of it %.3g; "
        "trained on in this order it gives a bad model: mix it with esmm prep "
        "--shuffle all\n",
        f.conversions ? "conversion" : "click", f.part + 1, f.share,
        f.conversions ? "of conversions among its clicks" : "of clicks", f.mean);
}

/* --- two sides -------------------------------------------------------------------------------- */

static enum status empty_side(const struct prep_run *r, const char *name) {
    if (r->o->split.kind == SPLIT_SHARE) {
        return fail(ERR_FORMAT,
                    "--split %s leaves %s empty: the log has too few groups of different keys",
                    r->o->split_text, name);
    }
    char first[CIVIL_BYTES], last[CIVIL_BYTES];
    civil_text((int64_t)r->log.first_time, first);
    civil_text((int64_t)r->log.last_time, last);
    return fail(ERR_FORMAT, "--split %s leaves %s empty: the log's times are from %s to %s UTC",
                r->o->split_text, name, first, last);
}

static enum status say_side(const char *name, const struct dataset *d, struct buf *out) {
    return buf_printf(out,
                      "%-12s %llu impressions in %llu groups, %llu clicks (%.4g %%), %llu "
                      "conversions (%.4g %% of clicks)\n",
                      name, (unsigned long long)d->impressions, (unsigned long long)d->groups,
                      (unsigned long long)d->clicks, prep_percent(d->clicks, d->impressions),
                      (unsigned long long)d->conversions, prep_percent(d->conversions, d->clicks));
}

/* Both manifests repeat what is known about the log's lines. */
static enum status seal_sides(struct prep_run *r, struct arrangement *a, struct dataset *d,
                              struct buf *says) {
    struct dataset *part = NULL;
    enum status status = OK;
    buf_clear(&r->out.shards);
    TRY(mem_new(&part));
    for (uint32_t k = 0; k < SPLIT_SIDES; k++) {
        struct prep_side *side = &a->side[k];
        if (side->shards.len == 0) {
            TRY_OUT(empty_side(r, side_names[k]));
        }
        *part = *d;
        part->schema = a->schema;
        memcpy(part->field_values, side->values, sizeof part->field_values);
        part->first_time = side->first_time;
        part->last_time = side->last_time;
        TRY_OUT(prep_output_seal(&r->out, side_names[k], &side->shards, part));
        TRY_OUT(buf_put(&r->out.shards, side->shards.data, side->shards.len));
        TRY_OUT(say_side(side_names[k], part, says));
    }
    d->shards = (struct shard_info *)(void *)r->out.shards.data;
    d->shard_count = (uint32_t)(r->out.shards.len / sizeof *d->shards);
    prep_output_sum(d);
out:
    mem_free(&part);
    return status;
}

/* --- mixed, split, or as it is ---------------------------------------------------------------- */

static enum status open_sides(struct prep_run *r, struct arrangement *a) {
    const bool split = r->o->split.kind != SPLIT_NONE;
    char dir[PATH_BYTES_MAX];
    snprintf(dir, sizeof dir, "%s", r->out.dir.temporary);
    a->schema = r->fields.schema;
    schema_finish(&a->schema);
    a->sides = split ? SPLIT_SIDES : 1;
    for (uint32_t k = 0; k < a->sides; k++) {
        TRY(split ? path_join(dir, r->out.dir.temporary, side_names[k]) : OK);
        TRY(file_mkdirs(dir));
        TRY(prep_side_open(&a->side[k], dir, &a->schema, (uint32_t)r->o->shard_impressions));
    }
    return OK;
}

static enum status arrange_mixed(struct prep_run *r, struct arrangement *a) {
    TRY(open_sides(r, a));
    const struct mix_spec spec = {.dir = r->out.dir.temporary,
                                  .schema = &a->schema,
                                  .shards =
                                      (const struct shard_info *)(const void *)r->out.shards.data,
                                  .count = r->out.shards.len / sizeof(struct shard_info),
                                  .shuffle = r->o->shuffle,
                                  .window = r->o->window,
                                  .seed = r->o->seed,
                                  .bytes = r->o->mix_bytes > 0 ? r->o->mix_bytes : MIX_BYTES,
                                  .split = r->o->split,
                                  .side = {&a->side[0], a->sides > 1 ? &a->side[1] : NULL}};
    return prep_mix(&spec);
}

static enum status arrange_shards(struct prep_run *r, struct arrangement *a, struct dataset *d,
                                  struct buf *says, struct buf *doubts) {
    const bool again = prep_arranges(r->o) && r->out.shards.len > 0;
    TRY(drift_end(&r->drift));
    TRY(again ? arrange_mixed(r, a) : OK);
    TRY(prep_output_finish(&r->out));
    if (again && a->sides > 1) {
        TRY(seal_sides(r, a, d, says));
    } else {
        TRY(prep_output_seal(&r->out, "", again ? &a->side[0].shards : &r->out.shards, d));
    }
    if (again && a->sides == 1) { /* the shards in the summary outlive the side */
        buf_clear(&r->out.shards);
        TRY(buf_put(&r->out.shards, a->side[0].shards.data, a->side[0].shards.len));
        d->shards = (struct shard_info *)(void *)r->out.shards.data;
    }
    return doubt_order(d, r->o->shuffle ? &a->side[0].drift : &r->drift, doubts);
}

enum status prep_arrange(struct prep_run *r, struct dataset *d, struct buf *sides,
                         struct buf *doubts) {
    struct arrangement *a = NULL;
    TRY(mem_new(&a));
    const enum status status = arrange_shards(r, a, d, sides, doubts);
    for (uint32_t k = 0; k < SPLIT_SIDES; k++) {
        prep_side_close(&a->side[k]);
    }
    mem_free(&a);
    return status;
}
