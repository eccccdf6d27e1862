/* Unit tests of takeover.c: random histories of leases are written into a journal, the coordinator
 * dies after each record in turn, perhaps with the newest records, and another one takes over.
 * However that goes, no fence is given twice, a repeated question has the same answer, and in the
 * end every batch of the job is done, once. */
#include <stdio.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "coord/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#undef fail /* cmocka's; ours records a cause */

#define WORKERS   3u
#define HOLDS_MAX 3u
#define EPOCHS    2u
#define LEASE_MS  1000u
#define DEATH     9 /* one of so many records is the last of its coordinator */

struct player { /* a worker */
    uint64_t incarnation, id;
    bool asks; /* `ask` has no answer yet */
    struct wire_lease_ask ask;
    struct wire_lease held[HOLDS_MAX];
    uint32_t holds;
};
struct scene {
    struct ranges ranges;
    struct batch_plan plan;
    struct leases leases;
    struct lease_answer answers[WORKERS];
    struct player player[WORKERS];
    struct buf journal;
    size_t synced; /* bytes that a death does not take */
    uint64_t term, fence, seed, drawn, now_ms;
    uint32_t deaths, repeated, lost;
};

static uint64_t draw(struct scene *t, uint64_t below) {
    return rng_below(t->seed, 7, t->drawn++, below);
}

static void put(struct scene *t, const struct journal_record *r) {
    assert_int_equal(journal_record_put(&t->journal, r, t->journal.len, t->synced), OK);
}

/* --- the journal, as notes.c writes it -------------------------------------------------------- */

static void put_member(struct scene *t, uint32_t w) {
    struct journal_record r = {.kind = JOURNAL_MEMBER};
    r.u.member = (struct journal_member){
        .role = ROLE_WORKER, .index = w, .incarnation = t->player[w].incarnation};
    put(t, &r);
}

static void put_epoch(struct scene *t) {
    struct journal_record r = {.kind = JOURNAL_EPOCH};
    r.u.epoch.epoch = t->leases.epoch;
    put(t, &r);
}

static void put_ask(struct scene *t, const struct wire_lease_ask *a, uint64_t id, bool back,
                    const struct wire_lease *lease) {
    struct journal_record r = {.kind = JOURNAL_ASK};
    r.u.ask = (struct journal_ask){.worker = a->index,
                                   .incarnation = a->incarnation,
                                   .id = id,
                                   .returns = back,
                                   .back_fence = a->fence,
                                   .grants = lease->kind == LEASE_TRAIN,
                                   .lease = *lease};
    if (back) {
        const uint32_t limit = t->leases.lease[t->leases.place[a->shard]].limit;
        r.u.ask.back = (struct journal_back){a->epoch, a->shard, limit};
    }
    if (r.u.ask.returns || r.u.ask.grants) {
        put(t, &r);
    }
}

static void put_out(struct scene *t) {
    const struct leases *l = &t->leases;
    for (uint64_t after = 0;;) { /* by rising fence */
        const struct lease *next = NULL;
        for (uint32_t i = 0; l->kind == LEASE_TRAIN && i < l->count; i++) {
            const struct lease *x = &l->lease[i];
            if (x->state == LEASE_OUT && x->fence > after &&
                (next == NULL || x->fence < next->fence)) {
                next = x;
            }
        }
        if (next == NULL) {
            return;
        }
        const struct lease_answer *a = &t->answers[next->worker];
        const bool answered = a->lease.kind == LEASE_TRAIN && a->lease.fence == next->fence;
        const struct wire_lease_ask ask = {.index = next->worker, .incarnation = next->incarnation};
        const struct wire_lease lease = {.kind = LEASE_TRAIN,
                                         .epoch = l->epoch,
                                         .shard = next->shard,
                                         .fence = next->fence,
                                         .batch_limit = next->limit,
                                         .ahead = answered ? a->lease.ahead : 0};
        put_ask(t, &ask, answered ? a->id : 0, false, &lease);
        after = next->fence;
    }
}

static void put_whole(struct scene *t) {
    struct journal_record r = {.kind = JOURNAL_LIFE};
    struct buf names = BUF_EMPTY;
    buf_clear(&t->journal);
    t->synced = 0;
    assert_int_equal(journal_head_put(&t->journal), OK);
    r.u.life = (struct journal_life){.servers = 1, .workers = WORKERS};
    put(t, &r);
    for (uint32_t w = 0; w < WORKERS; w++) {
        put_member(t, w);
    }
    assert_int_equal(applied_encode(t->leases.done, &names), OK);
    r = (struct journal_record){.kind = JOURNAL_DONE, .u.bytes = {names.data, names.len}};
    put(t, &r);
    buf_fini(&names);
    put_epoch(t);
    put_out(t);
    r = (struct journal_record){.kind = JOURNAL_TERM, .u.term.term = t->term};
    put(t, &r);
    t->synced = t->journal.len;
}

/* --- the coordinator -------------------------------------------------------------------------- */

static void lives(struct scene *t, struct applied *done) {
    assert_int_equal(
        leases_init(&t->leases, &t->plan, done, false, LEASE_MS, t->term << FENCES_PER_TERM), OK);
}

static void dies(struct scene *t) {
    struct journal_state s = {0};
    struct applied *done = NULL;
    size_t torn, kept = t->journal.len;
    if (draw(t, 3) == 0) { /* with the machine: some of what was not synced is gone */
        kept = t->synced + (size_t)draw(t, kept - t->synced + 1);
    }
    leases_fini(&t->leases);
    assert_int_equal(journal_state_read(&s, "j", t->journal.data, kept, &torn), OK);
    assert_int_equal(
        applied_decode(&done, s.done.data, s.done.len, t->ranges.batches, t->ranges.count), OK);
    assert_int_equal(takeover_backs(done, &s, &t->ranges), OK);
    t->term = s.term + 1;
    lives(t, done);
    assert_int_equal(leases_train(&t->leases, s.epoch.epoch), OK);
    assert_int_equal(takeover_leases(&t->leases, &s, t->now_ms), OK);
    for (uint32_t w = 0; w < WORKERS; w++) {
        t->answers[w].id = s.works[w].answered ? s.works[w].id : 0;
        t->answers[w].incarnation = s.works[w].incarnation;
        t->answers[w].lease = s.works[w].answer;
    }
    journal_state_fini(&s);
    put_whole(t);
    t->deaths++;
}

/* The coordinator takes a question: its answer. */
static struct wire_lease hears(struct scene *t, const struct wire_lease_ask *ask, uint64_t id) {
    struct lease_answer *a = &t->answers[ask->index];
    struct buf bits = BUF_EMPTY;
    if (a->id == id && a->incarnation == ask->incarnation) {
        t->repeated++;
        return a->lease;
    }
    const uint32_t before = t->leases.back;
    leases_renew(&t->leases, ask->index, ask->incarnation, t->now_ms);
    if (ask->returns) {
        assert_int_equal(leases_return(&t->leases, ask, t->now_ms), OK);
    }
    const bool back = t->leases.back > before;
    a->id = id;
    a->incarnation = ask->incarnation;
    assert_int_equal(
        leases_ask(&t->leases, ask->index, ask->incarnation, false, t->now_ms, &a->lease, &bits),
        OK);
    if (a->lease.kind == LEASE_TRAIN) {
        assert_true(a->lease.fence > t->fence); /* of all that were ever given */
        t->fence = a->lease.fence;
    }
    put_ask(t, ask, id, back, &a->lease);
    buf_fini(&bits);
    return a->lease;
}

/* --- the workers ------------------------------------------------------------------------------ */

static void works(struct scene *t, uint32_t w) {
    struct player *p = &t->player[w];
    if (!p->asks) {
        p->ask = (struct wire_lease_ask){.index = w, .incarnation = p->incarnation};
        p->id++;
        if (p->holds > 0 && (p->holds == HOLDS_MAX || draw(t, 2) == 0)) {
            const uint32_t k = (uint32_t)draw(t, p->holds);
            p->ask.returns = true;
            p->ask.epoch = p->held[k].epoch;
            p->ask.shard = p->held[k].shard;
            p->ask.fence = p->held[k].fence;
            p->held[k] = p->held[--p->holds];
        }
    }
    p->asks = true;
    const struct wire_lease answer = hears(t, &p->ask, p->id);
    if (draw(t, 5) == 0) { /* the answer is lost, and the question will be repeated */
        t->lost++;
        return;
    }
    p->asks = false;
    if (answer.kind == LEASE_TRAIN) {
        p->held[p->holds++] = answer;
    }
}

static void replaced(struct scene *t, uint32_t w) {
    struct journal_record r = {.kind = JOURNAL_FREED, .u.worker = w};
    t->player[w] = (struct player){.incarnation = t->player[w].incarnation + WORKERS};
    leases_release(&t->leases, w);
    put(t, &r);
    put_member(t, w);
    t->synced = t->journal.len;
}

/* --- whole jobs ------------------------------------------------------------------------------- */

static void begin(struct scene *t, uint64_t seed, uint32_t window) {
    const struct ranges_spec spec = {.seed = seed, .shuffle = true, .batch = 10, .window = window};
    struct ranges_shard shard[6];
    struct applied *done = NULL;
    *t = (struct scene){.seed = seed, .term = 1};
    for (uint32_t s = 0; s < 6; s++) {
        const uint32_t n = 50 + (uint32_t)draw(t, 200);
        shard[s] = (struct ranges_shard){n, n};
    }
    assert_int_equal(ranges_init(&t->ranges, &spec, shard, 6), OK);
    t->plan = (struct batch_plan){.ranges = &t->ranges, .epochs = EPOCHS, .max_steps = UINT64_MAX};
    for (uint32_t w = 0; w < WORKERS; w++) {
        t->player[w].incarnation = w + 1;
    }
    assert_int_equal(applied_create(&done, t->ranges.batches, t->ranges.count), OK);
    lives(t, done);
    assert_int_equal(leases_train(&t->leases, 0), OK);
    put_whole(t);
}

/* One epoch from its beginning, or from where a coordinator left it. False: the job is done. */
static bool step(struct scene *t) {
    t->now_ms += draw(t, 100);
    leases_expire(&t->leases, t->now_ms);
    if (leases_phase_complete(&t->leases)) {
        if (t->leases.epoch + 1 == EPOCHS) {
            return false;
        }
        assert_int_equal(leases_train(&t->leases, t->leases.epoch + 1), OK);
        put_epoch(t);
    } else if (draw(t, 40) == 0) {
        replaced(t, (uint32_t)draw(t, WORKERS));
    } else if (draw(t, 30) == 0) {
        put_whole(t);
    } else {
        works(t, (uint32_t)draw(t, WORKERS));
    }
    return true;
}

static void play(uint64_t seed, uint32_t window, struct scene *t) {
    begin(t, seed, window);
    uint32_t steps = 0;
    while (step(t)) {
        assert_true(++steps < 20000);
        if (draw(t, DEATH) == 0) {
            dies(t);
        }
    }
    assert_int_equal(applied_base(t->leases.done), EPOCHS);
    assert_int_equal(applied_count(t->leases.done), t->ranges.epoch_batches * EPOCHS);
    leases_fini(&t->leases);
    ranges_fini(&t->ranges);
    buf_fini(&t->journal);
}

static void test_random_histories(void **state) {
    (void)state;
    struct scene t;
    uint32_t deaths = 0, repeated = 0, lost = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        play(seed, seed % 2 == 0 ? 0 : 2, &t);
        deaths += t.deaths;
        repeated += t.repeated;
        lost += t.lost;
    }
    print_message("%u deaths, %u answers lost, %u repeated\n", deaths, lost, repeated);
    assert_true(deaths > 3000 && repeated > 300);
}

/* A death after each record of one history: done and out are what they were. */
static void test_each_record(void **state) {
    (void)state;
    struct scene t;
    begin(&t, 5, 2);
    for (int i = 0; i < 60 && step(&t); i++) {
        struct journal_state s = {0};
        struct leases again;
        struct applied *done = NULL;
        size_t torn;
        assert_int_equal(journal_state_read(&s, "j", t.journal.data, t.journal.len, &torn), OK);
        assert_int_equal(
            applied_decode(&done, s.done.data, s.done.len, t.ranges.batches, t.ranges.count), OK);
        assert_int_equal(takeover_backs(done, &s, &t.ranges), OK);
        assert_true(applied_equal(done, t.leases.done));
        assert_int_equal(leases_init(&again, &t.plan, done, false, LEASE_MS, 0), OK);
        assert_int_equal(leases_train(&again, s.epoch.epoch), OK);
        assert_int_equal(takeover_leases(&again, &s, t.now_ms), OK);
        for (uint32_t k = 0; k < again.count; k++) {
            const struct lease *x = &again.lease[again.place[k]];
            const struct lease *y = &t.leases.lease[t.leases.place[k]];
            if (y->state == LEASE_OUT || x->state != LEASE_OUT) { /* leases may have run out */
                assert_int_equal(x->state, y->state);
                assert_true(x->state != LEASE_OUT ||
                            (x->fence == y->fence && x->worker == y->worker &&
                             x->incarnation == y->incarnation));
            }
        }
        leases_fini(&again);
        journal_state_fini(&s);
    }
    leases_fini(&t.leases);
    ranges_fini(&t.ranges);
    buf_fini(&t.journal);
}

/* Ranges that the plan has not are refused. */
static void test_foreign_ranges(void **state) {
    (void)state;
    struct scene t;
    struct journal_state s = {0};
    begin(&t, 3, 0);
    struct journal_back back = {0, t.ranges.count, 1};
    s.back = &back;
    s.backs = 1;
    assert_int_equal(takeover_backs(t.leases.done, &s, &t.ranges), ERR_CORRUPT);
    back = (struct journal_back){0, 0, t.ranges.batches[0] + 1};
    assert_int_equal(takeover_backs(t.leases.done, &s, &t.ranges), ERR_CORRUPT);
    leases_fini(&t.leases);
    ranges_fini(&t.ranges);
    buf_fini(&t.journal);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_histories),
        cmocka_unit_test(test_each_record),
        cmocka_unit_test(test_foreign_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
