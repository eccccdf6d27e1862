#include "common/base/logit.h"
#include "tests/dirs.h"
#include "tools/score/scorer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "tests/job_sample.h"
#include "tools/score/eval.h"
#include "tools/score/predict.h"
#include "worker/model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define SEED   20260214u
#define SHARDS 5

/* A trained job with its shards, opened by a scorer. */
struct ground {
    struct small_job job;
    struct scorer *scorer;
    char data[PATH_BYTES_MAX], checkpoint[PATH_BYTES_MAX];
};

static void ground_init(struct ground *g, uint64_t seed, const char *const *settings) {
    memset(g, 0, sizeof *g);
    job_init(&g->job, seed, settings);
    job_start(&g->job, 3);
    job_push(&g->job, 60);
    job_save(&g->job, "c");
    job_shards(&g->job, "data", SHARDS, false);
    job_path(&g->job, "c", g->checkpoint);
    job_path(&g->job, "data", g->data);
    JOB_MUST(scorer_create(&g->scorer, g->checkpoint, NULL));
}

static void ground_fini(struct ground *g) {
    scorer_destroy(&g->scorer);
    job_fini(&g->job);
}

static void score_all(struct scorer *scorer, char *data, uint32_t threads,
                      struct score_list *list) {
    const struct scorer_sink sink = {score_list_take, list};
    JOB_MUST(scorer_score(scorer, &DIRS(data), threads, sink));
}

static void assert_same_scores(const struct score_list *a, const struct score_list *b) {
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        const struct score *x = &a->scores[i], *y = &b->scores[i];
        assert_int_equal(x->impression_id, y->impression_id);
        assert_int_equal(x->user, y->user);
        assert_int_equal(x->labels, y->labels);
        assert_memory_equal(&x->a, &y->a, 4);
        assert_memory_equal(&x->b, &y->b, 4);
    }
}

/* --- against the definition ------------------------------------------------------------------- */

static void pull_one(struct small_job *j, uint32_t slot, uint64_t id, float *out) {
    uint32_t counts[FIELDS_MAX] = {0};
    struct pull_result result;
    counts[slot] = 1;
    const struct key_list keys = {.counts = counts, .ids = &id, .total = 1};
    JOB_MUST(partition_pull(j->part[0], &keys, false, out, &result));
}

/* x of impression i of group g, straight from the shard's columns, `concat`. */
static void input_of(struct small_job *j, const struct shard *s, uint32_t g, uint32_t i,
                     double *x) {
    float row[256];
    memset(x, 0, j->layout.input_width * sizeof *x);
    for (uint32_t f = 0; f < j->schema.count; f++) {
        const struct column *c = &s->column[f];
        const uint32_t entry = f < j->schema.user_count ? g : i;
        for (uint32_t v = c->start[entry]; v < c->start[entry + 1]; v++) {
            pull_one(j, f, c->dict[c->code[v]], row);
            for (uint32_t d = 0; d < j->layout.dim[f]; d++) {
                x[j->layout.column[f] + d] +=
                    (c->weight == NULL ? 1.0 : (double)c->weight[v]) * (double)row[d];
            }
        }
    }
}

static double tower_logit(const struct small_job *j, const float *dense, const char *tower,
                          const double *x) {
    double in[256], out[256] = {0};
    uint32_t width = j->layout.input_width;
    memcpy(in, x, width * sizeof *in);
    for (uint32_t layer = 1; layer <= j->layout.layers + 1; layer++) {
        char name[16];
        const struct layout_array *w = NULL, *b = NULL;
        for (uint32_t k = 0; k < j->layout.array_count; k++) {
            const struct layout_array *a = &j->layout.array[k];
            snprintf(name, sizeof name, "%s.w%u", tower, layer);
            w = strcmp(a->name, name) == 0 ? a : w;
            snprintf(name, sizeof name, "%s.b%u", tower, layer);
            b = strcmp(a->name, name) == 0 ? a : b;
        }
        for (uint32_t r = 0; r < w->rows; r++) {
            double sum = (double)dense[b->offset + r];
            for (uint32_t c = 0; c < width; c++) {
                sum += (double)dense[w->offset + (size_t)r * width + c] * in[c];
            }
            out[r] = layer <= j->layout.layers && sum < 0 ? 0 : sum;
        }
        width = w->rows;
        memcpy(in, out, width * sizeof *in);
    }
    return in[0];
}

/* Every logit of every shard against loops over the definition, rows pulled from the partitions. */
static void test_scores_follow_the_definition(void **state) {
    struct ground g;
    struct score_list list = {0};
    (void)state;
    ground_init(&g, SEED, NULL);
    score_all(g.scorer, g.data, 1, &list);
    struct small_job *j = &g.job;
    job_restore(j, "c", 1);
    float *dense = NULL;
    const uint32_t none[FIELDS_MAX] = {0};
    const struct key_list keys = {.counts = none};
    struct pull_result result;
    JOB_MUST(mem_array(&dense, j->layout.count));
    JOB_MUST(partition_pull(j->part[0], &keys, true, dense, &result));
    size_t at = 0;
    for (uint32_t n = 0; n < SHARDS; n++) {
        struct shard s = {0};
        char name[32];
        snprintf(name, sizeof name, "shard-%05u.bin", n);
        JOB_MUST(shard_read(&s, g.data, name, &j->schema));
        for (uint32_t group = 0; group < s.groups; group++) {
            for (uint32_t i = s.group_start[group]; i < s.group_start[group + 1]; i++, at++) {
                double x[256];
                input_of(j, &s, group, i, x);
                assert_true(at < list.count);
                assert_int_equal(list.scores[at].impression_id, s.impression_id[i]);
                assert_int_equal(list.scores[at].labels, s.labels[i]);
                assert_int_equal(list.scores[at].user, s.group_key[group]);
                const double a = tower_logit(j, dense, "ctr", x),
                             b = tower_logit(j, dense, "cvr", x);
                assert_true(fabs(a - (double)list.scores[at].a) < 1e-4);
                assert_true(fabs(b - (double)list.scores[at].b) < 1e-4);
            }
        }
        shard_free(&s);
    }
    assert_int_equal(at, list.count);
    mem_free(&dense);
    score_list_fini(&list);
    ground_fini(&g);
}

/* --- what must not matter --------------------------------------------------------------------- */

static void test_threads_and_servers_do_not_matter(void **state) {
    struct ground g;
    struct score_list one = {0}, three = {0}, other = {0};
    struct scorer *scorer = NULL;
    char path[PATH_BYTES_MAX];
    (void)state;
    ground_init(&g, SEED + 1, NULL);
    score_all(g.scorer, g.data, 1, &one);
    score_all(g.scorer, g.data, 3, &three);
    assert_true(one.count > 500);
    assert_same_scores(&one, &three);
    g.job.pushes = 0;
    job_start(&g.job, 1);
    job_push(&g.job, 60);
    job_save(&g.job, "one");
    job_path(&g.job, "one", path);
    JOB_MUST(scorer_create(&scorer, path, NULL));
    score_all(scorer, g.data, 2, &other);
    assert_same_scores(&one, &other);
    scorer_destroy(&scorer);
    score_list_fini(&one);
    score_list_fini(&three);
    score_list_fini(&other);
    ground_fini(&g);
}

/* The shards have ids that no push has touched; scoring them leaves no row behind. */
static void test_scoring_creates_no_rows(void **state) {
    struct ground g;
    struct score_list list = {0};
    (void)state;
    ground_init(&g, SEED + 2, NULL);
    const uint64_t rows = scorer_rows(g.scorer);
    assert_true(rows > 500);
    score_all(g.scorer, g.data, 2, &list);
    assert_int_equal(scorer_rows(g.scorer), rows);
    score_list_fini(&list);
    ground_fini(&g);
}

/* A field that the model does not know changes nothing; GAUC users may come from a field. */
static void test_fields_join_by_name(void **state) {
    static const char *const by_field[] = {"eval.user_field=101", NULL};
    struct ground g;
    struct score_list plain = {0}, more = {0};
    char path[PATH_BYTES_MAX];
    (void)state;
    ground_init(&g, SEED + 3, by_field);
    job_shards(&g.job, "more", SHARDS, true);
    job_path(&g.job, "more", path);
    score_all(g.scorer, g.data, 1, &plain);
    score_all(g.scorer, path, 1, &more);
    assert_same_scores(&plain, &more);
    size_t ids = 0;
    for (size_t i = 0; i < plain.count; i++) {
        ids += plain.scores[i].user >= 1 && plain.scores[i].user <= JOB_IDS + 50;
    }
    assert_true(ids > plain.count / 2);
    score_list_fini(&plain);
    score_list_fini(&more);
    ground_fini(&g);
}

/* Every value of every shard, asked for one by one: has it a row? With one batch a shard no group
 * is cut. */
static void test_unseen(void **state) {
    static const char *const whole[] = {"train.batch=4096", NULL};
    struct ground g;
    struct score_list list = {0};
    struct unseen want = {0};
    struct buf out = BUF_EMPTY;
    char line[128];
    (void)state;
    ground_init(&g, SEED + 9, whole);
    score_all(g.scorer, g.data, 3, &list);
    job_restore(&g.job, "c", 1);
    for (uint32_t n = 0; n < SHARDS; n++) {
        struct shard s = {0};
        snprintf(line, sizeof line, "shard-%05u.bin", n);
        JOB_MUST(shard_read(&s, g.data, line, &g.job.schema));
        for (uint32_t f = 0; f < g.job.schema.count; f++) {
            for (uint32_t v = 0; v < s.column[f].values; v++) {
                uint32_t counts[FIELDS_MAX] = {0};
                uint8_t missing = 2;
                float row[256];
                struct pull_result result;
                counts[f] = 1;
                const struct key_list keys = {.counts = counts,
                                              .total = 1,
                                              .missing = &missing,
                                              .ids = &s.column[f].dict[s.column[f].code[v]]};
                JOB_MUST(partition_pull(g.job.part[0], &keys, false, row, &result));
                want.field[f].values++;
                want.field[f].unseen += missing;
            }
        }
        shard_free(&s);
    }
    struct json j;
    json_init(&j, &out, false);
    json_open(&j, NULL, '{');
    JOB_MUST(scorer_unseen(g.scorer, NULL, &j));
    json_close(&j);
    JOB_MUST(buf_put_u8(&out, 0));
    for (uint32_t f = 0; f < g.job.schema.count; f++) {
        assert_true(want.field[f].unseen > 0 && want.field[f].unseen < want.field[f].values);
        snprintf(line, sizeof line, "\"%s\":{\"values\":%llu,\"unseen\":%llu,",
                 g.job.schema.fields[f].name, (unsigned long long)want.field[f].values,
                 (unsigned long long)want.field[f].unseen);
        if (strstr((char *)out.data, line) == NULL) {
            fail_msg("expected %s in %s", line, (char *)out.data);
        }
    }
    buf_fini(&out);
    score_list_fini(&list);
    ground_fini(&g);
}

/* --- what must fail --------------------------------------------------------------------------- */

static void damage(const char *path) {
    char *data = NULL;
    size_t bytes = 0;
    struct file file = FILE_CLOSED;
    JOB_MUST(file_read_all(path, 1u << 28, &data, &bytes));
    data[bytes / 2] = (char)(data[bytes / 2] ^ 1);
    JOB_MUST(file_open_write(&file, path));
    JOB_MUST(file_write(&file, data, bytes));
    JOB_MUST(file_close(&file));
    mem_free(&data);
}

/* A damaged shard fails whatever the threads, and the file of predictions does not appear. */
static void test_damaged_shard(void **state) {
    struct ground g;
    char shard[PATH_BYTES_MAX], out[PATH_BYTES_MAX], temporary[PATH_BYTES_MAX];
    uint64_t lines = 0;
    (void)state;
    ground_init(&g, SEED + 4, NULL);
    job_path(&g.job, "data/shard-00003.bin", shard);
    job_path(&g.job, "out.csv", out);
    job_path(&g.job, "out.csv.tmp", temporary);
    damage(shard);
    for (uint32_t threads = 1; threads <= 5; threads += 2) {
        assert_int_equal(predict_csv(g.scorer, &DIRS(g.data), threads, out, &lines), ERR_CORRUPT);
        assert_non_null(strstr(fail_text(), "shard-00003.bin"));
        assert_false(file_exists(out));
        assert_false(file_exists(temporary));
    }
    ground_fini(&g);
}

static void test_no_field_in_common(void **state) {
    struct ground g;
    struct score_list list = {0};
    struct schema schema = {0};
    struct shard_builder *b = NULL;
    struct shard_info info;
    char dir[PATH_BYTES_MAX];
    (void)state;
    ground_init(&g, SEED + 5, NULL);
    job_path(&g.job, "strange", dir);
    JOB_MUST(file_mkdirs(dir));
    JOB_MUST(schema_add(&schema, "x", SIDE_USER));
    JOB_MUST(schema_add(&schema, "y", SIDE_ITEM));
    schema_finish(&schema);
    JOB_MUST(shard_builder_create(&b));
    JOB_MUST(shard_builder_group(b, 1, &(struct feature){0, 1, 5}, 1));
    JOB_MUST(shard_builder_impression(b, 1, 0, &(struct feature){1, 1, 6}, 1));
    JOB_MUST(shard_builder_write(b, &schema, dir, "shard-00000.bin", &info));
    shard_builder_destroy(&b);
    const struct dataset d = {.schema = schema,
                              .shards = &info,
                              .shard_count = 1,
                              .impressions = 1,
                              .groups = 1,
                              .values = info.values,
                              .source = "test"};
    JOB_MUST(dataset_write(&d, dir));
    char nowhere[] = "/nowhere";
    const struct scorer_sink sink = {score_list_take, &list};
    assert_int_equal(scorer_score(g.scorer, &DIRS(dir), 1, sink), ERR_CONFIG);
    assert_int_equal(scorer_score(g.scorer, &DIRS(nowhere), 1, sink), ERR_NOT_FOUND);
    struct scorer *none = NULL;
    assert_int_equal(scorer_create(&none, g.data, NULL), ERR_NOT_FOUND);
    assert_non_null(strstr(fail_text(), "impression shards"));
    assert_int_equal(scorer_create(&none, "/nowhere", NULL), ERR_NOT_FOUND);
    assert_null(none);
    ground_fini(&g);
}

/* Whatever allocation fails, the failure comes back and nothing leaks. */
static void test_out_of_memory(void **state) {
    struct ground g;
    (void)state;
    ground_init(&g, SEED + 6, NULL);
    enum status status = ERR_MEMORY;
    for (size_t n = 1; status != OK; n++) {
        struct scorer *scorer = NULL;
        assert_true(n < 5000);
        mem_fail_after(n);
        status = scorer_create(&scorer, g.checkpoint, NULL);
        mem_fail_after(0);
        /* Protobuf's decoder has one answer for short memory and bad bytes. */
        const bool decoder =
            status == ERR_CORRUPT && strstr(fail_text(), "memory is short") != NULL;
        if (status != OK && status != ERR_MEMORY && !decoder) {
            fail_msg("allocation %zu: %s (%s)", n, status_text(status), fail_text());
        }
        scorer_destroy(&scorer);
    }
    ground_fini(&g);
}

/* --- predict and eval ------------------------------------------------------------------------- */

static void test_predict_csv(void **state) {
    struct ground g;
    struct score_list list = {0};
    char out[PATH_BYTES_MAX], line[256];
    uint64_t lines = 0;
    size_t at = 0;
    (void)state;
    ground_init(&g, SEED + 7, NULL);
    score_all(g.scorer, g.data, 1, &list);
    job_path(&g.job, "out.csv", out);
    assert_int_equal(predict_csv(g.scorer, &DIRS(g.data), 2, out, &lines), OK);
    assert_int_equal(lines, list.count);
    FILE *f = fopen(out, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    assert_string_equal(line, "impression_id,p_ctr,p_cvr,p_ctcvr\n");
    for (; fgets(line, sizeof line, f) != NULL; at++) {
        unsigned long long id;
        double ctr, cvr, ctcvr;
        assert_int_equal(sscanf(line, "%llu,%lf,%lf,%lf\n", &id, &ctr, &cvr, &ctcvr), 4);
        assert_true(at < list.count);
        assert_int_equal(id, list.scores[at].impression_id);
        const double p = 1 / (1 + exp(-(double)list.scores[at].a));
        const double q = 1 / (1 + exp(-(double)list.scores[at].b));
        assert_true(fabs(ctr / p - 1) < 1e-8 && fabs(cvr / q - 1) < 1e-8);
        assert_true(fabs(ctcvr / (p * q) - 1) < 1e-8);
    }
    fclose(f);
    assert_int_equal(at, list.count);
    score_list_fini(&list);
    ground_fini(&g);
}

/* AUC by comparing every pair. */
static double pairs_auc(const struct score *s, size_t n, bool clicked_only, bool conversion,
                        bool product) {
    double wins = 0, pairs = 0;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < n; k++) {
            const bool in = !clicked_only || (s[i].labels & s[k].labels & LABEL_CLICK) != 0;
            const uint8_t bit = conversion ? LABEL_CONVERSION : LABEL_CLICK;
            if (!in || (s[i].labels & bit) == 0 || (s[k].labels & bit) != 0) {
                continue;
            }
            double x = clicked_only ? (double)s[i].b : (double)s[i].a;
            double y = clicked_only ? (double)s[k].b : (double)s[k].a;
            if (product) {
                x = ctcvr_logit((double)s[i].a, (double)s[i].b);
                y = ctcvr_logit((double)s[k].a, (double)s[k].b);
            }
            wins += x > y ? 1 : x == y ? 0.5 : 0;
            pairs++;
        }
    }
    return wins / pairs;
}

static void test_eval_against_pairs(void **state) {
    struct ground g;
    struct score_list list = {0};
    struct evaluation both[2];
    uint32_t count = 0;
    (void)state;
    ground_init(&g, SEED + 8, NULL);
    score_all(g.scorer, g.data, 1, &list);
    const struct eval_spec spec = {.data = &DIRS(g.data), .threads = 2};
    assert_int_equal(eval_run(g.scorer, &spec, both, &count), OK);
    assert_int_equal(count, 1); /* no weights in the data, no second */
    const struct evaluation e = both[0];
    const struct eval_spec by_weight = {
        .data = &DIRS(g.data), .threads = 2, .weights = EVAL_WEIGHTED};
    assert_int_equal(eval_run(g.scorer, &by_weight, both, &count), ERR_CONFIG);
    assert_int_equal(e.impressions, list.count);
    assert_false(e.has_truth);
    assert_true(fabs(e.ctr.auc - pairs_auc(list.scores, list.count, false, false, false)) < 1e-9);
    assert_true(fabs(e.cvr_clicked.auc - pairs_auc(list.scores, list.count, true, true, false)) <
                1e-9);
    assert_true(fabs(e.ctcvr.auc - pairs_auc(list.scores, list.count, false, true, true)) < 1e-9);
    double predicted = 0, observed = 0;
    for (size_t i = 0; i < list.count; i++) {
        predicted += score_rates(&list.scores[i], SCORE_CVR).ctr;
        observed += list.scores[i].labels & LABEL_CLICK;
    }
    assert_true(fabs(e.ctr.pcoc - predicted / observed) < 1e-9);
    score_list_fini(&list);
    ground_fini(&g);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scores_follow_the_definition),
        cmocka_unit_test(test_threads_and_servers_do_not_matter),
        cmocka_unit_test(test_scoring_creates_no_rows),
        cmocka_unit_test(test_fields_join_by_name),
        cmocka_unit_test(test_unseen),
        cmocka_unit_test(test_damaged_shard),
        cmocka_unit_test(test_no_field_in_common),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_predict_csv),
        cmocka_unit_test(test_eval_against_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
