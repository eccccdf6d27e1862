/* Shards, their manifests and truth files that older versions wrote are read with the values they
 * were made of; those of a later version are refused, both versions named. */
#include "tests/old.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/data/dataset.h"
#include "common/data/record.h"
#include "common/data/shard.h"
#include "common/data/shard_info.h"
#include "common/data/truth.h"

static char dir[] = "/tmp/esmm-old-XXXXXX";

/* The log that all of them hold: 48 impressions in groups of 3, every third clicked, every second
 * of those converted; ids from 1000. */
static uint8_t outcome(uint64_t id) {
    return (uint8_t)(id % 3 != 1 ? 0 : id % 2 == 0 ? LABEL_CLICK | LABEL_CONVERSION : LABEL_CLICK);
}

static struct dataset *open_old(const char *name) {
    char path[PATH_BYTES_MAX];
    struct dataset *d = NULL;
    assert_int_equal(mem_new(&d), OK);
    assert_int_equal(dataset_read(d, old_path(path, name)), OK);
    assert_int_equal(dataset_verify(d), OK);
    return d;
}

static struct shard *read_old(const struct dataset *d, uint32_t s) {
    struct shard *shard = NULL;
    assert_int_equal(mem_new(&shard), OK);
    assert_int_equal(
        shard_read(shard, dataset_dir(d, &d->shards[s]), d->shards[s].name, &d->schema), OK);
    return shard;
}

static void free_old(struct shard *s) {
    shard_free(s);
    mem_free(&s);
}

static void close_old(struct dataset *d) {
    dataset_free(d);
    mem_free(&d);
}

/* The weight of a value, 1 where the column has none. */
static float weight_of(const struct column *c, uint32_t value) {
    return c->weight == NULL ? 1.0f : c->weight[value];
}

/* The first format: no times, no weights of impressions, a manifest of seven fields. */
static void test_first(void **state) {
    (void)state;
    struct dataset *d = open_old("first/shards");
    assert_int_equal(d->impressions, 48);
    assert_int_equal(d->clicks, 16);
    assert_int_equal(d->conversions, 8);
    assert_int_equal(d->orphans, 2);
    assert_int_equal(d->rejected, 1);
    assert_int_equal(d->seed, 7);
    assert_string_equal(d->source, "csv");
    assert_true(d->sample_rate == 1 && !d->weights.there && !d->no_conversion);
    assert_int_equal(d->first_time, 0);
    assert_int_equal(d->fields.list[0].kind, FIELD_UNKNOWN);
    struct shard *s = read_old(d, 1);
    const struct column *age = &s->column[schema_find(&d->schema, "age")];
    const struct column *tags = &s->column[schema_find(&d->schema, "tags")];
    assert_true(s->time == NULL && s->kind == NULL && s->weight == NULL);
    assert_int_equal(s->groups, 8);
    for (uint32_t g = 0; g < s->groups; g++) {
        assert_int_equal(s->group_key[g], 108 + g);
        assert_int_equal(age->dict[age->code[age->start[g]]], 20 + g % 4);
        assert_true(weight_of(age, age->start[g]) == 0.5f + (float)(g % 2));
    }
    for (uint32_t i = 0; i < s->impressions; i++) {
        const uint64_t id = s->impression_id[i];
        assert_int_equal(id, 1024 + i);
        assert_int_equal(s->labels[i], id % 3 != 0 ? 0 : id % 2 == 0 ? 3 : 1);
        assert_int_equal(tags->start[i + 1] - tags->start[i], id % 3);
        for (uint32_t v = tags->start[i]; v < tags->start[i + 1]; v++) {
            assert_int_equal(tags->dict[tags->code[v]], 70000 * (v - tags->start[i] + 1) + id % 4);
        }
    }
    free_old(s);
    close_old(d);
}

static void expect_times(const struct shard *s) {
    for (uint32_t i = 0; i < s->impressions; i++) {
        const uint64_t k = s->impression_id[i] - 1000, seen = 1700000000 + 300 * k;
        const bool click = (outcome(s->impression_id[i]) & LABEL_CLICK) != 0;
        const bool conversion = (outcome(s->impression_id[i]) & LABEL_CONVERSION) != 0;
        const uint64_t late = k % 12 == 0 ? 5010 : 610;
        assert_int_equal(s->labels[i] & LABEL_OUTCOME, outcome(s->impression_id[i]));
        assert_int_equal((s->labels[i] & LABEL_BEHAVIOUR(1)) != 0,
                         click && (k % 4 < 2 || conversion));
        assert_int_equal(s->time[i], seen);
        assert_int_equal(s->click_time[i], click ? seen + 60 : 0);
        assert_int_equal(s->conversion_time[i], conversion ? seen + 60 + late : 0);
    }
}

/* Format 2: times and behaviours; and the records that were made of them. */
static void test_times(void **state) {
    (void)state;
    struct dataset *d = open_old("stream/shards");
    assert_int_equal(d->impressions, 48);
    struct shard *s = read_old(d, 0);
    assert_true(s->kind == NULL);
    expect_times(s);
    free_old(s);
    close_old(d);
    d = open_old("stream/records");
    assert_string_equal(d->stream, "es-dfm");
    uint32_t kinds[RECORD_KINDS] = {0};
    for (uint32_t k = 0; k < d->shard_count; k++) {
        struct shard *of = read_old(d, k);
        for (uint32_t i = 0; i < of->impressions; i++) {
            kinds[of->kind[i]]++;
            assert_int_equal((of->labels[i] & LABEL_LATE) != 0, of->kind[i] == KIND_LATE);
        }
        free_old(of);
    }
    assert_int_equal(kinds[KIND_BOTH], 32);
    assert_int_equal(kinds[KIND_CLICK], 16);
    assert_int_equal(kinds[KIND_CONVERSION], 16);
    assert_int_equal(kinds[KIND_LATE], 4);
    close_old(d);
}

/* Format 2 with weights; a manifest that says how texts became ids, what was kept, first and last
 * times, values and lines. */
static void test_weights(void **state) {
    (void)state;
    struct dataset *d = open_old("last/shards");
    assert_true(d->weights.there && d->sample_rate == 0.5);
    assert_int_equal(d->first_time, 1700000000);
    assert_int_equal(d->last_time, 1700000000 + 47 * 300);
    assert_int_equal(d->log_lines.lines, 49);
    assert_int_equal(d->labels[0].lines, 16);
    const int item = schema_find(&d->schema, "item"), user = schema_find(&d->schema, "user");
    assert_int_equal(d->field_values[item], 48);
    assert_int_equal(field_schemas_find(&d->fields, "item")->kind, FIELD_ID);
    assert_int_equal(field_schemas_find(&d->fields, "user")->kind, FIELD_HASH_TEXT);
    assert_int_equal(field_schemas_find(&d->fields, "age")->bound_count, 3);
    struct shard *s = read_old(d, 0);
    expect_times(s);
    for (uint32_t i = 0; i < s->impressions; i++) {
        const struct column *c = &s->column[item];
        assert_true(s->weight[i] == 0.5f + (float)(i % 4) / 2);
        assert_int_equal(c->dict[c->code[c->start[i]]], i % 5 + 1);
    }
    assert_int_equal(s->column[user].n, 8);
    free_old(s);
    close_old(d);
}

static void test_truth(void **state) {
    (void)state;
    struct truth t;
    char path[PATH_BYTES_MAX];
    assert_int_equal(truth_read(&t, old_path(path, "stream/truth.bin")), OK);
    assert_int_equal(t.count, 40);
    for (size_t i = 0; i < t.count; i++) {
        assert_true(t.rows[i].p_ctr > 0 && t.rows[i].p_cvr > 0 && t.rows[i].p_cvr_do > 0);
        assert_ptr_equal(truth_find(&t, t.rows[i].impression_id), &t.rows[i]);
    }
    truth_free(&t);
}

/* --- of a version that is yet to come --------------------------------------------------------- */

static void test_later_shard(void **state) {
    (void)state;
    char path[PATH_BYTES_MAX], *bytes = NULL;
    size_t n = 0;
    const struct schema none = {0};
    struct shard s;
    struct shard_info info;
    assert_int_equal(path_join(path, dir, "shard-00000.bin"), OK);
    old_changed("last/shards/shard-00000.bin", CONTAINER_SHARD, 0, 0, 3, path);
    old_refused(shard_read(&s, dir, "shard-00000.bin", &none), path,
                "shard format 3, this program (esmm " ESMM_VERSION ") reads 1 to 2");
    old_refused(shard_peek(dir, "shard-00000.bin", &info), path, "shard format 3");
    assert_int_equal(file_read_all(path, 1 << 16, &bytes, &n), OK);
    bytes[8] = 2; /* of the container */
    old_refused(shard_decode(&s, "there.bin", bytes, n, &none), "there.bin",
                "container version 2, this program (esmm " ESMM_VERSION ") reads 1");
    mem_free(&bytes);
}

static void test_later_manifest(void **state) {
    (void)state;
    char path[PATH_BYTES_MAX];
    struct dataset d;
    assert_int_equal(path_join(path, dir, "manifest"), OK);
    old_changed("last/shards/manifest", CONTAINER_MANIFEST, 0, 1, 2,
                path); /* field 1 comes first */
    old_refused(dataset_read(&d, dir), path,
                "format of a shard directory 2, this program (esmm " ESMM_VERSION ") reads 1");
}

static int make_dir(void **state) {
    (void)state;
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state) {
    (void)state;
    char path[PATH_BYTES_MAX];
    snprintf(path, sizeof path, "%s/shard-00000.bin", dir);
    unlink(path);
    snprintf(path, sizeof path, "%s/manifest", dir);
    unlink(path);
    return rmdir(dir);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first),       cmocka_unit_test(test_times),
        cmocka_unit_test(test_weights),     cmocka_unit_test(test_truth),
        cmocka_unit_test(test_later_shard), cmocka_unit_test(test_later_manifest),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
