/* Unit tests of coord/journal/journal_state.h. The test of takeover.c shows that the state is that
 * of a coordinator. */
#include "sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* cmocka's; ours records a cause */

static void apply(struct journal_state *s, const struct journal_record *r) {
    assert_int_equal(journal_state_apply(s, r), OK);
}

static void refused(struct journal_state *s, const struct journal_record *r) {
    assert_int_equal(journal_state_apply(s, r), ERR_CORRUPT);
}

static void sample_state(struct journal_state *s, uint32_t records) {
    *s = (struct journal_state){0};
    for (uint32_t i = 0; i < records; i++) {
        const struct journal_record r = sample_record(i);
        apply(s, &r);
    }
}

static uint32_t outs(const struct journal_state *s) {
    uint32_t n = 0;
    for (size_t i = 0; i < s->outs; i++) {
        n += !s->out[i].gone;
    }
    return n;
}

static void test_sample(void **state) {
    (void)state;
    struct journal_state s;
    sample_state(&s, SAMPLE_WHOLE - 1);
    assert_false(s.whole);
    journal_state_fini(&s);
    sample_state(&s, 15);
    assert_true(s.whole);
    assert_int_equal(s.term, 1);
    assert_true(s.server[1].known && s.server[1].incarnation == 12 && !s.worker[1].known);
    assert_string_equal(s.server[0].host, "db3");
    assert_int_equal(s.backs, 2); /* 2 of the whole state, 6 returned */
    assert_int_equal(s.back[1].range, 6);
    assert_int_equal(outs(&s), 2);
    assert_int_equal(s.works[2].id, 6);
    assert_int_equal(s.works[2].answer.shard, 8);
    assert_int_equal(s.gone_progress.batches, 100);
    assert_int_equal(s.works[2].counters.progress.batches, 8);
    assert_int_equal(s.cut.last_shards, 11);
    journal_state_fini(&s);
    sample_state(&s, 16);
    assert_int_equal(outs(&s), 1); /* worker 0 lost its own */
    journal_state_fini(&s);
    sample_state(&s, SAMPLE_RECORDS);
    assert_int_equal(outs(&s), 0); /* an evaluation */
    assert_true(s.stopped && s.ended_s == 1.77e9 && s.result.len == 2);
    assert_int_equal(s.evaluation.phase, JOURNAL_EVALUATING);
    journal_state_fini(&s);
}

/* A worker's leases and counters go with the process. */
static void test_replaced_worker(void **state) {
    (void)state;
    struct journal_state s;
    sample_state(&s, 15);
    const struct journal_record same = sample_member(ROLE_WORKER, 2, 102);
    const struct journal_record other = sample_member(ROLE_WORKER, 2, 7);
    apply(&s, &same);
    assert_int_equal(outs(&s), 2);
    assert_int_equal(s.works[2].counters.incarnation, 102);
    apply(&s, &other);
    assert_int_equal(outs(&s), 1);
    assert_int_equal(s.works[2].counters.incarnation, 0);
    assert_int_equal(s.gone_progress.batches, 7);
    journal_state_fini(&s);
}

static void test_refused(void **state) {
    (void)state;
    struct journal_state s = {0};
    struct journal_record r = {.kind = JOURNAL_STOPPED};
    refused(&s, &r); /* no life yet */
    r = sample_life();
    r.u.life.workers = 0;
    refused(&s, &r);
    r.u.life.workers = JOURNAL_WORKERS_MAX + 1;
    refused(&s, &r);
    r = sample_life();
    apply(&s, &r);
    r = sample_member(ROLE_SERVER, SAMPLE_SERVERS, 1);
    refused(&s, &r);
    r = sample_member(ROLE_WORKER, SAMPLE_WORKERS, 1);
    refused(&s, &r);
    r = sample_member(ROLE_COORD, 0, 1);
    refused(&s, &r);
    r = sample_ask(SAMPLE_WORKERS, 1, UINT32_MAX, 0, 0, 1);
    refused(&s, &r);
    r = sample_ask(0, 1, UINT32_MAX, 0, 0, 5);
    apply(&s, &r);
    r = sample_ask(0, 2, UINT32_MAX, 0, 1, 5); /* the same fence again */
    refused(&s, &r);
    r = (struct journal_record){.kind = JOURNAL_TERM, .u.term.term = 2};
    apply(&s, &r);
    refused(&s, &r); /* the same term again */
    r.kind = JOURNAL_COUNTERS;
    r.u.counters = (struct journal_counters){.worker = SAMPLE_WORKERS};
    refused(&s, &r);
    r.kind = JOURNAL_KINDS;
    refused(&s, &r);
    journal_state_fini(&s);
}

/* A new life makes everything before void; DONE makes the ranges before void. */
static void test_begins_anew(void **state) {
    (void)state;
    struct journal_state s;
    sample_state(&s, SAMPLE_RECORDS);
    struct journal_record r = sample_record(4);
    apply(&s, &r);
    assert_int_equal(s.backs, 0);
    r = sample_life();
    apply(&s, &r);
    assert_false(s.whole || s.stopped || s.server[0].known);
    assert_int_equal(s.term, 0);
    assert_int_equal(s.outs, 0);
    journal_state_fini(&s);
}

/* Thousands of leases come and go; what is out is found, whatever was dropped. */
static void test_many_leases(void **state) {
    (void)state;
    struct journal_state s;
    sample_state(&s, SAMPLE_WHOLE);
    const uint64_t first = 2ull << 40;
    for (uint32_t i = 0; i < 5000; i++) {
        const struct journal_record r =
            i < 3 ? sample_ask(i % 3, i + 1, UINT32_MAX, 0, i, first + i)
                  : sample_ask(i % 3, i + 1, i - 3, first + i - 3, i, first + i);
        apply(&s, &r);
        assert_true(outs(&s) == (i < 3 ? i + 2 : 4));
        assert_true(s.outs < 200);
    }
    assert_int_equal(s.backs, 1 + 4997);
    journal_state_fini(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample),      cmocka_unit_test(test_replaced_worker),
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_begins_anew),
        cmocka_unit_test(test_many_leases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
