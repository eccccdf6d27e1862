/* Unit tests of coord/eval_job.h: scores that come twice, late, wrong, out of order; and that the
 * figures do not depend on the order. */
#include "common/data/record.h"
#include "coord/eval_job.h"

#include "common/base/clock.h"
#include "common/base/rng.h"
#include "common/net/scores.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct shard_info shards[3] = {{.name = "a", .impressions = 30},
                                      {.name = "b", .impressions = 0},
                                      {.name = "c", .impressions = 50}};
static struct dataset data = {.shard_count = 3, .shards = shards, .impressions = 80};

static void frame_of(uint32_t shard, struct buf *out) {
    static const uint8_t labels[] = {0, 0, LABEL_CLICK, LABEL_CLICK | LABEL_CONVERSION};
    struct score s[50];
    for (uint32_t i = 0; i < shards[shard].impressions; i++) {
        s[i] = (struct score){.weight = 1,
                              .impression_id = 1000 * shard + i,
                              .user = i / 7,
                              .a = (float)rng_normal(shard, i, 0),
                              .b = (float)rng_normal(shard, i, 1),
                              .labels = labels[i % 4]};
    }
    buf_clear(out);
    assert_int_equal(wire_scores_pack(s, shards[shard].impressions, out), OK);
}

static bool take(struct eval_job *e, uint32_t epoch, uint32_t shard) {
    struct buf frame = BUF_EMPTY;
    bool fresh = true;
    frame_of(shard, &frame);
    const uint32_t n = shards[shard].impressions;
    const struct wire_scores s = {
        .epoch = epoch, .shard = shard, .fence = 1, .count = n, .total = n};
    assert_int_equal(eval_job_take(e, &s, frame.data, frame.len, &fresh), OK);
    buf_fini(&frame);
    return fresh;
}

static struct evaluation figures(uint32_t first, uint32_t second) {
    struct eval_job e;
    struct evaluation out[2];
    uint32_t count = 0;
    enum status status = ERR_MEMORY;
    assert_int_equal(eval_job_init(&e, &data, 16), OK);
    assert_int_equal(e.batches[0], 2);
    assert_int_equal(e.batches[1], 0);
    assert_int_equal(eval_job_begin(&e, 4, 0), OK);
    assert_false(eval_job_complete(&e));
    assert_true(take(&e, 4, first));
    assert_false(take(&e, 4, first));  /* again */
    assert_false(take(&e, 3, second)); /* of the evaluation before */
    assert_false(eval_job_complete(&e));
    assert_true(take(&e, 4, second));
    assert_true(eval_job_complete(&e));
    assert_int_equal(eval_job_compute(&e), OK);
    while (!eval_job_computed(&e, &status, out, &count)) {
        clock_sleep_ms(1);
    }
    assert_int_equal(status, OK);
    eval_job_end(&e);
    assert_false(take(&e, 4, first)); /* nobody waits for it */
    eval_job_fini(&e);
    assert_int_equal(count, 1); /* no weights */
    return out[0];
}

static void any_order_gives_the_same(void **state) {
    (void)state;
    struct evaluation x = figures(0, 2), y = figures(2, 0);
    assert_int_equal(x.impressions, 80);
    assert_true(x.ctr.auc > 0 && x.ctr.auc == y.ctr.auc);
    assert_true(x.cvr_clicked.auc == y.cvr_clicked.auc && x.ctr.gauc == y.ctr.gauc);
    assert_true(x.ctcvr.logloss == y.ctcvr.logloss);
}

static void wrong_scores_are_refused(void **state) {
    (void)state;
    struct eval_job e;
    struct buf frame = BUF_EMPTY;
    bool fresh = true;
    assert_int_equal(eval_job_init(&e, &data, 16), OK);
    assert_int_equal(eval_job_begin(&e, 0, 0), OK);
    frame_of(0, &frame);
    struct wire_scores s = {.shard = 3, .fence = 1, .count = 30, .total = 30};
    assert_int_equal(eval_job_take(&e, &s, frame.data, frame.len, &fresh), ERR_PROTOCOL);
    s.shard = 2;
    assert_int_equal(eval_job_take(&e, &s, frame.data, frame.len, &fresh), ERR_PROTOCOL);
    assert_non_null(strstr(fail_text(), "shard c, which has 50"));
    s.shard = 0;
    s.count = 31;
    assert_int_equal(eval_job_take(&e, &s, frame.data, frame.len, &fresh), ERR_PROTOCOL);
    s = (struct wire_scores){.fence = 1, .first = UINT32_MAX, .count = 2, .total = 30};
    assert_int_equal(eval_job_take(&e, &s, frame.data, frame.len, &fresh), ERR_PROTOCOL);
    s = (struct wire_scores){.fence = 1, .count = 30, .total = 30};
    frame.data[24] = 2;
    assert_int_equal(eval_job_take(&e, &s, frame.data, frame.len, &fresh), ERR_PROTOCOL);
    assert_false(fresh);
    assert_true(take(&e, 0, 0)); /* the right ones are still welcome */
    buf_fini(&frame);
    eval_job_fini(&e); /* in the middle */
}

static void a_new_one_begins_empty(void **state) {
    (void)state;
    struct eval_job e;
    assert_int_equal(eval_job_init(&e, &data, 16), OK);
    assert_int_equal(eval_job_begin(&e, 0, 0), OK);
    assert_true(take(&e, 0, 0));
    assert_int_equal(eval_job_begin(&e, 1, 0), OK);
    assert_true(take(&e, 1, 0));
    assert_true(take(&e, 1, 2));
    assert_true(eval_job_complete(&e));
    assert_int_equal(eval_job_compute(&e), OK);
    eval_job_fini(&e); /* waits for the thread */
}

/* Two evaluations of one epoch: scores of the first that come late do not count in the second. */
static void late_scores_of_the_one_before(void **state) {
    (void)state;
    struct eval_job e;
    assert_int_equal(eval_job_init(&e, &data, 16), OK);
    assert_int_equal(eval_job_begin(&e, 0, 0), OK);
    assert_true(take(&e, 0, 0));
    assert_int_equal(eval_job_begin(&e, 0, 1), OK);
    assert_false(take(&e, 0, 0)); /* under fence 1 */
    assert_false(take(&e, 0, 2));
    assert_false(eval_job_complete(&e));
    eval_job_fini(&e);
}

/* Values without a row add up over shards, and begin anew with each evaluation. */
static void unseen_values_add_up(void **state) {
    (void)state;
    struct eval_job e;
    struct buf keys = BUF_EMPTY;
    const struct unseen u = {.fields = 2, .field = {{10, 3}, {7, 0}}};
    assert_int_equal(eval_job_init(&e, &data, 16), OK);
    assert_int_equal(eval_job_begin(&e, 0, 0), OK);
    assert_int_equal(unseen_pack(&u, &keys), OK);
    assert_int_equal(eval_job_unseen(&e, 2, keys.data, keys.len), OK);
    assert_int_equal(eval_job_unseen(&e, 2, NULL, 0), OK); /* a worker that says nothing */
    assert_int_equal(eval_job_unseen(&e, 2, keys.data, keys.len), OK);
    assert_int_equal(eval_job_unseen(&e, 3, keys.data, keys.len), ERR_PROTOCOL);
    assert_int_equal(e.unseen.field[0].values, 20);
    assert_int_equal(e.unseen.field[0].unseen, 6);
    assert_int_equal(e.unseen.field[1].values, 14);
    assert_int_equal(eval_job_begin(&e, 1, 0), OK);
    assert_int_equal(e.unseen.field[0].values, 0);
    buf_fini(&keys);
    eval_job_fini(&e);
}

/* One piece of shard 0's scores; `shift` marks whose they are. */
static enum status piece(struct eval_job *e, uint64_t fence, uint32_t first, uint32_t count,
                         float shift, bool *complete) {
    struct score s[30];
    struct buf frame = BUF_EMPTY;
    for (uint32_t i = 0; i < count; i++) {
        s[i] = (struct score){
            .weight = 1, .impression_id = first + i, .a = shift + (float)(first + i)};
    }
    assert_int_equal(wire_scores_pack(s, count, &frame), OK);
    const struct wire_scores m = {.fence = fence, .first = first, .count = count, .total = 30};
    const enum status status = eval_job_take(e, &m, frame.data, frame.len, complete);
    buf_fini(&frame);
    return status;
}

/* Pieces come in order and may be repeated; those of two workers are never mixed. */
static void a_shard_comes_in_pieces(void **state) {
    (void)state;
    struct eval_job e;
    bool complete = true;
    assert_int_equal(eval_job_init(&e, &data, 16), OK);
    assert_int_equal(eval_job_begin(&e, 0, 0), OK);
    assert_int_equal(piece(&e, 5, 0, 10, 0, &complete), OK);
    assert_int_equal(piece(&e, 5, 0, 10, 0, &complete), OK); /* its acknowledgement was lost */
    assert_int_equal(piece(&e, 5, 10, 10, 0, &complete), OK);
    assert_int_equal(e.taken, 20);
    assert_int_equal(piece(&e, 7, 0, 10, 100, &complete), OK); /* the shard went to another */
    assert_int_equal(piece(&e, 5, 20, 10, 0, &complete), OK);  /* the first is not through yet */
    assert_false(complete);
    assert_int_equal(piece(&e, 7, 20, 10, 100, &complete), ERR_PROTOCOL);
    assert_non_null(strstr(fail_text(), "from 20 on; those from 10 on were not sent"));
    assert_int_equal(piece(&e, 5, 0, 10, 0, &complete), OK);
    assert_int_equal(piece(&e, 7, 10, 20, 100, &complete), OK);
    assert_true(complete);
    for (uint32_t i = 0; i < 30; i++) {
        assert_int_equal(e.scores[i].impression_id, i);
        assert_true(e.scores[i].a == 100.0f + (float)i);
    }
    assert_int_equal(piece(&e, 9, 0, 10, 200, &complete), OK); /* nobody waits for it */
    assert_false(complete);
    assert_true(e.scores[0].a == 100.0f);
    eval_job_fini(&e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_gives_the_same), cmocka_unit_test(wrong_scores_are_refused),
        cmocka_unit_test(a_new_one_begins_empty),   cmocka_unit_test(late_scores_of_the_one_before),
        cmocka_unit_test(unseen_values_add_up),     cmocka_unit_test(a_shard_comes_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
