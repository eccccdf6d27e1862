#include "worker/reader.h"

#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/thread.h"
#include "common/job/plan.h"
#include "tests/dirs.h"
#include "tests/sample.h"
#include "tests/small_set.h"

#define TAKE_MS 20000

static struct reader_spec spec_of(struct fixture *t, uint32_t ahead) {
    return (struct reader_spec){.loader = loader_spec_of(t), .batches_ahead = ahead};
}

static void begin(struct fixture *t, uint32_t ahead) {
    setup_data(t);
    struct reader_spec spec = spec_of(t, ahead);
    assert_int_equal(reader_start(&t->reader, &spec), OK);
}

static void end(struct fixture *t) {
    reader_stop(&t->reader);
    assert_null(t->reader);
    assert_int_equal(file_remove_tree(t->dir), OK);
}

static enum status put(struct fixture *t, struct wire_lease lease, const uint8_t *done,
                       size_t done_bytes) {
    return reader_lease_put(t->reader, &lease, done, done_bytes);
}

/* The lease's batches as they should come: a cutter of our own on the shard read directly. */
struct expected {
    struct shard shard;
    struct run *runs;
    struct batch_cutter *cutter;
    struct batch batch;
    uint32_t batches;
};

static void expect_begin(const struct fixture *t, const struct wire_lease *lease,
                         struct expected *e) {
    memset(e, 0, sizeof *e);
    assert_int_equal(shard_read(&e->shard, t->dir, t->info[lease->shard].name, &t->schema), OK);
    uint32_t *order = sample_array(e->shard.groups, sizeof *order);
    plan_groups(t->config.seed, lease->kind == LEASE_TRAIN, lease->epoch, lease->shard,
                e->shard.groups, order);
    assert_int_equal(batch_cutter_create(&e->cutter), OK);
    e->runs = sample_runs(order, &e->shard);
    assert_int_equal(batch_cutter_runs(e->cutter, &e->shard, e->runs, e->shard.groups, 2, -1), OK);
    e->batches = plan_batches(e->shard.impressions, BATCH);
    mem_free(&order);
}

static void expect_end(struct expected *e) {
    batch_cutter_destroy(&e->cutter);
    mem_free(&e->runs);
    batch_fini(&e->batch);
    shard_free(&e->shard);
}

static void check_item(struct expected *e, const struct reader_item *item,
                       const struct wire_lease *lease, uint32_t k) {
    const struct batch *got = item->batch, *want = &e->batch;
    assert_non_null(got);
    uint32_t n = e->shard.impressions;
    assert_int_equal(batch_cut(e->cutter, plan_begin(n, e->batches, k),
                               plan_begin(n, e->batches, k + 1), &e->batch),
                     OK);
    assert_int_equal(got->name.epoch, lease->epoch);
    assert_int_equal(got->name.shard, lease->shard);
    assert_int_equal(got->name.batch, k);
    assert_int_equal(got->fence, lease->fence);
    assert_int_equal(got->shard_batches, e->batches);
    assert_int_equal(item->lease.kind, lease->kind);
    assert_int_equal(got->impressions, want->impressions);
    assert_memory_equal(got->impression_id, want->impression_id,
                        want->impressions * sizeof *want->impression_id);
    assert_memory_equal(got->user, want->user, want->impressions * sizeof *want->user);
    for (uint32_t f = 0; f < want->fields; f++) {
        assert_int_equal(got->field[f].unique, want->field[f].unique);
        assert_memory_equal(got->field[f].ids, want->field[f].ids,
                            want->field[f].unique * sizeof(uint64_t));
    }
}

/* Takes the lease's batches from `next`, those with a bit in `skip` left out, and its end mark. */
static void check_lease(struct fixture *t, struct wire_lease lease, uint64_t skip) {
    struct expected e;
    expect_begin(t, &lease, &e);
    uint32_t queued = 0;
    struct reader_item item;
    for (uint32_t k = 0; k < e.batches && k < lease.batch_limit; k++) {
        if ((skip >> k & 1) == 0) {
            assert_int_equal(reader_take(t->reader, 0, &item, TAKE_MS), OK);
            check_item(&e, &item, &lease, k);
            reader_give_back(t->reader, item.batch);
            queued++;
        }
    }
    assert_int_equal(reader_take(t->reader, 0, &item, TAKE_MS), OK);
    assert_null(item.batch);
    assert_int_equal(item.lease_batches, queued);
    assert_int_equal(item.lease.shard, lease.shard);
    assert_int_equal(item.lease.fence, lease.fence);
    expect_end(&e);
}

static void test_train_and_eval(void **state) {
    (void)state;
    struct fixture t;
    begin(&t, 3);
    struct wire_lease leases[] = {lease_of(LEASE_TRAIN, 0, 2), lease_of(LEASE_TRAIN, 0, 0),
                                  lease_of(LEASE_EVAL, 0, 1), lease_of(LEASE_TRAIN, 1, 2)};
    for (size_t k = 0; k < 4; k++) {
        assert_int_equal(put(&t, leases[k], NULL, 0), OK);
    }
    for (size_t k = 0; k < 4; k++) {
        check_lease(&t, leases[k], 0);
    }
    struct reader_item item;
    assert_int_equal(reader_take(t.reader, 0, &item, 10), ERR_TIMEOUT);
    end(&t);
}

/* A lease on what is in memory already, after everything has come to rest. */
static void test_a_shard_again(void **state) {
    (void)state;
    struct fixture t;
    begin(&t, 16);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(put(&t, lease_of(LEASE_TRAIN, 0, 1), NULL, 0), OK);
        check_lease(&t, lease_of(LEASE_TRAIN, 0, 1), 0);
        clock_sleep_ms(20);
    }
    end(&t);
}

static void test_limit_and_done(void **state) {
    (void)state;
    struct fixture t;
    begin(&t, 2);
    struct wire_lease limited = lease_of(LEASE_TRAIN, 0, 2), some = lease_of(LEASE_TRAIN, 0, 1);
    uint32_t batches = plan_batches(t.info[1].impressions, BATCH);
    assert_true(batches >= 5 && batches < 16);
    limited.batch_limit = 3;
    uint8_t done[2] = {0x16, 0}, all[2] = {0xff, 0xff}; /* batches 1, 2, 4 */
    assert_int_equal(put(&t, limited, NULL, 0), OK);
    assert_int_equal(put(&t, some, done, sizeof done), OK);
    assert_int_equal(put(&t, some, done, 1), OK);
    assert_int_equal(put(&t, some, all, sizeof all), OK);
    limited.batch_limit = 0;
    assert_int_equal(put(&t, limited, NULL, 0), OK);
    limited.batch_limit = 3;
    check_lease(&t, limited, 0);
    check_lease(&t, some, 0x16);
    check_lease(&t, some, 0x16);
    check_lease(&t, some, UINT64_MAX);
    limited.batch_limit = 0;
    check_lease(&t, limited, 0);
    end(&t);
}

/* No more batches are out than the pool holds; giving one back frees one. */
static void test_pool_bounds(void **state) {
    (void)state;
    struct fixture t;
    begin(&t, 2);
    assert_int_equal(put(&t, lease_of(LEASE_TRAIN, 0, 0), NULL, 0), OK);
    struct reader_item item[3];
    assert_int_equal(reader_take(t.reader, 0, &item[0], TAKE_MS), OK);
    assert_int_equal(reader_take(t.reader, 0, &item[1], TAKE_MS), OK);
    assert_int_equal(reader_take(t.reader, 0, &item[2], 50), ERR_TIMEOUT);
    reader_give_back(t.reader, item[0].batch);
    assert_int_equal(reader_take(t.reader, 0, &item[2], TAKE_MS), OK);
    assert_ptr_equal(item[2].batch, item[0].batch);
    end(&t);
}

static void test_stop_any_time(void **state) {
    (void)state;
    for (int taken = 0; taken < 12; taken++) {
        struct fixture t;
        begin(&t, 2);
        for (uint32_t k = 0; k < 9; k++) {
            assert_int_equal(put(&t, lease_of(LEASE_TRAIN, k / SHARDS, k % SHARDS), NULL, 0), OK);
        }
        for (int i = 0; i < taken; i++) {
            struct reader_item item;
            assert_int_equal(reader_take(t.reader, 0, &item, TAKE_MS), OK);
            if (item.batch != NULL && taken % 2 == 0) {
                reader_give_back(t.reader, item.batch);
            } else if (i == 1) {
                break; /* both batches are out and stay out */
            }
        }
        end(&t);
    }
}

static void damage(const struct fixture *t, uint32_t shard) {
    char path[PATH_BYTES_MAX];
    assert_int_equal(path_join(path, t->dir, t->info[shard].name), OK);
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, (long)t->info[shard].bytes / 2, SEEK_SET), 0);
    int c = fgetc(f);
    assert_int_equal(fseek(f, (long)t->info[shard].bytes / 2, SEEK_SET), 0);
    fputc(c ^ 0x55, f);
    fclose(f);
}

/* Takes until the reader fails, gives back what comes. */
static enum status take_until_failure(struct fixture *t) {
    for (;;) {
        struct reader_item item;
        enum status status = reader_take(t->reader, 0, &item, TAKE_MS);
        if (status != OK) {
            return status;
        }
        if (item.batch != NULL) {
            reader_give_back(t->reader, item.batch);
        }
    }
}

static void test_damaged_shard(void **state) {
    (void)state;
    struct fixture t;
    begin(&t, 2);
    damage(&t, 1);
    assert_int_equal(put(&t, lease_of(LEASE_TRAIN, 0, 0), NULL, 0), OK);
    assert_int_equal(put(&t, lease_of(LEASE_TRAIN, 0, 1), NULL, 0), OK);
    for (int trainer = 0; trainer < 2; trainer++) {
        assert_int_equal(take_until_failure(&t), ERR_CORRUPT);
        assert_non_null(strstr(fail_text(), t.info[1].name));
    }
    (fail)(ERR_IO, "something else, earlier"); /* whoever brings a lease next is told why, too */
    assert_int_equal(put(&t, lease_of(LEASE_TRAIN, 0, 0), NULL, 0), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), t.info[1].name));
    end(&t);
}

/* What makes no sense is refused at once, and changes nothing. */
static void test_wrong_leases(void **state) {
    (void)state;
    struct fixture t;
    begin(&t, 2);
    assert_int_equal(put(&t, lease_of(LEASE_TRAIN, 0, SHARDS), NULL, 0), ERR_PROTOCOL);
    assert_non_null(strstr(fail_text(), "a lease on training range 3, but there are 3"));
    assert_int_equal(put(&t, lease_of(LEASE_EVAL, 0, SHARDS), NULL, 0), ERR_PROTOCOL);
    assert_int_equal(put(&t, lease_of(LEASE_TRAIN, 0, 1), NULL, 0), OK);
    check_lease(&t, lease_of(LEASE_TRAIN, 0, 1), 0);
    reader_stop(&t.reader);
    struct reader_spec spec = spec_of(&t, 2);
    spec.loader.eval = &NO_DIRS;
    assert_int_equal(reader_start(&t.reader, &spec), OK);
    assert_int_equal(put(&t, lease_of(LEASE_EVAL, 0, 0), NULL, 0), ERR_CONFIG);
    end(&t);
}

static void test_no_data(void **state) {
    (void)state;
    struct fixture t;
    setup_data(&t);
    struct reader_spec spec = spec_of(&t, 2);
    char absent[] = "/tmp/esmm-test-reader-absent";
    spec.loader.data = &DIRS(absent);
    assert_int_equal(reader_start(&t.reader, &spec), ERR_NOT_FOUND);
    assert_null(t.reader);
    assert_int_equal(file_remove_tree(t.dir), OK);
}

/* The GAUC group is the first id of eval.user_field. */
static void test_user_field(void **state) {
    (void)state;
    struct fixture t;
    setup_data(&t);
    snprintf(t.config.user_field, sizeof t.config.user_field, "u1");
    struct reader_spec spec = spec_of(&t, 2);
    assert_int_equal(reader_start(&t.reader, &spec), OK);
    assert_int_equal(put(&t, lease_of(LEASE_EVAL, 0, 0), NULL, 0), OK);
    struct reader_item item;
    assert_int_equal(reader_take(t.reader, 0, &item, TAKE_MS), OK);
    for (uint32_t i = 0; i < item.batch->impressions; i++) {
        assert_int_equal(item.batch->user[i], 500 + item.batch->group_of[i]);
    }
    end(&t);
}

static void test_failing_memory(void **state) {
    (void)state;
    struct fixture t;
    setup_data(&t);
    struct reader_spec spec = spec_of(&t, 2);
    size_t failures = 0;
    for (size_t k = 1;; k++) {
        mem_fail_after(k);
        enum status status = reader_start(&t.reader, &spec);
        mem_fail_after(0);
        if (status == OK) {
            break;
        }
        assert_int_equal(status, ERR_MEMORY);
        assert_null(t.reader);
        failures++;
    }
    assert_true(failures >= 7);
    end(&t);
}

/* Of a stream the manifest's shards are not asked for; a file may appear after its lease. */
static enum status late_file(void *arg) {
    struct fixture *t = arg;
    char from[PATH_BYTES_MAX], to[PATH_BYTES_MAX];
    clock_sleep_ms(150);
    TRY(path_join(from, t->dir, "later"));
    TRY(path_join(to, t->dir, t->info[2].name));
    return file_rename(from, to);
}

static void await_reading(struct reader *r) {
    for (int i = 0; i < TAKE_MS && !reader_waits(r); i++) {
        clock_sleep_ms(1);
    }
    assert_true(reader_waits(r));
}

/* It waits for a shard only if nobody has a batch: else there is something to do. */
static void test_waiting_for_a_shard(void **state) {
    (void)state;
    struct fixture t;
    struct thread thread = {0};
    char from[PATH_BYTES_MAX], to[PATH_BYTES_MAX];
    struct reader_item item = {0};
    setup_data(&t);
    assert_int_equal(path_join(from, t.dir, t.info[2].name), OK);
    assert_int_equal(path_join(to, t.dir, "later"), OK);
    assert_int_equal(file_rename(from, to), OK);
    struct reader_spec spec = spec_of(&t, 4);
    spec.loader.stream = true;
    assert_int_equal(reader_start(&t.reader, &spec), OK);
    assert_false(reader_waits(t.reader)); /* nobody asked for one */
    assert_int_equal(put(&t, lease_of(LEASE_TRAIN, 0, 1), NULL, 0), OK);
    assert_int_equal(put(&t, lease_of(LEASE_TRAIN, 0, 2), NULL, 0), OK);
    do {
        assert_int_equal(reader_take(t.reader, 0, &item, TAKE_MS), OK);
        if (item.batch != NULL) {
            assert_false(reader_waits(t.reader));
            reader_give_back(t.reader, item.batch);
        }
    } while (item.batch != NULL);
    await_reading(t.reader);
    assert_int_equal(thread_start(&thread, "producer", late_file, &t), OK);
    assert_int_equal(thread_join(&thread), OK);
    check_lease(&t, lease_of(LEASE_TRAIN, 0, 2), 0);
    assert_false(reader_waits(t.reader));
    end(&t);
}

static void test_stream(void **state) {
    (void)state;
    struct fixture t;
    struct thread thread = {0};
    char from[PATH_BYTES_MAX], to[PATH_BYTES_MAX];
    setup_data(&t);
    t.dataset.shard_count = 0;
    assert_int_equal(dataset_write(&t.dataset, t.dir), OK);
    assert_int_equal(path_join(from, t.dir, t.info[2].name), OK);
    assert_int_equal(path_join(to, t.dir, "later"), OK);
    assert_int_equal(file_rename(from, to), OK);
    struct reader_spec spec = spec_of(&t, 4);
    spec.loader.stream = true;
    assert_int_equal(reader_start(&t.reader, &spec), OK);
    assert_int_equal(put(&t, lease_of(LEASE_TRAIN, 0, 1), NULL, 0), OK);
    check_lease(&t, lease_of(LEASE_TRAIN, 0, 1), 0);
    assert_int_equal(put(&t, lease_of(LEASE_TRAIN, 0, 2), NULL, 0), OK);
    assert_int_equal(thread_start(&thread, "producer", late_file, &t), OK);
    struct reader_item item;
    assert_int_equal(reader_take(t.reader, 0, &item, 50), ERR_TIMEOUT);
    assert_int_equal(thread_join(&thread), OK);
    check_lease(&t, lease_of(LEASE_TRAIN, 0, 2), 0);
    end(&t);
}

/* --- windows of many shards ------------------------------------------------------------------- */

/* Batches of 4 in windows of at most 200 impressions; a range has two or three. */
static void begin_windows(struct fixture *t, uint32_t pool) {
    setup_data(t);
    t->config.window = 200;
    t->config.run = 2;
    t->config.batch = 4;
    struct reader_spec spec = spec_of(t, pool);
    assert_int_equal(reader_start(&t->reader, &spec), OK);
}

static void ranges_of(struct fixture *t, struct ranges *ranges) {
    struct dataset data;
    assert_int_equal(dataset_read_all(&data, &t->dirs, NULL), OK);
    assert_int_equal(data_ranges(ranges, &t->config, &data), OK);
    dataset_free(&data);
    assert_true(ranges->windows >= 3 && ranges->count < READ_LEASES_MAX * ranges->windows);
}

#define IDS_MAX     2048
#define BATCHES_MAX 4

/* What came of an epoch, by name. */
struct heard {
    uint64_t digest[512][BATCHES_MAX]; /* of the batch's contents; 0: it did not come */
    uint32_t seen[IDS_MAX];            /* of each impression */
};

static uint64_t mix(uint64_t h, const void *data, size_t bytes) {
    return rng_mix(h ^ hash_bytes(data, bytes));
}

static uint64_t digest_of(const struct batch *b) {
    uint64_t h = mix(1, b->impression_id, b->impressions * sizeof *b->impression_id);
    h = mix(h, b->labels, b->impressions);
    h = mix(h, b->group_of, b->impressions * sizeof *b->group_of);
    for (uint32_t f = 0; f < b->fields; f++) {
        const struct batch_field *field = &b->field[f];
        h = mix(h, field->ids, field->unique * sizeof *field->ids);
        h = mix(h, field->start, (field->bags + 1) * sizeof *field->start);
        h = mix(h, field->index, field->values * sizeof *field->index);
    }
    return h;
}

static void hear(struct heard *heard, const struct ranges *ranges, const struct batch *b) {
    const uint32_t range = b->name.shard, k = b->name.batch;
    assert_in_range(range, 0, 511);
    assert_in_range(k, 0, BATCHES_MAX - 1);
    assert_int_equal(b->name.epoch, 1);
    assert_int_equal(b->fence, 40 + range);
    assert_int_equal(b->shard_batches, ranges_place(ranges, range).count);
    assert_int_equal(b->impressions, ranges_impressions(ranges, range, k + 1) -
                                         ranges_impressions(ranges, range, k));
    assert_int_equal(heard->digest[range][k], 0);
    heard->digest[range][k] = digest_of(b);
    for (uint32_t i = 0; i < b->impressions; i++) {
        assert_in_range(b->impression_id[i], 1, IDS_MAX - 1);
        heard->seen[b->impression_id[i]]++;
    }
}

/* Takes a lease's items until its end mark. */
static void hear_lease(struct fixture *t, const struct ranges *ranges, uint32_t range,
                       uint32_t batches, struct heard *heard) {
    struct reader_item item;
    do {
        assert_int_equal(reader_take(t->reader, 0, &item, TAKE_MS), OK);
        assert_int_equal(item.lease.shard, range);
        if (item.batch != NULL) {
            hear(heard, ranges, item.batch);
            reader_give_back(t->reader, item.batch);
        }
    } while (item.batch != NULL);
    assert_int_equal(item.lease_batches, batches);
}

static void put_range(struct fixture *t, uint32_t range, uint32_t ahead) {
    struct wire_lease lease = lease_of(LEASE_TRAIN, 1, range);
    lease.ahead = ahead;
    assert_int_equal(put(t, lease, NULL, 0), OK);
}

/* All ranges, in order, with the next window announced, two leases at a time. */
static void hear_epoch(struct fixture *t, const struct ranges *ranges, struct heard *heard) {
    memset(heard, 0, sizeof *heard);
    put_range(t, 0, 0);
    for (uint32_t range = 0; range < ranges->count; range++) {
        const uint32_t next = range + 1, window = ranges->window[range];
        if (next < ranges->count) {
            const bool last = window + 1 == ranges->windows;
            put_range(t, next, last ? 0 : 1 + ranges->first_range[window + 1]);
        }
        hear_lease(t, ranges, range, ranges_place(ranges, range).count, heard);
    }
}

static void test_an_epoch_of_windows(void **state) {
    (void)state;
    static struct heard heard;
    struct fixture t;
    struct ranges ranges;
    begin_windows(&t, 3);
    ranges_of(&t, &ranges);
    hear_epoch(&t, &ranges, &heard);
    for (uint32_t id = 1; id <= t.dataset.impressions; id++) {
        assert_int_equal(heard.seen[id], 1);
    }
    struct usage usage = {0};
    reader_usage(t.reader, &usage);
    assert_true(usage.stage_s[STAGE_LOAD] > 0 && usage.stage_s[STAGE_CUT] > 0);
    ranges_fini(&ranges);
    end(&t);
}

/* Another reader, other leases: the last ranges first, from one window and another in turn, and
 * evaluations between them. Same names, same batches. */
static void test_batches_depend_on_names_only(void **state) {
    (void)state;
    static struct heard one, other;
    struct fixture t;
    struct ranges ranges;
    begin_windows(&t, 3);
    ranges_of(&t, &ranges);
    hear_epoch(&t, &ranges, &one);
    end(&t);
    begin_windows(&t, 2);
    memset(&other, 0, sizeof other);
    for (uint32_t i = 0; i < ranges.count; i++) {
        const uint32_t range = (uint32_t)((uint64_t)(ranges.count - i) * 7 % ranges.count);
        if (other.digest[range][0] != 0) {
            continue; /* 7 divides the count */
        }
        put_range(&t, range, 1 + i);
        hear_lease(&t, &ranges, range, ranges_place(&ranges, range).count, &other);
        for (uint32_t k = 0; k < BATCHES_MAX; k++) {
            assert_int_equal(other.digest[range][k], one.digest[range][k]);
        }
    }
    ranges_fini(&ranges);
    end(&t);
}

/* A lease that max_steps cuts, and one of which a batch is done. */
static void test_limit_and_done_in_a_range(void **state) {
    (void)state;
    static struct heard heard;
    const uint8_t done[1] = {0x01};
    struct fixture t;
    struct ranges ranges;
    memset(&heard, 0, sizeof heard);
    begin_windows(&t, 2);
    ranges_of(&t, &ranges);
    const uint32_t range = 1, batches = ranges_place(&ranges, range).count;
    assert_true(batches >= 2);
    struct wire_lease lease = lease_of(LEASE_TRAIN, 1, range);
    lease.batch_limit = 1;
    assert_int_equal(put(&t, lease, NULL, 0), OK);
    hear_lease(&t, &ranges, range, 1, &heard);
    assert_int_not_equal(heard.digest[range][0], 0);
    assert_int_equal(put(&t, lease_of(LEASE_TRAIN, 1, range), done, sizeof done), OK);
    hear_lease(&t, &ranges, range, batches - 1, &heard); /* none comes twice */
    ranges_fini(&ranges);
    end(&t);
}

static void test_damage_in_a_window(void **state) {
    (void)state;
    struct fixture t;
    begin_windows(&t, 2);
    damage(&t, 2);
    put_range(&t, 0, 0);
    assert_int_equal(take_until_failure(&t), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), t.info[2].name));
    end(&t);
}

/* Whatever it is at: loading the first window, or the next one, or cutting. */
static void test_stop_with_windows(void **state) {
    (void)state;
    for (uint32_t taken = 0; taken < 40; taken++) {
        struct fixture t;
        struct reader_item item;
        begin_windows(&t, 2);
        for (uint32_t k = 0; k < 30; k++) {
            put_range(&t, k, 40);
        }
        for (uint32_t i = 0; i < taken; i++) {
            assert_int_equal(reader_take(t.reader, 0, &item, TAKE_MS), OK);
            if (item.batch != NULL) {
                reader_give_back(t.reader, item.batch);
            }
        }
        end(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_shard_again),
        cmocka_unit_test(test_train_and_eval),
        cmocka_unit_test(test_limit_and_done),
        cmocka_unit_test(test_pool_bounds),
        cmocka_unit_test(test_stop_any_time),
        cmocka_unit_test(test_damaged_shard),
        cmocka_unit_test(test_wrong_leases),
        cmocka_unit_test(test_no_data),
        cmocka_unit_test(test_user_field),
        cmocka_unit_test(test_failing_memory),
        cmocka_unit_test(test_waiting_for_a_shard),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_an_epoch_of_windows),
        cmocka_unit_test(test_batches_depend_on_names_only),
        cmocka_unit_test(test_limit_and_done_in_a_range),
        cmocka_unit_test(test_damage_in_a_window),
        cmocka_unit_test(test_stop_with_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
