/* test_reader_shared.c - the reader with several trainers, where the batches of a range share bags:
 * what each trainer takes, and the bags themselves. */
#include "worker/reader.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/thread.h"
#include "common/data/shard_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SHARDS   3u
#define GROUPS   60u /* of a shard */
#define BAG      5u
#define TRAINERS 3u
#define WAIT_MS  20
#define TAKE_MS  20000

/* A group's number n is in all its values: user 500 + n, bag 1000 n .. 1000 n + 4. Impression ids
 * are 100 n .. 100 n + 99. */
struct fixture {
    char dir[64];
    char *names[1];
    struct file_list dirs;
    struct schema schema;
    struct dataset dataset;
    struct shard_info info[SHARDS];
    struct config config;
    struct reader *reader;
    atomic_uint ended;       /* leases */
    atomic_uint impressions; /* taken */
    atomic_bool wrong, stop;
};
static const struct file_list NO_DIRS;

static void add_group(struct shard_builder *b, uint32_t n) {
    struct feature user[1 + BAG] = {{.field = 0, .weight = 1.0f, .id = 500 + n}};
    for (uint32_t v = 0; v < BAG; v++) {
        user[1 + v] = (struct feature){.field = 1, .weight = 0.5f, .id = 1000ull * n + v};
    }
    assert_int_equal(shard_builder_group(b, n, user, 1 + BAG), OK);
    for (uint32_t i = 0; i < 1 + n % 11; i++) {
        const struct feature item = {.field = 2, .weight = 1.0f, .id = 7 + i};
        assert_int_equal(shard_builder_impression(b, 100ull * n + i, 0, &item, 1), OK);
    }
}

static void write_data(struct fixture *t) {
    struct shard_builder *b = NULL;
    struct dataset *d = &t->dataset;
    assert_int_equal(schema_add(&t->schema, "u1", SIDE_USER), OK);
    assert_int_equal(schema_add(&t->schema, "u2", SIDE_USER), OK);
    assert_int_equal(schema_add(&t->schema, "v1", SIDE_ITEM), OK);
    schema_finish(&t->schema);
    *d = (struct dataset){.schema = t->schema, .shards = t->info, .shard_count = SHARDS};
    assert_int_equal(shard_builder_create(&b), OK);
    for (uint32_t k = 0; k < SHARDS; k++) {
        char name[32];
        for (uint32_t g = 0; g < GROUPS; g++) {
            add_group(b, k * GROUPS + g);
        }
        shard_name(k, name);
        assert_int_equal(shard_builder_write(b, &t->schema, t->dir, name, &t->info[k]), OK);
        d->impressions += t->info[k].impressions;
        d->groups += t->info[k].groups;
        d->values += t->info[k].values;
    }
    shard_builder_destroy(&b);
    d->field_values[0] = d->groups;
    d->field_values[1] = BAG * d->groups;
    d->field_values[2] = d->impressions;
    assert_int_equal(dataset_write(d, t->dir), OK);
}

static void begin(struct fixture *t) {
    memset(t, 0, sizeof *t);
    snprintf(t->dir, sizeof t->dir, "/tmp/esmm-test-shared-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    write_data(t);
    config_default(&t->config);
    t->config.batch = 8;
    t->config.window = 400;
    t->config.run = 2;
    t->config.share_bags = SHARE_ALWAYS;
    t->names[0] = t->dir;
    t->dirs = (struct file_list){.names = t->names, .count = 1};
    const struct reader_spec spec = {.loader = {.config = &t->config,
                                                .schema = &t->schema,
                                                .data = &t->dirs,
                                                .eval = &NO_DIRS,
                                                .sample_rate = 1},
                                     .batches_ahead = 2 * TRAINERS + 1,
                                     .trainers = TRAINERS};
    assert_int_equal(reader_start(&t->reader, &spec), OK);
    assert_true(reader_shares(t->reader));
}

static void end(struct fixture *t) {
    reader_stop(&t->reader);
    assert_int_equal(file_remove_tree(t->dir), OK);
}

/* The bag of group n. */
static bool is_bag(const struct batch_field *f, uint32_t bag, uint64_t n) {
    bool same = bag < f->bags && f->start[bag + 1] - f->start[bag] == BAG;
    for (uint32_t v = 0; v < BAG && same; v++) {
        same = f->ids[f->index[f->start[bag] + v]] == 1000 * n + v;
    }
    return same;
}

/* One trainer: what it knows of the range that it has. */
struct taker {
    struct fixture *t;
    uint32_t index;
    uint32_t next; /* batch of the range; 0: it has none */
    uint64_t fence;
    uint64_t group[SHARDS * GROUPS * 2]; /* of each shared bag, from the range's first batch */
    struct thread thread;
};

/* Each group's bag is that of its impressions; in the first and the last batch it is there. */
static bool good_bags(struct taker *x, const struct batch *b) {
    const struct batch_field *f = &b->field[1];
    bool good = f->shared && !b->field[0].shared && b->shared_first == (b->name.batch == 0) &&
                b->shared_last == (b->name.batch + 1 == b->shard_batches) &&
                f->bags == (b->shared_first || b->shared_last ? b->shared_groups : 0);
    for (uint32_t s = 0; s < b->shared_groups && b->shared_first && good; s++) {
        x->group[s] = f->ids[f->index[f->start[s]]] / 1000;
    }
    for (uint32_t s = 0; s < f->bags && good; s++) {
        good = is_bag(f, s, x->group[s]);
    }
    for (uint32_t i = 0; i < b->impressions && good; i++) {
        good = x->group[b->shared_of[b->group_of[i]]] == b->impression_id[i] / 100;
    }
    return good;
}

static bool good_item(struct taker *x, const struct reader_item *item) {
    if (item->batch == NULL) {
        const bool good = item->lease.fence == x->fence && item->lease_batches == x->next;
        x->next = 0;
        return good;
    }
    const struct batch *b = item->batch;
    const bool follows = x->next == 0 || item->lease.fence == x->fence;
    x->fence = item->lease.fence;
    return follows && b->name.batch == x->next++ && good_bags(x, b);
}

static enum status taker_run(void *arg) {
    struct taker *x = arg;
    struct fixture *t = x->t;
    struct reader_item item;
    while (!atomic_load(&t->stop)) {
        const enum status status = reader_take(t->reader, x->index, &item, WAIT_MS);
        if (status == ERR_TIMEOUT) {
            continue;
        }
        TRY(status);
        if (!good_item(x, &item)) {
            atomic_store(&t->wrong, true);
        }
        if (item.batch != NULL) {
            atomic_fetch_add(&t->impressions, item.batch->impressions);
            reader_give_back(t->reader, item.batch);
        } else {
            atomic_fetch_add(&t->ended, 1);
        }
    }
    return OK;
}

/* Grants all ranges of an epoch, as many at once as a worker holds. */
static uint32_t grant_all(struct fixture *t) {
    struct ranges ranges;
    assert_int_equal(data_ranges(&ranges, &t->config, &t->dataset), OK);
    const uint32_t count = ranges.count;
    ranges_fini(&ranges);
    for (uint32_t k = 0; k < count; k++) {
        const struct wire_lease lease = {
            .kind = LEASE_TRAIN, .shard = k, .fence = 40 + k, .batch_limit = UINT32_MAX};
        const uint64_t deadline_ms = clock_mono_ms() + TAKE_MS;
        while (k - atomic_load(&t->ended) > TRAINERS && clock_left_ms(deadline_ms) > 0) {
            clock_sleep_ms(1);
        }
        assert_int_equal(reader_lease_put(t->reader, &lease, NULL, 0), OK);
    }
    return count;
}

static void test_trainers(void **state) {
    (void)state;
    struct fixture t;
    static struct taker taker[TRAINERS];
    begin(&t);
    for (uint32_t i = 0; i < TRAINERS; i++) {
        taker[i] = (struct taker){.t = &t, .index = i};
        assert_int_equal(thread_start(&taker[i].thread, "trainer", taker_run, &taker[i]), OK);
    }
    const uint32_t ranges = grant_all(&t);
    assert_true(ranges > 10);
    const uint64_t deadline_ms = clock_mono_ms() + TAKE_MS;
    while (atomic_load(&t.ended) < ranges && clock_left_ms(deadline_ms) > 0) {
        clock_sleep_ms(1);
    }
    assert_int_equal(atomic_load(&t.ended), ranges);
    assert_false(atomic_load(&t.wrong));
    assert_int_equal(atomic_load(&t.impressions), t.dataset.impressions);
    atomic_store(&t.stop, true);
    for (uint32_t i = 0; i < TRAINERS; i++) {
        assert_int_equal(thread_join(&taker[i].thread), OK);
    }
    end(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_trainers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
