/* Unit tests of coord/progress.h and of the frames of common/net/scores.h. */
#include "common/data/shard_format.h"
#include "coord/progress.h"

#include <math.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/net/scores.h"
#include "common/data/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-9)

static struct progress *make(uint64_t job, uint64_t restored) {
    struct progress *p = NULL;
    assert_int_equal(mem_new(&p), OK);
    assert_int_equal(progress_init(p, 2, 2, 3, job, restored), OK);
    return p;
}

static void drop(struct progress *p) {
    progress_fini(p);
    mem_free(&p);
}

/* Counters after `batches` batches of 10 impressions with the given mean loss in all of them. */
static struct wire_progress after(uint64_t batches, double loss) {
    double n = 10.0 * (double)batches;
    return (struct wire_progress){.impressions = 10 * batches,
                                  .batches = batches,
                                  .loss_sum = n * loss,
                                  .loss_ctr_sum = n * loss / 2,
                                  .loss_ctcvr_sum = n * loss / 4,
                                  .staleness_sum = 3 * batches,
                                  .staleness_max = batches,
                                  .dense_staleness_sum = 2 * batches,
                                  .dense_staleness_max = batches + 1};
}

static void counters_count_once(void **state) {
    (void)state;
    struct progress *p = make(1000, 0);
    struct wire_progress a = after(4, 1), b = after(6, 1);
    progress_begin(p, 0);
    progress_worker_beat(p, 0, 11, &a, 1);
    progress_worker_beat(p, 0, 11, &a, 2); /* repeated */
    progress_worker_beat(p, 1, 22, &b, 3);
    assert_int_equal(p->totals.impressions, 100);
    b = after(8, 1);
    progress_worker_beat(p, 0, 11, &b, 4);
    progress_worker_beat(p, 0, 11, &a, 5); /* late */
    assert_int_equal(p->totals.impressions, 140);
    progress_worker_beat(p, 0, 33, &a, 6); /* the worker was replaced: counts from zero */
    assert_int_equal(p->totals.impressions, 180);
    assert_int_equal(p->totals.staleness_max, 8);
    assert_int_equal(p->totals.dense_staleness_max, 9);
    drop(p);
}

static void losses_of_spans(void **state) {
    (void)state;
    struct progress *p = make(100000, 0);
    struct progress_mark mark = {0};
    struct progress_line line;
    progress_begin(p, 0);
    assert_true(isnan(progress_loss_recent(p).loss));
    progress_line(p, &mark, &line);
    assert_true(isnan(line.loss.loss));
    struct wire_progress w = after(1000, 2.0);
    progress_worker_beat(p, 0, 1, &w, 1);
    progress_line(p, &mark, &line);
    NEAR(line.loss.loss, 2);
    NEAR(line.loss.ctr, 1);
    NEAR(line.loss.ctcvr, 0.5);
    NEAR(line.staleness_mean, 3);
    progress_epoch(p, 1);
    for (uint64_t k = 1; k <= 100; k++) { /* now the loss is 1, four batches a report */
        struct wire_progress more = w;
        more.impressions += 40 * k;
        more.batches += 4 * k;
        more.loss_sum += 40.0 * (double)k;
        progress_worker_beat(p, 0, 1, &more, 1 + k);
    }
    NEAR(progress_loss_epoch(p).loss, 1);
    NEAR(progress_loss_recent(p).loss, 1);
    progress_line(p, &mark, &line);
    NEAR(line.loss.loss, 1);
    assert_int_equal(line.epoch, 1);
    progress_line(p, &mark, &line); /* nothing new */
    NEAR(line.loss.loss, 1);
    assert_true(isnan(line.staleness_mean));
    drop(p);
}

/* The recent loss covers at least LOSS_BATCHES, and not much more. */
static void recent_is_recent(void **state) {
    (void)state;
    struct progress *p = make(100000, 0);
    progress_begin(p, 0);
    struct wire_progress w = {0};
    for (uint64_t k = 1; k <= 2000; k++) { /* batch k has loss k */
        w.impressions += 10;
        w.batches++;
        w.loss_sum += 10.0 * (double)k;
        progress_worker_beat(p, 0, 1, &w, k);
    }
    double span = (2000 - progress_loss_recent(p).loss) * 2 + 1;
    assert_true(span >= LOSS_BATCHES && span <= LOSS_BATCHES + LOSS_BATCHES / 4);
    drop(p);
}

static void rates_and_time_left(void **state) {
    (void)state;
    struct progress *p = make(100000, 20000);
    struct progress_mark mark = {0};
    struct progress_line line;
    progress_begin(p, 1000);
    assert_true(isnan(progress_rate(p)));
    for (uint64_t second = 1; second <= 20; second++) {
        struct wire_progress w = after(50 * second, 1);
        progress_worker_beat(p, 0, 1, &w, 1000 + 1000 * second);
        progress_tick(p, 1000 + 1000 * second - 500);
        progress_tick(p, 1000 + 1000 * second);
    }
    NEAR(progress_rate(p), 500);
    progress_line(p, &mark, &line);
    assert_int_equal(line.impressions, 30000);
    NEAR(line.eta_s, 140);
    p->open = true; /* a stream: nobody knows */
    progress_line(p, &mark, &line);
    assert_true(isnan(line.eta_s));
    p->open = false;
    struct wire_progress w = after(50000, 1); /* repeated work never shows as more than all */
    progress_worker_beat(p, 0, 1, &w, 22000);
    progress_line(p, &mark, &line);
    assert_int_equal(line.impressions, 100000);
    drop(p);
}

static void servers_add_up(void **state) {
    (void)state;
    struct progress *p = make(1, 0);
    struct progress_server sum;
    struct wire_heartbeat a = {.rows = 5, .bytes = 50, .version = 9},
                          b = {.rows = 6, .bytes = 60, .version = 7};
    const uint64_t rows_a[] = {1, 2, 2}, rows_b[] = {0, 0, 6};
    progress_server_beat(p, 0, &a, rows_a);
    progress_server_beat(p, 1, &b, rows_b);
    progress_server_beat(p, 1, &b, NULL); /* without a frame: the old figures stay */
    progress_servers(p, &sum);
    assert_int_equal(sum.rows, 11);
    assert_int_equal(sum.bytes, 110);
    assert_int_equal(sum.version, 7);
    assert_int_equal(sum.field_rows[0], 1);
    assert_int_equal(sum.field_rows[2], 8);
    drop(p);
}

/* --- running AUC ------------------------------------------------------------------------------ */

struct tables {
    struct metric_bins ctr, ctcvr, ctr2, ctcvr2;
};

static struct tables *tables_make(void) {
    struct tables *t = NULL;
    assert_int_equal(mem_new(&t), OK);
    return t;
}

static void fill(struct metric_bins *b, uint64_t seed, uint64_t n, double shift) {
    for (uint64_t i = 0; i < n; i++) {
        int label = rng_unit(seed, 1, i) < 0.2;
        metric_bins_add(b, (float)(rng_normal(seed, 2, i) + (label ? shift : 0)), label);
    }
}

static void bins_travel(void **state) {
    (void)state;
    struct tables *t = tables_make();
    struct buf out = BUF_EMPTY;
    fill(&t->ctr, 1, 5000, 1);
    t->ctcvr.negative[0] = UINT32_MAX;
    t->ctcvr.positive[METRIC_BINS - 1] = 1;
    assert_int_equal(wire_bins_pack(&t->ctr, &t->ctcvr, &out), OK);
    assert_true(out.len < 16384);
    assert_int_equal(wire_bins_unpack(out.data, out.len, &t->ctr2, &t->ctcvr2), OK);
    assert_memory_equal(&t->ctr, &t->ctr2, sizeof t->ctr);
    assert_memory_equal(&t->ctcvr, &t->ctcvr2, sizeof t->ctcvr);
    for (size_t cut = 0; cut < out.len; cut++) { /* every shorter frame is refused */
        assert_int_equal(wire_bins_unpack(out.data, cut, &t->ctr2, &t->ctcvr2), ERR_PROTOCOL);
    }
    for (uint64_t i = 0; i < 20000; i++) { /* hostile frames never write outside */
        size_t at = rng_below(3, 1, i, out.len);
        uint8_t before = out.data[at];
        out.data[at] = (uint8_t)rng_u64(3, 2, i);
        (void)wire_bins_unpack(out.data, out.len, &t->ctr2, &t->ctcvr2);
        out.data[at] = before;
    }
    buf_fini(&out);
    mem_free(&t);
}

static void running_auc(void **state) {
    (void)state;
    struct progress *p = make(1, 0);
    struct tables *t = tables_make();
    struct progress_mark mark = {0};
    struct progress_line line;
    struct wire_progress w = {0};
    double bound;
    progress_worker_beat(p, 0, 1, &w, 0);
    progress_line(p, &mark, &line);
    assert_true(isnan(line.auc_ctr) && isnan(line.auc_ctr_bound));
    fill(&t->ctr, 5, 40000, 1);
    fill(&t->ctcvr, 6, 40000, 2);
    progress_worker_bins(p, 0, &t->ctr, &t->ctcvr);
    progress_worker_bins(p, 0, &t->ctr, &t->ctcvr); /* repeated: no difference */
    progress_line(p, &mark, &line);
    NEAR(line.auc_ctr, metric_bins_auc(&t->ctr, &bound));
    NEAR(line.auc_ctr_bound, bound);
    NEAR(line.auc_ctcvr, metric_bins_auc(&t->ctcvr, &bound));
    NEAR(line.auc_ctcvr_bound, bound);
    assert_true(bound > 0 && bound < 0.01);
    assert_true(line.auc_ctcvr > line.auc_ctr);
    assert_int_equal(p->ctr.impressions, 40000);
    t->ctr.positive[7]--; /* an older report that overtook: left out */
    progress_worker_bins(p, 0, &t->ctr, &t->ctcvr);
    assert_int_equal(p->ctr.impressions, 40000);
    progress_worker_beat(p, 0, 2, &w, 0); /* replaced: the same counts again are new ones */
    progress_worker_bins(p, 0, &t->ctcvr, &t->ctcvr);
    assert_int_equal(p->ctr.impressions, 80000);
    mem_free(&t);
    drop(p);
}

static void the_running_auc_forgets(void **state) {
    (void)state;
    struct progress *p = make(1, 0);
    struct tables *t = tables_make();
    struct progress_mark mark = {0};
    struct progress_line line;
    t->ctr.positive[0] = t->ctr.negative[METRIC_BINS - 1] = AUC_IMPRESSIONS; /* all wrong */
    progress_worker_bins(p, 0, &t->ctr, &t->ctcvr);
    progress_line(p, &mark, &line);
    NEAR(line.auc_ctr, 0);
    t->ctr.positive[METRIC_BINS - 1] = t->ctr.negative[0] = AUC_IMPRESSIONS; /* then all right */
    progress_worker_bins(p, 0, &t->ctr, &t->ctcvr);
    progress_line(p, &mark, &line);
    NEAR(line.auc_ctr, 1);
    mem_free(&t);
    drop(p);
}

/* --- scores ----------------------------------------------------------------------------------- */

static void scores_travel(void **state) {
    (void)state;
    const struct score in[] = {{1, 2, 0.5f, -0.25f, 0, 1},
                               {UINT64_MAX, 7, -40.0f, 3.0f, LABEL_CLICK, 1},
                               {3, 0, INFINITY, 0, LABEL_CLICK | LABEL_CONVERSION, 1}};
    struct score back[3];
    struct buf out = BUF_EMPTY;
    assert_int_equal(wire_scores_pack(in, 3, &out), OK);
    assert_int_equal(out.len, 75);
    assert_int_equal(wire_scores_unpack(out.data, out.len, 3, back), OK);
    for (size_t i = 0; i < 3; i++) {
        assert_true(back[i].impression_id == in[i].impression_id && back[i].user == in[i].user &&
                    back[i].a == in[i].a && back[i].b == in[i].b && back[i].labels == in[i].labels);
    }
    assert_int_equal(wire_scores_unpack(out.data, 74, 3, back), ERR_PROTOCOL);
    assert_int_equal(wire_scores_unpack(out.data, 75, 2, back), ERR_PROTOCOL);
    out.data[24] = LABEL_CONVERSION;
    assert_int_equal(wire_scores_unpack(out.data, 75, 3, back), ERR_PROTOCOL);
    out.data[24] = 0;
    store_u32(out.data + 16, 0x7fc00000u);
    assert_int_equal(wire_scores_unpack(out.data, 75, 3, back), ERR_PROTOCOL);
    assert_int_equal(wire_scores_pack(in, SHARD_IMPRESSIONS_MAX + 1ul, &out), ERR_LIMIT);
    buf_fini(&out);
}

/* A replaced worker's usage is kept; a late report of the present one is not. */
static void usage_outlives_its_process(void **state) {
    struct progress p;
    struct usage u = {.cpu_s = 5, .peak_bytes = 100, .sent_bytes = 7}, sum;
    (void)state;
    assert_int_equal(progress_init(&p, 2, 1, 1, 100, 0), OK);
    progress_worker_use(&p, 0, 11, &u);
    u.cpu_s = 6;
    progress_worker_use(&p, 0, 11, &u);
    u.cpu_s = 4; /* overtaken */
    progress_worker_use(&p, 0, 11, &u);
    progress_worker_use(&p, 1, 12, &u);
    u.cpu_s = 1;
    u.peak_bytes = 300;
    progress_worker_use(&p, 0, 13, &u);
    progress_workers_usage(&p, &sum);
    assert_true(sum.cpu_s == 6.0 + 4.0 + 1.0);
    assert_int_equal(sum.peak_bytes, 300);
    assert_int_equal(sum.sent_bytes, 21);
    progress_servers_usage(&p, &sum);
    assert_true(sum.cpu_s == 0.0);
    progress_fini(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usage_outlives_its_process),
        cmocka_unit_test(counters_count_once),
        cmocka_unit_test(losses_of_spans),
        cmocka_unit_test(recent_is_recent),
        cmocka_unit_test(rates_and_time_left),
        cmocka_unit_test(servers_add_up),
        cmocka_unit_test(bins_travel),
        cmocka_unit_test(running_auc),
        cmocka_unit_test(the_running_auc_forgets),
        cmocka_unit_test(scores_travel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
