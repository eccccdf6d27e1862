/* Logs with times: when things happen, and that the delimited log holds what Ali-CCP's holds. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/data/dataset.h"
#include "common/data/record.h"
#include "common/data/shard.h"
#include "tools/synth/synth.h"
#include "tools/synth/synth_fields.h"
#include "tools/synth/synth_times.h"
#include "tools/common/tools.h"
#include "common/data/truth.h"

#include <cmocka.h>

static char dir[64];

/* A sub-command with these words. */
static enum status command(const struct command *tool, const char *words) {
    char text[1024];
    char *argv[32], *rest = text;
    int argc = 0;
    snprintf(text, sizeof text, "%s", words);
    for (char *word; (word = strtok_r(rest, " ", &rest)) != NULL;) {
        argv[argc++] = word;
    }
    int exit_code;
    return command_run(tool, argc, argv, stdout, &exit_code);
}

static void must(const struct command *tool, const char *format, ...) {
    char words[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    if (command(tool, words) != OK) {
        fail_msg("%s: %s", words, fail_text());
    }
}

/* --- the delays ------------------------------------------------------------------------------- */

static struct world *make_world(const char *words) {
    char text[256];
    char *argv[32] = {"synth", "--out", "x"}, *rest = text;
    struct synth_line l = {0};
    struct synth_fields f;
    struct world *w = NULL;
    bool printed;
    int argc = 3;
    snprintf(text, sizeof text, "%s", words);
    for (char *word; (word = strtok_r(rest, " ", &rest)) != NULL;) {
        argv[argc++] = word;
    }
    assert_int_equal(command_parse(&command_synth, &l, argc, argv, stdout, &printed), OK);
    fields_init(&f, &l.config);
    assert_int_equal(mem_new(&w), OK);
    assert_int_equal(world_init(w, &l.config, (uint32_t)f.field[F_CATEGORY].n,
                                (uint32_t)f.field[F_SHOP].n, (uint32_t)f.field[F_BRAND].n),
                     OK);
    return w;
}

static void free_world(struct world **w) {
    world_fini(*w);
    mem_free(w);
}

/* The distribution function of the delay in days: a mixture of two exponentials, each cut at the
 * attribution window. */
static double delay_cdf(const struct synth_config *c, double rate, double days) {
    const double fast = expm1(-FAST_PER_DAY * days) / expm1(-FAST_PER_DAY * c->attribution);
    const double slow = expm1(-rate * days) / expm1(-rate * c->attribution);
    return c->delay_fast * fast + (1 - c->delay_fast) * slow;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* If delays follow it, their values under their own distribution functions are uniform: tested as
 * Kolmogorov and Smirnov did; sqrt(N) D exceeds 2.7 once in a million. */
static void test_delays(void **state) {
    static const char *const logs[] = {
        "--impressions 100000 --days 14 --ctr 0.5 --cvr 0.5 --threads 1",
        "--impressions 100000 --days 1 --ctr 0.5 --cvr 0.5 --delay-mean 0.5 --delay-fast 0 "
        "--delay-spread 1.5 --attribution 2 --threads 1",
        "--impressions 100000 --days 1 --ctr 0.5 --cvr 0.5 --shape aliccp --features 100K "
        "--delay-fast 1 --threads 1"};
    (void)state;
    for (size_t k = 0; k < sizeof logs / sizeof *logs; k++) {
        struct world *w = make_world(logs[k]);
        enum { N = 5000 };
        static double u[N];
        double worst = 0, rate_low = INFINITY, rate_high = 0;
        size_t n = 0;
        for (uint64_t s = 0; n < N; s++) {
            struct impression x;
            struct moment m;
            world_impression(w, s, session_user(w, s), (uint32_t)(s % 7), 0, &x);
            times_of(w, &x, 1 + s % 100000, &m);
            assert_int_equal(m.click_time > 0, x.click);
            assert_int_equal(m.conversion_time > 0, x.click && x.potential);
            assert_true(!x.click ||
                        (m.click_time > m.time && m.click_time <= m.time + CLICK_DELAY_MAX));
            if (m.conversion_time > 0) {
                const uint64_t delay = m.conversion_time - m.click_time;
                const double rate = times_rate(w, &x);
                assert_true(delay > 0 && (double)delay <= w->config.attribution * DAY_SECONDS);
                /* a delay is rounded up to a second: half of one back */
                u[n++] = delay_cdf(&w->config, rate, ((double)delay - 0.5) / DAY_SECONDS);
                rate_low = fmin(rate_low, rate);
                rate_high = fmax(rate_high, rate);
            }
        }
        qsort(u, N, sizeof *u, ascending);
        for (size_t i = 0; i < N; i++) {
            worst = fmax(worst, fmax(u[i] - (double)i / N, (double)(i + 1) / N - u[i]));
        }
        print_message("log %zu: D = %.4f, rates %.3g to %.3g a day\n", k, worst, rate_low,
                      rate_high);
        assert_true(worst * sqrt(N) < 2.7);
        assert_true(rate_high > 2 * rate_low);
        free_world(&w);
    }
}

/* As advertised: with the defaults a third to a half of the conversions come after a day. */
static void test_defaults(void **state) {
    struct world *w = make_world("--impressions 1000 --days 1 --ctr 0.5 --cvr 0.5");
    size_t after = 0, all = 0;
    (void)state;
    for (uint64_t s = 0; all < 4000; s++) {
        struct impression x;
        struct moment m;
        world_impression(w, s, session_user(w, s), 0, 0, &x);
        times_of(w, &x, 1, &m);
        all += m.conversion_time > 0;
        after += m.conversion_time > m.click_time + 86400;
    }
    print_message("%.1f %% after a day\n", 100 * (double)after / (double)all);
    assert_true((double)after / (double)all > 1.0 / 3 && (double)after / (double)all < 0.5);
    free_world(&w);
}

/* Which fields the rate depends on, and on which it does not. */
static void test_rate(void **state) {
    struct world *w = make_world("--impressions 10 --days 1 --delay-spread 0.5");
    struct world *flat = make_world("--impressions 10 --days 1 --delay-spread 0 --delay-mean 4");
    double by_age[AGES] = {0}, by_category[2] = {0};
    uint32_t categories = 0;
    (void)state;
    for (uint32_t user = 0; user < 2000; user++) {
        const struct impression x = {.user = user, .item = 3};
        const uint8_t age = w->users[user].age;
        assert_true(by_age[age] == 0 || by_age[age] == times_rate(w, &x));
        by_age[age] = times_rate(w, &x);
        assert_true(times_rate(flat, &x) == 0.25);
    }
    for (uint32_t item = 0; item < 2000 && categories < 2; item++) {
        const struct impression x = {.user = 3, .item = item};
        if (w->items[item].category == w->items[0].category) {
            assert_true(categories == 0 || by_category[0] == times_rate(w, &x));
            by_category[0] = times_rate(w, &x);
            categories += categories == 0;
        } else {
            by_category[categories++] = times_rate(w, &x);
        }
    }
    assert_true(by_age[0] != by_age[1] && by_age[1] != by_age[2]);
    assert_true(by_category[0] != by_category[1]);
    free_world(&w);
    free_world(&flat);
}

/* --- the log ---------------------------------------------------------------------------------- */

static void same_column(const struct column *a, const struct column *b) {
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->values, b->values);
    assert_int_equal(a->dict_count, b->dict_count);
    assert_int_equal(a->weight == NULL, b->weight == NULL);
    assert_memory_equal(a->start, b->start, (a->n + 1) * sizeof *a->start);
    if (a->values > 0) {
        assert_memory_equal(a->dict, b->dict, a->dict_count * sizeof *a->dict);
        assert_memory_equal(a->code, b->code, a->values * sizeof *a->code);
    }
    if (a->weight != NULL) {
        assert_memory_equal(a->weight, b->weight, a->values * sizeof *a->weight);
    }
}

static void read_one(const char *name, struct dataset *d, struct shard *s) {
    char path[PATH_BYTES_MAX];
    assert_int_equal(path_join(path, dir, name), OK);
    assert_int_equal(dataset_read(d, path), OK);
    assert_int_equal(d->shard_count, 1);
    assert_int_equal(d->rejected, 0);
    assert_int_equal(shard_read(s, path, d->shards[0].name, &d->schema), OK);
}

/* Impressions [begin, ...) in the log's order: evenly over their days. */
static void check_times(const struct shard *s, uint64_t before, double seconds_each) {
    uint32_t clicks = 0, conversions = 0;
    for (uint32_t i = 0; i < s->impressions; i++) {
        const double want = (double)TIMES_BEGIN + (double)(before + i) * seconds_each;
        assert_true(fabs((double)s->time[i] - want) <= 1);
        assert_true(i == 0 || s->time[i] >= s->time[i - 1]);
        assert_true(s->click_time[i] == 0 || s->click_time[i] > s->time[i]);
        clicks += s->click_time[i] > 0;
        conversions += s->conversion_time[i] > s->click_time[i];
    }
    assert_true(clicks > 50 && conversions > 5);
}

/* The delimited log through prep gives the shards that Ali-CCP's log gives, and times. */
static void same_log(const char *options, uint64_t impressions, uint64_t holdout) {
    static const char *const parts[] = {"train", "eval"};
    must(&command_synth, "synth --out %s/plain --impressions %llu --holdout %llu %s", dir,
         (unsigned long long)impressions, (unsigned long long)holdout, options);
    must(&command_synth, "synth --out %s/timed --impressions %llu --holdout %llu %s --days 4", dir,
         (unsigned long long)impressions, (unsigned long long)holdout, options);
    for (size_t p = 0; p < 2; p++) {
        struct dataset a, b;
        struct shard x, y;
        must(&command_prep,
             "prep --format aliccp --skeleton %s/plain/%s/sample_skeleton.csv --common "
             "%s/plain/%s/common_features.csv --out %s/a",
             dir, parts[p], dir, parts[p], dir);
        must(&command_prep,
             "prep --format csv --schema %s/timed/%s/log.schema --input "
             "%s/timed/%s/log.csv --out %s/b",
             dir, parts[p], dir, parts[p], dir);
        read_one("a", &a, &x);
        read_one("b", &b, &y);
        assert_int_equal(a.orphans, b.orphans);
        assert_memory_equal(&a.schema, &b.schema, sizeof a.schema);
        assert_int_equal(x.impressions, y.impressions);
        assert_int_equal(x.groups, y.groups);
        assert_memory_equal(x.group_key, y.group_key, x.groups * sizeof *x.group_key);
        assert_memory_equal(x.group_start, y.group_start, x.groups * sizeof *x.group_start);
        assert_memory_equal(x.impression_id, y.impression_id,
                            x.impressions * sizeof *x.impression_id);
        assert_memory_equal(x.labels, y.labels, x.impressions);
        for (uint32_t f = 0; f < x.columns; f++) {
            same_column(&x.column[f], &y.column[f]);
        }
        assert_null(x.time);
        check_times(&y, p == 0 ? 0 : impressions, 4 * 86400.0 / (double)impressions);
        shard_free(&x);
        shard_free(&y);
        dataset_free(&a);
        dataset_free(&b);
        for (size_t k = 0; k < 2; k++) {
            char path[PATH_BYTES_MAX];
            assert_int_equal(path_join(path, dir, k == 0 ? "a" : "b"), OK);
            assert_int_equal(file_remove_tree(path), OK);
        }
    }
}

/* The truth file has the probabilities of each impression's own time: made again one by one, from
 * the times that the log has. */
static void test_drift(void **state) {
    static const char words[] = "--impressions 4000 --holdout 2000 --days 5 --drift 0.6 --ctr 0.3 "
                                "--cvr 0.3 --seed 6 --threads 1";
    struct world *w = make_world(words);
    uint64_t id = 1, moved = 0;
    (void)state;
    must(&command_synth, "synth --out %s/log %s", dir, words);
    for (uint32_t part = 0; part < 2; part++) {
        char path[PATH_BYTES_MAX];
        struct truth t;
        struct dataset d;
        struct shard s;
        snprintf(path, sizeof path, "%s/log/%s/truth.bin", dir, part == 0 ? "train" : "eval");
        assert_int_equal(truth_read(&t, path), OK);
        must(&command_prep,
             "prep --format csv --schema %s/log/%s/log.schema --input %s/log/%s/log.csv "
             "--out %s/p%u",
             dir, part == 0 ? "train" : "eval", dir, part == 0 ? "train" : "eval", dir, part);
        read_one(part == 0 ? "p0" : "p1", &d, &s);
        assert_int_equal(s.impressions, t.count);
        for (uint64_t n = 0, i = 0; i < t.count; n++) {
            const uint64_t session = session_key(part, n);
            const uint32_t user = session_user(w, session), length = session_length(w, session);
            for (uint32_t at = 0; at < length && i < t.count; at++, i++, id++) {
                const double day = (double)(s.time[i] - TIMES_BEGIN) / DAY_SECONDS;
                struct impression x, first;
                world_impression(w, session, user, at, day, &x);
                world_impression(w, session, user, at, 0, &first);
                assert_int_equal(s.impression_id[i], id);
                assert_int_equal(t.rows[i].impression_id, id);
                assert_true(t.rows[i].p_ctr == (float)x.p_ctr);
                assert_true(fabs((double)t.rows[i].p_cvr - x.p_cvr) < 1e-4); /* whole seconds */
                assert_true(fabs((double)t.rows[i].p_cvr_do - x.p_cvr_do) < 1e-4);
                moved += fabs(first.p_cvr - x.p_cvr) > 0.01;
            }
        }
        shard_free(&s);
        dataset_free(&d);
        truth_free(&t);
    }
    assert_true(moved > 4000);
    free_world(&w);
}

static void test_plain(void **state) {
    (void)state;
    same_log("--seed 5 --ctr 0.2 --cvr 0.2 --anomalies 0.001", 6000, 3000);
}

static void test_aliccp(void **state) {
    (void)state;
    same_log("--seed 5 --ctr 0.2 --cvr 0.2 --shape aliccp --features 100K", 2000, 900);
}

static int setup(void **state) {
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/esmm-test-times-XXXXXX");
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int teardown(void **state) {
    (void)state;
    return file_remove_tree(dir) == OK ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delays),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_rate),
        cmocka_unit_test_setup_teardown(test_drift, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_aliccp, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
