#include "common/base/log.h"
#include "common/checkpoint/shelf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEED 8u

static uint32_t plan[3] = {10, 0, UINT32_MAX};
static struct manifest_part parts[2] = {
    {"part-00000-of-00002.bin", 0, 2048, 123456, 0x8877665544332211u, 5000, 400, false},
    {"part-00001-of-00002.bin", 2048, 4096, 999, 1, 0, 401, false}};
static char config[] = "[train]\nbatch = 64\n";
static uint8_t names[] = {1, 0, 2, 0, 255};

static struct manifest sample(uint64_t step) {
    struct manifest m = {.step = step,
                         .impressions = 12345678901u,
                         .saved_at = 1.75e9,
                         .seed = UINT64_MAX,
                         .rate_ctr = 0.04,
                         .rate_cvr = 0.005,
                         .config_text = config,
                         .batches_per_shard = plan,
                         .shards = 3,
                         .data_checksum = 42,
                         .parts = parts,
                         .part_count = 2,
                         .applied = names,
                         .applied_bytes = sizeof names};
    assert_int_equal(schema_add(&m.schema, "shop", SIDE_ITEM), OK);
    assert_int_equal(schema_add(&m.schema, "109_14", SIDE_USER), OK);
    schema_finish(&m.schema);
    return m;
}

static void same(const struct manifest *a, const struct manifest *b) {
    assert_int_equal(a->step, b->step);
    assert_int_equal(a->impressions, b->impressions);
    assert_true(a->saved_at == b->saved_at && a->rate_ctr == b->rate_ctr &&
                a->rate_cvr == b->rate_cvr);
    assert_int_equal(a->seed, b->seed);
    assert_int_equal(a->data_checksum, b->data_checksum);
    assert_string_equal(a->config_text, b->config_text);
    assert_memory_equal(&a->schema, &b->schema, sizeof a->schema);
    assert_int_equal(a->shards, b->shards);
    assert_memory_equal(a->batches_per_shard, b->batches_per_shard, a->shards * sizeof(uint32_t));
    assert_int_equal(a->part_count, b->part_count);
    assert_memory_equal(a->parts, b->parts, a->part_count * sizeof *a->parts);
    assert_int_equal(a->applied_bytes, b->applied_bytes);
    assert_memory_equal(a->applied, b->applied, a->applied_bytes);
}

static void test_round_trip(void **state) {
    (void)state;
    const struct manifest m = sample(400);
    struct manifest out;
    struct buf bytes = BUF_EMPTY;
    assert_int_equal(manifest_encode(&m, &bytes), OK);
    assert_int_equal(manifest_decode(&out, bytes.data, bytes.len), OK);
    same(&m, &out);
    manifest_free(&out);
    buf_fini(&bytes);
}

/* A delta names its base, and has a format of its own. */
static void test_base(void **state) {
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct manifest m = sample(400), out;
        struct manifest_part changed[2] = {parts[0], parts[1]};
        struct buf bytes = BUF_EMPTY;
        m.parts = changed;
        changed[1].whole = true;
        m.cut = 7;
        m.base = (struct manifest_base){399, 5, 3, 123456789012, 4000};
        switch (i) {
        case 1: m.base.step = 400; break; /* not before it */
        case 2: m.base.depth = 0; break;
        case 3: m.base.depth = CHAIN_DEPTH_MAX + 1; break;
        case 4: m.cut = 0; break;
        case 5: m.base.cut = 0; break; /* a full one */
        default: break;
        }
        assert_int_equal(manifest_encode(&m, &bytes), OK);
        const enum status status = manifest_decode(&out, bytes.data, bytes.len);
        assert_int_equal(status, i == 0 || i == 5 ? OK : ERR_CORRUPT);
        if (i == 0) {
            same(&m, &out);
            assert_memory_equal(manifest_base(&out), &m.base, sizeof m.base);
        } else if (i == 5) {
            assert_null(manifest_base(&out));
        }
        manifest_free(&out);
        buf_fini(&bytes);
    }
}

/* What makes no sense is refused, though the bytes are well formed. */
static void test_refused(void **state) {
    (void)state;
    for (int i = 0; i < 9; i++) {
        struct manifest m = sample(400), out;
        struct manifest_part changed[2] = {parts[0], parts[1]};
        struct buf bytes = BUF_EMPTY;
        m.parts = changed;
        switch (i) {
        case 0: m.part_count = 1; break;
        case 1: m.part_count = 0; break;
        case 2: changed[1].bucket_begin = 2047; break;
        case 3: changed[1].bucket_end = 4097; break;
        case 4: snprintf(changed[0].name, 64, "../../etc/passwd"); break;
        case 5: snprintf(changed[0].name, 64, "part-/../x"); break;
        case 6: m.schema.count = 0; break;
        case 7: m.schema.fields[1] = m.schema.fields[0]; break;
        default: { /* not in slot order */
            const struct field first = m.schema.fields[0];
            m.schema.fields[0] = m.schema.fields[1];
            m.schema.fields[1] = first;
        }
        }
        assert_int_equal(manifest_encode(&m, &bytes), OK);
        assert_int_equal(manifest_decode(&out, bytes.data, bytes.len), ERR_CORRUPT);
        assert_null(out.config_text);
        buf_fini(&bytes);
    }
}

/* What a checkpoint does not say is the default, but its order is that of before windows. */
static void test_config(void **state) {
    (void)state;
    struct manifest m = {.config_text = (char[]){"[train]\nbatch = 77\n"}};
    struct config *c = NULL;
    assert_int_equal(mem_new(&c), OK);
    c->window = c->run = 5;
    assert_int_equal(manifest_config(&m, "DIR", c), OK);
    assert_int_equal(c->batch, 77);
    assert_int_equal(c->window, 0);
    assert_int_equal(c->run, 0);
    assert_int_equal(c->epochs, 1);
    m.config_text = (char[]){"[train]\nwindow = 8\nrun = 2\n"};
    assert_int_equal(manifest_config(&m, "DIR", c), OK);
    assert_int_equal(c->window, 8);
    assert_int_equal(c->run, 2);
    m.config_text = (char[]){"[train]\nwindows = 8\n"};
    assert_int_equal(manifest_config(&m, "DIR", c), ERR_CONFIG);
    mem_free(&c);
}

static void test_hostile_bytes(void **state) {
    (void)state;
    const struct manifest m = sample(400);
    struct buf bytes = BUF_EMPTY;
    assert_int_equal(manifest_encode(&m, &bytes), OK);
    for (uint64_t i = 0; i < 20000; i++) {
        struct manifest out;
        uint8_t bad[1024];
        assert_true(bytes.len < sizeof bad);
        memcpy(bad, bytes.data, bytes.len);
        for (uint64_t k = 0; k <= i % 4; k++) {
            bad[rng_below(SEED, i, k, bytes.len)] = (uint8_t)rng_u64(SEED, i, k + 10);
        }
        const size_t n = i % 5 == 0 ? (size_t)rng_below(SEED, i, 99, bytes.len) : bytes.len;
        const enum status status = manifest_decode(&out, bad, n);
        assert_true(status == OK || status == ERR_CORRUPT);
        manifest_free(&out);
    }
    /* Many empty messages take far more memory than bytes: the budget ends it. */
    struct manifest out;
    size_t many = (size_t)4 << 20;
    uint8_t *flood = malloc(many);
    assert_non_null(flood);
    for (size_t i = 0; i + 1 < many; i += 2) {
        flood[i] = 9 << 3 | 2; /* fields[], length 0 */
        flood[i + 1] = 0;
    }
    assert_int_equal(manifest_decode(&out, flood, many), ERR_CORRUPT);
    free(flood);
    buf_fini(&bytes);
}

static void test_memory_fails(void **state) {
    (void)state;
    const struct manifest m = sample(400);
    struct buf bytes = BUF_EMPTY;
    assert_int_equal(manifest_encode(&m, &bytes), OK);
    enum status status = ERR_MEMORY;
    for (size_t nth = 1; status != OK; nth++) {
        struct manifest out;
        mem_fail_after(nth);
        status = manifest_decode(&out, bytes.data, bytes.len);
        mem_fail_after(0);
        manifest_free(&out);
        assert_true(nth < 100);
    }
    buf_fini(&bytes);
}

/* --- the directory ---------------------------------------------------------------------------- */

struct place {
    char run[64], root[96];
};

static void open_place(struct place *p) {
    snprintf(p->run, sizeof p->run, "/tmp/esmm-test-XXXXXX");
    assert_non_null(mkdtemp(p->run));
    snprintf(p->root, sizeof p->root, "%s/checkpoints", p->run);
    assert_int_equal(file_mkdirs(p->root), OK);
}

static void in_root(const struct place *p, const char *name, char out[PATH_BYTES_MAX]) {
    assert_int_equal(path_join(out, p->root, name), OK);
}

static void save(const struct place *p, uint64_t step, uint32_t keep) {
    char name[32], with_tmp[40], dir[PATH_BYTES_MAX];
    const struct manifest m = sample(step);
    manifest_dir_name(step, name);
    snprintf(with_tmp, sizeof with_tmp, "%s.tmp", name);
    in_root(p, with_tmp, dir);
    assert_int_equal(file_mkdirs(dir), OK);
    assert_int_equal(manifest_write(&m, dir), OK);
    assert_int_equal(manifest_publish(p->root, step), OK);
    struct shelf s = {0};
    assert_int_equal(shelf_read(&s, p->root, step), OK);
    shelf_clean(&s, p->root, &(struct retention){.newest = keep});
    shelf_free(&s);
}

static void listing(const struct place *p, const char *want) {
    struct file_list list;
    char got[1024] = "";
    assert_int_equal(file_list_dir(&list, p->root), OK);
    for (size_t i = 0; i < list.count; i++) {
        strcat(got, list.names[i]);
        strcat(got, " ");
    }
    file_list_free(&list);
    assert_string_equal(got, want);
}

/* The path finds the checkpoint of this step; 0: none. */
static void finds(const char *path, uint64_t step) {
    char at[PATH_BYTES_MAX];
    struct manifest m;
    const enum status status = manifest_find(path, at);
    if (step == 0) {
        assert_int_equal(status, ERR_NOT_FOUND);
        return;
    }
    if (status != OK) {
        fail_msg("%s", fail_text());
    }
    assert_null(strstr(at, "latest"));
    assert_int_equal(manifest_read(&m, at), OK);
    assert_int_equal(m.step, step);
    manifest_free(&m);
}

static void test_publish(void **state) {
    (void)state;
    struct place p;
    char path[PATH_BYTES_MAX];
    char name[32];
    manifest_dir_name(400, name);
    assert_string_equal(name, "step-000000000400");
    open_place(&p);
    finds(p.run, 0);
    const struct manifest unfinished = sample(400);
    in_root(&p, "step-000000000400.tmp", path);
    assert_int_equal(file_mkdirs(path), OK);
    assert_int_equal(manifest_write(&unfinished, path), OK);
    finds(p.run, 0);
    finds(path, 0);
    save(&p, 100, 2);
    finds(p.run, 100);
    save(&p, 200, 2);
    in_root(&p, "step-000000000150.tmp", path); /* left by a crash */
    assert_int_equal(file_mkdirs(path), OK);
    in_root(&p, "notes", path); /* not ours */
    assert_int_equal(file_mkdirs(path), OK);
    save(&p, 300, 2);
    listing(&p, "latest notes step-000000000200 step-000000000300 ");
    finds(p.run, 300);
    finds(p.root, 300);
    in_root(&p, "step-000000000200", path);
    finds(path, 200);
    save(&p, 300, 2); /* the same step again */
    listing(&p, "latest notes step-000000000200 step-000000000300 ");
    finds(p.run, 300);
    /* A job that went back to an older step: its own is kept, and is the latest. */
    save(&p, 50, 2);
    listing(&p, "latest notes step-000000000050 step-000000000200 step-000000000300 ");
    finds(p.run, 50);
    assert_int_equal(file_remove_tree(p.run), OK);
}

/* `latest` that is gone, dangling or points at damage: the newest that reads is taken. */
static void test_find_after_damage(void **state) {
    (void)state;
    struct place p;
    char latest[PATH_BYTES_MAX], path[PATH_BYTES_MAX];
    open_place(&p);
    save(&p, 100, 9);
    save(&p, 200, 9);
    save(&p, 300, 9);
    in_root(&p, "latest", latest);
    assert_int_equal(file_remove(latest), OK);
    finds(p.run, 300);
    assert_int_equal(file_link_latest("step-000000000999", latest), OK);
    finds(p.run, 300);
    assert_int_equal(file_link_latest("step-000000000300", latest), OK);
    in_root(&p, "step-000000000300/manifest", path);
    assert_int_equal(file_write_atomic(path, "torn", 4), OK);
    finds(p.run, 200);
    in_root(&p, "step-000000000200/manifest", path);
    assert_int_equal(file_remove(path), OK);
    finds(p.run, 100);
    in_root(&p, "step-000000000100", path);
    assert_int_equal(file_remove_tree(path), OK);
    /* What is left is damaged, which is not the same as no checkpoint: a job must not begin anew.
     */
    assert_int_equal(manifest_find(p.run, path), ERR_CORRUPT);
    assert_non_null(strstr(fail_text(), "step-000000000300/manifest"));
    in_root(&p, "step-000000000300", path);
    assert_int_equal(file_remove_tree(path), OK);
    finds(p.run, 0);
    finds("/nonexistent/run", 0);
    assert_int_equal(file_remove_tree(p.run), OK);
}

int main(void) {
    log_level_set(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config),        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_base),          cmocka_unit_test(test_refused),
        cmocka_unit_test(test_hostile_bytes), cmocka_unit_test(test_memory_fails),
        cmocka_unit_test(test_publish),       cmocka_unit_test(test_find_after_damage),
    };
    return cmocka_run_group_tests_name("manifest", tests, NULL, NULL);
}
