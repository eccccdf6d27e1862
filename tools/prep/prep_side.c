#include "prep_side.h"

#include <stdio.h>

#include "prep_shards.h"

enum status prep_side_open(struct prep_side *s, const char *dir, const struct schema *schema,
                           uint32_t shard_impressions) {
    *s = (struct prep_side){.schema = schema, .shard_impressions = shard_impressions};
    snprintf(s->dir, sizeof s->dir, "%s", dir);
    return shard_builder_create(&s->builder);
}

void prep_side_close(struct prep_side *s) {
    shard_builder_destroy(&s->builder);
    feature_list_fini(&s->room);
    buf_fini(&s->shards);
    drift_fini(&s->drift);
}

enum status prep_side_end(struct prep_side *s) {
    struct shard_info info;
    char name[sizeof info.name];
    if (shard_builder_impressions(s->builder) == 0) {
        return OK;
    }
    snprintf(name, sizeof name, "mixed-%zu.bin", s->shards.len / sizeof info);
    TRY(shard_builder_write(s->builder, s->schema, s->dir, name, &info));
    s->values_held = 0;
    return buf_put(&s->shards, &info, sizeof info);
}

static uint64_t count_values(struct prep_side *s, const struct shard *from, uint32_t group) {
    uint64_t all = 0;
    for (uint32_t f = 0; f < from->columns; f++) {
        const bool user = s->schema->fields[f].side == SIDE_USER;
        const uint32_t a = user ? group : from->group_start[group];
        const uint32_t b = user ? group + 1 : from->group_start[group + 1];
        const uint64_t n = from->column[f].start[b] - from->column[f].start[a];
        s->values[f] += n;
        all += n;
    }
    return all;
}

static enum status side_note(struct prep_side *s, const struct shard *from, uint32_t group) {
    for (uint32_t i = from->group_start[group]; i < from->group_start[group + 1]; i++) {
        TRY(drift_label(&s->drift, from->labels[i]));
        if (from->time != NULL) {
            s->first_time =
                s->first_time == 0 || from->time[i] < s->first_time ? from->time[i] : s->first_time;
            s->last_time = from->time[i] > s->last_time ? from->time[i] : s->last_time;
        }
    }
    return OK;
}

enum status prep_side_add(struct prep_side *s, const struct shard *from, uint32_t group) {
    const uint32_t n = from->group_start[group + 1] - from->group_start[group];
    const uint64_t values = count_values(s, from, group);
    if (shard_builder_impressions(s->builder) + n > s->shard_impressions ||
        s->values_held + values > PREP_SHARD_VALUES_MAX) {
        TRY(prep_side_end(s));
    }
    s->values_held += values;
    TRY(side_note(s, from, group));
    return shard_copy_group(s->builder, from, s->schema, group, &s->room);
}
