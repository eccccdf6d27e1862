/* Unit tests of esmm prep --shuffle and --split: what comes out is what went in, group by group, in
 * another order or on two sides; bounded memory and the number of threads change nothing of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "tools/prep/prep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/dirs.h"
#include "tests/prep_case.h"

#define GROUPS_MAX 4000u
#define ROWS       3000u
#define FIRST_TIME 1500000000u

static char log_path[128], schema_path[128];

static void write_log(void) {
    static char text[ROWS * 100];
    size_t n = 0;
    n += (size_t)snprintf(text, sizeof text, "id,user,age,item,tags,click,buy,time,w\n");
    for (uint64_t i = 0; i < ROWS; i++) {
        const uint64_t visit = i / 3, user = rng_below(1, 2, visit, 300);
        const bool click = rng_below(1, 3, i, 5) == 0, buy = click && rng_below(1, 4, i, 3) == 0;
        n += (size_t)snprintf(text + n, sizeof text - n,
                              "%llu,u%llu,%llu,%llu,t%llu|t%llu,%d,%d,%llu,%s\n",
                              (unsigned long long)i, (unsigned long long)user,
                              (unsigned long long)(user % 50), (unsigned long long)(i * 7 % 211),
                              (unsigned long long)(i % 9), (unsigned long long)(i % 11), click, buy,
                              (unsigned long long)(FIRST_TIME + 10 * i), i % 2 == 0 ? "1" : "2.5");
    }
    write_text(log_path, text);
    write_text(schema_path,
               "[log]\nclick = click\nconversion = buy\nimpression = id\ngroup = user\n"
               "user = user, age\nitem = item, tags\ntime = time\nconversion_time = time\n"
               "weight = w\n[column.tags]\nmulti = |\n");
}

static int setup(void **state) {
    if (prep_setup(state) != 0) {
        return -1;
    }
    snprintf(log_path, sizeof log_path, "%s/log.csv", dir);
    snprintf(schema_path, sizeof schema_path, "%s/log.schema", dir);
    write_log();
    return 0;
}

/* Groups by a hash of all that is in them, in the order of the shards. */
struct groups {
    uint64_t hash[GROUPS_MAX], key[GROUPS_MAX], first_time[GROUPS_MAX], last_time[GROUPS_MAX];
    uint64_t before[GROUPS_MAX]; /* impressions before it */
    size_t count;
    uint64_t impressions;
};

static uint64_t mix2(uint64_t a, uint64_t b) {
    return rng_u64(a, b, 0);
}

static uint64_t hash_bag(uint64_t h, const struct column *c, uint32_t n) {
    h = mix2(h, c->start[n + 1] - c->start[n]);
    for (uint32_t v = c->start[n]; v < c->start[n + 1]; v++) {
        h = mix2(h, c->dict[c->code[v]]);
        h = mix2(h, c->weight == NULL ? 1000 : (uint64_t)((double)c->weight[v] * 1000));
    }
    return h;
}

static void add_group(struct groups *all, const struct shard *s, const struct schema *schema,
                      uint32_t g) {
    uint64_t h = s->group_key[g];
    assert_true(all->count < GROUPS_MAX);
    for (uint32_t f = 0; f < schema->user_count; f++) {
        h = hash_bag(h, &s->column[f], g);
    }
    for (uint32_t i = s->group_start[g]; i < s->group_start[g + 1]; i++) {
        const uint64_t fields[] = {
            s->impression_id[i], s->labels[i],          s->time[i],
            s->click_time[i],    s->conversion_time[i], (uint64_t)((double)s->weight[i] * 10)};
        h = mix2(h, hash_bytes(fields, sizeof fields));
        for (uint32_t f = schema->user_count; f < schema->count; f++) {
            h = hash_bag(h, &s->column[f], i);
        }
    }
    all->hash[all->count] = h;
    all->key[all->count] = s->group_key[g];
    all->before[all->count] = all->impressions;
    all->first_time[all->count] = s->time[s->group_start[g]];
    all->last_time[all->count++] = s->time[s->group_start[g + 1] - 1];
    all->impressions += s->group_start[g + 1] - s->group_start[g];
}

static void read_groups(const char *where, struct groups *all) {
    static struct dataset d;
    static struct shard s;
    assert_int_equal(dataset_read(&d, where), OK);
    assert_int_equal(dataset_verify(&d), OK);
    *all = (struct groups){0};
    for (uint32_t k = 0; k < d.shard_count; k++) {
        assert_int_equal(shard_read(&s, where, d.shards[k].name, &d.schema), OK);
        assert_true(s.impressions <= 500);
        for (uint32_t g = 0; g < s.groups; g++) {
            add_group(all, &s, &d.schema, g);
        }
        shard_free(&s);
    }
    uint64_t values = 0;
    for (uint32_t f = 0; f < d.schema.count; f++) {
        values += d.field_values[f];
    }
    assert_int_equal(values, d.values);
    dataset_free(&d);
}

static int by_number(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void assert_same_set(const struct groups *a, const struct groups *b,
                            const struct groups *c) {
    static uint64_t x[GROUPS_MAX], y[GROUPS_MAX];
    const size_t more = c == NULL ? 0 : c->count;
    assert_int_equal(a->count, b->count + more);
    memcpy(x, a->hash, sizeof x);
    memcpy(y, b->hash, b->count * sizeof *y);
    if (c != NULL) {
        memcpy(y + b->count, c->hash, c->count * sizeof *y);
    }
    qsort(x, a->count, sizeof *x, by_number);
    qsort(y, a->count, sizeof *y, by_number);
    assert_memory_equal(x, y, a->count * sizeof *x);
}

static enum status make(const char *where, const char *threads, size_t mix_bytes, bool shuffle,
                        uint64_t window, const char *split) {
    struct prep_options o = {.format = "csv",
                             .out = where,
                             .schema = schema_path,
                             .input = DIRS(log_path),
                             .seed = 5,
                             .threads = strtoull(threads, NULL, 10),
                             .shard_impressions = 500,
                             .bad_max = 1,
                             .shuffle = shuffle,
                             .window = window,
                             .mix_bytes = mix_bytes,
                             .split_text = split};
    if (split != NULL) {
        TRY(prep_split_parse(&o.split, split));
    }
    FILE *nowhere = fopen("/dev/null", "w");
    const enum status status = prep_make(&o, nowhere);
    fclose(nowhere);
    return status;
}

static void assert_same_files(const char *a, const char *b) {
    struct file_list list = {0};
    assert_int_equal(file_list_dir(&list, a), OK);
    for (size_t k = 0; k < list.count; k++) {
        char path[2][256], *text[2] = {NULL};
        size_t bytes[2] = {0};
        for (int side = 0; side < 2; side++) {
            snprintf(path[side], sizeof path[side], "%s/%s", side == 0 ? a : b, list.names[k]);
            assert_int_equal(file_read_all(path[side], 1 << 24, &text[side], &bytes[side]), OK);
        }
        assert_int_equal(bytes[0], bytes[1]);
        assert_memory_equal(text[0], text[1], bytes[0]);
        mem_free(&text[0]);
        mem_free(&text[1]);
    }
    file_list_free(&list);
}

static struct groups plain, mixed, other;

/* How far groups moved, as a share of the log, on average: a third if all places are alike. */
static double moved(const struct groups *from, const struct groups *to) {
    double sum = 0;
    for (size_t i = 0; i < from->count; i++) {
        size_t j = 0;
        while (to->hash[j] != from->hash[i]) {
            j++;
        }
        sum += (double)(i > j ? i - j : j - i);
    }
    return sum / (double)from->count / (double)from->count;
}

static void the_whole_log(void **state) {
    (void)state;
    const size_t bytes[] = {0, 200000, 40000}; /* all held; a few buckets; more */
    for (size_t k = 0; k < 3; k++) {
        clean();
        assert_int_equal(make(out, "3", 0, false, 0, NULL), OK);
        read_groups(out, &plain);
        assert_int_equal(make(out2, "3", bytes[k], true, 0, NULL), OK);
        read_groups(out2, &mixed);
        assert_int_equal(mixed.impressions, ROWS);
        assert_same_set(&plain, &mixed, NULL);
        const double far = moved(&plain, &mixed);
        if (far < 0.31 || far > 0.36) {
            fail_msg("groups moved by %g of the log on average, expected about a third", far);
        }
        assert_int_equal(file_remove_tree(out), OK);
        assert_int_equal(make(out, "1", bytes[k], true, 0, NULL), OK);
        assert_same_files(out, out2);
    }
}

static void windows(void **state) {
    (void)state;
    const size_t bytes[] = {0, 20000};
    for (size_t k = 0; k < 2; k++) {
        clean();
        assert_int_equal(make(out, "2", 0, false, 0, NULL), OK);
        assert_int_equal(make(out2, "2", bytes[k], true, 600, NULL), OK);
        read_groups(out, &plain);
        read_groups(out2, &mixed);
        assert_same_set(&plain, &mixed, NULL);
        size_t same = 0;
        for (size_t i = 0; i < plain.count; i++) {
            size_t j = 0;
            while (mixed.hash[j] != plain.hash[i]) {
                j++;
            }
            const uint64_t a = plain.before[i], b = mixed.before[j];
            assert_true((a > b ? a - b : b - a) < 620);
            same += i == j;
        }
        assert_true(same < plain.count / 10);
    }
}

static void sides(char *train, char *eval, size_t bytes) {
    snprintf(train, bytes, "%s/train", out2);
    snprintf(eval, bytes, "%s/eval", out2);
}

static void split_by_key(void **state) {
    (void)state;
    char train[160], eval[160];
    for (int shuffled = 0; shuffled < 2; shuffled++) {
        clean();
        assert_int_equal(make(out, "2", 0, false, 0, NULL), OK);
        assert_int_equal(make(out2, "2", 0, shuffled == 1, 0, "80%"), OK);
        sides(train, eval, sizeof train);
        read_groups(out, &plain);
        read_groups(train, &mixed);
        read_groups(eval, &other);
        assert_same_set(&plain, &mixed, &other);
        assert_true(mixed.count > plain.count * 7 / 10 && mixed.count < plain.count * 9 / 10);
        for (size_t i = 0; i < other.count; i++) { /* a user is on one side */
            for (size_t j = 0; j < mixed.count; j++) {
                assert_true(other.key[i] != mixed.key[j]);
            }
        }
        size_t in_order = 0;
        for (size_t i = 1; i < mixed.count; i++) {
            in_order += mixed.first_time[i] > mixed.first_time[i - 1];
        }
        assert_true((in_order == mixed.count - 1) == (shuffled == 0));
    }
}

static void split_by_time(void **state) {
    (void)state;
    char train[160], eval[160], when[32];
    const uint64_t at = FIRST_TIME + 10 * 2000; /* inside of a group: 1998, 1999 | 2000 */
    snprintf(when, sizeof when, "%llu", (unsigned long long)at);
    clean();
    assert_int_equal(make(out, "2", 0, false, 0, NULL), OK);
    assert_int_equal(make(out2, "2", 0, false, 0, when), OK);
    sides(train, eval, sizeof train);
    read_groups(out, &plain);
    read_groups(train, &mixed);
    read_groups(eval, &other);
    assert_same_set(&plain, &mixed, &other);
    assert_int_equal(mixed.impressions, 1998);
    for (size_t i = 0; i < mixed.count; i++) {
        assert_true(mixed.last_time[i] < at);
    }
    for (size_t i = 0; i < other.count;
         i++) { /* whole groups, of which something is not before it */
        assert_true(other.last_time[i] >= at);
    }
}

static void what_a_split_says(void **state) {
    (void)state;
    struct prep_split s;
    static const char *const bad[] = {
        "0%",         "100%",      "90", "x%",        "-5%", "nan%", "1500000000000",
        "2017-13-01", "yesterday", "",   "1980-01-01"};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        assert_int_equal(prep_split_parse(&s, bad[k]), ERR_USAGE);
    }
    static const struct {
        const char *text;
        uint64_t time;
    } good[] = {{"1500000000", 1500000000},
                {"2017-07-14", 1499990400},
                {"2017-07-14T02:40:00", 1500000000},
                {"2017-07-14T02:40:00Z", 1500000000},
                {"2017-07-14T04:40:00+02:00", 1500000000}};
    for (size_t k = 0; k < sizeof good / sizeof *good; k++) {
        assert_int_equal(prep_split_parse(&s, good[k].text), OK);
        assert_int_equal(s.kind, SPLIT_TIME);
        assert_int_equal(s.time, good[k].time);
    }
    assert_int_equal(prep_split_parse(&s, "99.5%"), OK);
    assert_true(s.kind == SPLIT_SHARE && s.share > 0.9949 && s.share < 0.9951);
    clean();
    refused(make(out, "1", 0, false, 0, "2017-07-13"), ERR_FORMAT,
            "leaves train empty: the log's times are from 2017-07-14 02:40:00 to");
    refused(make(out, "1", 0, true, 0, "2030-01-01"), ERR_FORMAT, "leaves eval empty");
    refused(make(out, "1", 0, false, 0, "0.0001%"), ERR_FORMAT, "leaves train empty");
}

static void no_times(void **state) {
    (void)state;
    clean();
    write_text(skeleton, "1,0,0,u1,1,205\x02"
                         "7\x03"
                         "1.0\n2,1,0,u2,1,205\x02"
                         "7\x03"
                         "1.0\n");
    write_text(common, "u1,1,101\x02"
                       "1\x03"
                       "1.0\nu2,1,101\x02"
                       "2\x03"
                       "1.0\n");
    refused(prep(ALICCP, out, "--split", "2017-07-14", NULL), ERR_FORMAT, "needs times");
    assert_int_equal(prep(ALICCP, out, "--shuffle", "all", NULL), OK);
}

/* Whatever runs out, nothing is left behind. */
static void memory_fails(void **state) {
    (void)state;
    char temporary[160];
    size_t n = 1000;
    clean();
    snprintf(temporary, sizeof temporary, "%s.tmp", out);
    for (enum status status = ERR_MEMORY; status != OK; n += 1 + n / 2) {
        mem_fail_after(n);
        status = make(out, "1", 20000, true, 0, "80%");
        mem_fail_after(0);
        assert_true(status == OK || status == ERR_MEMORY);
        assert_false(file_exists(temporary));
        assert_true(file_exists(out) == (status == OK));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_log),     cmocka_unit_test(windows),
        cmocka_unit_test(split_by_key),      cmocka_unit_test(split_by_time),
        cmocka_unit_test(what_a_split_says), cmocka_unit_test(no_times),
        cmocka_unit_test(memory_fails)};
    return cmocka_run_group_tests(tests, setup, prep_teardown);
}
