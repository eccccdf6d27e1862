/* small_set.h - a data set of three small shards in a directory of its own, for the tests of what
 * reads it. Every impression has an id of its own. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "common/base/rng.h"
#include "common/data/dataset.h"
#include "common/data/shard_builder.h"
#include "common/data/shard_info.h"
#include "worker/loader.h"
#include "worker/reader.h"

#define SHARDS 3
#define BATCH  32

struct fixture {
    char dir[64];
    char *names[1];
    struct file_list dirs;
    struct schema schema;
    struct dataset dataset;
    struct shard_info info[SHARDS];
    struct config config;
    struct reader *reader; /* the test's own */
};

static inline void add_group(struct shard_builder *b, uint64_t seed, uint64_t g,
                             uint64_t *next_id) {
    struct feature user[2] = {{.field = 0, .weight = 1.0f, .id = 500 + g},
                              {.field = 1, .weight = 0.5f, .id = rng_below(seed, g, 0, 40)}};
    assert_int_equal(shard_builder_group(b, 9000 + g, user, 2), OK);
    uint64_t impressions = 1 + rng_below(seed, g, 1, 9);
    for (uint64_t i = 0; i < impressions; i++) {
        struct feature item = {.field = 2, .weight = 1.0f, .id = rng_below(seed, g, 2 + i, 60)};
        const uint64_t draw = rng_u64(seed, g, 20 + i);
        uint8_t labels = draw & 1 ? LABEL_CLICK : 0;
        labels |= (draw & 7) == 7 ? LABEL_CONVERSION : 0;
        assert_int_equal(shard_builder_impression(b, (*next_id)++, labels, &item, 1), OK);
    }
}

static inline void setup_data(struct fixture *t) {
    memset(t, 0, sizeof *t);
    snprintf(t->dir, sizeof t->dir, "/tmp/esmm-test-reader-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    assert_int_equal(schema_add(&t->schema, "u1", SIDE_USER), OK);
    assert_int_equal(schema_add(&t->schema, "u2", SIDE_USER), OK);
    assert_int_equal(schema_add(&t->schema, "v1", SIDE_ITEM), OK);
    schema_finish(&t->schema);
    struct shard_builder *b = NULL;
    assert_int_equal(shard_builder_create(&b), OK);
    uint64_t next_id = 1;
    t->dataset = (struct dataset){.schema = t->schema, .shards = t->info, .shard_count = SHARDS};
    for (uint64_t k = 0; k < SHARDS; k++) {
        for (uint64_t g = 0; g < 40 + 10 * k; g++) {
            add_group(b, k, g, &next_id);
        }
        char name[32];
        snprintf(name, sizeof name, "shard-%05u.bin", (unsigned)k);
        assert_int_equal(shard_builder_write(b, &t->schema, t->dir, name, &t->info[k]), OK);
        t->dataset.impressions += t->info[k].impressions;
        t->dataset.groups += t->info[k].groups;
        t->dataset.clicks += t->info[k].clicks;
        t->dataset.values += t->info[k].values;
    }
    shard_builder_destroy(&b);
    assert_int_equal(dataset_write(&t->dataset, t->dir), OK);
    config_default(&t->config);
    t->config.window = 0; /* a range is a shard, unless a test says otherwise */
    t->config.seed = 77;
    t->config.batch = BATCH;
    t->config.shuffle = true;
}

static inline struct loader_spec loader_spec_of(struct fixture *t) {
    t->dirs = (struct file_list){.names = t->names, .count = 1};
    t->names[0] = t->dir;
    return (struct loader_spec){.config = &t->config,
                                .schema = &t->schema,
                                .data = &t->dirs,
                                .eval = &t->dirs,
                                .sample_rate = 1};
}

static inline struct wire_lease lease_of(enum lease_kind kind, uint32_t epoch, uint32_t shard) {
    return (struct wire_lease){.kind = kind,
                               .epoch = epoch,
                               .shard = shard,
                               .fence = 40 + shard,
                               .batch_limit = UINT32_MAX};
}
