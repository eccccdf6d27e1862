/* esmm prep as a whole, on random Ali-CCP logs whose content is known; and everything it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/mem.h"
#include "common/rng.h"
#include "common/shard.h"
#include "tools/tools.h"

#include <cmocka.h>

#define USERS        60u
#define ROWS_MAX     3000u
#define FEATURES_MAX 8u
#define ARGS_MAX     24

static char dir[64], skeleton[128], common[128], out[128], out2[128];

/* --- a random log ---------------------------------------------------------------------------- */

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
                                    s->f[k].text), OK);
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
    static const char *const lines[] = {"garbage", "1,0,0", "1,7,0,1000,0,", "1,0,0,nobody,0,",
                                        "1,0,0,1000,3,", "1,0,0,1000,1,205\x02x\x03" "1.0"};
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
            *r = (struct row){.id = 5000 + l->rows, .user = user, .click = draw(l, 3) == 0,
                              .conversion = draw(l, 4) == 0};
            l->orphans += r->conversion && !r->click;
            draw_side(l, &r->item);
            assert_int_equal(buf_printf(&l->skeleton, "%llu,%d,%d,%s,", (unsigned long long)r->id,
                                        r->click, r->conversion, l->key[user]), OK);
            put_side(&l->skeleton, &r->item, SIDE_ITEM);
            assert_int_equal(buf_put(&l->skeleton, l->rows % 3 == 0 ? "\r\n" : "\n",
                                     l->rows % 3 == 0 ? 2 : 1), OK);
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

/* --- running and comparing ------------------------------------------------------------------- */

/* esmm prep with the arguments up to NULL. */
static enum status prep(const char *first, ...) {
    char *argv[ARGS_MAX] = {(char *)(uintptr_t) "prep"};
    int argc = 1;
    va_list more;
    va_start(more, first);
    for (const char *a = first; a != NULL; a = va_arg(more, const char *)) {
        argv[argc++] = (char *)(uintptr_t)a;
    }
    va_end(more);
    return tool_prep(argc, argv);
}

#define ALICCP "--format", "aliccp", "--skeleton", skeleton, "--common", common, "--out"

static void check_side(const struct dataset *d, const struct shard *s, enum side side,
                       uint32_t bag, const struct side_of_row *want) {
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
    assert_int_equal(dataset_verify(&d, where), OK);
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

static void clean(void) {
    assert_int_equal(file_remove_tree(out), OK);
    assert_int_equal(file_remove_tree(out2), OK);
}

/* --- tests ----------------------------------------------------------------------------------- */

static void test_random_logs(void **state) {
    struct log *l = *state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        const bool bad = seed % 2 == 0;
        draw_log(l, seed, 200 + (uint32_t)seed * 400, bad);
        assert_int_equal(prep(ALICCP, out, "--threads", "3", "--shard-impressions", "100",
                              "--max-bad", "20", NULL), OK);
        check(l, out, false);
        assert_int_equal(prep(ALICCP, out2, "--threads", "1", "--shard-impressions", "100",
                              "--max-bad", "20", NULL), OK);
        same_tree(out, out2);
        if (!bad) {
            struct dataset d;
            assert_int_equal(dataset_read(&d, out), OK);
            assert_int_equal(d.groups, l->groups);
            dataset_free(&d);
        }
        clean();
        assert_int_equal(prep(ALICCP, out, "--orphans", "drop", "--max-bad", "20", "--seed", "9",
                              NULL), OK);
        check(l, out, true);
        clean();
        free_log(l);
    }
}

static void write_text(const char *path, const char *text) {
    assert_int_equal(file_write_atomic(path, text, strlen(text)), OK);
}

#define F(field, id) field "\x02" id "\x03" "1.0"

/* `rejects` is what rejects.tsv holds below its head, with S and C for the two files. */
static void expect_rejects(const char *skeleton_text, const char *common_text, const char *want) {
    char path[PATH_BYTES_MAX], *got = NULL;
    size_t n = 0;
    struct buf full = BUF_EMPTY;
    write_text(skeleton, skeleton_text);
    write_text(common, common_text);
    assert_int_equal(prep(ALICCP, out, "--max-bad", "100", NULL), OK);
    assert_int_equal(buf_printf(&full, "file\tline\treason\thead of the line\n"), OK);
    for (const char *at = want; *at != '\0'; at += strcspn(at, "\n") + 1) {
        assert_int_equal(buf_printf(&full, "%s%.*s\n", *at == 'S' ? skeleton : common,
                                    (int)strcspn(at, "\n") - 1, at + 1), OK);
    }
    assert_int_equal(path_join(path, out, "rejects.tsv"), OK);
    assert_int_equal(file_read_all(path, 1u << 20, &got, &n), OK);
    assert_string_equal(got, (const char *)full.data);
    mem_free(&got);
    buf_fini(&full);
    clean();
}

static void test_rejects(void **state) {
    (void)state;
    expect_rejects("1,0,0,k,1," F("i", "5") "\n"
                   "\n"
                   "2,0,0,missing,1," F("i", "5") "\n"
                   "3,0,0,broken,1," F("i", "5") "\n"
                   "4,0,2,k,1," F("i\t\\", "5") "\n"
                   "5,1,1,k,0,",
                   "k,1," F("u", "1") "\n"
                   "broken,2," F("u", "2") "\n"
                   "k,1," F("u", "3") "\n",
                   "C\t2\tfeature_num disagrees with the features\tbroken,2,u\\x022\\x031.0\n"
                   "C\t3\tcommon index came before\tk,1,u\\x023\\x031.0\n"
                   "S\t3\tno common row\t2,0,0,missing,1,i\\x025\\x031.0\n"
                   "S\t4\tno common row\t3,0,0,broken,1,i\\x025\\x031.0\n"
                   "S\t5\tlabel is not 0 or 1\t4,0,2,k,1,i\\t\\\\\\x025\\x031.0\n");
}

static void test_long_line(void **state) {
    const size_t n = (1u << 20) + 100;
    char *text = malloc(n + 100);
    struct dataset d;
    (void)state;
    assert_non_null(text);
    memset(text, 'x', n);
    memcpy(text + n, "\n1,0,0,k,0,\n", 13);
    write_text(skeleton, text);
    memcpy(text + n, "\nk,1,u\x02" "1\x03" "1.0\n", 14);
    write_text(common, text);
    free(text);
    assert_int_equal(prep(ALICCP, out, "--max-bad", "60", NULL), OK);
    assert_int_equal(dataset_read(&d, out), OK);
    assert_int_equal(d.impressions, 1);
    assert_int_equal(d.rejected, 2);
    assert_int_equal(d.values, 1); /* the common row behind the long line was found */
    dataset_free(&d);
    clean();
}

static void refused(enum status status, enum status want, const char *says) {
    char temporary[160];
    snprintf(temporary, sizeof temporary, "%s.tmp", out);
    assert_int_equal(status, want);
    if (strstr(fail_text(), says) == NULL) {
        fail_msg("it says '%s', expected '%s'", fail_text(), says);
    }
    assert_false(file_exists(out) || file_exists(temporary));
}

static void test_refuses(void **state) {
    (void)state;
    write_text(common, "k,1," F("u", "1") "\n");
    write_text(skeleton, "");
    refused(prep(ALICCP, out, NULL), ERR_FORMAT, "is empty");
    write_text(skeleton, "\n\n");
    refused(prep(ALICCP, out, NULL), ERR_FORMAT, "is empty");
    write_text(skeleton, "x\ny\n");
    refused(prep(ALICCP, out, NULL), ERR_LIMIT, "2 of 2 lines rejected, more than --max-bad 1 %");
    refused(prep(ALICCP, out, NULL), ERR_LIMIT, "\t1\twrong number of columns\tx\n");
    refused(prep(ALICCP, out, "--max-bad", "100", NULL), ERR_FORMAT, "no impressions");
    write_text(skeleton, "1,0,0,k,2," F("i", "1") "\x01" F("u", "1") "\n");
    refused(prep(ALICCP, out, NULL), ERR_FORMAT, "field 'u' is on both sides");
    write_text(skeleton, "1,0,0,k,1," F("i", "1") "\n");
    write_text(common, "");
    refused(prep(ALICCP, out, NULL), ERR_FORMAT, "is empty");
    write_text(common, "k,2," F("u", "1") "\n");
    refused(prep(ALICCP, out, NULL), ERR_LIMIT, "1 of 1 lines rejected");
    write_text(common, "k,1," F("u", "1") "\nk,1," F("u", "1") "\n");
    refused(prep(ALICCP, out, NULL), ERR_LIMIT, "common index came before");
}

static void test_command_line(void **state) {
    (void)state;
    write_text(common, "k,1," F("u", "1") "\n");
    refused(prep("--out", out, NULL), ERR_USAGE, "--format is missing");
    refused(prep("--format", "parquet", "--out", out, NULL), ERR_USAGE, "expected aliccp or csv");
    refused(prep("--format", "aliccp", "--out", out, NULL), ERR_USAGE, "--skeleton is missing");
    refused(prep(ALICCP, out, "--input", "x", NULL), ERR_USAGE, "--input does not belong");
    refused(prep(ALICCP, out, "--max-bad", "101", NULL), ERR_USAGE, "--max-bad");
    refused(prep(ALICCP, out, "--max-bad", "nan", NULL), ERR_USAGE, "--max-bad");
    refused(prep(ALICCP, out, "--orphans", "keep", NULL), ERR_USAGE, "--orphans");
    refused(prep(ALICCP, out, "--threads", "0", NULL), ERR_USAGE, "--threads");
    refused(prep(ALICCP, out, "more", NULL), ERR_USAGE, "unexpected argument 'more'");
    refused(prep(ALICCP, out, "--nothing", NULL), ERR_USAGE, "unknown option");
    refused(prep("--format", "aliccp", "--skeleton", "/nonexistent", "--common", common, "--out",
                 out, NULL), ERR_NOT_FOUND, "/nonexistent");
    assert_int_equal(prep("--help", NULL), OK);
}

/* An existing directory is left as it is, also an empty one. */
static void test_existing(void **state) {
    char path[PATH_BYTES_MAX];
    (void)state;
    write_text(common, "k,1," F("u", "1") "\n");
    write_text(skeleton, "1,0,0,k,1," F("i", "1") "\n");
    assert_int_equal(file_mkdirs(out), OK);
    assert_int_equal(prep(ALICCP, out, NULL), ERR_EXISTS);
    assert_int_equal(path_join(path, out, "precious"), OK);
    write_text(path, "x");
    assert_int_equal(prep(ALICCP, out, NULL), ERR_EXISTS);
    assert_true(file_exists(path));
    clean();
    snprintf(path, sizeof path, "%s.tmp", out); /* what a killed run leaves is no obstacle */
    assert_int_equal(file_mkdirs(path), OK);
    assert_int_equal(prep(ALICCP, out, NULL), OK);
    assert_false(file_exists(path));
    clean();
}

static void test_csv(void **state) {
    static const char *const rows = "id,g,c,b,age,item\r\n"
                                    "1,a,1,0,20,x\r\n"
                                    "2,a,0,1,20,\"y,\n\"\r\n"
                                    "3,a,1,1,30,x\r\n" /* the user side changes: a new group */
                                    "4,,0,0,30,x\r\n"
                                    "5,,0,0,30,x\r\n"  /* without a value: groups of their own */
                                    "6,b,0,0,30\r\n"
                                    "7,b,0,0,30,z";
    char schema[160], *rejects = NULL, path[PATH_BYTES_MAX];
    struct dataset d;
    struct shard *s = calloc(1, sizeof *s);
    size_t n = 0;
    (void)state;
    assert_non_null(s);
    snprintf(schema, sizeof schema, "%s/schema", dir);
    write_text(schema, "[log]\nimpression=id\ngroup=g\nclick=c\nconversion=b\nuser=age\nitem=item\n"
                       "[column.age]\nkind=id\n");
    write_text(skeleton, rows);
    assert_int_equal(prep("--format", "csv", "--schema", schema, "--input", skeleton, "--out", out,
                          "--max-bad", "20", NULL), OK);
    assert_int_equal(dataset_read(&d, out), OK);
    assert_string_equal(d.source, "csv");
    assert_int_equal(d.impressions, 6);
    assert_int_equal(d.groups, 5);
    assert_int_equal(d.orphans, 1);
    assert_int_equal(d.rejected, 1);
    assert_int_equal(shard_read(s, out, d.shards[0].name, &d.schema), OK);
    assert_int_equal(s->group_start[1], 2);
    assert_true(s->group_key[0] == hash_bytes("a", 1) && s->group_key[1] == s->group_key[0]);
    assert_int_equal(s->group_key[2], 4);
    const struct column *item = &s->column[schema_find(&d.schema, "item")];
    assert_true(item->dict[item->code[1]] == hash_bytes("y,\n", 3));
    shard_free(s);
    free(s);
    dataset_free(&d);
    assert_int_equal(path_join(path, out, "rejects.tsv"), OK);
    assert_int_equal(file_read_all(path, 1u << 20, &rejects, &n), OK);
    assert_non_null(strstr(rejects, "\t8\twrong number of columns\t6,b,0,0,30\n"));
    mem_free(&rejects);
    clean();
    write_text(skeleton, "id,g,clck,b,age,item\n");
    refused(prep("--format", "csv", "--schema", schema, "--input", skeleton, "--out", out, NULL),
            ERR_CONFIG, "no column 'c'; the nearest is '");
    write_text(skeleton, "id,g,c,b,age,item\n");
    refused(prep("--format", "csv", "--schema", schema, "--input", skeleton, "--out", out, NULL),
            ERR_FORMAT, "is empty");
    write_text(skeleton, "");
    refused(prep("--format", "csv", "--schema", schema, "--input", skeleton, "--out", out, NULL),
            ERR_FORMAT, "is empty");
}

static void test_memory_fails(void **state) {
    struct log *l = *state;
    draw_log(l, 77, 300, false);
    size_t failed = 0;
    for (size_t n = 1; n < 4000; n += 1 + n / 20) {
        mem_fail_after(n);
        const enum status status = prep(ALICCP, out, "--threads", "2", "--shard-impressions", "50",
                                        NULL);
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
    snprintf(dir, sizeof dir, "/tmp/esmm-test-prep-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        return -1;
    }
    snprintf(skeleton, sizeof skeleton, "%s/skeleton.csv", dir);
    snprintf(common, sizeof common, "%s/common.csv", dir);
    snprintf(out, sizeof out, "%s/out", dir);
    snprintf(out2, sizeof out2, "%s/out2", dir);
    *state = malloc(sizeof(struct log));
    return *state == NULL ? -1 : 0;
}

static int teardown(void **state) {
    free(*state);
    return file_remove_tree(dir) == OK ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_logs),  cmocka_unit_test(test_rejects),
        cmocka_unit_test(test_long_line),    cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_command_line), cmocka_unit_test(test_existing),
        cmocka_unit_test(test_csv),          cmocka_unit_test(test_memory_fails),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
