#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/container.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/data/shard_format.h"
#include "tests/dirs.h"
#include "common/base/rng.h"
#include "common/data/dataset.h"
#include "common/data/record.h"
#include "common/data/shard_builder.h"
#include "common/data/shard_info.h"
#include "common/data/shard_weights.h"

#include <cmocka.h>

#define SHARDS 3

static char dir[64];
static char manifest[96];
static struct shard_info infos[SHARDS];
static struct dataset written;

static void add_group(struct shard_builder *b, uint64_t g) {
    const struct feature user = {.field = 1, .weight = 1, .id = g};
    assert_int_equal(shard_builder_group(b, g, &user, 1), OK);
    for (uint64_t i = 0; i < 5; i++) {
        static const uint8_t labels[] = {0, 0, 0, 1, 3};
        const struct feature item = {.field = 0, .weight = 0.5f, .id = rng_u64(4, g, i)};
        assert_int_equal(shard_builder_impression(b, g * 10 + i, labels[i], &item, 1), OK);
        assert_int_equal(shard_builder_weigh(b, g == 11 && i == 3 ? 2.5f : 1.0f), OK);
    }
}

static int setup(void **state) {
    (void)state;
    struct shard_builder *b = NULL;
    char name[32];
    snprintf(dir, sizeof dir, "/tmp/esmm-test-dataset-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    snprintf(manifest, sizeof manifest, "%s/manifest", dir);
    assert_int_equal(schema_add(&written.schema, "item", SIDE_ITEM), OK);
    assert_int_equal(schema_add(&written.schema, "user", SIDE_USER), OK);
    assert_int_equal(shard_builder_create(&b), OK);
    for (uint32_t s = 0; s < SHARDS; s++) {
        for (uint64_t g = 0; g < 2 + s; g++) {
            add_group(b, g + 10 * s);
        }
        snprintf(name, sizeof name, "shard-%05u.bin", s);
        assert_int_equal(shard_builder_write(b, &written.schema, dir, name, &infos[s]), OK);
    }
    shard_builder_destroy(&b);
    written.shards = infos;
    written.shard_count = SHARDS;
    written.seed = UINT64_MAX - 3;
    written.orphans = 17;
    written.rejected = 4;
    memcpy(written.source, "aliccp", 7);
    memcpy(written.stream, "es-dfm", 7);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    return file_remove_tree(dir) == OK ? 0 : -1;
}

static void check(const struct dataset *d) {
    struct schema schema = written.schema;
    schema_finish(&schema);
    assert_memory_equal(&d->schema, &schema, sizeof schema);
    assert_int_equal(d->shard_count, SHARDS);
    for (uint32_t s = 0; s < SHARDS; s++) {
        assert_string_equal(d->shards[s].name, infos[s].name);
        assert_int_equal(d->shards[s].bytes, infos[s].bytes);
        assert_int_equal(d->shards[s].checksum, infos[s].checksum);
        assert_int_equal(d->shards[s].impressions, 5 * (2 + s));
        assert_int_equal(d->shards[s].values, infos[s].values);
    }
    assert_int_equal(d->groups, 9);
    assert_int_equal(d->impressions, 45);
    assert_int_equal(d->clicks, 18);
    assert_int_equal(d->conversions, 9);
    assert_int_equal(d->values, 9 + 45);
    assert_int_equal(d->seed, UINT64_MAX - 3);
    assert_int_equal(d->orphans, 17);
    assert_int_equal(d->rejected, 4);
    assert_int_equal(d->log_lines.lines, 0); /* not said */
    assert_int_equal(d->common_lines.lines, 0);
    assert_string_equal(d->source, "aliccp");
    assert_string_equal(d->stream, "es-dfm");
}

static void test_round_trip(void **state) {
    (void)state;
    struct dataset d;
    char *first = NULL, *second = NULL;
    size_t bytes = 0, again = 0;
    assert_int_equal(dataset_write(&written, dir), OK);
    assert_int_equal(dataset_read(&d, dir), OK);
    check(&d);
    assert_int_equal(dataset_verify(&d), OK);
    assert_int_equal(file_read_all(manifest, 1 << 20, &first, &bytes), OK);
    assert_int_equal(dataset_write(&d, dir), OK); /* what was read writes the same bytes */
    assert_int_equal(file_read_all(manifest, 1 << 20, &second, &again), OK);
    assert_int_equal(bytes, again);
    assert_memory_equal(first, second, bytes);
    mem_free(&first);
    mem_free(&second);
    dataset_free(&d);
    dataset_free(&d);
}

static void test_no_directory(void **state) {
    (void)state;
    struct dataset d;
    struct container_writer w;
    assert_int_equal(dataset_read(&d, "/nowhere"), ERR_NOT_FOUND);
    assert_int_equal(container_create(&w, manifest, CONTAINER_MANIFEST), OK);
    assert_int_equal(container_put(&w, 1, 0, "a checkpoint's", 14, false), OK);
    assert_int_equal(container_commit(&w, NULL, NULL), OK);
    assert_int_equal(dataset_read(&d, dir), ERR_NOT_FOUND);
    dataset_free(&d);
}

/* Shards that a manifest may not name, and counts that cannot be true. */
static void test_refused(void **state) {
    (void)state;
    static const char *const names[] = {"", "manifest", "shard-/../../etc/passwd", "/shard-1"};
    struct dataset d;
    struct shard_info bad = infos[0];
    struct dataset w = written;
    w.shards = &bad;
    w.shard_count = 1;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(bad.name, sizeof bad.name, "%s", names[i]);
        assert_int_equal(dataset_write(&w, dir), OK);
        assert_int_equal(dataset_read(&d, dir), ERR_CORRUPT);
    }
    for (int i = 0; i < 5; i++) {
        bad = infos[0];
        bad.impressions = i == 0 ? 0 : i == 1 ? SHARD_IMPRESSIONS_MAX + 1 : bad.impressions;
        bad.groups = i == 2 ? bad.impressions + 1 : bad.groups;
        bad.clicks = i == 3 ? bad.impressions + 1 : bad.clicks;
        bad.conversions = i == 4 ? bad.clicks + 1 : bad.conversions;
        assert_int_equal(dataset_write(&w, dir), OK);
        assert_int_equal(dataset_read(&d, dir), ERR_CORRUPT);
    }
}

/* The bytes of the manifest's message. */
static void read_message(struct buf *out) {
    struct container_reader r;
    assert_int_equal(container_open(&r, manifest, CONTAINER_MANIFEST), OK);
    assert_int_equal(container_get(&r, 0, out), OK);
    container_close(&r);
}

/* A log's manifest has no byte for the stream: it is what it was before there were any. */
static void test_stream_name(void **state) {
    (void)state;
    struct dataset log = written, d;
    struct buf with = BUF_EMPTY, without = BUF_EMPTY;
    struct container_writer w;
    log.stream[0] = '\0';
    assert_int_equal(dataset_write(&log, dir), OK);
    read_message(&without);
    assert_int_equal(dataset_read(&d, dir), OK);
    assert_string_equal(d.stream, "");
    dataset_free(&d);
    assert_int_equal(dataset_write(&written, dir), OK);
    read_message(&with);
    assert_int_equal(with.len, without.len + 2 + 6);
    assert_memory_equal(with.data, without.data, without.len);
    for (uint8_t length = STREAM_NAME_BYTES - 1; length <= STREAM_NAME_BYTES; length++) {
        with.len = without.len; /* field 8, a string of so many bytes */
        assert_int_equal(buf_put_u8(&with, 8 << 3 | 2), OK);
        assert_int_equal(buf_put_u8(&with, length), OK);
        for (uint8_t k = 0; k < length; k++) {
            assert_int_equal(buf_put_u8(&with, 'a'), OK);
        }
        assert_int_equal(container_create(&w, manifest, CONTAINER_MANIFEST), OK);
        assert_int_equal(container_put(&w, 2, 0, with.data, with.len, true), OK);
        assert_int_equal(container_commit(&w, NULL, NULL), OK);
        assert_int_equal(dataset_read(&d, dir), length < STREAM_NAME_BYTES ? OK : ERR_CORRUPT);
        dataset_free(&d);
    }
    buf_fini(&with);
    buf_fini(&without);
}

static void test_lines(void **state) {
    struct dataset log = written, d;
    (void)state;
    log.log_lines = (struct line_counts){62, 2, 3, 1, 4, 45, 7};
    log.common_lines = (struct line_counts){UINT64_MAX, 0, 0, 3, 0, UINT64_MAX - 3, 0};
    assert_int_equal(dataset_write(&log, dir), OK);
    assert_int_equal(dataset_read(&d, dir), OK);
    assert_memory_equal(&d.log_lines, &log.log_lines, sizeof d.log_lines);
    assert_memory_equal(&d.common_lines, &log.common_lines, sizeof d.common_lines);
    dataset_free(&d);
    log.log_lines.rejected++;
    assert_int_equal(dataset_write(&log, dir), OK);
    assert_int_equal(dataset_read(&d, dir), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), "the counts of the log's lines do not add up"));
}

/* Shard 1 has an impression, clicked, that counts 2.5. */
static void test_weights(void **state) {
    (void)state;
    struct dataset thinned = written, d;
    double ctr = 0, cvr = 0;
    assert_int_equal(dataset_write(&written, dir), OK);
    assert_int_equal(dataset_read(&d, dir), OK);
    assert_false(d.shards[0].weights.there || d.shards[2].weights.there);
    assert_true(d.shards[1].weights.there && d.weights.there);
    assert_true(d.weights.least == 1.0f && d.weights.most == 2.5f);
    assert_true(d.weights.all == 46.5 && d.weights.clicked == 19.5 && d.weights.converted == 9);
    assert_true(d.sample_rate == 1.0);
    weight_sums_rates(&d.weights, 1, &ctr, &cvr);
    assert_true(ctr == 19.5 / 46.5 && cvr == 9 / 19.5);
    weight_sums_rates(&d.weights, 0.25, &ctr, &cvr);
    assert_true(ctr == 19.5 / (19.5 + 4 * 27) && cvr == 9 / 19.5);
    d.shards[1].weights.clicked += 0.5;
    assert_int_equal(dataset_verify(&d), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), "clicked"));
    dataset_free(&d);
    thinned.sample_rate = 0.25;
    assert_int_equal(dataset_write(&thinned, dir), OK);
    assert_int_equal(dataset_read(&d, dir), OK);
    assert_true(d.sample_rate == 0.25);
    dataset_free(&d);
    thinned.sample_rate = -0.25;
    assert_int_equal(dataset_write(&thinned, dir), OK);
    assert_int_equal(dataset_read(&d, dir), ERR_CORRUPT);
}

/* Three more shards: with times, with kinds too, and with behaviours; and one that is not there. */
static void test_peek(void **state) {
    (void)state;
    static const struct moment whens[] = {{.time = 100, .click_time = 130},
                                          {.time = 100, .click_time = 130, .kind = KIND_BOTH}};
    struct shard_info shards[SHARDS + 3];
    struct dataset d = written;
    struct dataset_contents c;
    struct shard_builder *b = NULL;
    memcpy(shards, infos, sizeof infos);
    d.shards = shards;
    d.dirs = DIRS(dir);
    assert_int_equal(dataset_peek(&d, &c), OK);
    assert_int_equal(c.timed, 0);
    assert_int_equal(c.records, 0);
    assert_int_equal(c.behaviours, 0);
    assert_int_equal(shard_builder_create(&b), OK);
    for (uint32_t k = 0; k < 3; k++) {
        char name[32];
        snprintf(name, sizeof name, "shard-9%04u.bin", k);
        assert_int_equal(shard_builder_group(b, k, NULL, 0), OK);
        for (uint64_t i = 0; i < 9; i++) {
            const uint8_t did = i == 4 ? LABEL_BEHAVIOUR(1) : i == 7 ? LABEL_BEHAVIOUR(4) : 0;
            const uint8_t labels = (uint8_t)(LABEL_CLICK | (k == 2 ? did : 0));
            assert_int_equal(k == 2 ? shard_builder_impression(b, i, labels, NULL, 0)
                                    : shard_builder_timed(b, i, labels, &whens[k], NULL, 0),
                             OK);
        }
        assert_int_equal(shard_builder_write(b, &written.schema, dir, name, &shards[SHARDS + k]),
                         OK);
    }
    shard_builder_destroy(&b);
    d.shard_count = SHARDS + 3;
    assert_int_equal(dataset_peek(&d, &c), OK);
    assert_int_equal(c.timed, 2);
    assert_int_equal(c.records, 1);
    assert_int_equal(c.behaviours, LABEL_BEHAVIOUR(1) | LABEL_BEHAVIOUR(4));
    memcpy(shards[1].name, "shard-nowhere", 14);
    assert_int_equal(dataset_peek(&d, &c), ERR_NOT_FOUND);
}

/* Every byte of the message is changed under a right checksum: no crash, no unknown status. */
static void test_forged(void **state) {
    (void)state;
    struct container_reader r;
    struct buf good = BUF_EMPTY;
    size_t refused = 0;
    assert_int_equal(dataset_write(&written, dir), OK);
    assert_int_equal(container_open(&r, manifest, CONTAINER_MANIFEST), OK);
    assert_int_equal(container_get(&r, 0, &good), OK);
    for (size_t at = 0; at < good.len; at++) {
        for (unsigned mask = 1; mask < 256; mask = mask * 4 + 3) {
            struct container_writer w;
            struct dataset d;
            good.data[at] = (uint8_t)(good.data[at] ^ mask);
            assert_int_equal(container_create(&w, manifest, CONTAINER_MANIFEST), OK);
            assert_int_equal(container_put(&w, r.blocks[0].type, 0, good.data, good.len, true), OK);
            assert_int_equal(container_commit(&w, NULL, NULL), OK);
            const enum status status = dataset_read(&d, dir);
            assert_true(status == OK || status == ERR_CORRUPT);
            refused += status != OK;
            dataset_free(&d);
            good.data[at] = (uint8_t)(good.data[at] ^ mask);
        }
    }
    assert_true(refused > good.len);
    buf_fini(&good);
    container_close(&r);
}

static void test_damage_is_found(void **state) {
    (void)state;
    struct dataset d;
    char path[PATH_BYTES_MAX], *data = NULL;
    size_t bytes = 0;
    assert_int_equal(dataset_write(&written, dir), OK);
    assert_int_equal(dataset_read(&d, dir), OK);
    assert_int_equal(path_join(path, dir, infos[1].name), OK);
    assert_int_equal(file_read_all(path, 1 << 20, &data, &bytes), OK);
    for (size_t i = 0; i < bytes; i += 7) {
        data[i] = (char)(data[i] ^ 0x10);
        assert_int_equal(file_write_atomic(path, data, bytes), OK);
        assert_int_equal(dataset_verify(&d), ERR_CORRUPT);
        assert_non_null(strstr(fail_text(), infos[1].name));
        data[i] = (char)(data[i] ^ 0x10);
    }
    assert_int_equal(file_write_atomic(path, data, bytes), OK);
    assert_int_equal(dataset_verify(&d), OK);
    d.shards[2].conversions--;
    assert_int_equal(dataset_verify(&d), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), "conversions"));
    d.shards[2].conversions++;
    d.shards[0].checksum++;
    assert_int_equal(dataset_verify(&d), ERR_CORRUPT);
    d.shards[0].checksum--;
    d.shards[0].bytes++;
    assert_int_equal(dataset_verify(&d), ERR_CORRUPT);
    d.shards[0].bytes--;
    /* A good shard in the place of another. */
    struct shard_info kept = d.shards[0];
    memcpy(d.shards[0].name, infos[2].name, sizeof kept.name);
    assert_int_equal(dataset_verify(&d), ERR_CORRUPT);
    mem_free(&data);
    dataset_free(&d);
}

static void test_memory_fails(void **state) {
    (void)state;
    struct dataset d;
    size_t n = 1;
    for (enum status status = ERR_MEMORY; status != OK; n++) {
        mem_fail_after(n);
        status = dataset_write(&written, dir);
        mem_fail_after(0);
        assert_true(status == OK || status == ERR_MEMORY);
    }
    assert_true(n > 5);
    n = 1;
    for (enum status status = ERR_MEMORY; status != OK; n++) {
        mem_fail_after(n);
        status = dataset_read(&d, dir);
        mem_fail_after(0);
        assert_true(status == OK || status == ERR_MEMORY);
    }
    assert_true(n > 10);
    check(&d);
    n = 1;
    for (enum status status = ERR_MEMORY; status != OK; n++) {
        mem_fail_after(n);
        status = dataset_verify(&d);
        mem_fail_after(0);
        assert_true(status == OK || status == ERR_MEMORY);
    }
    assert_true(n > 10);
    dataset_free(&d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),      cmocka_unit_test(test_no_directory),
        cmocka_unit_test(test_refused),         cmocka_unit_test(test_forged),
        cmocka_unit_test(test_stream_name),     cmocka_unit_test(test_lines),
        cmocka_unit_test(test_weights),         cmocka_unit_test(test_peek),
        cmocka_unit_test(test_damage_is_found), cmocka_unit_test(test_memory_fails),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
