#include "prep_shards.h"

#include <stdio.h>

enum status prep_shards_open(struct prep_shards *s, struct log_fields *fields, const char *dir,
                             bool fleeting) {
    *s = (struct prep_shards){.fields = fields, .dir = dir};
    TRY(shard_builder_create(&s->builder));
    if (fleeting) {
        shard_builder_fleeting(s->builder);
    }
    return OK;
}

void prep_shards_close(struct prep_shards *s) {
    shard_builder_destroy(&s->builder);
    drift_fini(&s->drift);
}

void prep_shards_begin(struct prep_shards *s, struct prep_piece *p) {
    s->piece = p;
    s->values = 0;
    s->made = 0;
}

enum status prep_shards_end(struct prep_shards *s) {
    struct shard_info info;
    char name[sizeof info.name];
    if (shard_builder_impressions(s->builder) == 0) {
        return OK;
    }
    snprintf(name, sizeof name, "piece-%llu-%u.bin", (unsigned long long)s->piece->number,
             s->made++);
    TRY(shard_builder_write(s->builder, &s->fields->schema, s->dir, name, &info));
    s->values = 0;
    TRY(drift_end(&s->drift));
    TRY(buf_put(&s->piece->blocks, s->drift.blocks.data, s->drift.blocks.len));
    buf_clear(&s->drift.blocks);
    return buf_put(&s->piece->shards, &info, sizeof info);
}

static void count_features(struct prep_shards *s, const struct feature *features, size_t n) {
    for (size_t i = 0; i < n; i++) {
        s->fields->values[features[i].field]++;
        log_sketch_add(&s->fields->sketch[features[i].field], features[i].id);
    }
    s->values += n;
}

enum status prep_shards_group(struct prep_shards *s, uint64_t key, const struct feature *features,
                              size_t n) {
    if (s->values + n > PREP_SHARD_VALUES_MAX) {
        TRY(prep_shards_end(s));
    }
    TRY(shard_builder_group(s->builder, key, features, n));
    count_features(s, features, n);
    return OK;
}

enum status prep_shards_weigh(struct prep_shards *s, float weight) {
    return shard_builder_weigh(s->builder, weight);
}

enum status prep_shards_impression(struct prep_shards *s, uint64_t id, uint8_t labels,
                                   const struct moment *when, const struct feature *features,
                                   size_t n) {
    TRY(shard_builder_timed(s->builder, id, labels, when, features, n));
    count_features(s, features, n);
    return drift_label(&s->drift, labels);
}
