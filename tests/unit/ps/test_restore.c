#include "ps/restore.h"

#include "common/checkpoint/part.h"
#include "tests/world.h"

#define SEED    4711u
#define SETTLED 70u /* batches that every partition has at the cut */
#define FLYING  6u  /* and those that only some have */
#define AFTER   20u

static struct world *world_of(const char *setting) {
    struct world *w = world_create(SEED);
    world_set(w, "table.evict_age=25");
    world_set(w, "field.item.admit_after=2");
    world_set(w, "train.warmup_steps=90");
    if (setting != NULL) {
        world_set(w, setting);
    }
    w->id_space = 1500;
    w->config.copy_bytes = 65536;
    world_finish(w);
    return w;
}

/* --- any number onto any number --------------------------------------------------------------- */

/* Whether batch SETTLED + k had reached partition i when it cut. Not monotone in k: batches of
 * several workers overtake each other. */
static bool had_reached(uint32_t i, uint32_t k) {
    return rng_below(SEED, i, k, 3) == 0;
}

/* All batches in flight, in order, to all partitions: each takes what it lacks. */
static void push_flying(struct world_job *job) {
    for (uint32_t k = 0; k < FLYING; k++) {
        world_push_all(job, SETTLED + k);
    }
}

static void check_rows_kept(const struct world_job *from, const struct world_job *to) {
    struct world_dump a = world_dump(from), b = world_dump(to);
    applied_destroy(&b.applied); /* of the first domain: another range here */
    assert_int_equal(applied_copy(&b.applied, a.applied), OK);
    world_same(&a, &b, "before and after the restore");
    world_dump_free(&a);
    world_dump_free(&b);
}

/* The part's names are those that all its domains have seen. */
static void check_names(struct world_job *job, struct snapshot_writer *writer, const char *dir) {
    for (uint32_t i = 0; i < job->count; i++) {
        struct partition *p = job->p[i];
        struct applied *names = NULL;
        struct part_info info;
        assert_int_equal(partition_cut(p, writer, dir, 90 + i, 100, 0), OK);
        assert_int_equal(world_cut_wait(p, &info, &names), OK);
        for (uint32_t n = 0; n < SETTLED + FLYING; n++) {
            bool all = true, has = false;
            for (uint32_t d = 0; d < p->domains.count; d++) {
                assert_int_equal(
                    applied_has(p->domains.list[d].applied, world_batch(job->world, n).name, &has),
                    OK);
                all = all && has;
            }
            assert_int_equal(applied_has(names, world_batch(job->world, n).name, &has), OK);
            assert_int_equal(has, all);
        }
        applied_destroy(&names);
    }
}

static void check_one_set(const struct world_job *job) {
    for (uint32_t i = 0; i < job->count; i++) {
        struct partition_stats s;
        partition_stats(job->p[i], &s);
        assert_int_equal(job->p[i]->domains.count, 1);
        assert_int_equal(s.version, SETTLED + FLYING);
    }
}

static void run_reshard(struct snapshot_writer *writer, uint32_t from, uint32_t to, bool stream) {
    struct world *w = world_of(NULL);
    w->stream = stream;
    struct world_job saved, restored, again;
    struct part_info infos[WORLD_PARTITIONS_MAX], second[WORLD_PARTITIONS_MAX];
    char dir[64], dir2[64];
    world_dir(dir);
    world_dir(dir2);
    world_start(&saved, w, from);
    for (uint32_t n = 0; n < SETTLED; n++) {
        world_push_all(&saved, n);
    }
    for (uint32_t i = 0; i < from; i++) {
        for (uint32_t k = 0; k < FLYING; k++) {
            if (had_reached(i, k)) {
                world_push(w, saved.p[i], SETTLED + k);
            }
        }
    }
    world_save(&saved, writer, dir, infos);
    world_restore(&restored, w, to, dir, infos, from);
    check_rows_kept(&saved, &restored);
    check_names(&restored, writer, dir2);
    /* Saved again while domains differ, onto the first number. */
    world_save(&restored, writer, dir2, second);
    world_restore(&again, w, from, dir2, second, to);
    check_rows_kept(&saved, &again);
    /* The workers push again what was in flight; all three jobs come to the same. */
    push_flying(&saved);
    push_flying(&restored);
    push_flying(&again);
    check_one_set(&restored);
    check_one_set(&again);
    for (uint32_t n = 0; n < AFTER; n++) {
        world_push_all(&saved, SETTLED + FLYING + n);
        world_push_all(&restored, SETTLED + FLYING + n);
        world_push_all(&again, SETTLED + FLYING + n);
    }
    struct world_dump a = world_dump(&saved), b = world_dump(&restored), c = world_dump(&again);
    world_same(&a, &b, "after the batches in flight");
    world_same(&a, &c, "after the second restore");
    world_dump_free(&a);
    world_dump_free(&b);
    world_dump_free(&c);
    world_stop(&saved);
    world_stop(&restored);
    world_stop(&again);
    world_dir_remove(dir);
    world_dir_remove(dir2);
    mem_free(&w);
}

static void test_any_number_onto_any(void **state) {
    (void)state;
    struct snapshot_writer *writer = NULL;
    assert_int_equal(snapshot_writer_start(&writer), OK);
    for (uint32_t from = 1; from <= 4; from++) {
        for (uint32_t to = 1; to <= 4; to++) {
            run_reshard(writer, from, to, false);
        }
    }
    snapshot_writer_stop(&writer);
}

/* The same of a stream, whose partitions have heard of different shards when they are cut. */
static void test_streams_too(void **state) {
    (void)state;
    struct snapshot_writer *writer = NULL;
    assert_int_equal(snapshot_writer_start(&writer), OK);
    run_reshard(writer, 1, 1, true);
    run_reshard(writer, 3, 2, true);
    run_reshard(writer, 2, 4, true);
    snapshot_writer_stop(&writer);
}

/* --- one saved job, read in many ways --------------------------------------------------------- */

struct fixture {
    struct world *w;
    struct world_job job;
    struct snapshot_writer *writer;
    struct part_info infos[2];
    struct manifest manifest;
    char dir[64];
};

static struct fixture *begin(void) {
    struct fixture *x = NULL;
    assert_int_equal(mem_new(&x), OK);
    x->w = world_of(NULL);
    world_dir(x->dir);
    world_start(&x->job, x->w, 2);
    assert_int_equal(snapshot_writer_start(&x->writer), OK);
    for (uint32_t n = 0; n < SETTLED; n++) {
        world_push_all(&x->job, n);
    }
    world_save(&x->job, x->writer, x->dir, x->infos);
    x->manifest = world_manifest(x->infos, 2);
    return x;
}

static void end(struct fixture *x) {
    manifest_free(&x->manifest);
    world_stop(&x->job);
    snapshot_writer_stop(&x->writer);
    world_dir_remove(x->dir);
    mem_free(&x->w);
    mem_free(&x);
}

/* Restores everything into one partition of `spec`; the partition if it went well. */
static enum status restore(const struct fixture *x, const struct partition_spec *spec,
                           struct partition **p) {
    assert_int_equal(partition_create(p, spec), OK);
    const enum status status = partition_restore(*p, x->dir, &x->manifest);
    if (status != OK) {
        partition_destroy(p);
    }
    return status;
}

static void expect(const struct fixture *x, const char *setting, enum status want) {
    struct world *w = world_of(setting);
    const struct partition_spec spec = world_spec(w, 0, 1);
    struct partition *p = NULL;
    assert_int_equal(restore(x, &spec, &p), want);
    partition_destroy(&p);
    mem_free(&w);
}

static void test_other_configuration(void **state) {
    (void)state;
    struct fixture *x = begin();
    expect(x, "table.lr=0.5", OK);
    expect(x, "field.shop.dim=6", ERR_CONFIG);
    expect(x, "field.shop.optimizer=sgd", ERR_CONFIG);
    expect(x, "dense.optimizer=sgd", ERR_CONFIG);
    expect(x, "model.tower=7,5", ERR_CONFIG);
    expect(x, "field.item.admit_after=1", OK); /* its sightings are left out */
    const uint32_t other[WORLD_SHARDS] = {17, 9, 25};
    struct partition_spec spec = world_spec(x->w, 0, 1);
    struct partition *p = NULL;
    spec.batches_per_shard = other;
    assert_int_equal(restore(x, &spec, &p), ERR_CONFIG);
    end(x);
}

/* Weights alone: equal to the saved, no state, no names asked for. */
static void test_read_only(void **state) {
    (void)state;
    struct fixture *x = begin();
    const uint32_t other[1] = {1};
    struct partition_spec spec = world_spec(x->w, 0, 1);
    struct partition *p = NULL;
    spec.read_only = true;
    spec.batches_per_shard = other;
    spec.shards = 1;
    assert_int_equal(restore(x, &spec, &p), OK);
    struct world_dump d = world_dump(&x->job);
    size_t rows = 0;
    for (size_t i = 0; i < d.count; i++) {
        const struct world_record *r = &d.records[i];
        const struct table *t = p->fields[r->unit / 2].rows.table;
        uint32_t handle = HANDLE_NONE;
        if (r->unit % 2 != 0) {
            continue;
        }
        rows++;
        table_find(t, &r->id, 1, &handle);
        assert_true(handle != HANDLE_NONE);
        assert_memory_equal(table_row(t, handle)->data, r->data,
                            x->w->layout.dim[r->unit / 2] * sizeof(float));
    }
    for (uint64_t k = 0; k < x->w->layout.count; k++) {
        assert_true(p->dense.w[k] == d.dense[3 * k]);
    }
    struct partition_stats s;
    partition_stats(p, &s);
    assert_int_equal(s.rows_total, rows);
    assert_int_equal(s.row_bytes[0], 40);
    world_dump_free(&d);
    partition_destroy(&p);
    end(x);
}

/* Rows and dense with their state, but names and clock anew: the same batches apply again. */
static void test_parameters_only(void **state) {
    (void)state;
    struct fixture *x = begin();
    struct partition_spec spec = world_spec(x->w, 0, 1);
    struct partition *p = NULL;
    struct partition_stats s;
    spec.parameters_only = true;
    assert_int_equal(restore(x, &spec, &p), OK);
    partition_stats(p, &s);
    assert_int_equal(s.version, 0);
    assert_true(s.rows_total > 100);
    assert_memory_equal(p->dense.w, x->job.p[0]->dense.w,
                        dense_floats(&x->job.p[0]->dense) * sizeof(float));
    assert_int_equal(p->domains.list[0].dense_step, SETTLED);
    assert_false(world_push(x->w, p, 0).duplicate);
    partition_stats(p, &s);
    assert_int_equal(s.version, 1);
    assert_int_equal(s.evicted_age, 0); /* ages count from here */
    partition_destroy(&p);
    end(x);
}

static void test_memory_limit(void **state) {
    (void)state;
    struct fixture *x = begin();
    struct partition_spec spec = world_spec(x->w, 0, 1);
    struct partition *p = NULL;
    spec.memory_bytes = 150000;
    assert_int_equal(restore(x, &spec, &p), ERR_LIMIT);
    spec.memory_bytes = 2000000;
    assert_int_equal(restore(x, &spec, &p), OK);
    partition_destroy(&p);
    end(x);
}

static void test_memory_fails(void **state) {
    (void)state;
    struct fixture *x = begin();
    const struct partition_spec spec = world_spec(x->w, 0, 1);
    enum status status = ERR_MEMORY;
    size_t nth = 1;
    for (; status != OK; nth++) {
        struct partition *p = NULL;
        assert_int_equal(partition_create(&p, &spec), OK);
        mem_fail_after(nth);
        status = partition_restore(p, x->dir, &x->manifest);
        mem_fail_after(0);
        assert_true(status == OK || status == ERR_MEMORY);
        partition_destroy(&p);
    }
    assert_true(nth > 20);
    end(x);
}

/* --- damage ----------------------------------------------------------------------------------- */

static void rewrite(const char *path, const char *data, size_t bytes) {
    struct file f = FILE_CLOSED;
    assert_int_equal(file_open_write(&f, path), OK);
    assert_int_equal(file_write(&f, data, bytes), OK);
    assert_int_equal(file_close(&f), OK);
}

/* A part with any bit flipped, or cut short, or replaced, is never loaded. */
static void test_damage(void **state) {
    (void)state;
    struct fixture *x = begin();
    const struct partition_spec spec = world_spec(x->w, 0, 2);
    struct partition *p = NULL;
    char path[128], other[128], *data = NULL, *second = NULL;
    size_t bytes, second_bytes;
    snprintf(path, sizeof path, "%s/%s", x->dir, x->infos[0].name);
    snprintf(other, sizeof other, "%s/%s", x->dir, x->infos[1].name);
    assert_int_equal(file_read_all(path, 1 << 26, &data, &bytes), OK);
    assert_int_equal(file_read_all(other, 1 << 26, &second, &second_bytes), OK);
    assert_int_equal(restore(x, &spec, &p), OK);
    partition_destroy(&p);
    for (uint64_t i = 0; i < 400; i++) {
        /* All of the first and last bytes, then anywhere. */
        const size_t at = i < 100   ? (size_t)i
                          : i < 200 ? bytes - (size_t)(i - 99)
                                    : (size_t)rng_below(SEED, i, 0, bytes);
        const char flip = (char)(1 << rng_below(SEED, i, 1, 8));
        data[at] ^= flip;
        rewrite(path, data, bytes);
        if (restore(x, &spec, &p) == OK) {
            fail_msg("loaded with a bit of byte %zu of %zu flipped", at, bytes);
        }
        data[at] ^= flip;
    }
    for (uint64_t i = 0; i < 60; i++) {
        rewrite(path, data, (size_t)rng_below(SEED, i, 2, bytes));
        assert_int_equal(restore(x, &spec, &p), ERR_CORRUPT);
    }
    rewrite(path, second, second_bytes);
    assert_int_equal(restore(x, &spec, &p), ERR_CORRUPT);
    assert_int_equal(file_remove(path), OK);
    assert_int_equal(restore(x, &spec, &p), ERR_NOT_FOUND);
    rewrite(path, data, bytes);
    assert_int_equal(restore(x, &spec, &p), OK);
    partition_destroy(&p);
    mem_free(&data);
    mem_free(&second);
    end(x);
}

/* A well-formed container whose contents lie. */
enum lie {
    LIE_NONE,
    LIE_NO_TOTALS,
    LIE_TABLE,
    LIE_LENGTH,
    LIE_TWICE,
    LIE_STEP,
    LIE_BUCKET,
    LIE_DENSE,
    LIE_TYPE,
    LIE_COUNT,
    LIE_CHECKSUM
};

static uint64_t retell(const struct fixture *x, enum lie lie, const char *path) {
    uint64_t checksum;
    struct container_reader r;
    struct container_writer w;
    struct buf block = BUF_EMPTY;
    char from[128];
    bool told = false;
    snprintf(from, sizeof from, "%s/%s", x->dir, x->infos[0].name);
    assert_int_equal(container_open(&r, from, CONTAINER_CHECKPOINT_PART), OK);
    assert_int_equal(container_create(&w, path, CONTAINER_CHECKPOINT_PART), OK);
    for (size_t i = 0; i < r.block_count && r.blocks[i].type != BLOCK_FOOTER; i++) {
        uint16_t type = r.blocks[i].type;
        uint64_t tag = r.blocks[i].tag;
        assert_int_equal(container_get(&r, i, &block), OK);
        const bool here = !told && type == (lie == LIE_DENSE ? PART_DENSE : PART_ROWS);
        told = told || here;
        if (here && lie == LIE_TABLE) {
            tag = 9;
        } else if (here && lie == LIE_LENGTH) {
            block.len -= 8;
        } else if (here && lie == LIE_TWICE) {
            memcpy(block.data, block.data + x->job.p[0]->fields[0].config.dim * 12 + 20, 8);
        } else if (here && lie == LIE_STEP) {
            memset(block.data + 8, 0, 4);
        } else if (here && lie == LIE_BUCKET) {
            const struct field_rows *f = &x->job.p[0]->fields[tag];
            uint64_t id = 0;
            while (key_bucket(f, id) < x->infos[0].bucket_end) {
                id++;
            }
            memcpy(block.data, &id, 8);
        } else if (here && lie == LIE_DENSE) {
            tag += 5;
        } else if (here && lie == LIE_TYPE) {
            type = 77;
        }
        if (lie == LIE_COUNT && type == PART_TOTALS) {
            block.data[0]++;
        }
        if (lie != LIE_NO_TOTALS || type != PART_TOTALS) {
            assert_int_equal(container_put(&w, type, tag, block.data, block.len, false), OK);
        }
    }
    assert_int_equal(container_commit(&w, NULL, &checksum), OK);
    container_close(&r);
    buf_fini(&block);
    return checksum;
}

static void test_lies(void **state) {
    (void)state;
    struct fixture *x = begin();
    const struct partition_spec spec = world_spec(x->w, 0, 2);
    for (int lie = LIE_NONE; lie <= LIE_CHECKSUM; lie++) {
        struct partition *p = NULL;
        struct file f = FILE_CLOSED;
        char path[128];
        snprintf(path, sizeof path, "%s/part-lie.bin", x->dir);
        struct manifest_part *part = &x->manifest.parts[0];
        part->checksum = retell(x, (enum lie)lie, path);
        part->checksum += lie == LIE_CHECKSUM;
        snprintf(part->name, sizeof part->name, "part-lie.bin");
        assert_int_equal(file_open_read(&f, path), OK);
        assert_int_equal(file_size(&f, &part->bytes), OK);
        assert_int_equal(file_close(&f), OK);
        const enum status status = restore(x, &spec, &p);
        if (status != (lie == LIE_NONE ? OK : ERR_CORRUPT)) {
            fail_msg("lie %d: status %d", lie, status);
        }
        partition_destroy(&p);
    }
    end(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams_too),
        cmocka_unit_test(test_any_number_onto_any),
        cmocka_unit_test(test_other_configuration),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_parameters_only),
        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_memory_fails),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_lies),
    };
    return cmocka_run_group_tests_name("restore", tests, NULL, NULL);
}
