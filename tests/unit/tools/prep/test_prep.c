/* esmm prep as a whole, on random Ali-CCP logs whose content is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/data/dataset.h"
#include "common/data/record.h"
#include "common/data/shard.h"

#include <cmocka.h>

#include "tests/prep_case.h"

#define USERS        60u
#define ROWS_MAX     3000u
#define FEATURES_MAX 8u

/* --- a random log ----------------------------------------------------------------------------- */

static const char *const names[2][4] = {{"101", "110_14", "a_long_user_field", "121"},
                                        {"205", "210", "853", "a_long_item_field"}};

struct one {
    uint32_t field; /* in names[side] */
    uint64_t id;
    float weight;
    char text[16];
};
struct side_of_row {
    struct one f[FEATURES_MAX];
    size_t count;
};
struct row {
    uint64_t id;
    uint32_t user;
    bool click, conversion;
    struct side_of_row item;
};

struct log {
    uint64_t seed, draws;
    char key[USERS][32];
    struct side_of_row user[USERS];
    struct row row[ROWS_MAX]; /* the good ones */
    uint32_t rows, groups, bad, orphans;
    struct buf skeleton, common;
};

static uint64_t draw(struct log *l, uint64_t n) {
    return rng_below(l->seed, l->draws++, 0, n);
}

static void draw_side(struct log *l, struct side_of_row *s) {
    s->count = (size_t)draw(l, FEATURES_MAX + 1);
    for (size_t k = 0; k < s->count; k++) {
        struct one *f = &s->f[k];
        f->field = (uint32_t)draw(l, 4);
        f->id = draw(l, 3) == 0 ? rng_u64(l->seed, l->draws++, 1) : draw(l, 50);
        snprintf(f->text, sizeof f->text, "%.5g", (double)(1 + draw(l, 5)) / 3);
        f->weight = (float)strtod(f->text, NULL);
    }
}

static void put_side(struct buf *b, const struct side_of_row *s, enum side side) {
    assert_int_equal(buf_printf(b, "%zu,", s->count), OK);
    for (size_t k = 0; k < s->count; k++) {
        assert_int_equal(buf_printf(b, "%s%s\x02%llu\x03%s", k > 0 ? "\x01" : "",
                                    names[side][s->f[k].field], (unsigned long long)s->f[k].id,
                                    s->f[k].text),
                         OK);
    }
}

static void draw_common(struct log *l) {
    uint32_t order[USERS];
    rng_permutation(l->seed, 1, 1, order, USERS);
    for (uint32_t u = 0; u < USERS; u++) {
        if (u % 2 == 0) {
            snprintf(l->key[u], sizeof l->key[u], "%u", 1000 + u);
        } else {
            snprintf(l->key[u], sizeof l->key[u], "%016llx",
                     (unsigned long long)rng_u64(l->seed, u, 2));
        }
        draw_side(l, &l->user[u]);
    }
    for (uint32_t k = 0; k < USERS; k++) {
        assert_int_equal(buf_printf(&l->common, "%s,", l->key[order[k]]), OK);
        put_side(&l->common, &l->user[order[k]], SIDE_USER);
        assert_int_equal(buf_put(&l->common, "\n", 1), OK);
    }
}

static void put_bad(struct log *l) {
    static const char *const lines[] = {"garbage",
                                        "1,0,0",
                                        "1,7,0,1000,0,",
                                        "1,0,0,nobody,0,",
                                        "1,0,0,1000,3,",
                                        "1,0,0,1000,1,205\x02x\x03"
                                        "1.0"};
    assert_int_equal(buf_printf(&l->skeleton, "%s\n", lines[draw(l, 6)]), OK);
    l->bad++;
}

static void draw_log(struct log *l, uint64_t seed, uint32_t rows, bool with_bad) {
    uint32_t before = USERS;
    memset(l, 0, sizeof *l);
    l->seed = seed;
    draw_common(l);
    while (l->rows < rows) {
        const uint32_t user = (uint32_t)draw(l, USERS), length = 1 + (uint32_t)draw(l, 20);
        l->groups += user != before;
        before = user;
        for (uint32_t k = 0; k < length && l->rows < rows; k++) {
            struct row *r = &l->row[l->rows++];
            *r = (struct row){.id = 5000 + l->rows,
                              .user = user,
                              .click = draw(l, 3) == 0,
                              .conversion = draw(l, 4) == 0};
            l->orphans += r->conversion && !r->click;
            draw_side(l, &r->item);
            assert_int_equal(buf_printf(&l->skeleton, "%llu,%d,%d,%s,", (unsigned long long)r->id,
                                        r->click, r->conversion, l->key[user]),
                             OK);
            put_side(&l->skeleton, &r->item, SIDE_ITEM);
            assert_int_equal(
                buf_put(&l->skeleton, l->rows % 3 == 0 ? "\r\n" : "\n", l->rows % 3 == 0 ? 2 : 1),
                OK);
            if (with_bad && draw(l, 20) == 0) {
                put_bad(l);
            }
        }
    }
    assert_int_equal(file_write_atomic(skeleton, l->skeleton.data, l->skeleton.len), OK);
    assert_int_equal(file_write_atomic(common, l->common.data, l->common.len), OK);
}

static void free_log(struct log *l) {
    buf_fini(&l->skeleton);
    buf_fini(&l->common);
}

/* --- running and comparing -------------------------------------------------------------------- */

static void check_side(const struct dataset *d, const struct shard *s, enum side side, uint32_t bag,
                       const struct side_of_row *want) {
    for (uint32_t n = 0; n < 4; n++) {
        const int slot = schema_find(&d->schema, names[side][n]);
        size_t k = 0;
        const struct column *c = slot < 0 ? NULL : &s->column[slot];
        uint32_t at = c == NULL ? 0 : c->start[bag];
        for (; k < want->count; k++) {
            if (want->f[k].field == n) {
                assert_non_null(c);
                assert_true(at < c->start[bag + 1]);
                assert_true(c->dict[c->code[at]] == want->f[k].id);
                assert_true((c->weight == NULL ? 1.0f : c->weight[at]) == want->f[k].weight);
                at++;
            }
        }
        assert_true(c == NULL || at == c->start[bag + 1]);
    }
}

static uint64_t key_of(const char *text) {
    return strlen(text) < 16 ? strtoull(text, NULL, 10) : hash_bytes(text, strlen(text));
}

/* Every good row is there, in order; with `drop` but for the orphans. */
static void check(const struct log *l, const char *where, bool drop) {
    struct dataset d;
    uint32_t at = 0;
    assert_int_equal(dataset_read(&d, where), OK);
    assert_int_equal(dataset_verify(&d), OK);
    assert_string_equal(d.source, "aliccp");
    assert_int_equal(d.orphans, l->orphans);
    assert_int_equal(d.rejected, l->bad);
    assert_int_equal(d.impressions, l->rows - (drop ? l->orphans : 0));
    for (uint32_t k = 0; k < d.shard_count; k++) {
        struct shard *s = calloc(1, sizeof *s);
        assert_non_null(s);
        assert_int_equal(shard_read(s, where, d.shards[k].name, &d.schema), OK);
        for (uint32_t g = 0; g < s->groups; g++) {
            for (uint32_t i = s->group_start[g]; i < s->group_start[g + 1]; i++, at++) {
                while (drop && l->row[at].conversion && !l->row[at].click) {
                    at++;
                }
                const struct row *r = &l->row[at];
                assert_true(s->impression_id[i] == r->id);
                assert_true(s->group_key[g] == key_of(l->key[r->user]));
                assert_int_equal(s->labels[i], !r->click        ? 0
                                               : !r->conversion ? LABEL_CLICK
                                                                : LABEL_CLICK | LABEL_CONVERSION);
                check_side(&d, s, SIDE_USER, g, &l->user[r->user]);
                check_side(&d, s, SIDE_ITEM, i, &r->item);
            }
        }
        shard_free(s);
        free(s);
    }
    dataset_free(&d);
}

static void same_tree(const char *a, const char *b) {
    struct file_list left, right;
    assert_int_equal(file_list_dir(&left, a), OK);
    assert_int_equal(file_list_dir(&right, b), OK);
    assert_int_equal(left.count, right.count);
    for (size_t k = 0; k < left.count; k++) {
        char path[PATH_BYTES_MAX], *x = NULL, *y = NULL;
        size_t nx = 0, ny = 0;
        assert_string_equal(left.names[k], right.names[k]);
        assert_int_equal(path_join(path, a, left.names[k]), OK);
        assert_int_equal(file_read_all(path, 1u << 30, &x, &nx), OK);
        assert_int_equal(path_join(path, b, left.names[k]), OK);
        assert_int_equal(file_read_all(path, 1u << 30, &y, &ny), OK);
        assert_int_equal(nx, ny);
        assert_memory_equal(x, y, nx);
        mem_free(&x);
        mem_free(&y);
    }
    file_list_free(&left);
    file_list_free(&right);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void test_random_logs(void **state) {
    struct log *l = *state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        const bool bad = seed % 2 == 0;
        draw_log(l, seed, 200 + (uint32_t)seed * 400, bad);
        assert_int_equal(prep(ALICCP, out, "--threads", "3", "--shard-impressions", "100",
                              "--max-bad", "20", NULL),
                         OK);
        check(l, out, false);
        assert_int_equal(prep(ALICCP, out2, "--threads", "1", "--shard-impressions", "100",
                              "--max-bad", "20", NULL),
                         OK);
        same_tree(out, out2);
        if (!bad) {
            struct dataset d;
            assert_int_equal(dataset_read(&d, out), OK);
            assert_int_equal(d.groups, l->groups);
            dataset_free(&d);
        }
        clean();
        assert_int_equal(
            prep(ALICCP, out, "--orphans", "drop", "--max-bad", "20", "--seed", "9", NULL), OK);
        check(l, out, true);
        clean();
        free_log(l);
    }
}

static void test_memory_fails(void **state) {
    struct log *l = *state;
    draw_log(l, 77, 300, false);
    size_t failed = 0;
    for (size_t n = 1; n < 4000; n += 1 + n / 20) {
        mem_fail_after(n);
        const enum status status =
            prep(ALICCP, out, "--threads", "2", "--shard-impressions", "50", NULL);
        mem_fail_after(0);
        if (status == OK) {
            clean();
            break;
        }
        failed++;
        refused(status, ERR_MEMORY, "memory");
    }
    assert_true(failed > 10);
    free_log(l);
}

static int setup(void **state) {
    *state = malloc(sizeof(struct log));
    return *state == NULL ? -1 : prep_setup(state);
}

static int teardown(void **state) {
    free(*state);
    return prep_teardown(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_logs),
        cmocka_unit_test(test_memory_fails),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
